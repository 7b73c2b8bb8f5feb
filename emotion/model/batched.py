"""Run a model over any number of pictures, a batch at a time."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from emotion.dataset.records.stored_images import Images

if TYPE_CHECKING:
    import keras

BATCH_SIZE = 256


def predict_in_batches(model: "keras.Model", images: Images) -> np.ndarray:
    """Run a model over uint8 images [n, size, size, channels], in memory or in files: float32 [n, outputs]."""
    if not len(images):
        return np.empty((0, model.output_shape[-1]), np.float32)
    return in_batches(partial(predict_batch, model), images)


def in_batches(predict: Callable[[np.ndarray], np.ndarray], images: Images) -> np.ndarray:
    """What `predict` says of each batch of at least one image [n, size, size, channels], together: [n, outputs]."""
    starts = range(0, len(images), BATCH_SIZE)
    return np.concatenate([predict(images[start : start + BATCH_SIZE]) for start in starts])


def predict_batch(model: "keras.Model", images: np.ndarray) -> np.ndarray:
    """Run a model over one batch, uint8 [n, size, size, channels]: float32 [n, outputs]."""
    return np.asarray(model.predict_on_batch(images.astype(np.float32)))
