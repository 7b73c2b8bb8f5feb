"""Find every face in pictures, folders and globs, and recognise its emotion.

One row per face, the most prominent first, pictures in the order given. A file that cannot be used is reported on
stderr and skipped; the exit status is then 2.
"""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

from emotion.commands.options import add_model_options, new_folder, predictor_from
from emotion.dataset.picture_files import expand
from emotion.foundation.errors import shown
from emotion.inference.annotation import annotated_name, write_annotated
from emotion.inference.writers import CsvWriter, JsonWriter, TableWriter


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `emotion predict`."""
    parser.add_argument("paths", nargs="+", metavar="PATH", help="pictures, folders, quoted globs")
    add_model_options(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--json", action="store_const", dest="writer", const=JsonWriter, help="a JSON list, one item per picture"
    )
    form.add_argument("--csv", action="store_const", dest="writer", const=CsvWriter, help="CSV, one row per face")
    parser.add_argument("--annotate", type=Path, metavar="DIR", help="also write the pictures with boxes and bars")
    parser.set_defaults(writer=TableWriter)


def run(arguments: argparse.Namespace) -> int:
    """Predict and print; 2 when a file could not be used, else 0."""
    paths = list(expand(arguments.paths))
    predictor = predictor_from(arguments)
    folder = new_folder(arguments.annotate) if arguments.annotate else None
    taken = [path.name for path in paths if folder and path.absolute().parent.resolve() == folder.resolve()]
    status, names = 0, NumberedNames(taken)
    with arguments.writer(sys.stdout, predictor.labels) as writer:
        for prediction in predictor.predict_many(paths):
            writer.write(prediction)
            if prediction.error is not None:
                print(f"emotion: {shown(prediction.source)}: {shown(prediction.error)}", file=sys.stderr)
                status = 2
            elif folder is not None:
                write_annotated(prediction, folder / names.name(annotated_name(Path(prediction.source))))
    return status


class NumberedNames:
    """File names that do not collide with one another, nor with those `taken`: a.png, a-2.png, a-3.png."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._used = {name.lower() for name in taken}

    def name(self, wanted: str) -> str:
        """The name, with a number where it is taken."""
        name, number = wanted, 1
        while name.lower() in self._used:
            number += 1
            name = f"{Path(wanted).stem}-{number}{Path(wanted).suffix}"
        self._used.add(name.lower())
        return name
