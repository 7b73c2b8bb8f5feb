"""Label names and their order, and what FER2013's file names say."""

from collections.abc import Iterable

# FER2013's seven, in the order of their folders, which is also the order of every array here.
EMOTIONS = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")

# The codes of the `emotion` column of fer2013.csv (Goodfellow et al. 2013, https://arxiv.org/abs/1307.0414).
FER2013_CODES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")

# What FER+ and others call them; contempt is FER+'s eighth.
OTHER_NAMES = {"happiness": "happy", "sadness": "sad", "anger": "angry", "surprised": "surprise", "fearful": "fear"}

# FER2013 keeps its original split in the file names: the public and the private leaderboard's test set.
_SUBSETS = {"PublicTest": "public", "PrivateTest": "private"}


def label_order(labels: Iterable[str]) -> list[str]:
    """Return the distinct labels in the order used everywhere: numbers by value first, then names by code point."""
    return sorted(set(labels), key=lambda label: (*_number(label), label))


def subset_of(name: str) -> str:
    """Which of FER2013's test sets a file name belongs to: `public`, `private`, or empty."""
    return _SUBSETS.get(name.partition("_")[0], "")


def _number(label: str) -> tuple[bool, int]:
    """(False, value) of a label that is a number, in ASCII digits; (True, 0) of any other."""
    is_number = label.isascii() and label.isdecimal() and len(label) < 19
    return not is_number, int(label) if is_number else 0
