"""mini-Xception: depthwise-separable convolutions, residual modules, no dense layer.

Source: Arriaga, Ploeger & Valdenegro 2017 (https://arxiv.org/abs/1710.07557), which reports 66 % on FER2013 with
about 60,000 parameters. Here the convolutions keep the picture's side, so that small pictures work, and weight decay is
the recipe's.
"""

import keras
from keras import layers
from pydantic import Field

from emotion.foundation.params import Params

_STEM_CONVOLUTIONS = 2


class Network(Params):
    """Parameters of `model.mini_xception`."""

    width: int = Field(ge=1, le=256)  # filters of the stem (8 in the paper); each module doubles them
    modules: int = Field(ge=1, le=5)  # residual modules (4 in the paper); each halves the side
    dropout: float = Field(ge=0, lt=1)  # fraction before the last layer; none in the paper

    def logits(
        self, pixels: keras.KerasTensor, *, label_count: int, batch_norm: type[layers.Layer]
    ) -> keras.KerasTensor:
        """Build the network: pixels [batch, size, size, channels], 0-255 -> logits float32 [batch, label_count]."""
        x = layers.Rescaling(1 / 127.5, offset=-1.0, name="scale")(pixels)
        for number in range(1, _STEM_CONVOLUTIONS + 1):
            x = layers.Conv2D(self.width, 3, padding="same", use_bias=False, name=f"stem{number}")(x)
            x = batch_norm(name=f"stem{number}_norm", momentum=0.9)(x)
            x = layers.ReLU(name=f"stem{number}_relu")(x)
        for module in range(1, self.modules + 1):
            x = _module(x, self.width * 2**module, batch_norm, f"module{module}")
        x = layers.Dropout(self.dropout, name="dropout")(x)
        x = layers.Conv2D(label_count, 3, padding="same", dtype="float32", name="logits")(x)
        return layers.GlobalAveragePooling2D(dtype="float32", name="logits_mean")(x)


def _module(x: keras.KerasTensor, filters: int, batch_norm: type[layers.Layer], name: str) -> keras.KerasTensor:
    # Every other pixel, then 1x1: equal to a 1x1 convolution with stride 2, which with 8 channels makes oneDNN in
    # TensorFlow 2.21 write out of bounds ("free(): invalid size").
    shortcut = layers.MaxPooling2D(1, strides=2, padding="same", name=f"{name}_shortcut_pixels")(x)
    shortcut = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_shortcut")(shortcut)
    shortcut = batch_norm(name=f"{name}_shortcut_norm", momentum=0.9)(shortcut)
    x = layers.SeparableConv2D(filters, 3, padding="same", use_bias=False, name=f"{name}_conv1")(x)
    x = batch_norm(name=f"{name}_conv1_norm", momentum=0.9)(x)
    x = layers.ReLU(name=f"{name}_conv1_relu")(x)
    x = layers.SeparableConv2D(filters, 3, padding="same", use_bias=False, name=f"{name}_conv2")(x)
    x = batch_norm(name=f"{name}_conv2_norm", momentum=0.9)(x)
    x = layers.MaxPooling2D(3, strides=2, padding="same", name=f"{name}_pool")(x)
    return layers.Add(name=f"{name}_add")([x, shortcut])
