"""FER2013's CSV: each row a picture, its pixels written as text. They go to a nameless file, none stays in memory."""

import csv
import io
import math
import re
import tempfile
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any, NamedTuple

import cv2
import numpy as np

from emotion.dataset.archive.faces import DatasetError
from emotion.dataset.labels import FER2013_CODES
from emotion.foundation.errors import UserError, disk_problem
from emotion.foundation.files import read_at

COLUMNS = ("emotion", "pixels", "Usage")
_USAGES = {"Training": "train", "PublicTest": "test", "PrivateTest": "test"}
_LABELS = {str(code): label for code, label in enumerate(FER2013_CODES)}
_NUMBERS = re.compile(r"[0-9\s]*", re.ASCII)
_MAX_TABLE_BYTES = 10_000_000_000  # FER2013 has 301 million; of pictures of 224x224 it would have 6,500 million
_MAX_LINES = 1_000_000  # each keeps half a kilobyte of memory; FER2013 has 35,888
_MAX_LINE = 2**24  # characters, enough for a picture of 2048x2048


class Place(NamedTuple):
    """Where the pixels of a square picture lie in the nameless file."""

    offset: int
    size_px: int


@contextmanager
def opened_rows(content: IO[bytes], *, where: str) -> Iterator[Iterator[list[str]]]:
    """The rows of an open table, which is closed at the end; they raise DatasetError where they would fill the memory.

    Args:
        content: of the table.
        where: its name, for errors.
    """
    csv.field_size_limit(_MAX_LINE)  # its own limit is a picture of about 180x180
    with io.TextIOWrapper(content, encoding="utf-8-sig", errors="replace", newline="") as table:
        yield csv.reader(_lines(table, where=where))


def header(rows: Iterator[list[str]]) -> list[str]:
    """The column names, stripped: icml_face_data.csv has spaces before them."""
    return [column.strip() for column in next(rows, [])]


def check_table_size(size_bytes: int, *, where: str) -> None:
    """Raise DatasetError when no table of faces has so many bytes, before any of them is unpacked."""
    if size_bytes > _MAX_TABLE_BYTES:
        raise DatasetError(
            f"{where} has {size_bytes / 1e9:,.1f} GB of text, more than {_MAX_TABLE_BYTES / 1e9:g}; keep so many faces "
            "as pictures, in a folder or a zip"
        )


def read_pictures(
    rows: Iterator[list[str]], columns: list[str], *, where: str, scratch: Path | None
) -> tuple[dict[str, Place], Callable[[Any], bytes]]:
    """Read the rows after the header: path in the archive -> place of the pixels, and what makes a PNG of a place.

    Args:
        columns: the names in the header.
        where: of the table, for errors.
        scratch: folder for the pixels, which take a byte each; None for the system's folder of temporary files.

    Raises DatasetError for a row that is none, UserError when the disk is full.
    """
    places = [columns.index(column) for column in COLUMNS]
    pixels = _Pixels(scratch)
    keys: dict[str, Place] = {}
    number = -1
    try:
        for number, row in enumerate(row for row in rows if row):
            emotion, text, usage = (row[place] for place in places)
            path = f"{_USAGES[usage.strip()]}/{_LABELS[emotion.strip()]}/{usage.strip()}_{number}.png"
            keys[path] = pixels.keep(_values(text))
    except (KeyError, IndexError, ValueError, csv.Error) as error:
        raise DatasetError(f"{where}, data row {number}: not a FER2013 row ({error!r})") from error
    return keys, partial(_png, pixels)


class _Pixels:
    """Square pictures in a file without a name, which is gone with this object."""

    def __init__(self, folder: Path | None) -> None:
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._size_bytes = folder or Path(tempfile.gettempdir()), 0
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - closed with this object
        weakref.finalize(self, self._file.close)

    def keep(self, values: bytes) -> Place:
        """Append a picture. Raises UserError that names the folder, as on a full disk."""
        place, rest = Place(self._size_bytes, math.isqrt(len(values))), values
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            error.filename = str(self._folder)
            raise UserError(f"the pixels cannot be kept: {disk_problem(error) or error}") from None
        self._size_bytes += len(values)
        return place

    def read(self, place: Place) -> np.ndarray:
        """A picture: uint8 [size_px, size_px], 0-255; any threads may."""
        content = read_at(self._file.fileno(), place.size_px**2, place.offset)
        return np.frombuffer(content, np.uint8).reshape(place.size_px, place.size_px)


def _lines(table: io.TextIOWrapper, *, where: str) -> Iterator[str]:
    for number in range(_MAX_LINES + 1):
        line = table.readline(_MAX_LINE)
        if len(line) == _MAX_LINE:
            raise DatasetError(f"{where}: a line of more than {_MAX_LINE:,} characters: no table of faces has one")
        if not line:
            return
        if number < _MAX_LINES:
            yield line
    raise DatasetError(
        f"{where} has more than {_MAX_LINES:,} lines; keep so many faces as pictures, in a folder or a zip"
    )


def _values(text: str) -> bytes:
    """Pixels of one row, a square number of them; raises ValueError."""
    if not _NUMBERS.fullmatch(text):  # int() would also take `1_0` and other scripts' digits
        raise ValueError("pixels are whole numbers, 0 to 255, with spaces between them")
    values = bytes(map(int, text.split()))  # refuses what is over 255
    if not values or math.isqrt(len(values)) ** 2 != len(values):
        raise ValueError(f"{len(values)} pixels: not a square")
    return values


def _png(pixels: _Pixels, place: Place) -> bytes:
    return cv2.imencode(".png", pixels.read(place))[1].tobytes()
