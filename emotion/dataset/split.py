"""Stratified, seeded splitting that keeps copies of a picture on one side."""

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np


def stratified_split(
    labels: Sequence[str], groups: Sequence[int] | np.ndarray, *, fraction: float, seed: int
) -> np.ndarray:
    """Choose about `fraction` of each label, whole groups at a time.

    Every label gives round(fraction x its pictures); a group that would overfill a label stays behind, so the count is
    met exactly wherever single pictures can fill the rest.

    Args:
        labels: label of each picture [n].
        groups: number of each picture's group of copies [n]; the labels in a group may differ.
        fraction: 0 to 1.
        seed: of the permutation in which groups are tried.

    Returns: bool [n], True for the chosen pictures.
    """
    room = Counter({label: round(fraction * count) for label, count in Counter(labels).items()})
    members: dict[int, list[int]] = defaultdict(list)
    for index, group in enumerate(groups):
        members[group].append(index)
    chosen = np.zeros(len(labels), dtype=bool)
    group_list = list(members.values())
    for position in np.random.default_rng(seed).permutation(len(group_list)):
        group_labels = Counter(labels[index] for index in group_list[position])
        if all(count <= room[label] for label, count in group_labels.items()):
            chosen[group_list[position]] = True
            room.subtract(group_labels)
    return chosen
