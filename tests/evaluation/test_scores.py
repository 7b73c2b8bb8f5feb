"""Goldens worked by hand; tests/stages/test_evaluate.py compares whole evaluations with scikit-learn."""

import numpy as np
import pytest

from emotion.evaluation import scores

# Four faces of labels 0, 0, 1, 1; the third is called 0. Confidences 0.9, 0.6, 0.6, 0.8.
LABELS = np.array([0, 0, 1, 1])
PROBABILITIES = np.array([[0.9, 0.1], [0.6, 0.4], [0.6, 0.4], [0.2, 0.8]])


def test_headline_by_hand() -> None:
    found = scores.headline(LABELS, PROBABILITIES)
    assert found["accuracy"] == 0.75
    assert found["balanced_accuracy"] == 0.75
    assert found["macro_f1"] == pytest.approx((4 / 5 + 2 / 3) / 2)
    assert found["log_loss"] == pytest.approx(-np.log([0.9, 0.6, 0.4, 0.8]).mean())
    assert found["top2_accuracy"] == 1.0
    assert found["matthews"] == pytest.approx((2 * 1 - 0 * 1) / np.sqrt(3 * 2 * 1 * 2))
    assert found["roc_auc"] == pytest.approx(3.5 / 4)  # of the four pairs one is a tie


def test_calibration_by_hand() -> None:
    found = scores.calibration_scores(LABELS, PROBABILITIES)
    # 0.6 twice (one right) share a bin; 0.8 and 0.9 have their own, both right.
    assert found["ece"] == pytest.approx((2 * 0.1 + 0.2 + 0.1) / 4)
    assert found["brier"] == pytest.approx((2 * 0.01 + 2 * 0.16 + 2 * 0.36 + 2 * 0.04) / 4)


def test_perfect_confidence_falls_into_the_last_bin() -> None:
    assert scores.reliability(np.array([0]), np.array([[1.0, 0.0]])) == [(1, 1.0, 1.0)]
    assert scores.calibration_error(np.array([0, 1]), np.eye(2)) == 0


def test_a_label_that_does_not_occur_weighs_nothing() -> None:
    three = np.column_stack([PROBABILITIES, np.zeros(4)])
    assert scores.headline(LABELS, three) == pytest.approx(scores.headline(LABELS, PROBABILITIES))
    assert scores.per_label(LABELS, three, ["a", "b", "c"])["c"] == {"precision": 0, "recall": 0, "f1": 0, "support": 0}


def test_where_one_label_occurs_there_is_no_roc() -> None:
    found = scores.headline(LABELS[:2], PROBABILITIES[:2])
    assert "roc_auc" not in found and found["accuracy"] == 1.0
    assert scores.areas(LABELS[:2], PROBABILITIES[:2], ["a", "b"]) == {}


def test_top_accuracy_counts_the_best_so_many() -> None:
    probabilities = np.array([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2], [0.5, 0.3, 0.2]])
    assert scores.top_accuracy(np.array([0, 1, 2]), probabilities, best=2) == pytest.approx(2 / 3)


def test_intervals_hold_the_score_and_shrink_with_more_faces() -> None:
    few = scores.intervals(LABELS, PROBABILITIES, seed=0)["accuracy"]
    many = scores.intervals(np.tile(LABELS, 100), np.tile(PROBABILITIES, (100, 1)), seed=0)["accuracy"]
    assert few["low"] < many["low"] < 0.75 < many["high"] < few["high"]


def test_under_even_priors_every_label_weighs_the_same() -> None:
    labels = np.array([0, 0, 0, 1])
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.8, 0.2], [0.7, 0.3]])
    report = scores.prior_report(labels, probabilities, [0.75, 0.25])
    assert report["training"]["balanced_accuracy"] == 0.5
    assert report["training"]["log_loss"] == pytest.approx(-(2 * np.log(0.9) + np.log(0.8) + np.log(0.3)) / 4)
    # 0.7 / 0.75 against 0.3 / 0.25: the rare label wins.
    assert report["even"]["balanced_accuracy"] == 1.0
    odds = [p / 3 / (p / 3 + (1 - p)) for p in (0.9, 0.9, 0.8, 0.7)]
    expected = -(np.mean(np.log(odds[:3])) + np.log(1 - odds[3])) / 2
    assert report["even"]["log_loss"] == pytest.approx(expected)


def test_a_calibrated_model_has_no_calibration_error_under_its_own_prior() -> None:
    labels = np.array([0] * 6 + [1] * 4)
    report = scores.prior_report(labels, np.tile([0.6, 0.4], (10, 1)), [])
    assert report["training"]["ece"] == pytest.approx(0)
    assert "even" not in report
