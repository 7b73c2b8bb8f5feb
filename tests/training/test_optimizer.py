"""The average of the weights: near them when there were few steps, as slow as asked for when there were many."""

from typing import Any

import keras
import numpy as np
import pytest

from emotion.training.kept_weights import KeepWeights
from emotion.training.optimizer import average_warm_up, make_optimizer
from emotion.training.recipe import Recipe
from tests.support.tiny_training import RECIPE


def averaged(values: list[float], *, decay: float, optimizer: str = "sgd") -> float:
    """Let a weight take these values, one a step, and return its average."""
    recipe = Recipe.model_validate(
        {**RECIPE, "optimizer": optimizer, "ema_decay": decay, "schedule": "constant", "warmup_epochs": 0}
    )
    weight = keras.Variable([0.0], name="kernel")
    averaging = make_optimizer(recipe, steps=1)
    averaging.build([weight])
    averaging.learning_rate = 0.0
    for value in values:
        weight.assign([value])
        averaging.apply([keras.ops.zeros((1,))])
    averaging.finalize_variable_values([weight])
    return float(np.asarray(weight.value)[0])


def by_hand(values: list[float], *, decay: float) -> float:
    average = values[0]
    for step, value in enumerate(values[1:], start=1):
        rate = min(decay, (1 + step) / (10 + step))
        average = rate * average + (1 - rate) * value
    return average


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_the_average_is_the_one_worked_by_hand(optimizer: str) -> None:
    values = np.random.default_rng(0).uniform(-1, 1, 40).tolist()
    found = averaged(values, decay=0.9, optimizer=optimizer)
    assert found == pytest.approx(by_hand(values, decay=0.9), rel=1e-5)


@pytest.mark.parametrize("steps", [10, 50, 300])
def test_one_decay_keeps_near_the_last_weights_in_a_short_training(steps: int) -> None:
    """A weight that walks from 0 to 1 in so many steps: its average lags by less than a fifth of the way."""
    way = np.linspace(0, 1, steps).tolist()
    assert averaged(way, decay=0.999) > 0.8


def test_after_many_steps_the_decay_is_the_one_asked_for() -> None:
    assert average_warm_up(0) == 0.1
    assert average_warm_up(889) < 0.99 < average_warm_up(891)
    assert average_warm_up(100_000) > 0.9999


def test_the_statistics_are_averaged_like_the_weights_and_up_to_the_last_step() -> None:
    """A statistic that is the number of the step: with 10 steps an epoch its average is taken at steps 1, 9 and 10."""
    norm = keras.layers.BatchNormalization()
    model = keras.Sequential([keras.Input((1,)), norm])
    model.compile(make_optimizer(Recipe.model_validate(RECIPE), steps=10), "mse")
    keeper = KeepWeights(keep="last", averaged=True, ema_decay=0.5)
    keeper.set_model(model)
    keeper.set_params({"steps": 10})
    expected: Any = None
    for step in range(10):
        norm.moving_mean.assign([float(step)])
        model.optimizer.iterations.assign(step + 1)
        keeper.on_train_batch_end(step)
        if step in (0, 8, 9):
            since = {0: 1, 8: 8, 9: 1}[step]
            rate = min(0.5, (1 + step) / (10 + step)) ** since
            expected = float(step) if expected is None else rate * expected + (1 - rate) * step
    assert keeper.statistics[0][0] == pytest.approx(expected, rel=1e-6)
