"""Options that several subcommands share."""

import argparse
import os
from pathlib import Path

from emotion.foundation.errors import UserError
from emotion.foundation.files import number
from emotion.inference.detector import YuNet
from emotion.inference.given.merging import parse_groups
from emotion.inference.given.prior import TRAINING
from emotion.inference.models import PUBLISHED
from emotion.inference.predictor import Predictor


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """--model, --no-detect, --min-score, --small-faces, --largest, --prior, --merge, --min-confidence."""
    parser.add_argument(
        "--model",
        type=Path,
        action="append",
        metavar="FILE",
        help=".tflite, .onnx or .keras; repeat it to average several (default: the one in the package)",
    )
    parser.add_argument("--no-detect", action="store_true", help="each picture is one face crop: do not look for faces")
    parser.add_argument(
        "--min-score",
        type=number,
        default=YuNet.MIN_SCORE,
        metavar="S",
        help="boxes that the face detector scores below S (0 to 1) are not faces (default %(default)s)",
    )
    parser.add_argument(
        "--small-faces",
        action="store_true",
        help="look a second time for faces too small for the first look: down to an 80th of the picture's longer side "
        "in place of a 40th; finding faces takes about five times as long",
    )
    parser.add_argument(
        "--largest",
        action="store_true",
        help="the first face only: the largest, unless the face detector is less sure of it",
    )
    parser.add_argument(
        "--prior",
        default=TRAINING,
        metavar="PRIOR",
        help="how frequent the labels are where the pictures come from: training (default), even, label=share,… or a "
        "JSON file; the probabilities are recomputed by Bayes' rule",
    )
    parser.add_argument(
        "--merge",
        action="append",
        default=[],
        metavar="NAME=LABEL,…",
        help="one label in place of several, whose probabilities add up: negative=angry,disgust,fear,sad; once for "
        "each new label",
    )
    parser.add_argument(
        "--min-confidence",
        type=number,
        default=0.0,
        metavar="P",
        help='a face whose best probability is below P (0 to 1) is labelled "uncertain"',
    )


def predictor_from(arguments: argparse.Namespace) -> Predictor:
    """Build the Predictor that the options ask for. Raises UserError."""
    if arguments.largest and arguments.no_detect:
        raise UserError("--largest chooses among the faces that are found, and --no-detect finds none; leave one out")
    if arguments.small_faces and arguments.no_detect:
        raise UserError("--small-faces looks for faces, and --no-detect for none; leave one out")
    if not 0 < arguments.min_score <= 1:
        raise UserError(f"--min-score is {arguments.min_score}; it must be more than 0, and at most 1")
    detector = None if arguments.no_detect else "default"
    models = arguments.model or [PUBLISHED]
    return Predictor(
        models,
        detector=detector,  # type: ignore[arg-type]
        min_score=arguments.min_score,
        small_faces=arguments.small_faces,
        prior=arguments.prior,
        merge=parse_groups(arguments.merge),
        largest=arguments.largest,
        min_confidence=arguments.min_confidence,
    )


def files_read(arguments: argparse.Namespace) -> dict[str, list[Path]]:
    """The files that these options name, by what they are; no output may be written over one of them."""
    prior = [Path(arguments.prior)] if os.path.isfile(arguments.prior) else []  # noqa: PTH113 (it may be any text)
    return {"the model": arguments.model or [PUBLISHED], "the file of --prior": prior}


def new_folder(path: Path) -> Path:
    """Make a folder to write to. Raises UserError."""
    if path.exists() and not path.is_dir():
        raise UserError(f"folder {path} cannot be created: it is a file; name another folder")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"folder {path} cannot be created ({error.strerror}); name another folder") from None
    return path
