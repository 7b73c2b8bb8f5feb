"""A trained network as evaluation uses it: pixels -> logits, before and after its temperature."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from emotion.errors import UserError
from emotion.model_file import ModelAbout, load_model

BATCH = 256


@dataclass(frozen=True)
class Member:
    """One member.

    Attributes:
        name: its seed, as the model's file is called.
        about: what travels with the model.
        network: pixels float32 [n, size, size, channels], 0-255 -> logits divided by the temperature [n, label_count].
    """

    name: str
    about: ModelAbout
    network: keras.Model

    @property
    def temperature(self) -> float:
        """What the logits are divided by: 1 where none was fitted."""
        return self.about.temperature or 1.0

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Logits before the temperature of uint8 images [n, size, size, channels]: float64 [n, label_count]."""
        cooled = np.empty((len(images), len(self.about.labels)))
        for start in range(0, len(images), BATCH):
            batch = images[start : start + BATCH].astype(np.float32)
            cooled[start : start + BATCH] = self.network.predict_on_batch(batch)
        return cooled * self.temperature


def load_member(path: Path) -> Member:
    """Load a member. Raises UserError when the file is no model of this project."""
    model, about = load_model(path)
    softmax = model.layers[-1]
    if not isinstance(softmax, keras.layers.Softmax):
        raise UserError(f"{path} ends in {type(softmax).__name__}, not in Softmax; train it with `dvc repro`")
    return Member(path.stem, about, _with_fused_batch_norm(keras.Model(model.inputs[0], softmax.input)))


class _FusedInference(keras.layers.BatchNormalization):
    """The stock layer at inference, as the one operation that oneDNN merges into the convolution before it.

    Keras 3 composes it of several, each of which goes through all of the memory; a VGG predicts a fifth faster so.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        if len(inputs.shape) != 4 or self.axis not in (-1, 3):
            return super().call(inputs, training=False, mask=mask)
        scale = self.gamma if self.scale else tf.ones_like(self.moving_mean)
        offset = self.beta if self.center else tf.zeros_like(self.moving_mean)
        return tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=scale,
            offset=offset,
            mean=self.moving_mean,
            variance=self.moving_variance,
            epsilon=self.epsilon,
            is_training=False,
        ).y


def _with_fused_batch_norm(network: keras.Model) -> keras.Model:
    def copy(layer: keras.layers.Layer) -> keras.layers.Layer:
        kind = _FusedInference if type(layer) is keras.layers.BatchNormalization else type(layer)
        return kind.from_config(layer.get_config())

    fused = keras.models.clone_model(network, clone_function=copy)
    fused.set_weights(network.get_weights())
    return fused


def check_agreement(members: list[Member]) -> None:
    """Raise UserError when members were not trained on the same labels and size, so that they cannot be averaged."""
    first = members[0]
    for other in members[1:]:
        for fact in ("labels", "size_px", "channels"):
            mine, theirs = getattr(first.about, fact), getattr(other.about, fact)
            if mine != theirs:
                raise UserError(
                    f"members {first.name} and {other.name} differ in {fact}: {mine}, {theirs}; train again"
                )
