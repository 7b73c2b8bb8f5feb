"""Run a model over any number of pictures, a batch at a time."""

import keras
import numpy as np

from emotion.dataset.records.stored_images import Images

BATCH_SIZE = 256


def predict_in_batches(model: keras.Model, images: Images) -> np.ndarray:
    """Run a model over uint8 images [n, size, size, channels], in memory or in files: float32 [n, outputs]."""
    if not len(images):
        return np.empty((0, model.output_shape[-1]), np.float32)
    starts = range(0, len(images), BATCH_SIZE)
    batches = (images[start : start + BATCH_SIZE].astype(np.float32) for start in starts)
    return np.concatenate([np.asarray(model.predict_on_batch(batch)) for batch in batches])
