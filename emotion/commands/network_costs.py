"""Parameters and multiply-adds of the networks; imports Keras, which takes seconds."""

import importlib
import math
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from emotion.foundation.errors import UserError
from emotion.foundation.params import read_params
from emotion.runtime.quiet import import_tensorflow

import_tensorflow()  # which Keras would import with all its noise

import keras  # noqa: E402
from keras import layers  # noqa: E402

from emotion.training.network import Network, build_model  # noqa: E402


class NetworkCost(NamedTuple):
    """Attributes: parameters (all of them, batch-norm statistics included) and multiply-adds of one picture."""

    parameters: int
    multiply_adds: int


def cost(network: Network, shape: tuple[int, int, int], label_count: int) -> NetworkCost:
    """Cost of a network on pictures of `shape` (height, width, channels) with `label_count` outputs."""
    model = build_model(network, shape, label_count, for_training=False)
    return NetworkCost(model.count_params(), multiply_adds(model))


def multiply_adds(model: keras.Model) -> int:
    """Multiply-adds of one picture in convolutions and dense layers; a layer that is used twice counts twice.

    The rest (normalisation, activations, pooling) is left out, as in the papers.
    """
    return sum(
        _multiply_adds(layer, node.input_tensors[0].shape, node.output_tensors[0].shape)
        for layer in model.layers
        for node in layer._inbound_nodes
        if node.operation is layer and not isinstance(layer, layers.InputLayer)
    )


def _multiply_adds(layer: keras.Layer, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> int:
    places = math.prod(outputs[1:-1])
    match layer:
        case layers.SeparableConv2D():
            return places * inputs[-1] * (math.prod(layer.kernel_size) + layer.filters)
        case layers.DepthwiseConv2D():
            return places * outputs[-1] * math.prod(layer.kernel_size)
        case layers.Conv2D():
            return places * math.prod(layer.kernel_size) * inputs[-1] // layer.groups * layer.filters
        case layers.Dense():
            return places * inputs[-1] * layer.units
    return 0


def read_networks(params: Path) -> dict[str, Network]:
    """The networks that a parameter file has a block for, by name, sorted. Raises UserError."""
    try:
        model: dict[str, Any] = read_params(params)["model"]
        blocks = {name: block for name, block in sorted(model.items()) if isinstance(block, dict)}
        modules = {name: importlib.import_module(f"emotion.networks.{name}") for name in blocks}
        return {name: modules[name].Network.model_validate(block) for name, block in blocks.items()}
    except (KeyError, TypeError, AttributeError, ModuleNotFoundError, ValidationError) as error:
        raise UserError(f"{params} has no `model` section with networks of this project ({error})") from None
