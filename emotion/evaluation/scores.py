"""Predictions -> numbers. NumPy, SciPy and scikit-learn only.

Throughout: `labels` is int [n], label indexes, n > 0; `probabilities` is float [n, label_count], rows summing to one.
Averages over labels are taken over those that occur in `labels`: a subset may lack some.
"""

from collections.abc import Sequence

import numpy as np
from sklearn import metrics

from emotion.evaluation.intervals import accuracies, interval, macro_f1s, resample
from emotion.model.calibration import accuracy, log_loss
from emotion.model.prior import reweighted

_BINS = 15  # of confidence, equally wide
_TINY = 1e-7  # the least probability in a logarithm


def headline(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """The main figures; `roc_auc` is missing where only one label occurs."""
    predicted = probabilities.argmax(axis=1)
    scores = {
        "accuracy": accuracy(labels, probabilities),
        "balanced_accuracy": float(recalls(labels, predicted).mean()),
        "macro_f1": macro_f1(labels, predicted),
        "log_loss": log_loss(labels, probabilities),
        "top2_accuracy": top_accuracy(labels, probabilities, best=2),
        "matthews": matthews(labels, predicted),
    }
    return scores | ({"roc_auc": roc_auc(labels, probabilities)} if len(np.unique(labels)) > 1 else {})


def brief(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """The three figures given for every subset and member."""
    return {
        "accuracy": accuracy(labels, probabilities),
        "macro_f1": macro_f1(labels, probabilities.argmax(axis=1)),
        "log_loss": log_loss(labels, probabilities),
    }


def macro_f1(labels: np.ndarray, predicted: np.ndarray) -> float:
    """Mean of the F1 of each label that occurs; `predicted` is int [n]."""
    occurring = np.unique(labels)
    return float(metrics.f1_score(labels, predicted, labels=occurring, average="macro", zero_division=0))


def matthews(labels: np.ndarray, predicted: np.ndarray) -> float:
    """Matthews correlation, -1 to 1; 0 where only one label occurs or is predicted; `predicted` is int [n]."""
    if len(np.union1d(labels, predicted)) < 2:
        return 0.0  # as in scikit-learn, which also warns
    return float(metrics.matthews_corrcoef(labels, predicted))


def recalls(labels: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Recall of each label that occurs, in label order; `predicted` is int [n]."""
    occurring = np.unique(labels)
    return np.asarray(metrics.recall_score(labels, predicted, labels=occurring, average=None, zero_division=0))


def top_accuracy(labels: np.ndarray, probabilities: np.ndarray, *, best: int) -> float:
    """Fraction of faces whose true label is among the `best` most probable ones."""
    ranked = np.argsort(-probabilities, axis=1, kind="stable")[:, :best]
    return float((ranked == labels[:, None]).any(axis=1).mean())


def roc_auc(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Area under the ROC curve, each label against the rest, mean over the labels that occur (at least two)."""
    areas = [metrics.roc_auc_score(labels == label, probabilities[:, label]) for label in np.unique(labels)]
    return float(np.mean(areas))


def per_label(labels: np.ndarray, probabilities: np.ndarray, names: list[str]) -> dict[str, dict[str, float]]:
    """Precision, recall, F1 and support (faces) of every label; 0 where it does not occur or is never predicted."""
    columns = metrics.precision_recall_fscore_support(
        labels, probabilities.argmax(axis=1), labels=np.arange(len(names)), zero_division=0
    )
    rows = zip(names, *(column.tolist() for column in columns), strict=True)
    return {name: {"precision": p, "recall": r, "f1": f1, "support": int(n)} for name, p, r, f1, n in rows}


def areas(labels: np.ndarray, probabilities: np.ndarray, names: list[str]) -> dict[str, dict[str, float]]:
    """Area under the ROC curve and average precision of each label that has curves: each label against the rest."""
    return {
        names[label]: {
            "roc_auc": float(metrics.roc_auc_score(labels == label, probabilities[:, label])),
            "average_precision": float(metrics.average_precision_score(labels == label, probabilities[:, label])),
        }
        for label in labels_with_curves(labels)
    }


def labels_with_curves(labels: np.ndarray) -> list[int]:
    """The labels that have curves: those that occur, or none if only one does."""
    occurring = np.unique(labels).tolist()
    return occurring if len(occurring) > 1 else []


def intervals(labels: np.ndarray, probabilities: np.ndarray, *, seed: int) -> dict[str, dict[str, float]]:
    """95 % bootstrap intervals, `low` and `high`, of accuracy and macro-F1."""
    resamples = resample(np.stack([labels, probabilities.argmax(axis=1)], axis=1), seed=seed)
    values = {"accuracy": accuracies(resamples), "macro_f1": macro_f1s(resamples)}
    return {name: interval(drawn)._asdict() for name, drawn in values.items()}


def calibration_scores(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """How well the probabilities are calibrated: `ece`, `brier` (0 to 2) and `log_loss`.

    Sources: Brier 1950 (the sum over labels of squared differences, mean over faces); for `ece` see
    `calibration_error`.
    """
    truth = np.eye(probabilities.shape[1])[labels]
    return {
        "ece": calibration_error(labels, probabilities),
        "brier": float(((probabilities - truth) ** 2).sum(axis=1).mean()),
        "log_loss": log_loss(labels, probabilities),
    }


def calibration_error(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Expected calibration error: mean distance of accuracy from confidence over 15 equally wide bins of confidence.

    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks" (https://arxiv.org/abs/1706.04599).
    """
    bins = reliability(labels, probabilities)
    return float(sum(n * abs(right - sure) for n, sure, right in bins) / len(labels))


def reliability(labels: np.ndarray, probabilities: np.ndarray) -> list[tuple[int, float, float]]:
    """For each non-empty bin of confidence: faces, mean confidence, accuracy."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    place = np.clip(np.ceil(confidence * _BINS).astype(int) - 1, 0, _BINS - 1)
    members = [place == number for number in np.unique(place)]
    return [(int(inside.sum()), float(confidence[inside].mean()), float(right[inside].mean())) for inside in members]


def prior_report(labels: np.ndarray, probabilities: np.ndarray, learnt: Sequence[float]) -> dict[str, dict[str, float]]:
    """Balanced accuracy, log loss and calibration error under each prior; only `training` where `learnt` is not known.

    Under `even` the probabilities are recomputed by Bayes' rule, and each label's faces weigh the same together.

    Args:
        labels: int [n], true labels.
        probabilities: float [n, labels], calibrated for the training's prior.
        learnt: the share of each label in training.
    """
    same = np.full(len(labels), 1 / len(labels))
    report = {"training": _prior_scores(labels, probabilities, same)}
    if len(learnt) == probabilities.shape[1]:
        counts = np.bincount(labels, minlength=probabilities.shape[1])
        even = reweighted(probabilities, learnt=learnt, here=(counts > 0).astype(float).tolist())
        report["even"] = _prior_scores(labels, even, 1 / (counts[labels] * (counts > 0).sum()))
    return report


def _prior_scores(labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray) -> dict[str, float]:
    chosen = np.clip(probabilities[np.arange(len(labels)), labels], _TINY, 1)
    return {
        "balanced_accuracy": float(recalls(labels, probabilities.argmax(axis=1)).mean()),
        "log_loss": float(-(weights * np.log(chosen)).sum()),
        "ece": _weighted_calibration_error(labels, probabilities, weights),
    }


def _weighted_calibration_error(labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray) -> float:
    """Expected calibration error of weighted faces; the weights sum to one."""
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    place = np.clip(np.ceil(confidence * _BINS).astype(int) - 1, 0, _BINS - 1)
    gaps = np.bincount(place, weights * (right - confidence), minlength=_BINS)
    return float(np.abs(gaps).sum())
