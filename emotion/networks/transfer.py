"""Transfer learning: a backbone of keras.applications, global average pooling, a dense layer, dropout.

Source of the recipe (first the new layers alone, then part of the backbone at a low rate, batch normalisation as it was
learnt): https://keras.io/guides/transfer_learning/. Each backbone's paper is in its docstring in keras.applications.
"""

import inspect
import sys
from typing import Annotated, Any, NamedTuple, Self

import keras
import numpy as np
from keras import layers
from pydantic import Field, field_validator, model_validator

from emotion.foundation.errors import UserError, did_you_mean
from emotion.foundation.params import Params
from emotion.training.network import Phase
from emotion.training.pretrained import checked_file
from emotion.training.recipe import Recipe

_OURS = "transfer_"  # prefix of the name of every layer that is not the backbone's
# EfficientNet (not V2) normalises inside, with statistics that only its ImageNet file brings, in a way that depends on
# the `weights` argument. Here its own layer stays idle and these stand in.
# Source: keras/src/applications/efficientnet.py.
_IMAGENET_MEAN, _IMAGENET_DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


class Preprocessing(NamedTuple):
    """How RGB 0-255 becomes what a backbone was trained on: channels reversed or not, then x * scale + offset.

    Attributes:
        reverse: whether the channels become BGR.
        scale: float64 [3], in the backbone's order of channels.
        offset: float64 [3].
    """

    reverse: bool
    scale: np.ndarray
    offset: np.ndarray


class Network(Params):
    """Parameters of `model.transfer`."""

    backbone: str  # a name of keras.applications, such as InceptionV3
    resize_px: int = Field(ge=32, le=1024)  # side to which pictures are resized inside the model
    weights: str = Field(min_length=1)  # imagenet | none | path of a weights file of this backbone without its top
    weights_sha256: str  # of that file; empty for imagenet and none
    frozen_epochs: int = Field(ge=0, le=10_000)  # epochs at the beginning in which only the new layers learn
    unfreeze: (
        Annotated[int, Field(le=10_000)] | str
    )  # what of the backbone learns afterwards: all | its last N layers (0 = none) | from this layer on
    finetune_learning_rate: Annotated[
        float, Field(gt=0, le=1000)
    ]  # peak of the second phase; the first has train.learning_rate
    dense_units: int = Field(ge=1, le=16_384)
    dropout: float = Field(ge=0, lt=1)  # fraction after the dense layer

    @field_validator("backbone")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in backbones():
            meant = did_you_mean(name, backbones())
            raise ValueError(f"is not in keras.applications{meant} (known: {', '.join(backbones())})")
        return name

    @model_validator(mode="after")
    def _agree(self) -> Self:
        is_file = self.weights not in ("imagenet", "none")
        if is_file != bool(self.weights_sha256):
            raise ValueError(
                f"weights: {self.weights} needs weights_sha256, the file's digest as `sha256sum` prints it"
                if is_file
                else f"weights_sha256 is for a file, but weights is {self.weights}: set it to ''"
            )
        if isinstance(self.unfreeze, int) and self.unfreeze < 0:
            raise ValueError(f"unfreeze: {self.unfreeze} is not a number of layers; 0 keeps the backbone frozen")
        return self

    def logits(
        self, pixels: keras.KerasTensor, *, label_count: int, batch_norm: type[layers.Layer]
    ) -> keras.KerasTensor:
        """Build the network: pixels [batch, size, size, channels], 0-255 -> logits float32 [batch, label_count].

        The backbone brings its own batch normalisation; `batch_norm` is not used. Its weights are random until
        `load_pretrained`. Raises UserError when the backbone refuses the size.
        """
        # Unless told otherwise, Resizing assumes training, and every layer after it follows: batch normalisation and
        # dropout would be in training mode whenever a model is just called.
        resize = layers.Resizing(self.resize_px, self.resize_px, dtype="float32", name=f"{_OURS}resize")
        x = resize(pixels, training=False)
        x = _as_backbone_expects(x, preprocessing(self.backbone))
        x = self._backbone(weights=None, input_tensor=x).output
        x = layers.GlobalAveragePooling2D(name=f"{_OURS}features")(x)
        x = layers.Dense(self.dense_units, activation="relu", name=f"{_OURS}dense")(x)
        x = layers.Dropout(self.dropout, name=f"{_OURS}dropout")(x)
        return layers.Dense(label_count, dtype="float32", name="logits")(x)

    def load_pretrained(self, model: keras.Model) -> None:
        """Put the pretrained weights into the backbone. Raises UserError when they cannot be loaded."""
        if self.weights == "none":
            return
        weights = self.weights
        if weights != "imagenet":
            weights = str(checked_file(weights, self.weights_sha256, key="model.transfer.weights_sha256"))
        try:
            source = self._backbone(weights=weights)
        except UserError:
            raise
        except Exception as error:
            reason = str(error).strip().split("\n")[0]
            raise UserError(
                f"model.transfer.weights: {self.weights}: cannot be loaded into {self.backbone} ({reason}); imagenet "
                "needs the internet once (or its file in ~/.keras/models); a file must hold this backbone's weights "
                "without its top"
            ) from None
        for layer, there in zip(_weighted(model), _weighted(source), strict=True):
            layer.set_weights(there.get_weights())

    def phases(self, model: keras.Model, recipe: Recipe) -> list[Phase]:
        """First the new layers alone for `frozen_epochs`, then what `unfreeze` names at `finetune_learning_rate`.

        Batch normalisation stays as it was learnt, unless everything is learnt from random weights.
        Raises UserError when `unfreeze` names no layer, or the warm-up does not fit.
        """
        backbone = _backbone_layers(model)
        learns = {layer.name for layer in self._unfrozen(backbone)}
        if self.weights != "none" or self.frozen_epochs:
            learns -= {layer.name for layer in backbone if isinstance(layer, layers.BatchNormalization)}
        names = frozenset(layer.name for layer in backbone)
        first = min(self.frozen_epochs, recipe.epochs) if learns else recipe.epochs
        phases = [
            Phase(first, recipe.learning_rate, names),
            Phase(recipe.epochs - first, self.finetune_learning_rate, names - learns),
        ]
        phases = [phase for phase in phases if phase.epochs]
        if shortest := [phase.epochs for phase in phases if phase.epochs <= recipe.warmup_epochs]:
            raise UserError(
                f"train.warmup_epochs ({recipe.warmup_epochs}) must be less than the epochs of each phase; "
                f"model.transfer.frozen_epochs and train.epochs leave one with {shortest[0]}"
            )
        return phases

    def _unfrozen(self, backbone: list[keras.Layer]) -> list[keras.Layer]:
        if self.unfreeze == "all":
            return backbone
        if isinstance(self.unfreeze, int):
            return backbone[max(0, len(backbone) - self.unfreeze) :]
        names = [layer.name for layer in backbone]
        if self.unfreeze not in names:
            meant = did_you_mean(self.unfreeze, names)
            raise UserError(
                f"model.transfer.unfreeze: {self.backbone} has no layer {self.unfreeze!r}{meant} (expected: all, a "
                f"number of layers, or one of its {len(names)} layers, the last of which is {names[-1]!r})"
            )
        return backbone[names.index(self.unfreeze) :]

    def _backbone(self, **settings: Any) -> keras.Model:
        make = getattr(keras.applications, self.backbone)
        try:
            return make(include_top=False, input_shape=(self.resize_px, self.resize_px, 3), **settings)
        except ValueError as error:
            if "Input size" not in str(error):
                raise
            raise UserError(
                f"model.transfer.resize_px: {self.resize_px} is too small for {self.backbone} ({error}); raise it"
            ) from None


