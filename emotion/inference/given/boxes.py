"""Boxes that the caller gives in place of the detector's: checked, made square, and read from a file.

A file of boxes is what `emotion predict --csv` or `--json` writes, or any other with the same names: a CSV with the
columns path, left, top, width, height, or a JSON list of {"path": …, "faces": [{"box": {"left": …}}]}. More columns and
keys may be there. Boxes are in pixels of the picture turned upright.
"""

import csv
import io
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

from emotion.foundation.errors import UserError, did_you_mean, reason, shown
from emotion.foundation.files import number, read_small
from emotion.inference.detector import Box

_SIDES = Box._fields
_COLUMNS = ("path", *_SIDES)
_MOST_BYTES = 50_000_000  # of a file: 300,000 faces as --csv writes them
MOST_FAULTS = 1000  # that are kept: a file of nothing else would fill the memory
_INSIDE = 0.5  # least share of a box that lies in the picture: a right and bottom edge given as a size has less


class BoxError(UserError):
    """A box that is no part of its picture; the message says which."""


@dataclass
class BoxFile:
    """What a file of boxes says.

    Attributes:
        name: of the file.
        paths: the pictures that it names, in their order; relative ones are meant from the current folder.
        faults: one line for each thing that is wrong, MOST_FAULTS at most.
    """

    name: str
    paths: list[Path] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    _boxes: dict[str, list[Box]] = field(default_factory=dict)

    def of(self, path: Path) -> list[Box] | None:
        """The boxes of a picture in their order, which may be none; None where the file doesn't name the picture."""
        return self._boxes.get(_key(path))

    def fault(self, line: str) -> None:
        """Note what is wrong, as far as there is room for it."""
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(line)

    def add(self, path: str, values: Sequence[Any] | None, where: str) -> None:
        """Note a box of a picture, or that it has none, or what is wrong with it."""
        if _key(path) not in self._boxes:
            self.paths.append(Path(path))
        boxes = self._boxes.setdefault(_key(path), [])
        if values is None:
            return
        try:
            boxes.append(as_box([_number(value) for value in values]))
        except BoxError as error:
            self.fault(f"{self.name}, {where}: {error}")


def as_box(value: Sequence[float]) -> Box:
    """Left, top, width and height in pixels -> Box. Raises BoxError unless it is four numbers, the size above 0."""
    try:
        numbers = [float(number) for number in value]
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) != 4 or not all(map(isfinite, numbers)):
        raise BoxError(f"{_listed(value)} is no box; expected four numbers: left, top, width, height in pixels")
    if not (numbers[2] > 0 and numbers[3] > 0):
        raise BoxError(f"{_listed(value)}: width and height must be more than 0")
    return Box(*numbers)


def check_inside(boxes: Sequence[Box], *, width: int, height: int) -> None:
    """Raise BoxError where less than half of a box lies in its picture of `width` x `height` pixels."""
    for index, box in enumerate(boxes, start=1):
        across = min(box.left + box.width, width) - max(box.left, 0)
        down = min(box.top + box.height, height) - max(box.top, 0)
        if max(0.0, across) * max(0.0, down) < _INSIDE * box.width * box.height:
            raise BoxError(
                f"box {index} ({_listed(box)}) lies outside the picture of {width}x{height} pixels, or most of it "
                "does; expected left, top, width, height"
            )


def squared(box: Box) -> Box:
    """The square of the same middle and area, which is how the network saw faces.

    Squeezing YuNet's own boxes, a third taller than wide, into a square costs 2 points of accuracy on FER2013.
    """
    side = (box.width * box.height) ** 0.5
    return Box(box.left + (box.width - side) / 2, box.top + (box.height - side) / 2, side, side)


