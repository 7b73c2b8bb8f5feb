"""A half-width VGG with batch normalisation.

Source: Simonyan & Zisserman 2014 (https://arxiv.org/abs/1409.1556), as fitted to FER2013 by Khaireddin & Chen 2021
(https://arxiv.org/abs/2105.03588): four blocks of two 3x3 convolutions, here with rising dropout between them.
"""

from typing import Annotated

import keras
from keras import layers
from pydantic import Field

from emotion.foundation.errors import UserError
from emotion.foundation.params import Params


class Network(Params):
    """Parameters of `model.vgg`."""

    width: int = Field(ge=1, le=256)  # filters of the first block; each further block doubles them
    blocks: int = Field(ge=1, le=6)  # each halves the side
    convolutions: int = Field(ge=1, le=4)  # per block
    dense_units: int = Field(ge=1, le=16_384)
    block_dropout: Annotated[float, Field(ge=0, lt=1)]  # fraction after the last block; rises evenly up to there
    dense_dropout: Annotated[float, Field(ge=0, lt=1)]  # fraction before and after the dense layer

    def logits(
        self, pixels: keras.KerasTensor, *, label_count: int, batch_norm: type[layers.Layer]
    ) -> keras.KerasTensor:
        """Build the network: pixels [batch, size, size, channels], 0-255 -> logits float32 [batch, label_count].

        Raises UserError when the faces are too small for so many blocks.
        """
        x = layers.Rescaling(1 / 64, offset=-2.0, name="scale")(pixels)
        if (side := min(pixels.shape[1:3])) < 2**self.blocks:
            raise UserError(
                f"model.vgg.blocks: {self.blocks} blocks halve the side {self.blocks} times, and {side} px are too "
                f"few for that; use fewer, or preprocess.size_px of at least {2**self.blocks}"
            )
        for block in range(1, self.blocks + 1):
            for number in range(1, self.convolutions + 1):
                name = f"block{block}_conv{number}"
                filters = self.width * 2 ** (block - 1)
                x = layers.Conv2D(
                    filters, 3, padding="same", use_bias=False, kernel_initializer="he_normal", name=name
                )(x)
                x = batch_norm(name=f"{name}_norm", momentum=0.9)(x)
                x = layers.ReLU(name=f"{name}_relu")(x)
            x = layers.MaxPooling2D(name=f"block{block}_pool")(x)
            x = layers.Dropout(self.block_dropout * block / self.blocks, name=f"block{block}_dropout")(x)
        x = layers.Flatten(name="flatten")(x)
        x = layers.Dropout(self.dense_dropout, name="dense_dropout1")(x)
        x = layers.Dense(self.dense_units, use_bias=False, kernel_initializer="he_normal", name="dense")(x)
        x = batch_norm(name="dense_norm", momentum=0.9)(x)
        x = layers.ReLU(name="dense_relu")(x)
        x = layers.Dropout(self.dense_dropout, name="dense_dropout2")(x)
        return layers.Dense(label_count, dtype="float32", name="logits")(x)
