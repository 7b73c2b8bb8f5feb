"""How accuracy falls when faces are corrupted."""

from collections.abc import Callable

import numpy as np

from emotion.dataset.stored_images import Images
from emotion.evaluation.corruptions import KINDS, SEVERITIES, corrupt
from emotion.model.calibration import accuracy

Robustness = dict[str, dict[int, float]]  # kind of corruption -> severity -> accuracy


def accuracy_when_corrupted(
    images: Images, labels: np.ndarray, predict: Callable[[np.ndarray], np.ndarray], *, seed: int
) -> Robustness:
    """Measure the accuracy under every corruption at every severity.

    Args:
        images: uint8 [n, size, size, channels].
        labels: int [n], label indexes.
        predict: images -> probabilities float [n, label_count].
        seed: of everything random in the corruptions.
    """

    def accuracy_at(kind: str, level: int) -> float:
        return accuracy(labels, np.concatenate([predict(part) for part in corrupt(images, kind, level, seed=seed)]))

    return {kind: {level: accuracy_at(kind, level) for level in SEVERITIES} for kind in KINDS}
