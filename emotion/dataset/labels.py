"""Label names and their order."""

from collections.abc import Iterable

# FER2013's seven, in the order of their folders, which is also the order of every array here.
EMOTIONS = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")

# The codes of the `emotion` column of fer2013.csv (Goodfellow et al. 2013, https://arxiv.org/abs/1307.0414).
FER2013_CODES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")


def label_order(labels: Iterable[str]) -> list[str]:
    """Return the distinct labels in the order used everywhere: numbers by value first, then names by code point."""
    return sorted(set(labels), key=lambda label: (not label.isdecimal(), int(label) if label.isdecimal() else 0, label))
