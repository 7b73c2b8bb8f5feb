import numpy as np
import pytest
from scipy.special import softmax

from emotion.evaluation.averaging import average, mean_probabilities
from emotion.model.calibration import log_loss

RNG = np.random.default_rng(0)
NONE = np.empty((1, 1, 0, 3))


def logits(members: int, views: int, *, sharpness: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Logits that know something about 400 labels, too sure of it by `sharpness`."""
    labels = RNG.integers(0, 3, 400)
    noise = RNG.normal(size=(members, views, 400, 3))
    return sharpness * (noise + 1.5 * np.eye(3)[labels]), labels


def test_one_network_and_one_view_keep_the_networks_temperature() -> None:
    test, labels = logits(1, 1)
    found = average(test, NONE, labels[:0], [2.0])
    np.testing.assert_allclose(found.probabilities, softmax(test[0, 0] / 2.0, axis=1))
    np.testing.assert_allclose(found.uncalibrated, softmax(test[0, 0], axis=1))
    assert found.temperature == 2.0


def test_the_mean_is_one_of_probabilities_each_with_its_own_temperature() -> None:
    test, _ = logits(2, 1)
    expected = (softmax(test[0, 0] / 2, axis=1) + softmax(test[1, 0] / 3, axis=1)) / 2
    np.testing.assert_allclose(mean_probabilities(test, [2.0, 3.0]), expected)


def test_an_average_is_calibrated_on_validation() -> None:
    val, val_labels = logits(3, 2, sharpness=6)
    test, test_labels = logits(3, 2, sharpness=6)
    found = average(test, val, np.eye(3)[val_labels], [1.0, 1.0, 1.0])
    # Six opinions that err independently are right more often than their mean is sure.
    assert found.temperature is not None and found.temperature < 0.9
    assert log_loss(test_labels, found.probabilities) < log_loss(test_labels, found.uncalibrated) - 0.01
    assert np.array_equal(found.probabilities.argmax(axis=1), found.uncalibrated.argmax(axis=1))


@pytest.mark.parametrize(("members", "views"), [(2, 1), (1, 2), (1, 1)])
def test_no_temperature_is_claimed_without_validation(members: int, views: int) -> None:
    test, labels = logits(members, views)
    found = average(test, np.empty((members, views, 0, 3)), labels[:0], [None] * members)
    assert found.temperature is None
    np.testing.assert_allclose(found.probabilities, found.uncalibrated)
