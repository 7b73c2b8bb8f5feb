import csv
import io

import numpy as np
import pytest
from sklearn import metrics

from emotion.evaluation import tables

RNG = np.random.default_rng(2)
LABELS = RNG.integers(0, 3, 500)
LOGITS = RNG.normal(size=(500, 3)) + 1.2 * np.eye(3)[LABELS]
PROBABILITIES = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
NAMES = ["a", "b", "c"]


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def curve(rows: list[dict[str, str]], name: str, x: str, y: str) -> np.ndarray:
    return np.array([(row[x], row[y]) for row in rows if row["series"] == name], dtype=float).T


@pytest.mark.parametrize("label", [0, 1, 2])
def test_roc_has_the_area_that_scikit_learn_gives(label: int) -> None:
    x, y = curve(
        read(tables.roc_table(LABELS, PROBABILITIES, NAMES)), NAMES[label], "false_positive_rate", "true_positive_rate"
    )
    assert (x[0], x[-1], y[-1]) == (0, 1, 1)
    assert np.all(np.diff(y) >= 0)
    assert np.trapezoid(y, x) == pytest.approx(
        metrics.roc_auc_score(label == LABELS, PROBABILITIES[:, label]), abs=5e-3
    )


@pytest.mark.parametrize("label", [0, 1, 2])
def test_precision_recall_averages_to_scikit_learns_average_precision(label: int) -> None:
    x, y = curve(read(tables.precision_recall_table(LABELS, PROBABILITIES, NAMES)), NAMES[label], "recall", "precision")
    assert len(x) == 100 and x[-1] == 1
    assert y[-1] == pytest.approx(
        (label == LABELS)[PROBABILITIES[:, label] >= PROBABILITIES[label == LABELS, label].min()].mean(), abs=1e-6
    )
    assert y.mean() == pytest.approx(
        metrics.average_precision_score(label == LABELS, PROBABILITIES[:, label]), abs=1e-2
    )


def test_labels_without_faces_have_no_curve() -> None:
    inside = LABELS != 1
    rows = read(tables.roc_table(LABELS[inside], PROBABILITIES[inside], NAMES))
    assert {row["series"] for row in rows} == {"a", "c"}
    assert read(tables.roc_table(LABELS[LABELS == 0], PROBABILITIES[LABELS == 0], NAMES)) == []


def test_confidence_counts_every_face_once() -> None:
    rows = read(tables.confidence_table(LABELS, PROBABILITIES))
    right = int((PROBABILITIES.argmax(axis=1) == LABELS).sum())
    assert sum(int(row["right"]) for row in rows) == right
    assert sum(int(row["wrong"]) for row in rows) == 500 - right


def test_subsets_carry_their_interval() -> None:
    rows = read(tables.subset_table({"all": LABELS >= 0, "x": LABELS == 0}, LABELS, PROBABILITIES, seed=0))
    assert [row["faces"] for row in rows] == ["500", str((LABELS == 0).sum())]
    for row in rows:
        assert float(row["accuracy_low"]) < float(row["accuracy"]) < float(row["accuracy_high"])


def test_a_label_without_curves_has_empty_areas() -> None:
    inside = LABELS != 1
    rows = read(tables.per_label_table(LABELS[inside], PROBABILITIES[inside], NAMES))
    assert [row["roc_auc"] == "" for row in rows] == [False, True, False]
