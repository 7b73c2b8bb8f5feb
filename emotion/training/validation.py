"""Validation where several processes share the training, and what follows when its loss stops falling.

The latter are functions of the history, so that a resumed training agrees.
"""

import math
from collections.abc import Sequence

import keras
import numpy as np

from emotion.dataset.examples import Examples
from emotion.model.batched import predict_in_batches
from emotion.runtime.processes import from_first_process, process_index
from emotion.training.kept_weights import KeepWeights
from emotion.training.network import Network, build_model
from emotion.training.recipe import Recipe

_LEAST_GAIN = 1e-4  # nats: a smaller fall does not count for the learning rate, as in Keras' ReduceLROnPlateau


class Validation(keras.callbacks.Callback):
    """Validates on one device of the first process when several share the training, and tells the others.

    It must be the first callback: it adds its results to the epoch's logs.
    """

    def __init__(self, network: Network, val: Examples, recipe: Recipe, keeper: KeepWeights) -> None:
        super().__init__()
        self._keeper, self._val = keeper, val
        self._alone: keras.Model | None = None  # the same network, on this process's own device
        self._build = lambda: build_model(network, val.faces.images.shape[1:], val.label_count, for_training=False)
        self._smoothing = recipe.label_smoothing

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Add val_accuracy and val_loss to the epoch's logs."""
        self._keeper.on_test_begin()
        accuracy, loss = from_first_process(self._scores() if process_index() == 0 else (0.0, 0.0))
        self._keeper.on_test_end({"accuracy": accuracy})
        if logs is not None:
            logs.update(val_accuracy=accuracy, val_loss=loss)

    def _scores(self) -> tuple[float, float]:
        weights = [np.array(weight) for weight in self.model.get_weights()]
        shared = keras.distribution.distribution()
        keras.distribution.set_distribution(None)
        try:
            self._alone = self._alone or self._build()
            self._alone.set_weights(weights)
            logits = predict_in_batches(self._alone, self._val.images)
        finally:
            keras.distribution.set_distribution(shared)
        right = logits.argmax(axis=1) == self._val.targets.argmax(axis=1)
        losses = keras.losses.categorical_crossentropy(
            self._val.targets, logits, from_logits=True, label_smoothing=self._smoothing
        )
        return float(right.mean()), float(np.mean(losses))


def lowers_rate(val_losses: Sequence[float], *, patience: int) -> bool:
    """Whether the learning rate is to be lowered after the last of these epochs.

    It is after `patience` epochs in a row without a gain; then the count starts again.

    Args:
        val_losses: of each epoch so far, in nats.
        patience: epochs, >= 1.
    """
    best, waited, lowers = math.inf, 0, False
    for loss in val_losses:
        if loss < best - _LEAST_GAIN:
            best, waited = loss, 0
        else:
            waited += 1
        lowers = waited >= patience
        waited = 0 if lowers else waited
    return lowers


def ends_training(val_losses: Sequence[float], *, patience: int) -> bool:
    """Whether the training is to end after the last of these epochs: `patience` in a row were no better than the best.

    Args:
        val_losses: of each epoch so far, in nats.
        patience: epochs, >= 1.
    """
    best, waited = math.inf, 0
    for loss in val_losses:
        best, waited = (loss, 0) if loss < best else (best, waited + 1)
    return waited >= patience
