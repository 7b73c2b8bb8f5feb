"""The predictions under two priors: labels as frequent as in training, and all labels equally frequent."""

from collections.abc import Sequence

import numpy as np

from emotion.evaluation.scores import recalls
from emotion.model.prior import reweighted

_BINS = 15  # of confidence, equally wide
_TINY = 1e-7


def prior_report(labels: np.ndarray, probabilities: np.ndarray, learnt: Sequence[float]) -> dict[str, dict[str, float]]:
    """Balanced accuracy, log loss and calibration error under each prior; only `training` where `learnt` is not known.

    Under `even` the probabilities are recomputed by Bayes' rule, and each label's faces weigh the same together.

    Args:
        labels: int [n], true labels.
        probabilities: float [n, labels], calibrated for the training's prior.
        learnt: the share of each label in training.
    """
    same = np.full(len(labels), 1 / len(labels))
    report = {"training": _scores(labels, probabilities, same)}
    if len(learnt) == probabilities.shape[1]:
        counts = np.bincount(labels, minlength=probabilities.shape[1])
        even = reweighted(probabilities, learnt=learnt, here=(counts > 0).astype(float).tolist())
        report["even"] = _scores(labels, even, 1 / (counts[labels] * (counts > 0).sum()))
    return report


def _scores(labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray) -> dict[str, float]:
    chosen = np.clip(probabilities[np.arange(len(labels)), labels], _TINY, 1)
    return {
        "balanced_accuracy": float(recalls(labels, probabilities.argmax(axis=1)).mean()),
        "log_loss": float(-(weights * np.log(chosen)).sum()),
        "ece": _calibration_error(labels, probabilities, weights),
    }


def _calibration_error(labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray) -> float:
    """Expected calibration error of weighted faces; the weights sum to one."""
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    place = np.clip(np.ceil(confidence * _BINS).astype(int) - 1, 0, _BINS - 1)
    gaps = np.bincount(place, weights * (right - confidence), minlength=_BINS)
    return float(np.abs(gaps).sum())
