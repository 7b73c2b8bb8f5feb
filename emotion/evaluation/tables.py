"""Predictions -> the CSV tables that `dvc plots` draws and the figures are made from.

Throughout: `labels` is int [n], label indexes; `probabilities` is float [n, label_count], rows summing to one; `names`
are the labels. Numbers have six digits; a column `series` tells the lines of one plot apart.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from sklearn import metrics

from emotion.evaluation import scores
from emotion.evaluation.predictions import Predictions, csv_text

_GRID = np.linspace(0, 1, 101)
_CONFIDENCE_BINS = 20


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """CSV text with a header."""
    return csv_text(header, ([_short(value) for value in row] for row in rows))


def confusion_table(predictions: Predictions) -> str:
    """One row per face: its true and its predicted label, as DVC's confusion template wants them."""
    predicted = [predictions.label_names[index] for index in predictions.predicted_indexes]
    return table(("actual", "predicted"), zip(predictions.labels, predicted, strict=True))


def per_label_table(labels: np.ndarray, probabilities: np.ndarray, names: list[str]) -> str:
    """One row per label: precision, recall, F1, support, and the areas under its curves where it has any."""
    header = ("label", "precision", "recall", "f1", "support", "roc_auc", "average_precision")
    areas = scores.areas(labels, probabilities, names)
    rows = {name: row | areas.get(name, {}) for name, row in scores.per_label(labels, probabilities, names).items()}
    return table(header, ([name, *(row.get(column, "") for column in header[1:])] for name, row in rows.items()))


def subset_table(subsets: Mapping[str, np.ndarray], labels: np.ndarray, probabilities: np.ndarray, *, seed: int) -> str:
    """One row per subset (bool [n], the faces in it): faces, accuracy and macro-F1 with their 95 % intervals."""
    rows = []
    for name, inside in subsets.items():
        chosen, given = labels[inside], probabilities[inside]
        values, spans = scores.brief(chosen, given), scores.intervals(chosen, given, seed=seed)
        figures = [x for key in spans for x in (values[key], spans[key]["low"], spans[key]["high"])]
        rows.append([name, int(inside.sum()), *figures])
    header = [f"{score}{end}" for score in ("accuracy", "macro_f1") for end in ("", "_low", "_high")]
    return table(("subset", "faces", *header), rows)


def member_table(members: Mapping[str, Mapping[str, float]]) -> str:
    """One row per member: its name (seed) and its figures."""
    header = ("member", "accuracy", "macro_f1", "log_loss")
    return table(header, ([name, *(row[column] for column in header[1:])] for name, row in members.items()))


def robustness_table(accuracies: Mapping[str, Mapping[int, float]]) -> str:
    """One row per corruption (`series`) and severity: the accuracy; `clean` has severity 0."""
    rows = ([kind, severity, value] for kind, by in accuracies.items() for severity, value in by.items())
    return table(("series", "severity", "accuracy"), rows)


def reliability_table(labels: np.ndarray, series: Mapping[str, np.ndarray]) -> str:
    """Bins of confidence for each series (name -> probabilities): mean confidence, accuracy, faces."""
    bins = (
        (name, bin_) for name, probabilities in series.items() for bin_ in scores.reliability(labels, probabilities)
    )
    return table(
        ("series", "confidence", "accuracy", "faces"), ([name, sure, right, n] for name, (n, sure, right) in bins)
    )


def confidence_table(labels: np.ndarray, probabilities: np.ndarray) -> str:
    """How many faces were predicted right and wrong in each of 20 equally wide bins of confidence."""
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    edges = np.linspace(0, 1, _CONFIDENCE_BINS + 1)
    counts = [np.histogram(confidence[chosen], edges)[0].tolist() for chosen in (right, ~right)]
    return table(("confidence_from", "right", "wrong"), zip(edges[:-1].tolist(), *counts, strict=True))


def roc_table(labels: np.ndarray, probabilities: np.ndarray, names: Sequence[str]) -> str:
    """ROC curve of each label that occurs against the rest, at 101 false-positive rates."""
    rows = []
    for index in scores.labels_with_curves(labels):
        false_rate, true_rate, _ = metrics.roc_curve(labels == index, probabilities[:, index])
        # Of several points at one false-positive rate, the highest counts.
        highest = np.append(np.diff(false_rate) > 0, True)
        curve = np.interp(_GRID, false_rate[highest], true_rate[highest])
        rows += [[names[index], x, y] for x, y in zip(_GRID.tolist(), curve.tolist(), strict=True)]
    return table(("series", "false_positive_rate", "true_positive_rate"), rows)


def precision_recall_table(labels: np.ndarray, probabilities: np.ndarray, names: Sequence[str]) -> str:
    """Precision of each label that occurs, at the first threshold that reaches each of 100 recalls above 0."""
    rows = []
    for index in scores.labels_with_curves(labels):
        precision, recall, _ = metrics.precision_recall_curve(labels == index, probabilities[:, index])
        place = np.searchsorted(recall[::-1], _GRID[1:] - 1e-12)  # recall falls as the threshold rises
        curve = precision[::-1][place]
        rows += [[names[index], x, y] for x, y in zip(_GRID[1:].tolist(), curve.tolist(), strict=True)]
    return table(("series", "recall", "precision"), rows)


def _short(value: object) -> object:
    return f"{value:.6g}" if isinstance(value, float) else value
