"""tf.data: faces in memory -> training and validation batches.

The pixels stay in memory as uint8; each epoch permutes indexes, gathers a batch, and augments it. Every random number
is a function of (seed, epoch, step), so that an epoch can be replayed from its number alone.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from emotion.dataset.records import Faces

Augment = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def steps_per_epoch(images: int, batch_size: int) -> int:
    """Training steps in an epoch: whole batches only (one smaller batch when there is less than one)."""
    return max(1, images // batch_size)


def training_batches(
    faces: Faces, *, label_count: int, batch_size: int, first_epoch: int, epochs: int, seed: int, augment: Augment
) -> tf.data.Dataset:
    """Batches of epochs first_epoch ... epochs-1, one after another, each epoch in its own order.

    Args:
        faces: images uint8 [n, size, size, channels].
        augment: (uint8 [batch, size, size, channels], int64 [2]) -> float32, same shape.

    Yields: (float32 [batch, size, size, channels] 0-255, float32 [batch, label_count] one-hot).
    """
    count, steps = len(faces.images), steps_per_epoch(len(faces.images), batch_size)
    images, labels = _in_memory(faces)

    def epoch_order(epoch: tf.Tensor) -> tf.data.Dataset:
        order = tf.random.experimental.stateless_shuffle(tf.range(count), seed=tf.stack([seed, epoch]))
        rows = tf.data.Dataset.from_tensor_slices(order).batch(batch_size).take(steps)
        return rows.enumerate(start=epoch * steps)

    def batch(step: tf.Tensor, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        # Steps count up over all epochs; the offset keeps their seeds apart from the permutations'.
        pictures = augment(tf.gather(images, rows), tf.stack([seed + 1_000_003, step]))
        return pictures, tf.one_hot(tf.gather(labels, rows), label_count)

    order = tf.data.Dataset.range(first_epoch, epochs).flat_map(epoch_order)
    return _tuned(order.map(batch, num_parallel_calls=2, deterministic=True))


def evaluation_batches(faces: Faces, *, label_count: int, batch_size: int) -> tf.data.Dataset:
    """All faces once, in their order, unchanged.

    Yields: (float32 [batch, size, size, channels] 0-255, float32 [batch, label_count] one-hot); the last is smaller.
    """
    images, labels = _in_memory(faces)

    def batch(rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.cast(tf.gather(images, rows), tf.float32), tf.one_hot(tf.gather(labels, rows), label_count)

    rows = tf.data.Dataset.range(len(faces.images)).batch(batch_size)
    return _tuned(rows.map(batch, num_parallel_calls=2, deterministic=True))


def class_weights(label_indexes: np.ndarray, label_count: int) -> dict[int, float]:
    """Weights inverse to each label's frequency, one on average over the images.

    As scikit-learn's `compute_class_weight("balanced")`, which refuses a label all of whose images were undecodable.
    """
    counts = np.bincount(label_indexes, minlength=label_count)
    return {label: float(len(label_indexes) / (label_count * max(count, 1))) for label, count in enumerate(counts)}


def _in_memory(faces: Faces) -> tuple[tf.Tensor, tf.Tensor]:
    with tf.device("CPU:0"):
        return tf.constant(faces.images), tf.constant(faces.label_indexes)


def _tuned(batches: tf.data.Dataset) -> tf.data.Dataset:
    options = tf.data.Options()
    options.deterministic = True
    options.autotune.enabled = False
    options.threading.private_threadpool_size = 2
    return batches.prefetch(4).with_options(options)
