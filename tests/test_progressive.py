from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from pydantic import ValidationError

from emotion.errors import UserError
from emotion.network import build_model
from emotion.networks import mini_xception, resnet, stacked_cnn, vgg
from emotion.progressive import for_size, shrinking, shrunk_faces
from emotion.recipe import Recipe
from emotion.records import Faces
from tests.tiny_training import RECIPE

VGG = vgg.Network(width=2, convolutions=[1, 1, 1, 1], dense_units=4, block_dropout=0.2, dense_dropout=0.3)

RESNET = resnet.Network(width=2, stages=2, blocks=1, attention="none", dropout=0.1)
STACKED_CNN = stacked_cnn.Network(filters=2, dense_units=4, dropout=0.1)
MINI_XCEPTION = mini_xception.Network(width=2, modules=2, dropout=0.1)


@pytest.fixture(autouse=True)
def _forget_models() -> Iterator[None]:
    yield
    keras.utils.clear_session()


def faces(count: int = 5) -> Faces:
    rng = np.random.default_rng(0)
    return Faces(rng.integers(0, 256, (count, 48, 48, 1), np.uint8), np.arange(count), None)  # type: ignore[arg-type]


def test_smaller_faces_are_uint8_with_the_same_labels_and_brightness() -> None:
    before = faces(1030)  # more than are shrunk at a time
    after = shrunk_faces(before, 36)
    assert after.images.shape == (1030, 36, 36, 1) and after.images.dtype == np.uint8
    assert np.array_equal(after.label_indexes, before.label_indexes)
    assert np.allclose(after.images.mean(axis=(1, 2, 3)), before.images.mean(axis=(1, 2, 3)), atol=2)


def test_no_faces_shrink_to_no_faces() -> None:
    assert shrunk_faces(faces(0), 36).images.shape == (0, 36, 36, 1)


def test_an_even_face_stays_even_and_a_bright_half_stays_bright() -> None:
    images = np.full((2, 48, 48, 1), 200, np.uint8)
    images[1, :, :24] = 0
    small = shrunk_faces(Faces(images, np.zeros(2, np.int64), None), 24).images  # type: ignore[arg-type]
    assert (small[0] == 200).all()
    assert (small[1, :, :11] == 0).all() and (small[1, :, 13:] == 200).all()


def test_augmented_pictures_are_shrunk_after_their_changes() -> None:
    images, seed = tf.constant(faces().images), tf.constant([1, 2], tf.int64)

    def brighter(pictures: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        return tf.cast(pictures, tf.float32) + tf.cast(seed[1], tf.float32)

    eager = shrinking(brighter, 36)(images, seed)
    assert eager.shape == (5, 36, 36, 1)
    assert np.allclose(tf.reduce_mean(eager), tf.reduce_mean(tf.cast(images, tf.float32)) + 2.0, atol=1)
    [mapped] = tf.data.Dataset.from_tensors(images).map(lambda pictures: shrinking(brighter, 36)(pictures, seed))
    assert np.array_equal(mapped, eager)


@pytest.mark.parametrize("network", [VGG, STACKED_CNN, RESNET, MINI_XCEPTION], ids=lambda network: network.__module__)
def test_both_sizes_are_one_network(network: Any) -> None:
    model = build_model(network, (48, 48, 1), 3, for_training=True)
    small = for_size(model, 36)
    assert small.input_shape == (None, 36, 36, 1)
    assert [id(variable) for variable in small.variables] == [id(variable) for variable in model.variables]
    before = np.asarray(model(np.ones((1, 48, 48, 1), np.float32)))
    small.set_weights([weight + 0.5 for weight in small.get_weights()])
    assert not np.array_equal(model(np.ones((1, 48, 48, 1), np.float32)), before)
    assert small(np.ones((1, 36, 36, 1), np.float32)).shape == (1, 3)


def test_a_size_that_gives_other_features_is_refused() -> None:
    model = build_model(VGG, (48, 48, 1), 3, for_training=True)
    with pytest.raises(
        UserError, match=r"progressive\.size_px: the network cannot take 32 px with the weights that 48"
    ):
        for_size(model, 32)
    cbam = build_model(RESNET.model_copy(update={"attention": "cbam"}), (48, 48, 1), 3, for_training=True)
    with pytest.raises(UserError, match=r"take a size nearer to 48"):
        for_size(cbam, 36)


def test_a_size_that_is_not_smaller_is_refused() -> None:
    model = build_model(VGG, (48, 48, 1), 3, for_training=True)
    with pytest.raises(UserError, match=r"48 must be less than the faces' 48 px"):
        for_size(model, 48)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"progressive": {"epochs": 4, "size_px": 36}}, r"progressive\.epochs \(4\) must be less than epochs \(4\)"),
        ({"progressive": {"epochs": 1, "size_px": 36}, "keep": "best"}, "two sizes .* keep: last"),
        ({"progressive": {"epochs": 1, "size_px": 36}, "early_stopping_patience": 2}, "early_stopping_patience: 0"),
    ],
)
def test_what_smaller_pictures_do_not_go_with_is_said(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        Recipe.model_validate(RECIPE | changes)
