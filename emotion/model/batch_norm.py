"""Batch normalisation with the same bits on every x86-64 processor, and quicker to train in bfloat16.

The stock layer divides by a square root with `Rsqrt`, which each make of processor approximates in its own way. Saved
models hold the stock layer; the layers here stand in for it while this project trains and predicts.
"""

from typing import Any

import keras
from keras import ops


class SynchronizedBatchNormalization(keras.layers.BatchNormalization):
    """The stock layer with statistics of the whole batch where several devices share it."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(synchronized=keras.backend.backend() == "tensorflow", **settings)


class FusedBatchNormalization(keras.layers.BatchNormalization):
    """The stock layer, trained by TensorFlow's fused kernel; at inference one multiplication and one addition.

    For the last axis only; on another axis, or when training on another backend, it is the stock layer.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Normalise a batch: [batch, units] or [batch, height, width, channels] of any float type, same shape out."""
        if self.axis not in (-1, len(inputs.shape) - 1):
            return super().call(inputs, training=training, mask=mask)
        if not training or not self.trainable:
            return self._infer(inputs)
        if keras.backend.backend() != "tensorflow" or len(inputs.shape) not in (2, 4):
            return super().call(inputs, training=training, mask=mask)
        return self._train(inputs)

    def _infer(self, inputs: Any) -> Any:
        # Not 1 / sqrt(...), which TensorFlow's optimiser turns into Rsqrt, nor the fused kernel, which it merges with
        # a preceding convolution into one that uses Rsqrt too.
        scale = ops.divide_no_nan(1.0, ops.sqrt(ops.cast(self.moving_variance, "float32") + self.epsilon))
        scale = scale * self.gamma if self.scale else scale
        offset = self.beta - self.moving_mean * scale if self.center else -self.moving_mean * scale
        return ops.cast(ops.cast(inputs, "float32") * scale + offset, inputs.dtype)

    def _train(self, inputs: Any) -> Any:
        import tensorflow as tf

        pictures = inputs if len(inputs.shape) == 4 else inputs[:, None, None, :]
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=pictures,
            scale=tf.cast(self.gamma, tf.float32) if self.scale else tf.ones_like(self.moving_mean),
            offset=tf.cast(self.beta, tf.float32) if self.center else tf.zeros_like(self.moving_mean),
            mean=tf.zeros([0], tf.float32),
            variance=tf.zeros([0], tf.float32),
            epsilon=self.epsilon,
            is_training=True,
        )
        # The kernel's variance is the unbiased one; Keras keeps the biased one.
        count = tf.cast(tf.reduce_prod(tf.shape(pictures)[:3]), tf.float32)
        variance = variance * (count - 1.0) / count
        self.moving_mean.assign(self.moving_mean * self.momentum + mean * (1.0 - self.momentum))
        self.moving_variance.assign(self.moving_variance * self.momentum + variance * (1.0 - self.momentum))
        return tf.reshape(outputs, tf.shape(inputs))


def with_fused_batch_norm(model: keras.Model) -> keras.Model:
    """Copy a model of stock layers, weights included, with this project's batch normalisation in it."""

    def copy(layer: keras.layers.Layer) -> keras.layers.Layer:
        kind = FusedBatchNormalization if type(layer) is keras.layers.BatchNormalization else type(layer)
        return kind.from_config(layer.get_config())

    fused = keras.models.clone_model(model, clone_function=copy)
    fused.set_weights(model.get_weights())
    return fused
