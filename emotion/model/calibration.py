"""Temperature scaling, and the two scores that training itself reports.

Throughout: `labels` is int [n], label indexes; `probabilities` is float [n, label_count], rows summing to one;
`targets` is float [n, label_count], what each face's probabilities should be: rows summing to one.
"""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

_TINY = 1e-7  # the smallest probability whose logarithm is taken


def log_loss(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean negative log-likelihood, in nats."""
    chosen = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.clip(chosen, _TINY, 1.0)).mean())


def accuracy(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Fraction of faces whose most probable label is the true one."""
    return float((probabilities.argmax(axis=1) == labels).mean())


def cross_entropy(targets: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean cross-entropy of the targets, in nats; the log loss where each target is a single label."""
    return float(-(targets * np.log(np.clip(probabilities, _TINY, 1.0))).sum(axis=1).mean())


def fit_temperature(targets: np.ndarray, logits: np.ndarray) -> float:
    """Find the temperature that minimises the cross-entropy of softmax(logits / temperature).

    It is 1 where every face is right: such a set does not tell how often the model errs, and the cross-entropy would
    fall for as long as the probabilities are sharpened.
    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks" (https://arxiv.org/abs/1706.04599).

    Args:
        logits: float [n, label_count]; logarithms of probabilities work too.
    """
    logits = logits.astype(np.float64)
    if (logits.argmax(axis=1) == targets.argmax(axis=1)).all():
        return 1.0

    def loss(log_temperature: float) -> float:
        scaled = log_softmax(logits / np.exp(log_temperature), axis=1)
        return float(-(targets * scaled).sum(axis=1).mean())

    found = minimize_scalar(loss, bounds=(-3.0, 3.0), method="bounded", options={"xatol": 1e-6})
    return float(round(np.exp(found.x), 6))


def probabilities_from(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """softmax(logits / temperature): float64 [n, label_count]."""
    return np.asarray(softmax(logits.astype(np.float64) / temperature, axis=1))


def calibrate(targets: np.ndarray, logits: np.ndarray) -> tuple[float | None, dict[str, dict[str, float]]]:
    """Fit the temperature on the validation logits and score them; None and {} without a validation set."""
    if not len(targets):
        return None, {}
    temperature = fit_temperature(targets, logits)
    scores = {
        "accuracy": accuracy(targets.argmax(axis=1), logits),
        "log_loss": cross_entropy(targets, probabilities_from(logits, temperature)),
        "log_loss_uncalibrated": cross_entropy(targets, probabilities_from(logits)),
        "temperature": temperature,
    }
    return temperature, {"val": scores}
