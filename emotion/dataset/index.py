"""The index of a split: a CSV with one row per face, in the order of its records."""

from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pandas as pd

_AT_ONCE = 8192  # rows


def read_index(path: Path) -> pd.DataFrame:
    """Read an index: path, label, label_index, subset, and for the test split `copy`; labels stay text, even `nan`."""
    return pd.read_csv(path, dtype={"label": str}, keep_default_na=False)


def read_index_parts(path: Path) -> Iterator[pd.DataFrame]:
    """Read an index as `read_index` does, so many rows at a time; of one without rows a table that has none."""
    with pd.read_csv(path, dtype={"label": str}, keep_default_na=False, chunksize=_AT_ONCE) as parts:
        yield from parts


def append_index(file: TextIO, table: pd.DataFrame) -> None:
    """Write rows of an index to a file, opened without newline translation, and before the first the header."""
    table.to_csv(file, index=False, lineterminator="\n", header=file.tell() == 0)


def index_text(table: pd.DataFrame) -> str:
    """Format a table as CSV, with the same bytes on every operating system."""
    return str(table.to_csv(index=False, lineterminator="\n"))
