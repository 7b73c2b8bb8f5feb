"""The scores under two priors."""

import numpy as np
import pytest

from emotion.evaluation.prior_scores import prior_report


def test_under_even_priors_every_label_weighs_the_same() -> None:
    labels = np.array([0, 0, 0, 1])
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.8, 0.2], [0.7, 0.3]])
    report = prior_report(labels, probabilities, [0.75, 0.25])
    assert report["training"]["balanced_accuracy"] == 0.5
    assert report["training"]["log_loss"] == pytest.approx(-(2 * np.log(0.9) + np.log(0.8) + np.log(0.3)) / 4)
    # 0.7 / 0.75 against 0.3 / 0.25: the rare label wins.
    assert report["even"]["balanced_accuracy"] == 1.0
    odds = [p / 3 / (p / 3 + (1 - p)) for p in (0.9, 0.9, 0.8, 0.7)]
    expected = -(np.mean(np.log(odds[:3])) + np.log(1 - odds[3])) / 2
    assert report["even"]["log_loss"] == pytest.approx(expected)


def test_a_calibrated_model_has_no_calibration_error_under_its_own_prior() -> None:
    labels = np.array([0] * 6 + [1] * 4)
    report = prior_report(labels, np.tile([0.6, 0.4], (10, 1)), [])
    assert report["training"]["ece"] == pytest.approx(0)
    assert "even" not in report
