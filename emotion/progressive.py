"""Progressive resolution: a training that begins with smaller pictures, which take less time.

Source: Tan & Le 2021, EfficientNetV2 (https://arxiv.org/abs/2104.00298).
"""

from dataclasses import replace

import keras
import numpy as np
import tensorflow as tf

from emotion.batches import Augment
from emotion.errors import UserError
from emotion.records import Faces

_AT_A_TIME = 1024


def shrinking(augment: Augment, size_px: int) -> Augment:
    """The same changes, of pictures that are made smaller afterwards: float32 [batch, size_px, size_px, channels]."""
    return lambda images, seed: _shrunk(augment(images, seed), size_px)


def shrunk_faces(faces: Faces, size_px: int) -> Faces:
    """The same faces, smaller: uint8 [n, size_px, size_px, channels]."""
    small = np.empty((len(faces.images), size_px, size_px, faces.images.shape[-1]), np.uint8)
    for start in range(0, len(small), _AT_A_TIME):
        rows = slice(start, start + _AT_A_TIME)
        small[rows] = np.rint(_shrunk(tf.constant(faces.images[rows]), size_px).numpy())
    return replace(faces, images=small)


def for_size(model: keras.Model, size_px: int) -> keras.Model:
    """The same layers, with the same weights, for pictures of another size.

    Raises UserError when they are not fewer pixels, or the network's features do not come out in the same number.
    """
    side, channels = model.input_shape[1], model.input_shape[-1]
    if size_px >= side:
        raise UserError(f"train.progressive.size_px: {size_px} must be less than the faces' {side} px; lower it")
    pixels = keras.Input((size_px, size_px, channels), name=model.inputs[0].name, dtype=model.inputs[0].dtype)
    try:
        return keras.models.clone_model(model, input_tensors=pixels, clone_function=lambda layer: layer)
    except ValueError as error:
        reason = str(error).strip().split("\n")[0]
        raise UserError(
            f"train.progressive.size_px: the network cannot take {size_px} px with the weights that {side} px have "
            f"({reason}); take a size nearer to {side}, or train.progressive.epochs: 0"
        ) from None


def _shrunk(images: tf.Tensor, size_px: int) -> tf.Tensor:
    return tf.image.resize(images, (size_px, size_px), antialias=True)
