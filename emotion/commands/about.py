"""Print what a model file holds: labels, input size, temperature, and what it was made with, as JSON."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from emotion.inference.models import PUBLISHED, open_model


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `emotion about`."""
    parser.add_argument("model", nargs="?", type=Path, default=PUBLISHED, help="default: the one in the package")


def run(arguments: argparse.Namespace) -> int:
    """Print it."""
    print(json.dumps(asdict(open_model(arguments.model).about), indent=2, sort_keys=True))
    return 0
