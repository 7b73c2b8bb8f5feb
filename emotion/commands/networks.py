"""What a network costs: its parameters, and the multiply-adds of one picture."""

import argparse
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

_LEAST_SIDE_PX, _MOST_SIDE_PX = 8, 1024  # as preprocess.size_px


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
    if not params.is_file():
        raise UserError(f"{params} does not exist; run this in the project's folder, or name a file with --params")
    try:
        model: dict[str, Any] = read_params(params)["model"]
        blocks = {name: block for name, block in sorted(model.items()) if isinstance(block, dict)}
        modules = {name: importlib.import_module(f"emotion.networks.{name}") for name in blocks}
        return {name: modules[name].Network.model_validate(block) for name, block in blocks.items()}
    except (UserError, KeyError, TypeError, AttributeError, ModuleNotFoundError, ValidationError) as error:
        raise UserError(f"{params} has no `model` section with networks of this project ({error})") from None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line: which parameters, and for which pictures."""
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="file whose `model` section is used")
    parser.add_argument("--size-px", type=int, default=48, help="side of the picture (default 48)")
    parser.add_argument("--channels", type=int, choices=(1, 3), default=1, help="1 (grey, default) or 3 (colour)")
    parser.add_argument("--labels", type=int, default=7, help="number of labels (default 7)")


def run(arguments: argparse.Namespace) -> int:
    """Print a line for each network that the parameter file has a block for.

    Raises UserError for an unusable file, or pictures that no network takes.
    """
    if not _LEAST_SIDE_PX <= arguments.size_px <= _MOST_SIDE_PX:
        raise UserError(f"--size-px is {arguments.size_px}; it must be {_LEAST_SIDE_PX} to {_MOST_SIDE_PX}")
    if arguments.labels < 2:
        raise UserError(f"--labels is {arguments.labels}; it must be 2 or more")
    networks = read_networks(arguments.params)
    shape = (arguments.size_px, arguments.size_px, arguments.channels)
    costs = {name: cost(network, shape, arguments.labels) for name, network in networks.items()}
    print(f"{'network':<16}{'parameters':>12}{'multiply-adds':>16}   at {shape}, {arguments.labels} labels")
    for name, (parameters, operations) in costs.items():
        print(f"{name:<16}{parameters:>12,}{operations:>16,}")
    return 0
