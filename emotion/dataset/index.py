"""The index of a split: a CSV with one row per face, in the order of its records."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import pandas as pd

from emotion.dataset.votes import vote_counts, voted_labels

_AT_ONCE = 8192  # rows


def read_index(path: Path) -> pd.DataFrame:
    """Read an index: path, label, label_index, subset, and for the test split `copy`; labels stay text, even `nan`."""
    return pd.read_csv(path, dtype={"label": str}, keep_default_na=False)


def read_index_parts(path: Path) -> Iterator[pd.DataFrame]:
    """Read an index as `read_index` does, so many rows at a time; of one without rows a table that has none."""
    with pd.read_csv(path, dtype={"label": str}, keep_default_na=False, chunksize=_AT_ONCE) as parts:
        yield from parts


class Summary(NamedTuple):
    """What an index lists: how many faces, their labels in their order, and the labels that people could vote for."""

    faces: int
    labels: list[str]
    crowd_labels: list[str]


def summarize(path: Path) -> Summary:
    """Go through an index once."""
    faces, crowd_labels = 0, list[str]()
    labels: dict[int, str] = {}
    for table in read_index_parts(path):
        faces += len(table)
        labels |= dict(zip(table["label_index"], table["label"], strict=True))
        crowd_labels = voted_labels(table.columns)
    return Summary(faces, [labels[number] for number in sorted(labels)], crowd_labels)


def read_targets(path: Path) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Yield each face's path, and what is known of it beside its pixels.

    That is its label index and, where there are votes, the index of the label that the crowd agrees on, or -1, and the
    votes for each label.
    """
    for table in read_index_parts(path):
        yield from zip(table["path"], _targets(table), strict=True)


def append_index(file: TextIO, table: pd.DataFrame) -> None:
    """Write rows of an index to a file, opened without newline translation, and before the first the header."""
    table.to_csv(file, index=False, lineterminator="\n", header=file.tell() == 0)


def index_text(table: pd.DataFrame) -> str:
    """Format a table as CSV, with the same bytes on every operating system."""
    return str(table.to_csv(index=False, lineterminator="\n"))


def _targets(table: pd.DataFrame) -> Iterator[tuple[Any, ...]]:
    labels = voted_labels(table.columns)
    if not labels:
        return zip(table["label_index"].tolist(), strict=True)
    place = {name: index for index, name in enumerate(labels)}
    agreed = [place.get(name, -1) for name in table["crowd"]]
    votes = vote_counts(table, labels, with_no_label=False).tolist()
    return zip(table["label_index"].tolist(), agreed, votes, strict=True)
