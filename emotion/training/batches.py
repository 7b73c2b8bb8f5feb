"""tf.data: faces in memory -> training and validation batches.

The pixels stay in memory as uint8; each epoch permutes indexes, gathers a batch, and augments it. Every random number
is a function of (seed, epoch, step), so that an epoch can be replayed from its number alone.
"""

from collections.abc import Callable

import tensorflow as tf

from emotion.dataset.lessons import Lessons

Augment = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def steps_per_epoch(images: int, batch_size: int) -> int:
    """Training steps in an epoch: whole batches only (one smaller batch when there is less than one)."""
    return max(1, images // batch_size)


def training_batches(
    lessons: Lessons, *, batch_size: int, first_epoch: int, epochs: int, seed: int, augment: Augment
) -> tf.data.Dataset:
    """Batches of epochs first_epoch ... epochs-1, one after another, each epoch in its own order.

    Args:
        lessons: faces, uint8 [n, size, size, channels], and the answers to them.
        augment: (uint8 [batch, size, size, channels], int64 [2]) -> float32, same shape.

    Yields: (float32 [batch, size, size, channels] 0-255, float32 [batch, labels], rows summing to one).
    """
    count, steps = len(lessons), steps_per_epoch(len(lessons), batch_size)
    images, targets = _in_memory(lessons)

    def epoch_order(epoch: tf.Tensor) -> tf.data.Dataset:
        order = tf.random.experimental.stateless_shuffle(tf.range(count), seed=tf.stack([seed, epoch]))
        rows = tf.data.Dataset.from_tensor_slices(order).batch(batch_size).take(steps)
        return rows.enumerate(start=epoch * steps)

    def batch(step: tf.Tensor, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        # Steps count up over all epochs; the offset keeps their seeds apart from the permutations'.
        pictures = augment(tf.gather(images, rows), tf.stack([seed + 1_000_003, step]))
        answers = tf.gather(targets, rows)
        return pictures, _draw(answers, tf.stack([seed + 2_000_003, step])) if lessons.drawn else answers

    order = tf.data.Dataset.range(first_epoch, epochs).flat_map(epoch_order)
    return _tuned(order.map(batch, num_parallel_calls=2, deterministic=True))


def evaluation_batches(lessons: Lessons, *, batch_size: int) -> tf.data.Dataset:
    """All faces once, in order, unchanged.

    Yields: (float32 [batch, size, size, channels] 0-255, float32 [batch, labels]); the last is smaller.
    """
    images, targets = _in_memory(lessons)

    def batch(rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.cast(tf.gather(images, rows), tf.float32), tf.gather(targets, rows)

    rows = tf.data.Dataset.range(len(lessons)).batch(batch_size)
    return _tuned(rows.map(batch, num_parallel_calls=2, deterministic=True))


def _in_memory(lessons: Lessons) -> tuple[tf.Tensor, tf.Tensor]:
    with tf.device("CPU:0"):
        return tf.constant(lessons.images), tf.constant(lessons.targets)


def _draw(distributions: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Draw a label from each distribution: float32 [batch, labels] -> one-hot, of the same shape.

    By comparing a uniform number with sums, which are exact enough to be the same on every processor.
    """
    ends = tf.cumsum(distributions, axis=1)
    place = tf.random.stateless_uniform((tf.shape(distributions)[0], 1), seed) * ends[:, -1:]
    return tf.one_hot(tf.argmax(tf.cast(place < ends, tf.int32), axis=1), distributions.shape[1])


def _tuned(batches: tf.data.Dataset) -> tf.data.Dataset:
    options = tf.data.Options()
    options.deterministic = True
    options.autotune.enabled = False
    options.threading.private_threadpool_size = 2
    return batches.prefetch(4).with_options(options)
