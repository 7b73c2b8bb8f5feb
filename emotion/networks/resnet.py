"""A residual network for small pictures, with attention as an option.

Sources: He et al. 2015 (https://arxiv.org/abs/1512.03385), in the form for 32x32 pictures: a 3x3 stem, no pooling
after it, two 3x3 convolutions per block. A shortcut that halves the side averages 2x2 pixels before its 1x1 convolution
(ResNet-D, He et al. 2018, https://arxiv.org/abs/1812.01187); its plain form, a 1x1 convolution with stride 2 and few
channels, also makes oneDNN in TensorFlow 2.21 write out of bounds. Attention at the end of each block:
squeeze-and-excitation (Hu et al. 2017, https://arxiv.org/abs/1709.01507) or CBAM (Woo et al. 2018,
https://arxiv.org/abs/1807.06521).
"""

from typing import Literal

import keras
from keras import layers
from pydantic import Field

from emotion.foundation.params import Params

_REDUCTION = 16  # ratio of channels to units of the attention's hidden layer, in both papers
_SPATIAL_KERNEL_PX = 7  # of CBAM's spatial attention


class Network(Params):
    """Parameters of `model.resnet`."""

    width: int = Field(ge=1, le=256)  # filters of the stem and the first stage; each further stage doubles them
    stages: int = Field(ge=1, le=5)  # each but the first halves the side
    blocks: int = Field(ge=1, le=16)  # residual blocks per stage, two convolutions each
    attention: Literal["none", "squeeze_excitation", "cbam"]
    dropout: float = Field(ge=0, lt=1)  # fraction before the last layer

    def logits(
        self, pixels: keras.KerasTensor, *, label_count: int, batch_norm: type[layers.Layer]
    ) -> keras.KerasTensor:
        """Build the network: pixels [batch, size, size, channels], 0-255 -> logits float32 [batch, label_count]."""
        x = layers.Rescaling(1 / 64, offset=-2.0, name="scale")(pixels)
        x = _convolution(x, self.width, 3, 1, batch_norm, "stem")
        x = layers.ReLU(name="stem_relu")(x)
        for stage in range(1, self.stages + 1):
            for block in range(1, self.blocks + 1):
                stride = 2 if stage > 1 and block == 1 else 1
                x = self._block(x, self.width * 2 ** (stage - 1), stride, batch_norm, f"stage{stage}_block{block}")
        x = layers.GlobalAveragePooling2D(name="features")(x)
        x = layers.Dropout(self.dropout, name="dropout")(x)
        return layers.Dense(label_count, dtype="float32", name="logits")(x)

    def _block(
        self, x: keras.KerasTensor, filters: int, stride: int, batch_norm: type[layers.Layer], name: str
    ) -> keras.KerasTensor:
        shortcut = x
        if stride > 1:
            shortcut = layers.AveragePooling2D(stride, padding="same", name=f"{name}_shortcut_pool")(shortcut)
        if x.shape[-1] != filters:
            shortcut = _convolution(shortcut, filters, 1, 1, batch_norm, f"{name}_shortcut")
        x = _convolution(x, filters, 3, stride, batch_norm, f"{name}_conv1")
        x = layers.ReLU(name=f"{name}_relu1")(x)
        x = _convolution(x, filters, 3, 1, batch_norm, f"{name}_conv2")
        match self.attention:
            case "squeeze_excitation":
                x = _squeeze_excitation(x, f"{name}_se")
            case "cbam":
                x = _spatial_attention(_channel_attention(x, f"{name}_cbam"), f"{name}_cbam")
        x = layers.Add(name=f"{name}_add")([x, shortcut])
        return layers.ReLU(name=f"{name}_relu2")(x)


def _convolution(
    x: keras.KerasTensor, filters: int, kernel_px: int, stride: int, batch_norm: type[layers.Layer], name: str
) -> keras.KerasTensor:
    x = layers.Conv2D(
        filters,
        kernel_px,
        strides=stride,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=name,
    )(x)
    return batch_norm(name=f"{name}_norm", momentum=0.9)(x)


def _squeeze_excitation(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Weigh the channels by what the whole picture shows: [batch, height, width, channels], same shape out."""
    channels = x.shape[-1]
    weights = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_squeeze")(x)
    weights = layers.Dense(max(1, channels // _REDUCTION), activation="relu", name=f"{name}_reduce")(weights)
    weights = layers.Dense(channels, activation="sigmoid", name=f"{name}_excite")(weights)
    return layers.Multiply(name=f"{name}_weigh")([x, weights])


def _channel_attention(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """CBAM's first half: like squeeze-and-excitation, on the mean and the maximum with one shared pair of layers."""
    channels = x.shape[-1]
    reduce = layers.Dense(max(1, channels // _REDUCTION), activation="relu", name=f"{name}_reduce")
    expand = layers.Dense(channels, name=f"{name}_expand")
    mean = expand(reduce(layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_channel_mean")(x)))
    most = expand(reduce(layers.GlobalMaxPooling2D(keepdims=True, name=f"{name}_channel_max")(x)))
    weights = layers.Add(name=f"{name}_channel_add")([mean, most])
    weights = layers.Activation("sigmoid", name=f"{name}_channel_sigmoid")(weights)
    return layers.Multiply(name=f"{name}_channel_weigh")([x, weights])


def _spatial_attention(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """CBAM's second half: weigh the places by the mean and the maximum over the channels at each.

    Keras has no layer that pools over channels. One that pools over steps does it, once places are treated as features.
    """
    height, width, channels = x.shape[1:]
    places = layers.Reshape((height * width, channels), name=f"{name}_places")(x)
    pooled = [
        pool(data_format="channels_first", name=f"{name}_place_{kind}")(places)
        for kind, pool in (("mean", layers.GlobalAveragePooling1D), ("max", layers.GlobalMaxPooling1D))
    ]
    maps = [
        layers.Reshape((height, width, 1), name=f"{name}_map_{kind}")(values)
        for kind, values in zip(("mean", "max"), pooled, strict=True)
    ]
    both = layers.Concatenate(name=f"{name}_maps")(maps)
    weights = layers.Conv2D(
        1, _SPATIAL_KERNEL_PX, padding="same", activation="sigmoid", use_bias=False, name=f"{name}_place_conv"
    )(both)
    return layers.Multiply(name=f"{name}_place_weigh")([x, weights])
