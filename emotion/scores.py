"""Predictions -> numbers. NumPy, SciPy and scikit-learn only.

Throughout: `labels` is int [n], label indexes; `probabilities` is float [n, label_count], rows summing to one.
"""

import numpy as np
from sklearn import metrics

from emotion.calibration import accuracy, log_loss


def headline(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """The figures that are worth a diff: accuracy, macro-F1, log loss and their like."""
    label_indexes = np.arange(probabilities.shape[1])
    predicted = probabilities.argmax(axis=1)
    return {
        "accuracy": accuracy(labels, probabilities),
        "macro_f1": float(metrics.f1_score(labels, predicted, labels=label_indexes, average="macro", zero_division=0)),
        "log_loss": log_loss(labels, probabilities),
    }
