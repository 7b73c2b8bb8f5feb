"""Numbers -> matplotlib figures, readable by colour-blind people.

Colours: Okabe & Ito 2008 (https://jfly.uni-koeln.de/color/) for things that have names, cividis for amounts.
"""

import io
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import cycle, product
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from emotion.palette import BLACK, BLUE, GREY, LINES, ORANGE, PALE_GREY, SKY, VERMILLION

matplotlib.use("Agg")
_LINES = ("-", "--", ":", "-.")  # once the colours are used up, they repeat with the next line style
_STYLE: Any = {
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.constrained_layout.use": True,
    "figure.dpi": 130,
    "font.size": 10,
    "grid.color": PALE_GREY,
    "legend.frameon": False,
    "text.parse_math": False,  # a label is text, whatever is in it
}


@contextmanager
def drawn(width: float = 6.4, height: float = 4.4, **layout: Any) -> Iterator[tuple[Figure, Any]]:
    """A figure, its size in inches, and its axes, in the project's style; closed afterwards."""
    with matplotlib.rc_context(_STYLE):
        figure, axes = plt.subplots(figsize=(width, height), **layout)
        try:
            yield figure, axes
        finally:
            plt.close(figure)


def png(figure: Figure) -> bytes:
    """The figure as a PNG that carries no version: the same numbers, the same bytes."""
    content = io.BytesIO()
    figure.savefig(content, format="png", metadata={"Software": None})
    return content.getvalue()


def training_curves(histories: Mapping[str, pd.DataFrame], quantity: str) -> bytes:
    """Draw one quantity of every member over the epochs, training and validation.

    Args:
        histories: name of the member -> columns epoch, `quantity` and, with a validation set, val_`quantity`.
        quantity: `loss` or `accuracy`.
    """
    with drawn() as (figure, axes):
        for (member, table), colour in zip(histories.items(), cycle(LINES), strict=False):
            for column, kind, line in ((quantity, "training", "--"), (f"val_{quantity}", "validation", "-")):
                if column in table:
                    name = kind if len(histories) == 1 else f"member {member}, {kind}"
                    axes.plot(table["epoch"], table[column], line, marker=".", color=colour, label=name)
        unit = "nats" if quantity == "loss" else "fraction"
        axes.set(xlabel="epoch", ylabel=f"{quantity} ({unit})")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend(fontsize="small")
        return png(figure)


def confusion_matrix(counts: np.ndarray, names: list[str]) -> bytes:
    """Draw counts beside shares of each true label.

    Args:
        counts: int [true label, predicted label], faces.
    """
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = max(4.4, 0.55 * len(names) + 1.2)
    with drawn(2 * side, side, ncols=2) as (figure, (left, right)):
        _matrix(left, counts, counts / max(counts.max(), 1), "d", names)
        _matrix(right, shares, shares, ".2f", names)
        left.set(title="Faces", ylabel="true label")
        right.set(title="Share of the true label", yticklabels=[])
        return png(figure)


def _matrix(axes: Axes, values: np.ndarray, brightness: np.ndarray, form: str, names: list[str]) -> None:
    axes.imshow(brightness, cmap="cividis", vmin=0, vmax=1)
    for row, column in product(range(len(names)), repeat=2):
        colour = "black" if brightness[row, column] > 0.5 else "white"
        axes.text(column, row, format(values[row, column], form), ha="center", va="center", color=colour, size=9)
    axes.set(xticks=range(len(names)), yticks=range(len(names)), xlabel="predicted label", yticklabels=names)
    axes.set_xticklabels(names, rotation=45, ha="right", rotation_mode="anchor")
    axes.grid(visible=False)


def per_label(table: pd.DataFrame) -> bytes:
    """Draw the F1 of each label with its support. Columns: label, f1, support."""
    with drawn(height=max(2.4, 0.42 * len(table) + 1.2)) as (figure, axes):
        places = np.arange(len(table))
        axes.barh(places, table["f1"], color=BLUE, height=0.7)
        for place, f1, support in zip(places, table["f1"], table["support"], strict=True):
            axes.text(f1 + 0.01, place, f"{f1:.2f}  ({support:,} faces)", va="center", size=9)
        axes.set(yticks=places, yticklabels=table["label"], xlabel="F1 (0 to 1)", xlim=(0, 1.28))
        axes.set_xticks(np.linspace(0, 1, 6))
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        return png(figure)


def reliability(table: pd.DataFrame) -> bytes:
    """Draw accuracy over confidence. Columns: series (`before`, `after`), confidence, accuracy, faces."""
    with drawn(5.8, 5.0) as (figure, axes):
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, label="perfectly calibrated")
        looks = {"before": (ORANGE, "s", "--"), "after": (BLUE, "o", "-")}
        for name, bins in table.groupby("series", sort=False):
            colour, marker, line = looks[str(name)]
            axes.plot(bins["confidence"], bins["accuracy"], line, color=colour, label=f"{name} temperature scaling")
            sizes = 12 + 150 * bins["faces"] / table["faces"].max()
            axes.scatter(
                bins["confidence"], bins["accuracy"], s=sizes, color=colour, marker=marker, alpha=0.8, clip_on=False
            )
        axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="mean confidence (fraction)", ylabel="accuracy (fraction)")
        axes.legend(loc="upper left")
        return png(figure)


