"""The crowd's votes: how many people gave a picture which label, and which label that makes.

A vote is for one of the labels, or for one of `NO_LABEL`. Throughout, `counts` is int [n, labels + 2]: the votes for
each label, in the order of the labels, then those for `unknown` and for `not_a_face`.
"""

import csv
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field

from emotion.dataset.archive.faces import NO_LABEL, Dataset, DatasetError, Votes
from emotion.foundation.errors import UserError
from emotion.foundation.params import Params

COLUMN_PREFIX = "votes_"  # of the columns with votes, in every table
GROUP_PREFIX = "group_"  # of the columns with groups, in the table of facts
_MOST_COLUMNS = {"votes": 1003, "groups": 100}  # a model has at most 1000 labels
_MOST_ROW_BYTES = 2500  # on average: a digit and a comma for each label, and a path


class VotesParams(Params):
    """Parameters of `split.votes`: what the crowd's votes become."""

    outlier_votes: int = Field(ge=0, le=1000)  # a label with this many votes on a picture, or fewer, has none
    agreement: Literal["majority", "plurality"]


def facts_table(votes: Votes | None, groups: Mapping[str, Mapping[str, str]], paths: Iterable[str]) -> pd.DataFrame:
    """What is known of the pictures besides their label: one row for each of `paths` with votes or a group, in order.

    Columns: `path`, where there are votes `votes_<label>` for each label, `votes_unknown`, `votes_not_a_face`, and for
    each kind of group `group_<kind>`. What is not known is empty.
    """
    counts = votes.counts if votes else {}
    voted = [COLUMN_PREFIX + name for name in (*votes.labels, *NO_LABEL)] if votes else []
    unasked = ("",) * len(voted)
    rows = [
        (path, *counts.get(path, unasked), *(of.get(path, "") for of in groups.values()))
        for path in paths
        if path in counts or any(path in of for of in groups.values())
    ]
    return pd.DataFrame(rows, columns=["path", *voted, *(GROUP_PREFIX + kind for kind in groups)])


def votes_report(votes: Votes | None, pictures: int) -> dict[str, dict[str, int]]:
    """Count the pictures with and without votes, and the votes for each label; nothing where nobody was asked."""
    if votes is None:
        return {}
    sums = map(sum, zip(*votes.counts.values(), strict=True))
    given = len(votes.counts)
    by_label = dict(zip((*votes.labels, *NO_LABEL), sums, strict=True))
    return {"votes": {"pictures": given, "pictures_without": pictures - given, **by_label}}


def read_votes(facts: Path) -> pd.DataFrame:
    """Read the votes of the table that `facts_table` made, of the pictures that have some.

    Raises UserError when it is missing or unreadable.
    """
    with readable_facts(facts):
        table = pd.read_csv(facts, keep_default_na=False, dtype={"path": str}, usecols=_is_no_group)
        cast = [name for name in table if name.startswith(COLUMN_PREFIX)]
        return table[table[cast[0]] != ""].astype(dict.fromkeys(cast, np.int64)) if cast else table


@contextmanager
def readable_facts(facts: Path) -> Iterator[None]:
    """Turn what is raised while the table of facts is read into a UserError that says what to do."""
    try:
        yield
    except (FileNotFoundError, ValueError) as error:
        raise UserError(f"cannot read {facts} ({error}); run the download stage again") from None


def _is_no_group(column: str) -> bool:
    return not column.startswith(GROUP_PREFIX)


def voted_labels(columns: Iterable[str]) -> list[str]:
    """The labels whose votes a table with these columns holds, in order; empty without votes."""
    names = (column.removeprefix(COLUMN_PREFIX) for column in columns if column.startswith(COLUMN_PREFIX))
    return [name for name in names if name not in NO_LABEL]


def vote_counts(table: pd.DataFrame, labels: list[str], *, with_no_label: bool = True) -> np.ndarray:
    """The votes in a table, for these labels: int64 [n, labels], with NO_LABEL int64 [n, labels + 2]."""
    names = (*labels, *NO_LABEL) if with_no_label else labels
    return table[[COLUMN_PREFIX + name for name in names]].to_numpy(np.int64)


def without_outliers(counts: np.ndarray, *, outlier_votes: int) -> np.ndarray:
    """The counts, those up to `outlier_votes` set to 0.

    Source: Barsoum et al. 2016 (https://arxiv.org/abs/1608.01041), whose program (`ferplus.py`) drops single votes.
    """
    return np.where(counts <= outlier_votes, 0, counts)


def agreed_labels(counts: np.ndarray, *, agreement: Literal["majority", "plurality"]) -> np.ndarray:
    """The label that the crowd agrees on: int64 [n], the column, or -1 where there is none.

    A majority is more than half of the votes, a plurality more than any other. Where NO_LABEL wins, there is none.
    """
    if not counts.size:
        return np.full(len(counts), -1, dtype=np.int64)
    winner, most = counts.argmax(axis=1), counts.max(axis=1)
    if agreement == "majority":
        wins = 2 * most > counts.sum(axis=1)
    else:
        wins = (most > 0) & ((counts == most[:, None]).sum(axis=1) == 1)
    return np.where(wins & (winner < counts.shape[1] - len(NO_LABEL)), winner, -1)


