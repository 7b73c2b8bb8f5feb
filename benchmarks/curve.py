"""Validation accuracy over the minutes of a training, and when it reached a target."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from emotion.files import write_file


class Point(NamedTuple):
    """After so many minutes of training and validating, this validation accuracy (a fraction)."""

    minutes: float
    val_accuracy: float


def read_curve(history: Path, timings: Path) -> list[Point]:
    """Curve of a training by the train stage.

    Args:
        history: metrics/history/<member>.csv.
        timings: .cache/train/<member>/timings.csv: lines of key, epoch, seconds. The last line's key is the training's;
            an epoch that was run twice under it counts as it was run last.

    Raises ValueError when an epoch of the history has no seconds.
    """
    rows = [line.split(",") for line in timings.read_text().split()]
    seconds = {int(epoch): float(took) for key, epoch, took in rows if key == rows[-1][0]}
    with history.open(newline="") as file:
        accuracies = {int(row["epoch"]): float(row["val_accuracy"]) for row in csv.DictReader(file)}
    missing = sorted(accuracies.keys() - seconds.keys())
    if missing:
        raise ValueError(f"{timings} has no seconds of epochs {missing} of {history}; give those of one training")
    return [
        Point(sum(seconds[before] for before in range(1, epoch + 1)) / 60, accuracy)
        for epoch, accuracy in accuracies.items()
    ]


def write_points(points: Sequence[Point], path: Path) -> None:
    """Write a curve as CSV, complete or not at all."""
    rows = "".join(f"{point.minutes:.3f},{point.val_accuracy:.6f}\n" for point in points)
    write_file(path, "minutes,val_accuracy\n" + rows)


def read_points(path: Path) -> list[Point]:
    """Read what `write_points` wrote."""
    with path.open(newline="") as file:
        return [Point(float(row["minutes"]), float(row["val_accuracy"])) for row in csv.DictReader(file)]


def minutes_to(target: float, curve: Sequence[Point]) -> float | None:
    """Minutes until the validation accuracy first reached the target; None if it never did."""
    return next((point.minutes for point in curve if point.val_accuracy >= target), None)


def summary(target: float, curve: Sequence[Point]) -> dict[str, Any]:
    """What a curve came to: minutes to the target (None if not reached), its best accuracy, and its whole length."""
    reached = minutes_to(target, curve)
    return {
        "minutes_to_target": None if reached is None else round(reached, 2),
        "best_val_accuracy": max(point.val_accuracy for point in curve),
        "epochs": len(curve),
        "minutes": round(curve[-1].minutes, 2),
    }


def compare(target: float, slow: Sequence[Point], fast: Sequence[Point]) -> dict[str, Any]:
    """How many times fewer minutes the fast training takes.

    `to_target` is a lower bound where the slow one never got there (`to_target_is_a_lower_bound`), None where the fast
    one did not. `to_the_same` is about the best accuracy of the slow one.
    """
    slow_minutes, fast_minutes = minutes_to(target, slow), minutes_to(target, fast)
    best = max(point.val_accuracy for point in slow)
    slow_best, fast_best = minutes_to(best, slow), minutes_to(best, fast)
    return {
        "to_target": _times(slow[-1].minutes if slow_minutes is None else slow_minutes, fast_minutes),
        "to_target_is_a_lower_bound": slow_minutes is None,
        "to_the_same": _times(slow_best, fast_best),
        "project_minutes_to_the_same": None if fast_best is None else round(fast_best, 2),
        "tutorial_minutes_to_the_same": round(slow_best, 2),
    }


def _times(slow: float, fast: float | None) -> float | None:
    return None if fast is None else float(f"{slow / fast:.3g}")
