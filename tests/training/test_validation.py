"""When a validation loss that no longer falls lowers the rate and ends the training: as Keras' callbacks decide."""

import math
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from emotion.training.validation import ends_training, lowers_rate


def test_the_rate_falls_after_as_many_epochs_without_a_gain_and_counts_anew() -> None:
    losses = [1.0, 0.9, 0.9, 0.95, 0.91, 0.92, 0.93]
    fell = [lowers_rate(losses[:epochs], patience=2) for epochs in range(1, 8)]
    assert fell == [False, False, False, True, False, True, False]


def test_a_gain_below_a_ten_thousandth_is_none_for_the_rate_but_one_for_the_end() -> None:
    losses = [1.0, 0.99995, 0.99994]
    assert lowers_rate(losses, patience=2)
    assert not ends_training(losses, patience=2)


def test_training_ends_after_as_many_epochs_that_are_no_better_than_the_best() -> None:
    losses = [1.0, 0.8, 0.8, 0.9]
    assert [ends_training(losses[:epochs], patience=2) for epochs in range(1, 5)] == [False, False, False, True]


def test_no_epoch_and_no_number_never_gain() -> None:
    assert not lowers_rate([], patience=1) and not ends_training([], patience=1)
    assert lowers_rate([1.0, math.nan], patience=1) and ends_training([1.0, math.nan], patience=1)


@pytest.mark.parametrize("seed", range(20))
def test_they_decide_as_keras_callbacks_do(seed: int) -> None:
    rng = np.random.default_rng(seed)
    losses = (np.linspace(1, 0.8, 30) + rng.normal(0, 0.05, 30)).round(3).tolist()
    patience = int(rng.integers(1, 5))
    model = SimpleNamespace(optimizer=SimpleNamespace(learning_rate=keras.Variable(1.0)), stop_training=False)
    plateau = keras.callbacks.ReduceLROnPlateau(monitor="val_loss", patience=patience, factor=0.5)
    stopping = keras.callbacks.EarlyStopping(monitor="val_loss", patience=patience)
    for callback in (plateau, stopping):
        callback.set_model(model)
        callback.on_train_begin()
    rate = 1.0
    for epoch, loss in enumerate(losses):
        plateau.on_epoch_end(epoch, {"val_loss": loss})
        stopping.on_epoch_end(epoch, {"val_loss": loss})
        rate *= 0.5 if lowers_rate(losses[: epoch + 1], patience=patience) else 1.0
        assert float(np.asarray(model.optimizer.learning_rate)) == rate
        assert ends_training(losses[: epoch + 1], patience=patience) == model.stop_training
        if model.stop_training:
            break
