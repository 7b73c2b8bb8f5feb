import numpy as np
import pytest

from emotion.model.file import ModelAbout
from emotion.runtime.quiet import import_tensorflow

import_tensorflow()
import keras  # noqa: E402
from keras import layers  # noqa: E402

from emotion.evaluation.members import Member  # noqa: E402
from emotion.evaluation.saliency import evidence_maps, feature_layer  # noqa: E402


def member(outputs: keras.KerasTensor, inputs: keras.KerasTensor) -> Member:
    return Member("0", ModelAbout(["dark", "bright"], 12, 1, 2.0), keras.Model(inputs, outputs))


def bright_spots() -> Member:
    """A network that says `bright` by the mean brightness and `dark` by nothing."""
    inputs = keras.Input((12, 12, 1))
    features = layers.Conv2D(1, 1, kernel_initializer="ones", use_bias=False)(inputs)
    mean = layers.GlobalAveragePooling2D()(features)
    logits = layers.Dense(2, use_bias=False, kernel_initializer=keras.initializers.Constant([[0.0, 1.0]]))(mean)
    return member(logits, inputs)


def test_the_map_lights_up_where_the_evidence_is() -> None:
    images = np.zeros((2, 12, 12, 1), np.uint8)
    images[0, 2:4, 8:10] = 200
    images[1, 9, 1] = 50
    maps = evidence_maps(bright_spots(), images, np.array([1, 1]))
    np.testing.assert_allclose(maps, images[..., 0] / np.array([200, 50]).reshape(2, 1, 1))
    assert maps.dtype == np.float32


def test_each_place_counts_as_the_dense_layer_weighs_it() -> None:
    """The gradient's mean over the map is negative here: weighted by it, as Grad-CAM does, the map would be empty."""
    inputs = keras.Input((12, 12, 1))
    features = layers.Conv2D(1, 1, kernel_initializer="ones", use_bias=False)(inputs)
    kernel = np.full((12, 12), -1.0)
    kernel[3, 4], kernel[8, 2] = 2.0, 1.0
    dense = layers.Dense(2, use_bias=False)
    logits = dense(layers.Flatten()(features))
    dense.set_weights([np.stack([np.zeros(144), kernel.ravel()], axis=1)])
    images = np.full((1, 12, 12, 1), 100, np.uint8)
    maps = evidence_maps(member(logits, inputs), images, np.array([1]))
    np.testing.assert_array_equal(maps[0], np.maximum(kernel, 0) / 2)


def test_a_label_that_nothing_speaks_for_has_an_empty_map() -> None:
    images = np.full((1, 12, 12, 1), 90, np.uint8)
    assert evidence_maps(bright_spots(), images, np.array([0])).max() == 0


@pytest.mark.parametrize(
    ("pools", "expected"),
    [(0, "conv0"), (1, "pool1"), (2, "pool1")],  # 12, 6 and 3 places: below 5 x 5 the map before counts
)
def test_the_last_map_that_is_fine_enough_is_taken(pools: int, expected: str) -> None:
    x = inputs = keras.Input((12, 12, 1))
    x = layers.Conv2D(2, 3, padding="same", name="conv0")(x)
    for number in range(1, pools + 1):
        x = layers.MaxPooling2D(name=f"pool{number}")(x)
    outputs = layers.Dense(2)(layers.Flatten()(x))
    assert feature_layer(keras.Model(inputs, outputs)).name == expected


def test_where_every_map_is_coarse_the_last_of_the_finest_is_taken() -> None:
    x = inputs = keras.Input((4, 4, 1))
    x = layers.Conv2D(2, 3, padding="same", name="first")(x)
    x = layers.ReLU(name="last")(x)
    x = layers.MaxPooling2D()(x)
    assert feature_layer(keras.Model(inputs, layers.Flatten()(x))).name == "last"


def test_a_network_without_maps_says_so() -> None:
    inputs = keras.Input((4,))
    with pytest.raises(ValueError, match="no layer with a feature map"):
        feature_layer(keras.Model(inputs, layers.Dense(2)(inputs)))


def test_a_member_gives_logits_before_its_temperature() -> None:
    images = np.full((3, 12, 12, 1), 50, np.uint8)
    np.testing.assert_allclose(bright_spots().logits(images), [[0, 100]] * 3)
