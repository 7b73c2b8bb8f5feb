"""How good a model is on your own pictures: a folder with one subfolder for each label.

Prints the accuracy with a 95 % interval, the recall of each label, and the confusion matrix. Unless --no-detect is
given, the most prominent face of each picture counts; pictures without a face are counted but not scored. If
subfolders are not named after the model's labels, --labels says which is which.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

from emotion.commands.terminal.options import add_model_options, predictor_from
from emotion.commands.terminal.progress import progress
from emotion.commands.terminal.saying import tell
from emotion.foundation.errors import UserError, shown
from emotion.inference.labelled_pictures import labelled_pictures, score

_EXPECTED = "expected a params.yaml, or old=new,… such as furious=cross,unsure="


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `emotion score`."""
    parser.add_argument("folder", type=Path, help="with a subfolder for each label, named after it")
    add_model_options(parser)
    parser.add_argument(
        "--labels",
        metavar="NAMES",
        help="what the model calls the subfolders: a params.yaml (its data.labels), or old=new,… (old= leaves it out)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")


def run(arguments: argparse.Namespace) -> int:
    """Score and print; 2 when a file could not be used, else 0."""
    predictor = predictor_from(arguments)
    names = parse_names(arguments.labels) if arguments.labels is not None else {}
    pictures = labelled_pictures(arguments.folder, predictor.label_of, names)
    with progress(len(pictures), "pictures") as done:
        scored = score(predictor, pictures, progress=done)
    for source, reason in scored.errors:
        tell(f"{source}: {reason}")
    print(json.dumps(scored.as_dict(), indent=2) if arguments.json else "\n".join(scored.lines()))
    return 2 if scored.errors else 0


def parse_names(text: str) -> dict[str, str | None]:
    """Read what a person gives as --labels: a params.yaml, or `old=new,…`; an empty `new` is None. Raises UserError."""
    if "=" not in text or _is_file(text):
        return _names_in(Path(text))
    names: dict[str, str | None] = {}
    for part in text.split(","):
        old, equals, new = (each.strip() for each in part.partition("="))
        if not old or not equals:
            raise UserError(f"--labels: {part.strip()[:100]!r} is not old=new; {_EXPECTED}")
        if old in names:
            raise UserError(f"--labels: {old!r} is there twice; name each subfolder once")
        names[old] = new or None
    return names


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except OSError:  # longer than a file's name can be
        return False


def _names_in(path: Path) -> dict[str, str | None]:
    if not _is_file(str(path)):
        raise UserError(f"--labels: there is no file {shown(path)}; {_EXPECTED}")
    try:
        from emotion.foundation.params import read_params
    except ImportError:
        raise UserError("--labels: a params.yaml needs the extra `pipeline`; write the names out: old=new,…") from None
    data = read_params(path).get("data")
    names = data.get("labels") if isinstance(data, Mapping) else None
    if not isinstance(names, Mapping) or not all(
        isinstance(old, str) and (new is None or isinstance(new, str)) for old, new in names.items()
    ):
        raise UserError(f"--labels: {shown(path)} has no data.labels that map old names to new ones; {_EXPECTED}")
    return dict(names)
