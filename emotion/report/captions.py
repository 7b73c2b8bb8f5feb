"""The report's pictures: each figure with its title, caption and alternative text."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from emotion.evaluation.predictions import Predictions
from emotion.report import charts
from emotion.report.page import Picture, percent

Tables = Mapping[str, pd.DataFrame]


def learning_curves(histories: Tables) -> dict[str, Picture]:
    """Accuracy and loss of every member over the epochs."""
    epochs = max(len(table) for table in histories.values())
    return {
        "training_accuracy": Picture(
            "Accuracy while training",
            "Training faces are augmented and the network drops units meanwhile, so training may lie below validation.",
            f"Accuracy over {epochs} epochs, training and validation; {_last(histories, 'accuracy')}.",
            charts.training_curves(histories, "accuracy"),
        ),
        "training_loss": Picture(
            "Loss while training",
            "Training and validation loss hold the label smoothing, where that is on.",
            f"Loss over {epochs} epochs, training and validation; {_last(histories, 'loss')}.",
            charts.training_curves(histories, "loss"),
        ),
    }


def by_label(answers: Predictions, tables: Tables) -> dict[str, Picture]:
    """The confusion matrix and the F1 of each label."""
    labels = tables["per_label"]
    count = len(answers.label_names)
    counts = np.zeros((count, count), dtype=np.int64)
    np.add.at(counts, (answers.label_indexes, answers.predicted_indexes), 1)
    return {
        "confusion_matrix": Picture(
            "Confusion matrix",
            "Rows are true labels. Left: faces. Right: shares of the row.",
            f"True against predicted label. Rightly predicted: {_listed(labels['label'], labels['recall'], percent)}.",
            charts.confusion_matrix(counts, answers.label_names),
        ),
        "per_label": Picture(
            "F1 of each label",
            "F1 is the harmonic mean of precision and recall; in brackets the test faces of that label.",
            f"Bars. F1: {_listed(labels['label'], labels['f1'])}.",
            charts.per_label(labels),
        ),
    }


def by_part(tables: Tables) -> dict[str, Picture]:
    """Accuracy of the parts of the test set."""
    table = tables["subsets"]
    return {
        "subsets": Picture(
            "Accuracy by part of the test set",
            "“unseen” has no copy in train or validation, exact or near"
            + (", “unseen_groups” nothing of its group either" if "unseen_groups" in set(table["subset"]) else "")
            + ". Bars are 95 % bootstrap intervals.",
            f"Points with intervals. Accuracy: {_listed(table['subset'], table['accuracy'], percent)}.",
            charts.subsets(table),
        )
    }


def by_confidence(tables: Tables, calibration: Mapping[str, Any]) -> dict[str, Picture]:
    """Reliability and confidence."""
    errors = {when: figure["ece"] for when, figure in calibration.items() if when != "temperature"}
    sure = tables["confidence"][tables["confidence"]["confidence_from"] > 0.89]
    return {
        "reliability": Picture(
            "Reliability",
            "On the diagonal, 70 % of what is said with 70 % confidence is right. A mark's area grows with its faces.",
            f"Accuracy over confidence. Calibration error by temperature scaling: {_listed(errors, errors.values())}.",
            charts.reliability(tables["reliability"]),
        ),
        "confidence": Picture(
            "Confidence",
            "How many predictions have each confidence, and how many of those are wrong.",
            f"Stacked bars. From 90 % confidence: {sure['right'].sum()} right, {sure['wrong'].sum()} wrong.",
            charts.confidence(tables["confidence"]),
        ),
    }


def curves(tables: Tables) -> dict[str, Picture]:
    """ROC and precision-recall curves."""
    labels = tables["per_label"].dropna(subset="roc_auc")
    areas, precisions = (
        dict(zip(labels["label"], labels[name], strict=True)) for name in ("roc_auc", "average_precision")
    )
    return {
        "roc": Picture(
            "ROC",
            "Each label against the rest; in brackets the area under the curve, 0.5 by chance.",
            f"Curves. Areas: {_listed(areas, areas.values())}.",
            charts.roc(tables["roc"], areas),
        ),
        "precision_recall": Picture(
            "Precision and recall",
            "Each label against the rest; in brackets the average precision. Rare labels have lower curves.",
            f"Curves. Average precisions: {_listed(precisions, precisions.values())}.",
            charts.precision_recall(tables["precision_recall"], precisions),
        ),
    }


def corrupted(table: pd.DataFrame) -> Picture:
    """Accuracy under corruptions."""
    means = table[table["severity"] > 0].groupby("series", sort=False)["accuracy"].mean()
    return Picture(
        "Robustness",
        "Accuracy on corrupted test faces, one view, at three severities; the dashed line is the accuracy as they are.",
        f"Bars. Mean over severities: {_listed(means.index, means, percent)}.",
        charts.robustness(table),
    )


def against_people(table: pd.DataFrame) -> Picture:
    """One person and the model against the crowd."""
    person, model = (table[table["series"] == who] for who in ("person", "model"))
    return Picture(
        "One person, and the model, against the crowd",
        "Each voter in turn is compared with the label that has the most votes of the others; the model with the same "
        "others. By label: the one that the others agree on.",
        f"Bars. A person: {_listed(person['label'], person['accuracy'], percent)}. "
        f"The model: {_listed(model['label'], model['accuracy'], percent)}.",
        charts.crowd(table),
    )


def measured_on_demand(tables: Tables, metrics: Mapping[str, Any]) -> dict[str, Picture]:
    """The figures of what not every run measures, by name: where it was not measured, none."""
    return {
        **({"robustness": corrupted(tables["robustness"])} if "robustness" in metrics else {}),
        **({"crowd": against_people(tables["crowd"])} if "crowd" in metrics else {}),
    }


def _last(histories: Tables, quantity: str) -> str:
    names = [name for name in (quantity, f"val_{quantity}") if all(name in table for table in histories.values())]
    ends = (np.mean([table[name].iloc[-1] for table in histories.values()]) for name in names)
    return "at the end " + ", ".join(
        f"{name.replace('val_', 'validation ')} {end:.3f}" for name, end in zip(names, ends, strict=True)
    )


def _listed(names: Iterable[object], values: Iterable[float], write: Any = "{:.3f}".format) -> str:
    return ", ".join(f"{str(name).replace('_', ' ')} {write(value)}" for name, value in zip(names, values, strict=True))


def draw_figures(
    answers: Predictions, tables: Tables, history: Tables, metrics: Mapping[str, Any]
) -> dict[str, Picture]:
    """The figures that show no faces, by file name, in the page's order."""
    return {
        **learning_curves(history),
        **by_label(answers, tables),
        **by_part(tables),
        **by_confidence(tables, metrics["calibration"]),
        **curves(tables),
    }


def read_tables(folder: Path) -> dict[str, pd.DataFrame]:
    """The CSV tables of a folder by name, in order."""
    return {file.stem: read_table(file) for file in sorted(folder.glob("*.csv"))}


def read_table(file: Path) -> pd.DataFrame:
    """Read a CSV whose names stay text, whatever they look like (`1`, `nan`, empty)."""
    texts = ("label", "series", "subset", "member")
    columns = pd.read_csv(file, nrows=0).columns
    kinds = {column: str for column in columns if column in texts}
    missing = {column: [""] for column in columns if column not in texts}
    return pd.read_csv(file, dtype=kinds, keep_default_na=False, na_values=missing)
