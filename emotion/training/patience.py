"""What happens when the validation loss stops falling: functions of the history, so a resumed training agrees."""

import math
from collections.abc import Sequence

_LEAST_GAIN = 1e-4  # nats: a smaller fall does not count for the learning rate, as in Keras' ReduceLROnPlateau


def lowers_rate(val_losses: Sequence[float], *, patience: int) -> bool:
    """Whether the learning rate is to be lowered after the last of these epochs.

    It is after `patience` epochs in a row without a gain; then the count starts again.

    Args:
        val_losses: of each epoch so far, in nats.
        patience: epochs, >= 1.
    """
    best, waited, lowers = math.inf, 0, False
    for loss in val_losses:
        if loss < best - _LEAST_GAIN:
            best, waited = loss, 0
        else:
            waited += 1
        lowers = waited >= patience
        waited = 0 if lowers else waited
    return lowers


def ends_training(val_losses: Sequence[float], *, patience: int) -> bool:
    """Whether the training is to end after the last of these epochs: `patience` in a row were no better than the best.

    Args:
        val_losses: of each epoch so far, in nats.
        patience: epochs, >= 1.
    """
    best, waited = math.inf, 0
    for loss in val_losses:
        best, waited = (loss, 0) if loss < best else (best, waited + 1)
    return waited >= patience
