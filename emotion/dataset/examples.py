"""What a network learns from each face: its label, or what a crowd said about it."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from emotion.dataset.records.stored_images import ChosenImages, Images
from emotion.dataset.records.tfrecords import Faces
from emotion.foundation.errors import UserError

Targets = Literal["label", "crowd", "votes", "drawn"]


@dataclass(frozen=True)
class Examples:
    """Faces and their answers.

    Attributes:
        faces: all faces of the records.
        rows: which of them to learn from, int64 [n], in order.
        targets: for each of `rows` a distribution over the labels, float32 [n, labels], rows summing to one.
        labels: their names.
        drawn: whether a single label is drawn from the distribution each time, instead of using all of it.
    """

    faces: Faces
    rows: np.ndarray
    targets: np.ndarray
    labels: list[str]
    drawn: bool = False

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def label_count(self) -> int:
        """How many labels there are."""
        return self.targets.shape[1]

    @property
    def images(self) -> Images:
        """The faces that are learnt from: uint8 [n, size, size, channels]."""
        return ChosenImages(self.faces.images, self.rows)


def labelled(faces: Faces, labels: list[str]) -> Examples:
    """Learn the data set's own labels, from all faces; some labels may have no face in the records."""
    targets = np.eye(len(labels), dtype=np.float32)[faces.label_indexes]
    return Examples(faces, np.arange(len(faces.label_indexes)), targets, labels)


def examples(faces: Faces, targets: Targets, *, labels: list[str]) -> Examples:
    """What to learn from the records, as `train.targets` says; faces without an answer are left out.

    - label: the data set's own label.
    - crowd: the label that the crowd agrees on.
    - votes: the distribution of the crowd's votes.
    - drawn: a label drawn from it, a new one each time the face is seen.

    Source of the last three: Barsoum et al. 2016 (https://arxiv.org/abs/1608.01041), majority voting, cross-entropy
    loss and probabilistic label drawing.

    Args:
        labels: the data set's own, for `label`.

    Raises UserError where nobody voted.
    """
    if targets == "label":
        return labelled(faces, labels)
    labels = faces.about.crowd_labels
    if not labels:
        raise UserError(
            f"train.targets is `{targets}`, but the data set has no votes; set data.votes to ferplus or file, "
            "or train.targets: label"
        )
    if targets == "crowd":
        rows = np.flatnonzero(faces.crowd_indexes >= 0)
        answers = np.eye(len(labels), dtype=np.float32)[faces.crowd_indexes[rows]]
    else:
        rows = np.flatnonzero(faces.votes.any(axis=1))
        votes = faces.votes[rows].astype(np.float32)
        answers = votes / votes.sum(axis=1, keepdims=True)
    return Examples(faces, rows, answers, labels, targets == "drawn")


def class_weights(targets: np.ndarray) -> dict[int, float]:
    """Weights inverse to each label's frequency, averaging one over the images.

    As scikit-learn's `compute_class_weight("balanced")`, which refuses a label all of whose images were undecodable.

    Args:
        targets: float [n, labels], rows summing to one; a label's frequency is its sum.
    """
    images, label_count = targets.shape
    counts = targets.sum(axis=0, dtype=np.float64)
    return {label: float(images / (label_count * (count or 1))) for label, count in enumerate(counts)}
