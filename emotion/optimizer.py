"""The optimizer of a recipe, and its learning rate."""

from typing import Any

import keras

from emotion.recipe import Recipe


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
    match recipe.optimizer:
        case "sgd":
            optimizer = keras.optimizers.SGD(momentum=0.9, nesterov=True, **common)
        case "adam":
            optimizer = keras.optimizers.Adam(**common)
        case "adamw":
            optimizer = keras.optimizers.AdamW(**common)
    if recipe.weight_decay:
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def learning_rate(model: keras.Model) -> float:
    """Say at what rate a compiled model learns in its next step."""
    return float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))