def backbones() -> list[str]:
    """The names of every backbone of keras.applications, sorted."""
    functions = inspect.getmembers(keras.applications, inspect.isfunction)
    return sorted(name for name, function in functions if "include_top" in inspect.signature(function).parameters)


def preprocessing(backbone: str) -> Preprocessing:
    """Find out what a backbone's `preprocess_input` does: it is linear in each channel, so three colours tell."""
    if backbone.startswith("EfficientNetB"):
        return Preprocessing(False, 1 / _IMAGENET_DEVIATION, -255 * _IMAGENET_MEAN / _IMAGENET_DEVIATION)
    preprocess_input = sys.modules[getattr(keras.applications, backbone).__module__].preprocess_input
    black, red = (
        preprocess_input(np.array([[[[red, 0.0, 0.0]]]]), data_format="channels_last") for red in (0.0, 255.0)
    )
    white = preprocess_input(np.full((1, 1, 1, 3), 255.0), data_format="channels_last")
    offset = black.reshape(3)
    return Preprocessing(bool((red != black).reshape(3)[2]), (white.reshape(3) - offset) / 255.0, offset)


def _as_backbone_expects(pixels: keras.KerasTensor, wanted: Preprocessing) -> keras.KerasTensor:
    """Pixels float32 [batch, size, size, 1 or 3], 0-255 -> [batch, size, size, 3] as `preprocess_input` gives them."""
    x = pixels
    if pixels.shape[-1] == 1:
        x = layers.Concatenate(dtype="float32", name=f"{_OURS}grey_to_rgb")([x, x, x])
    elif wanted.reverse:
        x = _reversed(x)
    return layers.Rescaling(
        wanted.scale.tolist(), offset=wanted.offset.tolist(), dtype="float32", name=f"{_OURS}preprocess"
    )(x)


def _reversed(x: keras.KerasTensor) -> keras.KerasTensor:
    """RGB -> BGR with stock layers: cut the channels apart and join them in reverse order."""
    height, width, channels = x.shape[1:]

    def name(step: str) -> dict[str, str]:
        return {"dtype": "float32", "name": f"{_OURS}bgr_{step}"}

    x = layers.Permute((2, 1), **name("planes"))(layers.Reshape((height * width, channels), **name("flat"))(x))
    planes = [layers.Cropping1D((at, channels - 1 - at), **name(f"plane{at}"))(x) for at in reversed(range(channels))]
    x = layers.Permute((2, 1), **name("pixels"))(layers.Concatenate(axis=1, **name("join"))(planes))
    return layers.Reshape((height, width, channels), **name("picture"))(x)


def _backbone_layers(model: keras.Model) -> list[keras.Layer]:
    """The backbone's layers, from the input to the output; `model` is the backbone alone or the whole network."""
    theirs = (layer for layer in model.layers if not isinstance(layer, layers.InputLayer))
    return [layer for layer in theirs if not layer.name.startswith(_OURS) and layer.name != "logits"]


def _weighted(model: keras.Model) -> list[keras.Layer]:
    """The backbone's layers with weights, except normalisation, whose statistics this module supplies itself."""
    return [layer for layer in _backbone_layers(model) if layer.weights and not isinstance(layer, layers.Normalization)]