def read_box_file(path: Path) -> BoxFile:
    """Read a file of boxes by its suffix, .csv or .json.

    Raises UserError: missing, another suffix, no text, no such columns. What is wrong with a row is among `faults`.
    """
    readers = {".csv": _read_csv, ".json": _read_json}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise UserError(f"--boxes {shown(path)}: expected a .csv or .json file")
    try:
        text = read_small(path, _MOST_BYTES).decode("utf-8-sig")
    except UserError as error:
        raise UserError(f"--boxes {error}") from None
    except UnicodeDecodeError:
        raise UserError(f"--boxes {shown(path)}: cannot be read, as it is not text in UTF-8") from None
    found = BoxFile(shown(path))
    reader(text, found)
    if not found.paths and not found.faults:
        raise UserError(f"--boxes {found.name}: names no picture")
    return found


def _read_csv(text: str, found: BoxFile) -> None:
    rows = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        names = list(rows.fieldnames or [])
        for column in _COLUMNS:
            if column not in names:
                expected = f"expected the columns {', '.join(_COLUMNS)}"
                raise UserError(f"--boxes {found.name}: no column {column!r}{did_you_mean(column, names)}; {expected}")
        for row in rows:
            _add_row(row, found, f"line {rows.line_num}", len(names))
    except csv.Error as error:
        raise UserError(f"--boxes {found.name}: line {rows.line_num} is not CSV ({error})") from None


def _add_row(row: dict[Any, Any], found: BoxFile, where: str, columns: int) -> None:
    fields = sum(value is not None for name, value in row.items() if name is not None) + len(row.get(None, []))
    values = [row[side] for side in _SIDES]
    if fields != columns:
        found.fault(f"{found.name}, {where}: {fields} fields; expected {columns}, as in the first line")
    elif not row["path"]:
        found.fault(f"{found.name}, {where}: no path")
    elif not any(values) and row.get("face"):
        found.fault(f"{found.name}, {where}: a face without a box; expected {', '.join(_SIDES)}")
    else:
        found.add(row["path"], values if any(values) else None, where)


def _read_json(text: str, found: BoxFile) -> None:
    try:
        pictures = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"--boxes {found.name}: not JSON ({reason(error)})") from None
    if not isinstance(pictures, list):
        raise UserError(f'--boxes {found.name}: expected a list of {{"path": …, "faces": [{{"box": …}}]}}')
    for place, picture in enumerate(pictures, start=1):
        where = f"picture {place}"
        path = picture.get("path") if isinstance(picture, dict) else None
        faces = picture.get("faces", [] if "error" in picture else None) if isinstance(picture, dict) else None
        if not isinstance(path, str) or not path or not isinstance(faces, list):
            found.fault(f"{found.name}, {where}: expected an object with a path and a list of faces")
            continue
        found.add(path, None, where)
        for index, face in enumerate(faces, start=1):
            box = face.get("box") if isinstance(face, dict) else None
            if isinstance(box, dict) and all(side in box for side in _SIDES):
                found.add(path, [box[side] for side in _SIDES], f"{where}, face {index}")
            else:
                expected = f"expected a box with {', '.join(_SIDES)}"
                found.fault(f"{found.name}, {where}, face {index}: {expected}")


def _key(path: str | Path) -> str:
    return os.path.normcase(os.path.abspath(path))  # noqa: PTH100 (which also takes `a/../b` away, as Path does not)


def _number(value: Any) -> float:
    """A number of a file. Raises BoxError for anything else, also true and "nan"."""
    try:
        found = number(value) if isinstance(value, str) else float("nan" if isinstance(value, bool) else value)
        if isfinite(found):
            return found
    except (TypeError, ValueError, OverflowError):
        pass
    raise BoxError(f"{_short(value)} is no number; expected left, top, width, height in pixels")


def _short(value: Any) -> str:
    """How a value is written in Python, its middle left out where it is long."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer of more than 4,300 digits
        return "what is there"
    return text if len(text) <= 60 else f"{text[:40]}…{text[-10:]}"


def _listed(value: Any) -> str:
    try:
        return ", ".join(f"{number:g}" for number in value)
    except (TypeError, ValueError):
        return repr(value)[:100]
