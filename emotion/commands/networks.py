"""What a network costs: its parameters, and the multiply-adds of one picture."""

import argparse
from pathlib import Path

from emotion.foundation.errors import UserError
from emotion.foundation.files import integer

_SIZES_PX = (8, 1024)  # as preprocess.size_px
_LABELS = (2, 1000)  # as many as a model file may have


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line: which parameters, and for which pictures."""
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="file whose `model` section is used")
    parser.add_argument("--size-px", type=integer, default=48, help="side of the picture (default 48)")
    parser.add_argument("--channels", type=integer, choices=(1, 3), default=1, help="1 (grey, default) or 3 (colour)")
    parser.add_argument("--labels", type=integer, default=7, help="number of labels (default 7)")


def run(arguments: argparse.Namespace) -> int:
    """Print a line for each network that the parameter file has a block for.

    Raises UserError for an unusable file, or pictures that no network takes.
    """
    for option, value, (least, most) in (
        ("--size-px", arguments.size_px, _SIZES_PX),
        ("--labels", arguments.labels, _LABELS),
    ):
        if not least <= value <= most:
            raise UserError(f"{option} is {value}; it must be {least} to {most}")
    if not arguments.params.exists():
        raise UserError(
            f"{arguments.params} does not exist; run this in the project's folder, or name a file with --params"
        )
    from emotion.commands.network_costs import cost, read_networks  # here, as it imports TensorFlow

    networks = read_networks(arguments.params)
    shape = (arguments.size_px, arguments.size_px, arguments.channels)
    costs = {name: cost(network, shape, arguments.labels) for name, network in networks.items()}
    print(f"{'network':<16}{'parameters':>12}{'multiply-adds':>16}   at {shape}, {arguments.labels} labels")
    for name, (parameters, operations) in costs.items():
        print(f"{name:<16}{parameters:>12,}{operations:>16,}")
    return 0
