"""Bootstrap intervals of accuracy and macro-F1.

Both depend on counts of outcomes alone (true label, predicted labels), so resampling n faces with replacement is one
draw from a multinomial over the outcomes that occur: thousands of resamples cost milliseconds, nothing is approximated.
Source: Efron & Tibshirani 1993, "An Introduction to the Bootstrap", percentile intervals.
"""

from typing import NamedTuple

import numpy as np

RESAMPLES = 2000
_TAILS = (0.025, 0.975)


class Interval(NamedTuple):
    """A 95 % interval."""

    low: float
    high: float


class Resamples(NamedTuple):
    """Resampled outcomes.

    Attributes:
        outcomes: int [o, m]; the distinct rows: a true label's index, then those of one or more predictions.
        counts: int [RESAMPLES, o]; how often each occurs in each resample.
    """

    outcomes: np.ndarray
    counts: np.ndarray


def resample(outcomes: np.ndarray, *, seed: int) -> Resamples:
    """Resample faces with replacement.

    Args:
        outcomes: int [n, m], for each face its true label's index and those of its predictions; n > 0.
        seed: of the draws.
    """
    distinct, counts = np.unique(outcomes, axis=0, return_counts=True)
    rng = np.random.default_rng(seed)
    return Resamples(distinct, rng.multinomial(len(outcomes), counts / len(outcomes), size=RESAMPLES))


def accuracies(resamples: Resamples, column: int = 1) -> np.ndarray:
    """Accuracy of the prediction in `column` in each resample: float [RESAMPLES]."""
    right = resamples.outcomes[:, 0] == resamples.outcomes[:, column]
    return resamples.counts[:, right].sum(axis=1) / resamples.counts.sum(axis=1)


def macro_f1s(resamples: Resamples, column: int = 1) -> np.ndarray:
    """Macro-F1 (over the labels that occur in a resample) of the prediction in `column`: float [RESAMPLES]."""
    true, predicted = resamples.outcomes[:, 0], resamples.outcomes[:, column]
    names = np.arange(resamples.outcomes.max() + 1)
    is_true, is_predicted = true[:, None] == names, predicted[:, None] == names
    occurring, claimed, hits = (resamples.counts @ is_it for is_it in (is_true, is_predicted, is_true & is_predicted))
    f1 = 2 * hits / np.maximum(occurring + claimed, 1)
    return np.asarray(f1.sum(axis=1, where=occurring > 0) / (occurring > 0).sum(axis=1))


def interval(values: np.ndarray) -> Interval:
    """The middle 95 % of resampled values."""
    return Interval(*np.quantile(values, _TAILS).tolist())
