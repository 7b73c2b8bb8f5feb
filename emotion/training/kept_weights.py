"""Which weights a training keeps: averaged ones where there is averaging, from the best epoch or the last."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from emotion.training.optimizer import average_warm_up

_STATISTICS_EVERY = 8  # steps between two updates of the averaged batch-norm statistics


class KeepWeights(keras.callbacks.Callback):
    """Keeps the best or the last weights, averaged where there is averaging.

    With an exponential moving average, validation sees the averaged weights. The optimizer averages what it trains; the
    batch-norm statistics, which it does not see, are averaged here with the same decay: every few steps, and after the
    last step of an epoch, which is when they are used.
    """

    def __init__(self, *, keep: str, averaged: bool, ema_decay: float) -> None:
        super().__init__()
        self.keep, self.averaged = keep, averaged
        self.decay = ema_decay
        self.statistics: list[np.ndarray] = []  # averages of the model's non-trainable weights
        self.best_accuracy = -1.0
        self.kept_epoch = 0
        self.kept: list[np.ndarray] = []
        self._epoch = 0
        self._raw: list[np.ndarray] = []

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Note the epoch."""
        self._epoch = epoch + 1

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Average the batch-norm statistics, every few steps."""
        is_last = batch + 1 == self.params["steps"]
        if self.averaged and (batch % _STATISTICS_EVERY == 0 or is_last):
            _synchronize(self.model)
            now = _statistics(self.model)
            # Steps before this one, as the optimizer counts for its own average.
            taken = int(keras.ops.convert_to_numpy(self.model.optimizer.iterations)) - 1
            since = min(batch, (batch - 1) % _STATISTICS_EVERY) + 1
            rate = np.float32(min(self.decay, average_warm_up(taken)) ** since)
            old = self.statistics or now
            self.statistics = [rate * a + (1 - rate) * b for a, b in zip(old, now, strict=True)]

    def on_test_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Put the averaged weights in place for validation."""
        self._swap_in()

    def on_test_end(self, logs: Mapping[str, float] | None = None) -> None:
        """Keep the validated weights if they are the best so far, then put the raw ones back."""
        accuracy = float((logs or {})["accuracy"])
        if self.keep == "best" and accuracy > self.best_accuracy:
            self.best_accuracy = accuracy
            self._keep()
        self._swap_out()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Keep the last weights, if asked to."""
        if self.keep == "last":
            self._swap_in()
            self._keep()
            self._swap_out()

    def _keep(self) -> None:
        self.kept, self.kept_epoch = [np.array(weight) for weight in self.model.get_weights()], self._epoch

    def _swap_in(self) -> None:
        if not self.averaged:
            return
        model = self.model
        self._raw = [np.array(weight) for weight in model.get_weights()]
        model.optimizer.finalize_variable_values(model.trainable_variables)
        if keras.backend.backend() == "jax":  # which gives the model the optimizer's own arrays, and later deletes them
            model.set_weights([np.array(weight) for weight in model.get_weights()])
        for variable, value in zip(_moving(model), self.statistics, strict=True):
            variable.assign(value)

    def _swap_out(self) -> None:
        if self.averaged:
            self.model.set_weights(self._raw)


def _moving(model: keras.Model) -> list[Any]:
    """The statistics that move while the model trains: those of the layers that are not frozen."""
    return [weight for layer in model.layers if layer.trainable for weight in layer.non_trainable_weights]


def _statistics(model: keras.Model) -> list[np.ndarray]:
    return [np.array(variable, np.float32) for variable in _moving(model)]


def _synchronize(model: keras.Model) -> None:
    """Copy the weights into the model: within an epoch the JAX backend keeps them to itself."""
    if keras.backend.backend() == "jax":
        model.jax_state_sync()