def votes_to_learn(counts: np.ndarray) -> np.ndarray:
    """The votes that a network can learn from: int64 [n, labels], all 0 for a picture that is left out.

    A picture is left out unless more than half of its votes are for labels: most people saw no emotion there.
    """
    for_labels = counts[:, : -len(NO_LABEL)]
    learnt = 2 * for_labels.sum(axis=1) > counts.sum(axis=1)
    return np.where(learnt[:, None], for_labels, 0)


def rename_votes(votes: Votes, names: Mapping[str, str | None], paths: Mapping[str, str]) -> Votes:
    """Rename, merge or drop labels of the votes as `data.labels` says, and give the pictures their new paths.

    Args:
        names: old label -> new label, or None to drop it, with its votes.
        paths: old path -> new path, of the pictures that are kept.
    """
    renamed = [names.get(label, label) for label in votes.labels]
    if taken := sorted(set(NO_LABEL) & set(renamed)):
        raise DatasetError(f"data.labels: {taken[0]!r} is what people vote where they see no label; choose another")
    labels = tuple(dict.fromkeys(label for label in renamed if label is not None))
    places = [labels.index(label) if label is not None else None for label in renamed]

    def merged(counts: tuple[int, ...]) -> tuple[int, ...]:
        sums = [0] * len(labels)
        for place, count in zip(places, counts[: len(renamed)], strict=True):
            if place is not None:
                sums[place] += count
        return (*sums, *counts[len(renamed) :])

    return Votes(labels, {new: merged(votes.counts[old]) for old, new in paths.items() if old in votes.counts})


def read_rows(path: Path, *, pictures: int, of: str = "votes") -> tuple[list[str], Iterator[list[str]]]:
    """Read a CSV of votes or groups: its header, then its rows, each as long as the header and read when asked for.

    Args:
        pictures: of the data set; a file that is too large for them is not read.
        of: what the table holds, `votes` or `groups`.

    Raises UserError, naming the line, here and where the rows are asked for.
    """
    most_bytes = 1_000_000 + _MOST_ROW_BYTES * pictures
    with _readable(path, of):
        size_bytes = path.stat().st_size
    if size_bytes > most_bytes:
        raise UserError(
            f"{path} has {size_bytes:,} bytes; a table of {of} for {pictures:,} pictures has at most {most_bytes:,}"
        )
    rows = _rows(path, of)
    header = next(rows, [])
    if len(header) > _MOST_COLUMNS[of]:
        raise UserError(f"{path} has {len(header):,} columns; a table of {of} has at most {_MOST_COLUMNS[of]:,}")
    return [name.strip() for name in header], _as_long_as(header, rows, path)


def _rows(path: Path, of: str) -> Iterator[list[str]]:
    """The rows that are not blank; a row at a time is in memory."""
    with _readable(path, of):
        file = path.open(encoding="utf-8-sig", newline="")
    with file:
        rows = filter(None, csv.reader(file))
        while True:
            with _readable(path, of):
                row = next(rows, None)
            if row is None:
                return
            yield row


def _as_long_as(header: list[str], rows: Iterator[list[str]], path: Path) -> Iterator[list[str]]:
    for number, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise UserError(
                f"{path}, line {number}: {len(row)} fields, but the header has {len(header)}; the file is cut off or "
                "damaged, get it again"
            )
        yield row


@contextmanager
def _readable(path: Path, of: str) -> Iterator[None]:
    try:
        yield
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} cannot be read as a CSV of {of} ({error}); get it again") from None


def picture_named(path: str, dataset: Dataset, *, where: str) -> str:
    """The picture of a data set that a row means: `happy/1.jpg` does for `train/happy/1.jpg`.

    Raises DatasetError, beginning with `where`.
    """
    member = path.strip().replace("\\", "/").removeprefix("./")
    for candidate in (member, f"train/{member}"):
        if candidate in dataset.keys:
            return candidate
    raise DatasetError(f"{where}: the data set has no picture {path!r}; expected paths such as {min(dataset.keys)!r}")


def whole_votes(fields: Iterable[str], *, where: str) -> tuple[int, ...]:
    """Votes as whole numbers from 0 up, in ASCII digits only. Raises UserError, beginning with `where`."""
    texts = [field.strip() for field in fields]
    if wrong := [text for text in texts if not (text.isascii() and text.isdecimal() and len(text) <= 6)]:
        raise UserError(f"{where}: {wrong[0]!r} is not a number of votes; expected a whole number from 0 up")
    return tuple(map(int, texts))
