"""Images in files, read when they are asked for: memory holds where each of them begins, eight bytes an image."""

import math
import os
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from emotion.foundation.errors import UserError
from emotion.foundation.files import read_at

Rows = slice | np.ndarray | Sequence[int]


class Images(Protocol):
    """What an array of images has in common with images that lie in files."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of images, then the shape of one."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Rows, /) -> np.ndarray: ...


class ChosenImages:
    """Some rows of images, in an order of their own; not one is copied.

    Args:
        images: to choose from.
        rows: int [n], the numbers of those chosen.
    """

    def __init__(self, images: Images, rows: np.ndarray) -> None:
        self.shape = (len(rows), *images.shape[1:])
        self._images, self._rows = images, rows

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Rows, /) -> np.ndarray:
        return self._images[self._rows[rows]]


class StoredImages:
    """Images of one shape that lie in files, to be indexed as a NumPy array of them would be.

    They are read at their offsets, not through a mapping, whose pages would count as memory of this process.

    Attributes:
        shape: of that array: number of images, then the shape of one.

    Args:
        files: that hold the images; they stay open, so that replacing one changes nothing here.
        counts: how many images each file holds.
        offsets: int64 [n], bytes from the beginning of its file to each image, file after file.
        shape: of an image, one byte an element.
    """

    def __init__(self, files: Sequence[Path], counts: Sequence[int], offsets: np.ndarray, shape: Sequence[int]) -> None:
        self.shape = (len(offsets), *shape)
        self._files, self._offsets = list(files), offsets
        self._ends = np.cumsum(counts, dtype=np.int64)  # the rows that begin the next file
        self._image_bytes = math.prod(shape)
        self._open = [os.open(file, os.O_RDONLY | getattr(os, "O_BINARY", 0)) for file in files]
        weakref.finalize(self, _close, self._open)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Rows, /) -> np.ndarray:
        """Read images: uint8 [rows, ...].

        Args:
            rows: a slice, or row numbers, 0 to n - 1, in any order.

        Raises IndexError for other numbers, UserError where a file cannot be read or has become shorter.
        """
        numbers = np.arange(*rows.indices(len(self))) if isinstance(rows, slice) else np.asarray(rows, np.int64)
        if len(numbers) and not 0 <= numbers.min() <= numbers.max() < len(self):
            raise IndexError(f"rows {numbers.min()} to {numbers.max()} of {len(self)} images")
        places = np.searchsorted(self._ends, numbers, side="right").tolist()
        pairs = zip(places, self._offsets[numbers].tolist(), strict=True)
        images = b"".join([self._read(place, offset) for place, offset in pairs])
        return np.frombuffer(images, np.uint8).reshape(len(numbers), *self.shape[1:])

    def _read(self, place: int, offset: int) -> bytes:
        try:
            image = read_at(self._open[place], self._image_bytes, offset)
        except OSError as error:
            raise UserError(f"cannot read {self._files[place]}: {error.strerror}") from None
        if len(image) < self._image_bytes:
            raise UserError(f"{self._files[place]} has become shorter while it was read; run preprocess again")
        return image


def _close(files: Sequence[int]) -> None:
    for file in files:
        os.close(file)
