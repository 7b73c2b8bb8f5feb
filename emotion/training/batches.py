"""tf.data: faces -> training and validation batches.

Each epoch permutes row numbers, reads the rows of a batch, and augments them; the pixels may be in files. Every random
number is a function of (seed, epoch, step), so that an epoch can be replayed from its number alone.
"""

from collections.abc import Callable

import tensorflow as tf

from emotion.dataset.examples import Examples

Augment = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
_ALL = slice(None)


def steps_per_epoch(images: int, batch_size: int) -> int:
    """Training steps in an epoch: whole batches only (one smaller batch when there is less than one)."""
    return max(1, images // batch_size)


def training_batches(
    examples: Examples,
    *,
    batch_size: int,
    first_epoch: int,
    epochs: int,
    seed: int,
    augment: Augment,
    own_rows: slice = _ALL,
) -> tf.data.Dataset:
    """Batches of epochs first_epoch ... epochs-1, one after another, each epoch in its own order.

    Args:
        examples: faces, uint8 [n, size, size, channels], and the answers to them.
        augment: (uint8 [batch, size, size, channels], int64 [2]) -> float32, same shape; each picture by itself.
        own_rows: of each batch, to read and yield; no others are read.

    Yields: (float32 [own rows, size, size, channels] 0-255, float32 [own rows, labels], each summing to one).
    """
    count, steps = len(examples), steps_per_epoch(len(examples), batch_size)
    read, targets = _reader(examples), _targets(examples)

    def epoch_order(epoch: tf.Tensor) -> tf.data.Dataset:
        order = tf.random.experimental.stateless_shuffle(tf.range(count), seed=tf.stack([seed, epoch]))
        rows = tf.data.Dataset.from_tensor_slices(order).batch(batch_size).take(steps)
        return rows.enumerate(start=epoch * steps)

    def batch(step: tf.Tensor, rows: tf.Tensor, images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        # Steps count up over all epochs; the offset keeps their seeds apart from the permutations'.
        pictures = augment(_amid_blanks(images, rows, own_rows), tf.stack([seed + 1_000_003, step]))
        answers = tf.gather(targets, rows)
        answers = _draw(answers, tf.stack([seed + 2_000_003, step])) if examples.drawn else answers
        return pictures[own_rows], answers[own_rows]

    order = tf.data.Dataset.range(first_epoch, epochs).flat_map(epoch_order)
    read_batches = order.map(lambda step, rows: (step, rows, read(rows[own_rows])))
    return _tuned(read_batches.map(batch, num_parallel_calls=2, deterministic=True))


def evaluation_batches(examples: Examples, *, batch_size: int) -> tf.data.Dataset:
    """All faces once, in order, unchanged.

    Yields: (float32 [batch, size, size, channels] 0-255, float32 [batch, labels]); the last is smaller.
    """
    read, targets = _reader(examples), _targets(examples)

    def batch(rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.cast(read(rows), tf.float32), tf.gather(targets, rows)

    rows = tf.data.Dataset.range(len(examples)).batch(batch_size)
    return _tuned(rows.map(batch, num_parallel_calls=2, deterministic=True))


def _reader(examples: Examples) -> Callable[[tf.Tensor], tf.Tensor]:
    """Row numbers -> images uint8 [rows, size, size, channels]."""
    images = examples.images

    def read(rows: tf.Tensor) -> tf.Tensor:
        pixels = tf.numpy_function(lambda numbers: images[numbers], [rows], tf.uint8, stateful=False)
        return tf.ensure_shape(pixels, (None, *images.shape[1:]))

    return read


def _targets(examples: Examples) -> tf.Tensor:
    with tf.device("CPU:0"):
        return tf.constant(examples.targets)


def _amid_blanks(images: tf.Tensor, rows: tf.Tensor, own_rows: slice) -> tf.Tensor:
    """The whole batch, blank but for the own rows: what is drawn for a picture depends on its place in the batch."""
    if own_rows == _ALL:
        return images
    before = tf.minimum(own_rows.start, tf.size(rows))
    after = tf.size(rows) - before - tf.shape(images)[0]
    return tf.pad(images, [[before, after], [0, 0], [0, 0], [0, 0]])


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
