"""Predictions -> text: a table for people, JSON and CSV for programs. Written as they come."""

import csv
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Self, TextIO

from emotion.foundation.errors import UserError, shown
from emotion.foundation.files import written_whole
from emotion.inference.given.prior import TRAINING
from emotion.inference.predictor import FacePrediction, Prediction


@contextmanager
def written_text(path: Path) -> Iterator[TextIO]:
    """A file for text in UTF-8, which appears at `path` once it is whole; stdout, or a pipe, gets it as it comes.

    What has no place in UTF-8, as in the names of some files, becomes escapes. Raises UserError for a folder.
    """
    if path.is_dir():
        raise UserError(f"{path} cannot be written: it is a folder; name a file in it")
    with (
        _opened(path) as opened,
        open(opened, "w", encoding="utf-8", errors="backslashreplace", newline="") as file,  # noqa: PTH123
    ):
        yield file


@contextmanager
def _opened(path: Path) -> Iterator[Path | int]:
    """What to open for `path`: stdout's descriptor where it is stdout, whatever that leads to."""
    if is_stdout(path):
        sys.stdout.flush()
        yield os.dup(sys.stdout.fileno())
    elif is_stream(path):  # a named pipe: nothing can be written beside it
        yield path
    else:
        with written_whole(path) as part:
            yield part


def is_stream(path: Path) -> bool:
    """Whether what is written to the path goes to a program or a person as it comes: stdout, a pipe, a terminal."""
    return is_stdout(path) or (path.exists() and not path.is_file())


def is_stdout(path: Path) -> bool:
    """Whether the path leads to where stdout does, as /dev/stdout."""
    try:
        return os.path.samestat(path.stat(), os.fstat(sys.stdout.fileno()))
    except (OSError, ValueError, AttributeError):  # there is no such path, or no stdout
        return False


class TableWriter:
    """Aligned columns; the picture's name comes last, as it may have any length."""

    def __init__(self, out: TextIO, labels: Sequence[str]) -> None:
        self._out, self._labels = out, labels
        self._widths = [max(len(label), 5) for label in labels]
        self._prior = TRAINING

    def __enter__(self) -> Self:
        names = "  ".join(f"{label:>{width}}" for label, width in zip(self._labels, self._widths, strict=True))
        print(f"{'label':<{self._label_width()}}  {names}  {'box':<20}  picture", file=self._out)
        return self

    def __exit__(self, *_: object) -> None:
        """Say which prior was used, where it is not that of the training."""
        if self._prior != TRAINING:
            print(f"prior: {self._prior}", file=self._out)

    def write(self, prediction: Prediction) -> None:
        """One row per face; a single row that says so where there is none."""
        self._prior = prediction.prior
        if prediction.error is not None:
            return
        if not prediction.faces:
            blank = "  ".join(" " * width for width in self._widths)
            print(f"{'no face':<{self._label_width()}}  {blank}  {'':<20}  {shown(prediction.source)}", file=self._out)
        for face in prediction.faces:
            values = "  ".join(
                f"{face.probabilities[label]:>{width}.2f}"
                for label, width in zip(self._labels, self._widths, strict=True)
            )
            print(
                f"{face.label:<{self._label_width()}}  {values}  {_box_text(face):<20}  {shown(prediction.source)}",
                file=self._out,
            )

    def _label_width(self) -> int:
        return max(9, *(len(label) for label in self._labels))


class JsonWriter:
    """A JSON list: one object per picture."""

    def __init__(self, out: TextIO, labels: Sequence[str]) -> None:
        self._out, self._first = out, True

    def __enter__(self) -> Self:
        self._out.write("[")
        return self

    def __exit__(self, *_: object) -> None:
        self._out.write("\n]\n")

    def write(self, prediction: Prediction) -> None:
        """Append one object."""
        self._out.write("\n" if self._first else ",\n")
        self._out.write(json.dumps(as_dict(prediction)))
        self._first = False


class CsvWriter:
    """One row per face: path, face (1 is the first), box, label, confidence, a column per label, prior, error."""

    def __init__(self, out: TextIO, labels: Sequence[str]) -> None:
        self._writer, self._labels = csv.writer(out, lineterminator="\n"), list(labels)

    def __enter__(self) -> Self:
        box = ["left", "top", "width", "height"]
        self._writer.writerow(["path", "face", *box, "score", "label", "confidence", *self._labels, "prior", "error"])
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to close."""

    def write(self, prediction: Prediction) -> None:
        """One row per face; a single row without one where there is none, or an error."""
        empty = [""] * (8 + len(self._labels))
        if not prediction.faces:
            self._writer.writerow([shown(prediction.source), *empty, prediction.prior, shown(prediction.error or "")])
        for number, face in enumerate(prediction.faces, start=1):
            box = list(face.box.rounded()) if face.box else [""] * 4
            score = "" if face.score is None else f"{face.score:.4f}"
            values = [f"{face.probabilities[label]:.6f}" for label in self._labels]
            face_facts = [number, *box, score, face.label, f"{face.confidence:.6f}", *values]
            self._writer.writerow([shown(prediction.source), *face_facts, prediction.prior, ""])


def as_dict(prediction: Prediction, numbers: Iterable[int] | None = None) -> dict[str, Any]:
    """One picture as JSON: `path`, and `error` or `width`, `height`, `prior` and `faces`, numbered from 1 up."""
    if prediction.error is not None:
        return {"path": prediction.source, "error": prediction.error}
    size = {"width": prediction.width, "height": prediction.height}
    return {
        "path": prediction.source,
        **size,
        "prior": prediction.prior,
        "faces": [
            _face_dict(number, face) for number, face in zip(numbers or count(1), prediction.faces, strict=False)
        ],
    }


def _face_dict(number: int, face: FacePrediction) -> dict[str, Any]:
    box = dict(zip(("left", "top", "width", "height"), face.box.rounded(), strict=True)) if face.box else None
    return {
        "face": number,
        "box": box,
        "score": None if face.score is None else round(face.score, 4),
        "label": face.label,
        "confidence": round(face.confidence, 6),
        "probabilities": {label: round(value, 6) for label, value in face.probabilities.items()},
    }


def _box_text(face: FacePrediction) -> str:
    if face.box is None:
        return "whole picture"
    left, top, width, height = face.box.rounded()
    return f"{width}x{height}+{left}+{top}"
