import numpy as np
import pytest

from emotion.model.calibration import accuracy, fit_temperature, log_loss, probabilities_from


def test_log_loss_and_accuracy_of_an_example_worked_by_hand() -> None:
    probabilities = np.array([[0.5, 0.5], [0.75, 0.25], [0.1, 0.9]])
    labels = np.array([0, 0, 0])
    assert log_loss(labels, probabilities) == pytest.approx(-(np.log(0.5) + np.log(0.75) + np.log(0.1)) / 3)
    assert accuracy(labels, probabilities) == pytest.approx(2 / 3)


@pytest.mark.parametrize("truth", [0.5, 1.0, 3.0])
def test_the_temperature_that_made_the_labels_is_found(truth: float) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (20_000, 5))
    labels = np.array([rng.choice(5, p=row) for row in probabilities_from(logits, truth)])
    assert fit_temperature(np.eye(5)[labels], logits) == pytest.approx(truth, rel=0.05)


def test_the_fitted_temperature_is_a_minimum_and_leaves_the_accuracy() -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 4, (500, 4))
    labels = np.array([rng.choice(4, p=row) for row in probabilities_from(logits, 2.0)])
    best = fit_temperature(np.eye(4)[labels], logits)
    loss = {factor: log_loss(labels, probabilities_from(logits, best * factor)) for factor in (0.95, 1.0, 1.05)}
    assert loss[1.0] < min(loss[0.95], loss[1.05])
    assert accuracy(labels, probabilities_from(logits, best)) == accuracy(labels, logits)


def test_faces_that_are_all_right_do_not_sharpen_the_probabilities() -> None:
    logits = np.array([[2.0, 0.0], [0.0, 1.0], [3.0, 1.0]])
    assert fit_temperature(np.eye(2)[[0, 1, 0]], logits) == 1.0
    assert fit_temperature(np.eye(2)[[0, 1, 1]], logits) > 1.0