def roc(table: pd.DataFrame, areas: Mapping[str, float]) -> bytes:
    """Draw the ROC curves. Columns: series, false_positive_rate, true_positive_rate; `areas`: series -> area."""
    with drawn(5.8, 5.4) as (figure, axes):
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=1)
        _series(axes, table, "false_positive_rate", "true_positive_rate", areas)
        axes.set(xlabel="false-positive rate (fraction)", ylabel="true-positive rate (fraction)")
        _legend_below(figure, areas)
        return png(figure)


def precision_recall(table: pd.DataFrame, areas: Mapping[str, float]) -> bytes:
    """Draw precision over recall. Columns: series, recall, precision; `areas`: series -> average precision."""
    with drawn(5.8, 5.4) as (figure, axes):
        _series(axes, table, "recall", "precision", areas)
        axes.set(xlim=(0, 1), ylim=(0, 1.02))
        axes.set(xlabel="recall (fraction)", ylabel="precision (fraction)")
        _legend_below(figure, areas)
        return png(figure)


def _legend_below(figure: Figure, names: Iterable[str]) -> None:
    """Put the legend under the axes, in as many columns as the longest name leaves room for."""
    columns = 64 // (8 + max((len(name) for name in names), default=0))
    figure.legend(loc="outside lower center", ncols=max(1, min(4, columns)), fontsize="small")


def _series(axes: Axes, table: pd.DataFrame, x: str, y: str, areas: Mapping[str, float]) -> None:
    looks = ((colour, line) for line, colour in cycle(product(_LINES, LINES)))
    for (name, curve), (colour, line) in zip(table.groupby("series", sort=False), looks, strict=False):
        axes.plot(curve[x], curve[y], line, color=colour, linewidth=1.8, label=f"{name} ({areas[str(name)]:.2f})")


def confidence(table: pd.DataFrame) -> bytes:
    """Draw how many faces were predicted at each confidence. Columns: confidence_from, right, wrong."""
    width = 1 / len(table)
    with drawn(5.8, 5.0) as (figure, axes):
        middles = table["confidence_from"] + width / 2
        axes.bar(middles, table["right"], width * 0.9, color=BLUE, label="right")
        bars = axes.bar(middles, table["wrong"], width * 0.9, bottom=table["right"], color=ORANGE, label="wrong")
        for bar in bars:
            bar.set(hatch="///", edgecolor="white", linewidth=0)
        axes.set(xlabel="confidence (fraction)", ylabel="faces", xlim=(0, 1))
        axes.legend(loc="upper left")
        return png(figure)


def subsets(table: pd.DataFrame) -> bytes:
    """Draw accuracy with its 95 % interval. Columns: subset, faces, accuracy, accuracy_low, accuracy_high."""
    with drawn(height=0.55 * len(table) + 1.3) as (figure, axes):
        places = np.arange(len(table))
        value = table["accuracy"]
        spans = [value - table["accuracy_low"], table["accuracy_high"] - value]
        axes.errorbar(value, places, xerr=spans, fmt="o", color=BLUE, capsize=4, markersize=7)
        names = [f"{name}\n{faces:,} faces" for name, faces in zip(table["subset"], table["faces"], strict=True)]
        axes.set(yticks=places, yticklabels=names, xlabel="accuracy (fraction), 95 % interval")
        axes.set(ylim=(len(table) - 0.5, -0.5))
        axes.grid(visible=False, axis="y")
        return png(figure)


def robustness(table: pd.DataFrame) -> bytes:
    """Draw accuracy when corrupted. Columns: series (the corruption), severity, accuracy; `clean` has severity 0."""
    clean = float(table.loc[table["severity"] == 0, "accuracy"].iloc[0])
    wide = table[table["severity"] > 0].pivot_table(index="series", columns="severity", values="accuracy", sort=False)
    with drawn(height=0.62 * len(wide) + 1.5) as (figure, axes):
        for number, (severity, colour) in enumerate(zip(wide.columns, (SKY, BLUE, BLACK), strict=True)):
            places = np.arange(len(wide)) + 0.26 * (number - 1)
            axes.barh(places, wide[severity], height=0.24, color=colour, label=f"severity {severity}")
        axes.axvline(clean, color=VERMILLION, linestyle="--", label=f"as it is ({clean:.3f})")
        axes.set(yticks=range(len(wide)), yticklabels=[str(name).replace("_", " ") for name in wide.index])
        axes.set(xlabel="accuracy (fraction)")
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        figure.legend(loc="outside lower center", ncols=4, fontsize="small")
        return png(figure)


def crowd(table: pd.DataFrame) -> bytes:
    """Draw one person and the model against the crowd. Columns: series (person, model), label, accuracy."""
    wide = table.pivot_table(index="label", columns="series", values="accuracy", sort=False)
    with drawn(height=0.5 * len(wide) + 1.5) as (figure, axes):
        for number, (who, colour) in enumerate((("person", ORANGE), ("model", BLUE))):
            places = np.arange(len(wide)) + 0.38 * (number - 0.5)
            axes.barh(places, wide[who], height=0.36, color=colour, label=f"the {who}")
        axes.set(yticks=range(len(wide)), yticklabels=list(wide.index), xlim=(0, 1))
        axes.set(xlabel="share that names the label the others agree on")
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        figure.legend(loc="outside lower center", ncols=2, fontsize="small")
        return png(figure)
