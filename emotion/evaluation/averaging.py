"""The average of several predictions of one face, and its own temperature.

Throughout: `logits` is float [networks, views, n, label_count], before any temperature; `temperatures` holds one number
per network; probabilities are float64 [n, label_count], rows summing to one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from emotion.model.calibration import fit_temperature, probabilities_from

_TINY = 1e-12


@dataclass(frozen=True)
class Average:
    """An average over members and views.

    Attributes:
        probabilities: calibrated where there is a temperature.
        uncalibrated: the same average with no temperature anywhere.
        temperature: the average's own, or the network's where there is only one network and one view; None without
            validation faces to fit it on.
    """

    probabilities: np.ndarray
    uncalibrated: np.ndarray
    temperature: float | None


def average(
    test: np.ndarray, val: np.ndarray, val_targets: np.ndarray, temperatures: Sequence[float | None]
) -> Average:
    """Average the test faces' predictions, with a temperature fitted on those of the validation faces.

    Args:
        test: logits of the test faces.
        val: logits of the validation faces, of the same networks and views.
        val_targets: float [validation faces, label_count], what their probabilities should be.
        temperatures: of each network, None where none was fitted.
    """
    uncalibrated = mean_probabilities(test, [1.0] * len(temperatures))
    cooled = [temperature or 1.0 for temperature in temperatures]
    if test.shape[:2] == (1, 1):
        return Average(mean_probabilities(test, cooled), uncalibrated, temperatures[0])
    averaged = mean_probabilities(test, cooled)
    if not len(val_targets):
        return Average(averaged, uncalibrated, None)
    temperature = fit_temperature(val_targets, as_logits(mean_probabilities(val, cooled)))
    return Average(probabilities_from(as_logits(averaged), temperature), uncalibrated, temperature)


def mean_probabilities(logits: np.ndarray, temperatures: Sequence[float]) -> np.ndarray:
    """Mean over networks and views of softmax(logits / temperature)."""
    parts = [
        probabilities_from(view, temperature)
        for views, temperature in zip(logits, temperatures, strict=True)
        for view in views
    ]
    return np.mean(parts, axis=0)


def as_logits(probabilities: np.ndarray) -> np.ndarray:
    """Logarithms, which a softmax turns back into the probabilities."""
    return np.log(np.maximum(probabilities, _TINY))
