"""What a recipe doubts, before it is trained: settings that cannot work with so few data."""

from typing import Any

import pytest
from ruamel.yaml import YAML

from emotion.training.batches import steps_per_epoch
from emotion.training.optimizer import average_warm_up
from emotion.training.recipe import Recipe
from tests.support import tiny

DEFAULT = YAML(typ="safe").load(tiny.ROOT / "params.yaml")["train"]
PUBLISHED = YAML(typ="safe").load(tiny.ROOT / "results/fer2013/params.yaml")["train"]


def doubts(images: int, values: dict[str, Any] = DEFAULT, **changes: Any) -> list[str]:
    recipe = Recipe.model_validate({**values, **changes})
    return recipe.doubts(images, steps_per_epoch(images, recipe.batch_size))


def test_the_default_run_and_the_published_one_are_not_doubted() -> None:
    assert doubts(5040) == []
    assert doubts(27_272, PUBLISHED) == []


@pytest.mark.parametrize(("images", "says"), [(639, "set it to 63 or less"), (384, "6 steps; set it to 38 or less")])
def test_a_batch_of_more_than_a_tenth_is_doubted(images: int, says: str) -> None:
    assert doubts(640, ema_decay=0.0) == []
    [line] = doubts(images, ema_decay=0.0)
    assert line.startswith("train.batch_size: 64 is more than a tenth") and says in line


def test_what_is_proposed_for_a_batch_is_not_doubted_again() -> None:
    for images in (1, 7, 10, 99, 500):
        assert doubts(images, ema_decay=0.0, batch_size=max(images // 10, 1)) == []
    assert "an epoch has 1 step;" in doubts(7, ema_decay=0.0)[0]


def test_a_warm_up_of_more_than_half_the_run_is_doubted() -> None:
    assert doubts(5040, epochs=20, warmup_epochs=10) == []
    [line] = doubts(5040, epochs=20, warmup_epochs=12)
    assert line.startswith("train.warmup_epochs: 12.0 is more than half of train.epochs: 20")
    assert "set it to 4 or less" in line


@pytest.mark.parametrize("decay", [0.05, 0.5, 0.9, 0.99, 0.999, 0.9999])
def test_an_average_is_doubted_where_its_decay_is_not_reached(decay: float) -> None:
    steps = next(n for n in range(100_000) if average_warm_up(n) >= decay - 1e-12)
    assert doubts(10 * steps + 10, epochs=1, warmup_epochs=0, batch_size=1, ema_decay=decay) == []
    if steps > 1:
        recipe = Recipe.model_validate({**DEFAULT, "epochs": 1, "warmup_epochs": 0, "ema_decay": decay})
        lines = [line for line in recipe.doubts(1_000_000, steps - 1) if "train.ema_decay" in line]
        assert len(lines) == 1
        assert f"reached after {steps:,} steps, but the run has {steps - 1:,}" in lines[0]


def test_what_is_proposed_for_an_average_is_not_doubted_again() -> None:
    [line] = doubts(384, batch_size=38)
    assert line.startswith("train.ema_decay: 0.99 is reached after 890 steps, but the run has 180")
    proposed = float(line.partition("set it to ")[2].split()[0])
    assert doubts(384, batch_size=38, ema_decay=proposed) == []
    assert doubts(384, batch_size=38, ema_decay=0.0) == []


@pytest.mark.parametrize("images", [1, 30, 384])
def test_doubts_are_one_line_each(images: int) -> None:
    lines = doubts(images, warmup_epochs=17)
    assert len(lines) == 3
    assert not any("\n" in line for line in lines)
