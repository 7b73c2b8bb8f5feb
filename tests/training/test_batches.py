from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from sklearn.utils.class_weight import compute_class_weight

from emotion.dataset.examples import class_weights, labelled
from emotion.dataset.records.stored_images import Images, Rows
from emotion.dataset.records.tfrecords import Faces, RecordsAbout
from emotion.training.augment import Augmentation
from emotion.training.batches import evaluation_batches, steps_per_epoch, training_batches


def numbered_faces(count: int) -> Faces:
    """Faces whose first pixel is their number, with label number % 3."""
    images = np.zeros((count, 8, 8, 1), np.uint8)
    images[:, 0, 0, 0] = np.arange(count)
    return Faces(images, np.arange(count) % 3, RecordsAbout(count, 8, 1, ["a", "b", "c"]))


def unchanged(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    return tf.cast(images, tf.float32)


def epochs(first: int, last: int, *, count: int = 50, seed: int = 0, augment: object = unchanged) -> list[np.ndarray]:
    """The numbers of the faces, batch by batch."""
    batches = training_batches(
        labelled(numbered_faces(count), ["a", "b", "c"]),
        batch_size=8,
        first_epoch=first,
        epochs=last,
        seed=seed,
        augment=augment,  # type: ignore[arg-type]
    )
    return [images.numpy()[:, 0, 0, 0].astype(int) for images, _ in batches]


def test_an_epoch_is_whole_batches_of_distinct_faces() -> None:
    batches = epochs(0, 1)
    assert [len(batch) for batch in batches] == [8] * 6
    assert len(set(np.concatenate(batches))) == 48


def test_each_epoch_has_its_own_order_and_any_epoch_can_be_replayed() -> None:
    three = epochs(0, 3)
    first, second, third = three[:6], three[6:12], three[12:]
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(epochs(1, 3), [*second, *third])
    assert not np.array_equal(epochs(0, 1, seed=1), first)


def test_an_epoch_is_the_permutation_of_seed_and_epoch() -> None:
    for epoch in (0, 3):
        order = tf.random.experimental.stateless_shuffle(tf.range(50), seed=[7, epoch]).numpy()
        np.testing.assert_array_equal(epochs(epoch, epoch + 1, seed=7), order[:48].reshape(6, 8))


class Watched:
    """Images that note which of them are read."""

    def __init__(self, images: Images) -> None:
        self.shape, self.read = images.shape, list[int]()
        self._images = images

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Rows, /) -> np.ndarray:
        self.read += np.arange(len(self))[rows].tolist()
        return self._images[rows]


@pytest.mark.parametrize("count", [50, 5], ids=["whole batches", "a part of one"])
def test_own_rows_are_those_of_the_whole_batches_and_nothing_else_is_read(count: int) -> None:
    faces = numbered_faces(count)
    augment = Augmentation(
        **{"shift": 0.1, "scale": 0.2, "rotation_deg": 15.0, "flip": True, "brightness": 0.1, "contrast": 0.2},
        **{"erase": 0.5, "erase_area": 0.2},
    )
    given = {"batch_size": min(8, count), "first_epoch": 0, "epochs": 2, "seed": 0, "augment": augment}
    whole = list(training_batches(labelled(faces, ["a", "b", "c"]), **given))
    for own_rows in (slice(0, 4), slice(4, 8)):
        watched = Watched(faces.images)
        examples = labelled(replace(faces, images=watched), ["a", "b", "c"])
        part = list(training_batches(examples, **given, own_rows=own_rows))
        for (images, labels), (all_images, all_labels) in zip(part, whole, strict=True):
            np.testing.assert_array_equal(images, all_images[own_rows])
            np.testing.assert_array_equal(labels, all_labels[own_rows])
        assert len(watched.read) == sum(len(images) for images, _ in part)


def test_the_augmentation_of_a_step_depends_on_its_epoch_alone() -> None:
    def stamped(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        return tf.zeros_like(images, tf.float32) + tf.cast(seed[1], tf.float32)

    assert [batch[0] for batch in epochs(0, 2, augment=stamped)] == list(range(12))
    assert [batch[0] for batch in epochs(1, 2, augment=stamped)] == list(range(6, 12))


def test_labels_are_one_hot_and_belong_to_their_faces() -> None:
    batches = training_batches(
        labelled(numbered_faces(30), ["a", "b", "c"]), batch_size=10, first_epoch=0, epochs=1, seed=0, augment=unchanged
    )
    for images, labels in batches:
        np.testing.assert_array_equal(labels.numpy().argmax(axis=1), images.numpy()[:, 0, 0, 0] % 3)
        np.testing.assert_array_equal(labels.numpy().sum(axis=1), 1)


def test_evaluation_batches_are_every_face_once_in_order() -> None:
    batches = list(evaluation_batches(labelled(numbered_faces(10), ["a", "b", "c"]), batch_size=4))
    assert [len(images) for images, _ in batches] == [4, 4, 2]
    numbers = np.concatenate([images.numpy()[:, 0, 0, 0] for images, _ in batches])
    np.testing.assert_array_equal(numbers, np.arange(10))


@pytest.mark.parametrize(("images", "batch_size", "steps"), [(100, 32, 3), (32, 32, 1), (5, 32, 1)])
def test_steps_per_epoch_counts_whole_batches(images: int, batch_size: int, steps: int) -> None:
    assert steps_per_epoch(images, batch_size) == steps


def test_class_weights_are_inverse_to_frequency_and_one_on_average() -> None:
    labels = np.array([0] * 6 + [1] * 2)
    weights = class_weights(np.eye(2)[labels])
    assert weights == {0: pytest.approx(8 / 12), 1: pytest.approx(2.0)}
    assert np.mean([weights[label] for label in labels]) == pytest.approx(1.0)


def test_class_weights_are_scikit_learns_and_a_label_may_have_no_image() -> None:
    labels = np.random.default_rng(0).choice(7, 10_000, p=[0.3, 0.3, 0.2, 0.1, 0.05, 0.04, 0.01])
    expected = compute_class_weight("balanced", classes=np.arange(7), y=labels)
    assert list(class_weights(np.eye(7)[labels]).values()) == expected.tolist()
    assert class_weights(np.eye(3)[[0, 0, 1]]) == {0: 0.5, 1: 1.0, 2: 1.0}
