"""What a network is, and the Keras model built from it: pixels -> logits -> probabilities, and its file."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import keras
import numpy as np

from emotion.dataset.examples import Examples
from emotion.model.batch_norm import (
    FusedBatchNormalization,
    SynchronizedBatchNormalization,
    with_fused_batch_norm,
)
from emotion.model.batched import predict_in_batches
from emotion.model.calibration import calibrate
from emotion.model.file import ModelAbout, save_model
from emotion.model.prior import learnt_prior
from emotion.training.recipe import Recipe


class Network(Protocol):
    """What a file of emotion/networks offers."""

    def logits(
        self, pixels: keras.KerasTensor, *, label_count: int, batch_norm: type[keras.layers.Layer]
    ) -> keras.KerasTensor:
        """Build the network: pixels [batch, size, size, channels], 0-255 -> logits float32 [batch, label_count]."""


@dataclass(frozen=True)
class Phase:
    """A stretch of a training in which the same layers learn; it has its own optimizer and schedule.

    Attributes:
        epochs: how many, >= 1.
        learning_rate: the peak of its schedule.
        frozen: names of the layers that do not learn; a frozen batch-norm layer keeps its statistics as well.
    """

    epochs: int
    learning_rate: float
    frozen: frozenset[str] = frozenset()


@runtime_checkable
class FineTuned(Protocol):
    """What a file of emotion/networks also offers when its network starts from weights learnt elsewhere."""

    def load_pretrained(self, model: keras.Model) -> None:
        """Put the weights in place. Raises UserError when they are not available."""

    def phases(self, model: keras.Model, recipe: Recipe) -> list[Phase]:
        """Say what learns when; the phases' epochs add up to `recipe.epochs`. Raises UserError."""


def build_model(
    network: Network,
    shape: Sequence[int],
    label_count: int,
    *,
    for_training: bool,
    devices: int = 1,
    scope: Callable[[], AbstractContextManager[Any]] = nullcontext,
) -> keras.Model:
    """Build pixels -> logits. For training: the global precision and fused batch-norm; else stock and float32."""
    _number_layers_anew()
    batch_norm = _training_batch_norm(devices) if for_training else keras.layers.BatchNormalization
    policy = keras.config.dtype_policy() if for_training else keras.DTypePolicy("float32")
    with scope(), _policy(policy):
        pixels = keras.Input(tuple(shape), name="pixels", dtype="float32")
        logits = network.logits(pixels, label_count=label_count, batch_norm=batch_norm)
        return keras.Model(pixels, logits, name="logits")


def with_probabilities(logits: keras.Model, temperature: float) -> keras.Model:
    """Append the softmax in float32, behind a Rescaling that divides the logits by the temperature."""
    with _policy(keras.DTypePolicy("float32")):
        cooled = keras.layers.Rescaling(1.0 / temperature, name="temperature")(logits.output)
        return keras.Model(logits.input, keras.layers.Softmax(name="probabilities")(cooled), name="emotion")


class Saved(NamedTuple):
    """A model file: how many parameters it has, and its scores on the validation faces, by name."""

    parameters: int
    val: dict[str, Any]


def save_calibrated(
    network: Network,
    weights: list[np.ndarray],
    learnt: Examples,
    held_out: Examples,
    path: Path,
    *,
    recipe: Recipe,
    made_with: dict[str, Any],
) -> Saved:
    """Put trained weights into a stock float32 model, fit its temperature on the validation faces, and save it.

    Args:
        weights: in the order of `model.weights`.
        learnt: the faces that it was trained on.
        held_out: the validation faces; may be empty.
        recipe: that it was trained by.
        made_with: parameters and versions, which travel with the model.
    """
    logits = build_model(network, learnt.faces.images.shape[1:], learnt.label_count, for_training=False)
    logits.set_weights(weights)
    val_logits = predict_in_batches(with_fused_batch_norm(logits), held_out.images)
    temperature, val_report = calibrate(held_out.targets, val_logits)
    finished = with_probabilities(logits, temperature or 1.0)
    about, prior = learnt.faces.about, learnt_prior(learnt.targets, balanced=recipe.class_weights == "balanced")
    known = ModelAbout(learnt.labels, about.size_px, about.channels, temperature, made_with, prior)
    save_model(finished, path, known)
    return Saved(finished.count_params(), val_report)


def _training_batch_norm(devices: int) -> type[keras.layers.BatchNormalization]:
    """The layer whose statistics are those of the whole batch, however many devices share it."""
    return FusedBatchNormalization if devices == 1 else SynchronizedBatchNormalization


def _number_layers_anew() -> None:
    """Let layer names repeat from one model to the next, but keep what else clear_session would forget."""
    policy, distribution = keras.config.dtype_policy(), keras.distribution.distribution()
    keras.utils.clear_session(free_memory=False)
    keras.config.set_dtype_policy(policy)
    keras.distribution.set_distribution(distribution)


@contextmanager
def _policy(policy: keras.DTypePolicy) -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
