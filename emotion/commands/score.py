"""How good a model is on your own pictures: a folder with one subfolder for each label.

Prints the accuracy with a 95 % interval, the recall of each label, and the confusion matrix. Unless --no-detect is
given, the most prominent face of each picture counts; pictures without a face are counted but not scored.
"""

import argparse
import json
import sys
from pathlib import Path

from emotion.commands.options import add_model_options, predictor_from
from emotion.foundation.errors import shown
from emotion.inference.labelled_pictures import labelled_pictures, score


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `emotion score`."""
    parser.add_argument("folder", type=Path, help="with a subfolder for each label, named after it")
    add_model_options(parser)
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")


def run(arguments: argparse.Namespace) -> int:
    """Score and print; 2 when a file could not be used, else 0."""
    predictor = predictor_from(arguments)
    pictures = labelled_pictures(arguments.folder, predictor.labels)
    scored = score(predictor, pictures)
    for source, reason in scored.errors:
        print(f"emotion: {shown(source)}: {shown(reason)}", file=sys.stderr)
    print(json.dumps(scored.as_dict(), indent=2) if arguments.json else "\n".join(scored.lines()))
    return 2 if scored.errors else 0
