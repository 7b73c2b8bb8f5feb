"""HiResCAM: where in a face a network found its answer.

Source: Draelos & Carin 2020, "Use HiResCAM instead of Grad-CAM for faithful explanations of convolutional neural
networks" (https://arxiv.org/abs/2011.08891). Grad-CAM averages a channel's gradient over the map first. That is right
where global pooling follows; a dense layer weighs every place on its own, and most of the default network's maps were
empty.
"""

import keras
import numpy as np
import tensorflow as tf

from emotion.evaluation.members import Member

_LEAST_SIDE = 5  # positions: a coarser map says little about a face


def evidence_maps(member: Member, images: np.ndarray, label_indexes: np.ndarray) -> np.ndarray:
    """Show which places of each face are evidence for a label.

    Args:
        images: uint8 [n, size, size, channels].
        label_indexes: int [n], the labels in question.

    Returns: float32 [n, rows, columns] at the feature map's resolution, 0 (nothing) to 1 (the most in this face).
    """
    layer = feature_layer(member.network)
    both = keras.Model(member.network.inputs[0], [layer.output, member.network.outputs[0]])
    maps = tf.function(evidence)(both, images.astype(np.float32), label_indexes).numpy()
    return np.asarray(maps / np.maximum(maps.max(axis=(1, 2), keepdims=True), 1e-12), dtype=np.float32)


def evidence(both: keras.Model, pixels: tf.Tensor, label_indexes: tf.Tensor) -> tf.Tensor:
    """Evidence for a label at each place of the feature map, before scaling: float32 [n, rows, columns], >= 0.

    Args:
        both: pixels -> the feature map and the logits.
        pixels: float32 [n, size, size, channels], 0-255.
        label_indexes: int [n].
    """
    with tf.GradientTape() as tape:
        features, logits = both(pixels, training=False)
        chosen = tf.gather(logits, label_indexes, axis=1, batch_dims=1)
    return tf.nn.relu(tf.reduce_sum(tape.gradient(chosen, features) * features, axis=-1))


def feature_layer(network: keras.Model) -> keras.layers.Layer:
    """The last layer whose output is a map of at least 5 x 5 places; failing that, the last of the finest maps."""
    maps = [layer for layer in network.layers[1:] if _side(layer)]
    if not maps:
        raise ValueError(f"{network.name} has no layer with a feature map [batch, rows, columns, channels]")
    finest = max(_side(layer) for layer in maps)
    return [layer for layer in maps if _side(layer) >= min(_LEAST_SIDE, finest)][-1]


def _side(layer: keras.layers.Layer) -> int:
    """Places along the shorter side of a layer's feature map; 0 where its output is not one."""
    try:
        shape = layer.output.shape
    except (AttributeError, ValueError):  # used more than once: its output is ambiguous
        return 0
    return min(shape[1:3]) if len(shape) == 4 and None not in shape[1:3] else 0
