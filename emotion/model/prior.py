"""How frequent each label was where a network learnt, and its answers where the labels are as frequent as elsewhere.

A network's answers lean towards the labels that were frequent where it learnt. Bayes' rule takes that back: divide each
probability by the label's share in training, multiply it by its share here, and let them sum to one again.

Source: Saerens, Latinne & Decaestecker 2002, "Adjusting the outputs of a classifier to new a priori probabilities".
"""

from collections.abc import Sequence

import numpy as np


def learnt_prior(targets: np.ndarray, *, balanced: bool) -> list[float]:
    """How frequent each label is in training: shares that sum to one, six digits.

    Args:
        targets: float [n, labels], what each face is to be answered with; rows sum to one.
        balanced: whether class weights make all labels count the same.
    """
    frequencies = targets.sum(axis=0, dtype=np.float64)
    if balanced:
        frequencies = (frequencies > 0).astype(np.float64)
    return [round(float(share), 6) for share in frequencies / frequencies.sum()]


def reweighted(probabilities: np.ndarray, *, learnt: Sequence[float], here: Sequence[float]) -> np.ndarray:
    """Bayes' rule: float64 [n, labels] for pictures whose labels have the shares `here` instead of those `learnt`.

    Shares may have any sum. A label that was never learnt gets the probability 0.
    """
    before, now = np.asarray(learnt, np.float64), np.asarray(here, np.float64)
    ratio = np.divide(now, before, out=np.zeros_like(now), where=before > 0)
    changed = probabilities * ratio
    total = changed.sum(axis=1, keepdims=True)
    return np.where(total > 0, changed / np.where(total > 0, total, 1), now / now.sum())
