"""Find every face in pictures, folders and globs, and recognise its emotion.

One row per face, the most prominent first, pictures in the order given. A file that cannot be used is reported on
stderr and skipped; the exit status is then 2. With --boxes FILE you say where the faces are, in place of the detector.
"""

import argparse
import contextlib
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from emotion.commands.annotated_folder import AnnotatedFolder
from emotion.commands.terminal.options import add_model_options, files_read, predictor_from
from emotion.commands.terminal.progress import progress
from emotion.commands.terminal.saying import tell
from emotion.dataset.picture_files import expand
from emotion.foundation.errors import UserError, shown
from emotion.inference.given.boxes import MOST_FAULTS, BoxFile, read_box_file
from emotion.inference.outputs import check_output
from emotion.inference.predictor import Prediction, Predictor
from emotion.inference.writers import CsvWriter, JsonWriter, TableWriter, written_text

Writer = type[TableWriter] | type[JsonWriter] | type[CsvWriter]
_EXAMPLE = """\
emotion predict photo.jpg folder/                  # every face: its label, probabilities and box
emotion predict folder/ --output faces.csv         # for programs; `emotion predict --help` lists all options
"""
_WRITERS: Mapping[str, Writer] = {".csv": CsvWriter, ".json": JsonWriter}  # by the output's suffix
_MOST_FAULTS = 20  # of a file of boxes that are listed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `emotion predict`."""
    parser.add_argument("paths", nargs="*", metavar="PATH", help="pictures, folders, quoted globs")
    add_model_options(parser)
    parser.add_argument(
        "--boxes",
        type=Path,
        metavar="FILE",
        help="where the faces are: a .csv with the columns path, left, top, width, height (pixels of the upright "
        "picture), or a .json, as --csv and --json write them; without PATH, all pictures that it names",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--json", action="store_const", dest="writer", const=JsonWriter, help="a JSON list, one item per picture"
    )
    form.add_argument("--csv", action="store_const", dest="writer", const=CsvWriter, help="CSV, one row per face")
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="write to FILE, as CSV or JSON where its name ends in .csv or .json"
    )
    parser.add_argument("--annotate", type=Path, metavar="DIR", help="also write the pictures with boxes and bars")


def run(arguments: argparse.Namespace) -> int:
    """Predict and print; 2 when a file could not be used, else 0."""
    if not arguments.paths and not arguments.boxes:
        print(_EXAMPLE, end="", file=sys.stderr)
        return 2
    _check(arguments)
    boxes = read_box_file(arguments.boxes) if arguments.boxes else None
    if boxes and boxes.faults:
        return _tell(boxes.faults)
    paths = list(expand(arguments.paths)) if arguments.paths or not boxes else boxes.paths
    if arguments.output:
        read = {"one of the pictures": paths, "the file of --boxes": [arguments.boxes] if boxes else []}
        check_output(arguments.output, {**read, **files_read(arguments)}, is_text=True)
    if boxes and not any(boxes.of(path) is not None for path in paths):
        ways = f"its first path is {shown(boxes.paths[0])}, the first picture given {shown(paths[0])}"
        raise UserError(f"--boxes {boxes.name} has no row for any of the pictures: {ways}")
    predictor = predictor_from(arguments)
    return _write(arguments, predictor, paths, _predictions(predictor, paths, boxes))


def _write(
    arguments: argparse.Namespace, predictor: Predictor, paths: Sequence[Path], predictions: Iterable[Prediction]
) -> int:
    """Print or write the predictions as they come, and annotated pictures where asked for; returns the exit status."""
    folder = AnnotatedFolder(arguments.annotate) if arguments.annotate else None
    status, writer_of = 0, _writer_of(arguments)
    to_terminal = not arguments.output and sys.stdout.isatty()
    no_bar = to_terminal and writer_of is JsonWriter  # which leaves its last line open
    with (
        written_text(arguments.output) if arguments.output else contextlib.nullcontext(sys.stdout) as out,
        writer_of(out, predictor.labels) as writer,
        progress(len(paths), "pictures", hidden=no_bar) as done,
    ):
        for prediction in predictions:
            with done.aside() if to_terminal else contextlib.nullcontext():
                writer.write(prediction)
            if prediction.error is not None:
                status = 2
                with done.aside():
                    tell(f"{prediction.source}: {prediction.error}")
            elif folder is not None:
                folder.write(prediction)
            done()
    return status


def _check(arguments: argparse.Namespace) -> None:
    """Raise UserError for what cannot be meant."""
    for path in map(Path, arguments.paths):
        if path.suffix.lower() in _WRITERS and not os.path.isdir(path):  # noqa: PTH112 (Path.is_dir raises for a long name)
            raise UserError(f"{path} is not a picture; to write the result there, use --output {path}")
    if arguments.boxes and arguments.no_detect:
        raise UserError("--boxes says where the faces are, --no-detect that each picture is one; leave one out")
    if arguments.boxes and arguments.small_faces:
        raise UserError("--small-faces looks for faces, and --boxes says where they are; leave one out")
    if arguments.boxes and arguments.largest:
        raise UserError("--largest chooses among the faces that are found, not among those of --boxes; leave one out")


def _tell(faults: Sequence[str]) -> int:
    for fault in faults[:_MOST_FAULTS]:
        tell(fault)
    if len(faults) > _MOST_FAULTS:
        more = "many" if len(faults) == MOST_FAULTS else len(faults) - _MOST_FAULTS
        tell(f"and {more} more like these")
    return 2


def _writer_of(arguments: argparse.Namespace) -> Writer:
    suffix = arguments.output.suffix.lower() if arguments.output else ""
    return arguments.writer or _WRITERS.get(suffix, TableWriter)


def _predictions(predictor: Predictor, paths: Sequence[Path], boxes: BoxFile | None) -> Iterator[Prediction]:
    """Predict in order; what the boxes don't name gets a Prediction with an error."""
    if boxes is None:
        yield from predictor.predict_many(paths)
        return
    named = [path for path in paths if boxes.of(path) is not None]
    predictions = predictor.predict_many(named, boxes=map(boxes.of, named))
    for path in paths:
        if boxes.of(path) is not None:
            yield next(predictions)
        else:
            yield Prediction(str(path), 0, 0, (), error=f"no row in {boxes.name}", prior=predictor.prior.name)
