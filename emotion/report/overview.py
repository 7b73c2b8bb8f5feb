"""What the page says in words: what was trained on what, and the measures."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from emotion.evaluation.views import views
from emotion.report.page import flat, number, percent

Metrics = Mapping[str, Any]
_KNOWN = {  # the single figures of metrics/evaluate.json that the page shows by name; others are added after them
    *("accuracy", "balanced_accuracy", "macro_f1", "log_loss", "top2_accuracy", "matthews", "roc_auc", "images"),
}
_SHARES = {"precision", "recall", "f1"}  # of a label, shown in per cent


def page_context(
    shown: Mapping[str, Any],
    metrics: Metrics,
    tables: Mapping[str, pd.DataFrame],
    data: Metrics,
    split: Metrics,
    trained: Sequence[Metrics],
) -> dict[str, Any]:
    """The template's variables that hold text and figures.

    Args:
        shown: parameters by dotted key, as the report stage declares them.
        metrics: metrics/evaluate.json.
        tables: those of metrics/plots, by name.
        data: metrics/data.json.
        split: metrics/split.json.
        trained: metrics/train/<member>.json of every member.
    """
    return {
        "shown": shown,
        "metrics": metrics,
        "data": data,
        "split": split,
        "overview": overview(shown, data, split["images"], trained),
        "tiles": tiles(metrics),
        "per_label": by_label(metrics["per_label"]),
        "measures": flat(metrics),
        "parameters": flat(shown),
        "members": tables["members"].to_dict("records"),
        "subsets": tables["subsets"].to_dict("records"),
        "agreement": tables["crowd_agreement"].to_dict("records"),
        "view_count": len(views(**shown["evaluate"]["views"])),
    }


def overview(
    shown: Mapping[str, Any], data: Metrics, images: Metrics, trained: Sequence[Metrics]
) -> list[tuple[str, str]]:
    """What was trained on what: (name, text); `images`: split -> label or `total` -> faces; else as `page_context`."""
    return [
        ("Data", _data(shown, data)),
        ("Faces", _faces(shown, images)),
        ("Labels", _labels(shown, images)),
        ("Network", _network(shown, trained)),
        ("Training", _training(shown, trained)),
    ]


def _data(shown: Mapping[str, Any], data: Metrics) -> str:
    source = str(shown["data.source"])
    origin = ", ".join(f"{key} {value}" for key, value in data.get("origin", {}).items())
    if source == "synthetic":
        origin = "faces that were drawn, not photographed"
    return f"{source}: {origin}" if origin else source


def _faces(shown: Mapping[str, Any], images: Metrics) -> str:
    uses = (("train", "to train on"), ("val", "to choose on"), ("test", "to test on"))
    counts = ", ".join(f"{number(images[part]['total'])} {use}" for part, use in uses if images[part]["total"])
    side, colour = shown["preprocess"]["size_px"], "grey" if shown["preprocess"]["channels"] == 1 else "in colour"
    return f"{counts}; {side}\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}{side} pixels, {colour}"


def _labels(shown: Mapping[str, Any], images: Metrics) -> str:
    names = [name for name in images["train"] if name != "total"]
    targets = shown["train"]["targets"]
    by = "" if targets == "label" else f"; learnt from the votes of {shown['data.votes']} (train.targets: {targets})"
    return f"{len(names)}: {', '.join(names)}{by}"


def _network(shown: Mapping[str, Any], trained: Sequence[Metrics]) -> str:
    kind, parameters = shown["model.network"], span(figures["parameters"] for figures in trained)
    if len(trained) == 1:
        return f"{kind}, {parameters} parameters"
    return f"{len(trained)} of the kind {kind}, {parameters} parameters each; their predictions are averaged"


def _training(shown: Mapping[str, Any], trained: Sequence[Metrics]) -> str:
    epochs, kept = (span(figures[name] for figures in trained) for name in ("epochs", "kept_epoch"))
    weights = shown["train"]["init"]["path"] or shown[f"model.{shown['model.network']}"].get("weights", "none")
    start = "" if weights == "none" else f"; started from the weights of {weights}"
    return f"{epochs} {'epoch' if epochs == '1' else 'epochs'}; the weights after epoch {kept} were kept{start}"


def span(values: Iterable[int]) -> str:
    """Whole numbers from the least to the greatest: `18`, or `15 to 18`."""
    found = sorted(set(values))
    return number(found[0]) if len(found) == 1 else f"{number(found[0])} to {number(found[-1])}"


def tiles(metrics: Metrics) -> list[tuple[str, str]]:
    """The smaller figures of the headline, and every single figure that someone added: name and value."""
    calibration = metrics["calibration"].get("after", metrics["calibration"]["before"])
    added = {key: value for key, value in metrics.items() if key not in _KNOWN and isinstance(value, int | float)}
    return [
        ("Balanced accuracy", percent(metrics["balanced_accuracy"])),
        ("Top-2 accuracy", percent(metrics["top2_accuracy"])),
        ("Matthews correlation", number(metrics["matthews"])),
        *([("ROC-AUC", number(metrics["roc_auc"]))] if "roc_auc" in metrics else []),
        ("Log loss (nats)", number(metrics["log_loss"])),
        ("Calibration error", number(calibration["ece"])),
        *((key.replace("_", " ").capitalize(), number(value)) for key, value in added.items()),
    ]


def by_label(per_label: Metrics) -> tuple[list[str], list[list[str]]]:
    """The table of each label's figures: the column names, and rows that begin with the label.

    Args:
        per_label: label -> name of a figure -> value; a label that lacks a figure has a dash there.
    """
    names = list(dict.fromkeys(name for figures in per_label.values() for name in figures))
    rows = [[label, *(_cell(figures, name) for name in names)] for label, figures in per_label.items()]
    titles = {"f1": "F1", "support": "test faces"}
    return ["label", *(titles.get(name, name.replace("_", " ")) for name in names)], rows


def _cell(figures: Metrics, name: str) -> str:
    if name not in figures:
        return "–"
    return percent(figures[name]) if name in _SHARES else number(figures[name])
