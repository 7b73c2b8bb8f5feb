"""Numbers -> matplotlib figures, readable by colour-blind people."""

from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

matplotlib.use("Agg")
_PNG = {"dpi": 110, "metadata": {"Software": None}}  # no version in the file: the same numbers, the same bytes


def training_curves(history: Path, folder: Path) -> None:
    """Draw loss and accuracy of every member (one CSV each in `history`) to training_loss.png, training_accuracy.png."""
    tables = {file.stem: pd.read_csv(file) for file in sorted(history.glob("*.csv"))}
    for quantity in ("loss", "accuracy"):
        figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
        for member, table in tables.items():
            (line,) = axes.plot(table["epoch"], table[quantity], "--", label=f"member {member}, train")
            if f"val_{quantity}" in table:
                axes.plot(
                    table["epoch"],
                    table[f"val_{quantity}"],
                    color=line.get_color(),
                    label=f"member {member}, validation",
                )
        axes.set(xlabel="epoch", ylabel=quantity)
        axes.legend()
        figure.savefig(folder / f"training_{quantity}.png", **_PNG)
        plt.close(figure)


def confusion_matrix(predictions: Path, path: Path) -> None:
    """Draw the confusion matrix, normalised by true label."""
    table = pd.read_csv(predictions, dtype={"label": str}, keep_default_na=False)
    labels = list(table.columns[4:])
    predicted = table[labels].to_numpy().argmax(axis=1)
    counts = pd.crosstab(table["label"], np.array(labels)[predicted]).reindex(
        index=labels, columns=labels, fill_value=0
    )
    shares = counts.div(counts.sum(axis=1).clip(lower=1), axis=0)
    figure, axes = plt.subplots(figsize=(6.5, 6), layout="constrained")
    axes.imshow(shares, cmap="cividis", vmin=0, vmax=1)
    for row in range(len(labels)):
        for column in range(len(labels)):
            share = shares.iloc[row, column]
            axes.text(column, row, f"{share:.2f}", ha="center", va="center", color="black" if share > 0.5 else "white")
    axes.set(xticks=range(len(labels)), yticks=range(len(labels)), xlabel="predicted label", ylabel="true label")
    axes.set_xticklabels(labels, rotation=45, ha="right")
    axes.set_yticklabels(labels)
    figure.savefig(path, **_PNG)
    plt.close(figure)
