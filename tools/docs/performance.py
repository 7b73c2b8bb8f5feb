"""Write docs/performance.md from the numbers that the benchmarks left in benchmarks/results.

python -m tools.docs.performance
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import pandas as pd

from benchmarks.steps import PRECISIONS
from benchmarks.tutorials import CURVE, TARGETS, Point, best, minutes_to, project_curve, read_points, times_fewer
from emotion.palette import LINES
from emotion.report.charts import drawn, png
from emotion.report.page import percent, render_text

_TEMPLATE = Path(__file__).parent / "templates/performance.md.j2"
_ROOT = Path(__file__).parents[2]
_RESULTS = _ROOT / "benchmarks/results"
_PUBLISHED = _ROOT / "results/fer2013/metrics/history/0.csv"
GROWING = ("download", "split", "preprocess@train", "train@0", "evaluate", "report")  # the other two are like the third
NOT_MEASURABLE = "not measurable"
LATE_EPOCHS = 6  # of a curve, whose mean is compared with that of as many before


def performance_text(results: Path) -> str:
    """The page that these results make; it lacks what tutorials, precision or seeds tell where that is not there."""
    found = {name: results / f"{name}.json" for name in ("tutorials", "steps", "precision", "seeds", "growth")}
    context = {name: json.loads(path.read_text()) if path.exists() else None for name, path in found.items()}
    helpers = (whole, best, reached, fewer, times, taken, milliseconds, share, spread, still_rising, noise_of)
    published = pd.read_csv(_PUBLISHED).set_index("epoch")["val_accuracy"]
    context |= {"curves": curves(results), "growing": GROWING, "targets": TARGETS, "published": published}
    return render_text(_TEMPLATE, {**context, **{helper.__name__: helper for helper in helpers}})


def curves(results: Path) -> dict[str, list[Point]]:
    """The learning curves that `benchmarks.tutorials` left there: `tutorials`, and this project by its precision."""
    found = {"tutorials": results / CURVE.name, **{name: project_curve(name, results) for name in PRECISIONS}}
    return {name: read_points(path) for name, path in found.items() if path.exists()}


def curves_picture(found: Mapping[str, Sequence[Point]]) -> bytes:
    """Draw the validation accuracy of each over the minutes, as a PNG."""
    with drawn(7.0, 4.2) as (figure, axes):
        for (name, curve), colour in zip(reversed(list(found.items())), LINES, strict=False):
            minutes, accuracies = zip(*curve, strict=True)
            label = name if name == "tutorials" else f"this project, {name}"
            axes.plot(minutes, [100 * accuracy for accuracy in accuracies], ".-", color=colour, label=label)
        axes.set(xlabel="minutes of training and validating", ylabel="accuracy on validation faces, %", xlim=(0, None))
        axes.legend(loc="lower right")
        return png(figure)


def growth_picture(growth: dict[str, Any]) -> bytes:
    """Draw seconds and peak memory of each stage over the number of grey pictures, as a PNG."""
    grey = sorted((size for size in growth.values() if size["channels"] == 1), key=lambda size: size["images"])
    images = [size["images"] for size in grey]
    with drawn(9.0, 4.2, ncols=2) as (figure, (time, memory)):
        for stage, colour in zip(GROWING, LINES, strict=False):
            costs = [size["stages"][stage] for size in grey]
            time.plot(images, [cost["seconds"] for cost in costs], "o-", color=colour, label=stage)
            memory.plot(images, [cost["peak_memory_mb"] for cost in costs], "o-", color=colour, label=stage)
        time.set(xscale="log", yscale="log", ylabel="seconds of the stage (logarithmic)")
        memory.set(xscale="log", ylim=(0, None), ylabel="peak memory, MB")
        time.yaxis.set_major_formatter("{x:,g}")
        for axes in (time, memory):
            axes.set_xlabel("pictures")
            axes.set_xticks(images, [f"{count:,}" for count in images])
            axes.minorticks_off()
        memory.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
        return png(figure)


def taken(result: dict[str, Any]) -> str:
    """On what machine a result was taken, and at which load."""
    if "load" not in result:
        return "on a machine whose load was not recorded"
    return f"on {result['cores']} cores of {result['processor']} at a load of {result['load']}"


def milliseconds(cost: float, spread: float = 0.0) -> str:
    """A cost that is a difference of two times: not measurable below its own spread."""
    return f"{cost:.1f}" if cost > 0 and cost >= spread else NOT_MEASURABLE


def share(cost: float, spread: float = 0.0) -> str:
    """The same as a fraction of something."""
    return percent(cost) if cost > 0 and cost >= spread else NOT_MEASURABLE


def spread(fraction: float) -> str:
    """How much a share differed between processes: ± 49.9 %."""
    return f" ± {percent(fraction)}"


def noise_of(precisions: dict[str, Any]) -> str:
    """The range of what the parts of a step differ by between rounds, in ms; empty where it was not measured."""
    spreads_ms = [value for one in precisions.values() for value in one.get("parts_spread_ms", {}).values()]
    return f"{min(spreads_ms):.0f} to {max(spreads_ms):.0f}" if spreads_ms else ""


def still_rising(curve: Sequence[Point]) -> str:
    """Whether a training with a constant rate was still getting better when it was stopped, by its last epochs."""
    if len(curve) < 2 * LATE_EPOCHS:
        return ""
    accuracies = [point.val_accuracy for point in curve]
    before, last = fmean(accuracies[-2 * LATE_EPOCHS : -LATE_EPOCHS]), fmean(accuracies[-LATE_EPOCHS:])
    state = "still rising slowly" if last > before else "no longer rising"
    return (
        f"Its accuracy was {state} when it was stopped: {percent(last)} on average in the last {LATE_EPOCHS} epochs, "
        f"{percent(before)} in the {LATE_EPOCHS} before.\nThe best epoch ended after {best(curve).minutes:.1f} minutes."
    )


def whole(value: float) -> str:
    """A number without decimals, with separators; small ones keep three digits."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def times(ratio: float | None) -> str:
    """How many times, or a dash where there is nothing to compare."""
    return "–" if ratio is None else f"{whole(ratio)}×"


def reached(target: float, curve: Sequence[Point]) -> str:
    """After how many minutes a training reached the target."""
    minutes = minutes_to(target, curve)
    return "never" if minutes is None else f"{minutes:.1f}"


def fewer(target: float, slow: Sequence[Point], fast: Sequence[Point]) -> str:
    """How many times fewer minutes to the target; a dash where the slow one stopped too early to tell."""
    ratio, is_a_lower_bound = times_fewer(target, slow, fast)
    if ratio is not None and is_a_lower_bound:
        return "–" if ratio < 1 else f"at least {times(ratio)}"
    return times(ratio)


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(prog="python -m tools.docs.performance", description=main.__doc__)
    parser.add_argument("--results", type=Path, default=_RESULTS, help="folder of the benchmarks' JSON")
    parser.add_argument("--docs", type=Path, default=_ROOT / "docs", help="folder for performance.md and pictures/")
    arguments = parser.parse_args()
    (arguments.docs / "performance.md").write_text(performance_text(arguments.results))
    if (growth := arguments.results / "growth.json").exists():
        (arguments.docs / "pictures/growth.png").write_bytes(growth_picture(json.loads(growth.read_text())))
    if found := curves(arguments.results):
        (arguments.docs / "pictures/tutorials.png").write_bytes(curves_picture(found))


if __name__ == "__main__":
    main()
