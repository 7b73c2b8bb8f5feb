"""The tutorials' network: stacked convolutions, batch normalisation, pooling, dropout, dense layers.

Source: the widely copied FER2013 notebooks (conv 64-128-512-512, two dense layers), here without their optimizer.
"""

import keras
from keras import layers
from pydantic import Field

from emotion.foundation.params import Params


class Network(Params):
    """Parameters of `model.stacked_cnn`."""

    filters: int = Field(ge=1, le=256)  # of the first convolution; the next have 2, 8 and 8 times as many
    dense_units: int = Field(ge=1, le=16_384)  # of the first dense layer; the second has twice as many
    dropout: float = Field(ge=0, lt=1)  # fraction

    def logits(
        self, pixels: keras.KerasTensor, *, label_count: int, batch_norm: type[layers.Layer]
    ) -> keras.KerasTensor:
        """Build the network: pixels [batch, size, size, channels], 0-255 -> logits float32 [batch, label_count]."""
        x = layers.Rescaling(1 / 255, name="scale")(pixels)
        for block, (times, kernel_px) in enumerate(((1, 3), (2, 5), (8, 3), (8, 3)), start=1):
            x = layers.Conv2D(self.filters * times, kernel_px, padding="same", name=f"conv{block}")(x)
            x = batch_norm(name=f"conv{block}_norm")(x)
            x = layers.ReLU(name=f"conv{block}_relu")(x)
            x = layers.MaxPooling2D(padding="same", name=f"conv{block}_pool")(x)
            x = layers.Dropout(self.dropout, name=f"conv{block}_dropout")(x)
        x = layers.Flatten(name="flatten")(x)
        for number, times in enumerate((1, 2), start=1):
            x = layers.Dense(self.dense_units * times, name=f"dense{number}")(x)
            x = batch_norm(name=f"dense{number}_norm")(x)
            x = layers.ReLU(name=f"dense{number}_relu")(x)
            x = layers.Dropout(self.dropout, name=f"dense{number}_dropout")(x)
        return layers.Dense(label_count, dtype="float32", name="logits")(x)
