"""The optimizer of a recipe, and its learning rate."""

from typing import Any

import keras
from keras import ops

from emotion.training.recipe import Recipe


class _WarmedUpAverage:
    """Makes an optimizer's average follow the weights closely at first, then less: its decay rises to `ema_momentum`.

    A fixed decay of 0.99 still holds a tenth of the first weights after 230 steps, even if the training ends there.
    """

    @property
    def ema_momentum(self) -> Any:
        """The decay of the current step, a scalar tensor."""
        return ops.minimum(self._ema_decay, average_warm_up(ops.cast(self.iterations, "float32")))  # type: ignore[attr-defined]

    @ema_momentum.setter
    def ema_momentum(self, decay: float) -> None:
        self._ema_decay = decay


class WarmedUpSGD(_WarmedUpAverage, keras.optimizers.SGD):
    """SGD with a warmed-up average."""


class WarmedUpAdam(_WarmedUpAverage, keras.optimizers.Adam):
    """Adam with a warmed-up average."""


class WarmedUpAdamW(_WarmedUpAverage, keras.optimizers.AdamW):
    """AdamW with a warmed-up average."""


def average_warm_up(steps: Any) -> Any:
    """The largest decay of an average of the weights after `steps` (a number or a tensor): 0.1 at 0, 0.991 at 1,000.

    Source: `num_updates` of tf.train.ExponentialMovingAverage
    (https://www.tensorflow.org/api_docs/python/tf/train/ExponentialMovingAverage).
    """
    return (1.0 + steps) / (10.0 + steps)


def make_optimizer(recipe: Recipe, steps: int) -> keras.optimizers.Optimizer:
    """Build the optimizer with its schedule; `steps` is the number of steps in an epoch."""
    rate: Any = recipe.learning_rate
    if recipe.schedule == "cosine":
        warmup = round(recipe.warmup_epochs * steps)
        rate = keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=0.0 if warmup else recipe.learning_rate,
            decay_steps=recipe.epochs * steps - warmup,
            warmup_target=recipe.learning_rate if warmup else None,
            warmup_steps=warmup,
        )
    common: dict[str, Any] = {
        "learning_rate": rate,
        "weight_decay": recipe.weight_decay or None,
        "use_ema": recipe.ema_decay > 0,
        "ema_momentum": recipe.ema_decay or 0.99,
    }
    optimizer: keras.optimizers.Optimizer
    match recipe.optimizer:
        case "sgd":
            optimizer = WarmedUpSGD(momentum=0.9, nesterov=True, **common)
        case "adam":
            optimizer = WarmedUpAdam(**common)
        case "adamw":
            optimizer = WarmedUpAdamW(**common)
    if recipe.weight_decay:
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def learning_rate(model: keras.Model) -> float:
    """The learning rate of a compiled model's next step."""
    return float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))
