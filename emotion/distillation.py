"""Self-distillation: labels softened by what the network itself has learnt so far.

Source: Furlanello et al. 2018, Born-Again Neural Networks (https://arxiv.org/abs/1805.04770). FER2013's labels are noisy,
and a network that has not yet learnt them by heart says of many a face what else it may show.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from emotion.calibration import probabilities_from


def one_hot(label_indexes: NDArray[np.int64], label_count: int) -> NDArray[np.float32]:
    """Return float32 [n, label_count]: 1 at each label, else 0."""
    return np.eye(label_count, dtype=np.float32)[label_indexes]


def softened(
    targets: NDArray[np.float32], teacher: NDArray[np.float32], *, teacher_weight: float
) -> NDArray[np.float32]:
    """Mix the given labels with a teacher's probabilities, both float32 [n, labels]; the weight is 0 to 1."""
    weight = np.float32(teacher_weight)
    return (1 - weight) * targets + weight * teacher


def teacher_probabilities(
    logits_of: Callable[[NDArray[np.uint8]], NDArray[np.float32]], images: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """Probabilities of faces uint8 [n, size, size, channels], averaged with their mirror images': float32 [n, labels]."""
    views = [probabilities_from(logits_of(view)) for view in (images, images[:, :, ::-1])]
    return np.mean(views, axis=0).astype(np.float32)
