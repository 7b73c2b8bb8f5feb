"""Labels merged when a picture is predicted: negative = angry or disgust or fear or sad. Probabilities add up."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from emotion.foundation.errors import UserError, did_you_mean, shown
from emotion.model.about import MAX_LABEL_CHARACTERS, UNCERTAIN

_EXPECTED = "expected NAME=label,label,… such as negative=angry,disgust,fear,sad"


class Merging:
    """Which labels of a model become which.

    Args:
        labels: the model's, in its order.
        groups: new label -> those it stands for. A group takes the place of its first label; the rest stay as they are.

    Attributes:
        labels: after merging, in order.
        group_of: label of the model -> what it has become.

    Raises UserError: an unknown label, one that is in two groups or twice in one, an empty group, a name that is taken.
    """

    def __init__(self, labels: Sequence[str], groups: Mapping[str, Sequence[str]]) -> None:
        self.group_of = {label: label for label in labels}
        taken: dict[str, str] = {}
        for group, members in groups.items():
            _check_group(group, members)
            for label in members:
                if label not in self.group_of:
                    hint = did_you_mean(label, labels) or f"; it knows {', '.join(labels)}"
                    raise UserError(f"--merge names {label!r}, which the model does not know{hint}")
                if label in taken:
                    twice = "twice" if taken[label] == group else f"in {taken[label]!r} too"
                    raise UserError(f"--merge {group}={','.join(members)}: {label!r} is {twice}; name it once")
                taken[label] = group
        for group in groups:
            if group in self.group_of and group not in taken:
                raise UserError(f"--merge {group}=…: the model has a label {group!r} of its own; take another name")
        self.group_of |= taken
        self.labels = list(dict.fromkeys(self.group_of[label] for label in labels))
        self._members = np.array([[self.group_of[label] == group for group in self.labels] for label in labels])

    def apply(self, probabilities: np.ndarray) -> np.ndarray:
        """Add up the probabilities of each group: float64 [n, model's labels] -> float64 [n, labels]."""
        return probabilities @ self._members.astype(np.float64)


def parse_groups(texts: Iterable[str]) -> dict[str, list[str]]:
    """Read texts such as `negative=angry,sad`, one for each group. Raises UserError."""
    groups: dict[str, list[str]] = {}
    for text in texts:
        name, equals, members = text.partition("=")
        if not equals:
            raise UserError(f"--merge {text}: {_EXPECTED}")
        if name.strip() in groups:
            raise UserError(f"--merge {text}: {name.strip()!r} was given before; name all of its labels at once")
        groups[name.strip()] = [label.strip() for label in members.split(",")]
    return groups


def _check_group(group: str, members: Sequence[str]) -> None:
    if len(group) > MAX_LABEL_CHARACTERS:
        raise UserError(
            f"--merge {shown(group[:20])}…=…: a name of {len(group):,} characters; expected at most "
            f"{MAX_LABEL_CHARACTERS}, such as negative=angry,disgust,fear,sad"
        )
    if isinstance(members, str) or not members or not all(members):
        raise UserError(f"--merge {group}={members if isinstance(members, str) else ','.join(members)}: {_EXPECTED}")
    if not group or group != shown(group) or group == UNCERTAIN:
        raise UserError(f"--merge {group}={','.join(members)}: {group!r} cannot be a label's name; {_EXPECTED}")
