"""FER+: what ten people saw in each picture of FER2013 (Barsoum et al. 2016, https://arxiv.org/abs/1608.01041).

`fer2013new.csv` of https://github.com/microsoft/FERPlus (MIT licence) has one row for each row of the original
`fer2013.csv`, in its order. Kaggle's `msambare/fer2013` holds the same pictures as JPEGs whose names are no row
numbers; `rows.csv` beside this file says which row each of them is.

How `rows.csv` was made: each JPEG was compared with the pixels of every row of the same split; the row with the least
difference is its row, where that is at most 2.0 grey levels (root mean square), which is what JPEG does to a picture.
It names 35,710 of the 35,887 pictures; the others have no counterpart with votes. Two file names occur under two labels
with different pictures, so pictures are joined by their whole path.
"""

import csv
import io
import re
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from emotion.dataset.archive.faces import Dataset, DatasetError, Votes
from emotion.dataset.labels import OTHER_NAMES
from emotion.dataset.votes import read_rows, whole_votes
from emotion.foundation.errors import shown
from emotion.foundation.params import Params
from emotion.votes.ferplus.fetch import fetch, sha256_of

FILE = "fer2013new.csv"
ADDRESS = f"https://raw.githubusercontent.com/microsoft/FERPlus/master/{FILE}"
SHA256 = "9206e20d62f56475939f516847d61753e4860caeac9718b560129541b776fc2c"

_NAMES = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
LABELS = {name: OTHER_NAMES.get(name, name) for name in _NAMES}  # FER+'s name -> FER2013's
_HEADER = ["Usage", "Image name", *LABELS, "unknown", "NF"]
_ROWS = 35_887
_NAME_WITH_ROW = re.compile(r"(Training|PublicTest|PrivateTest)_(\d+)\.png")  # as `read_csv` names a row


class FerPlus(NamedTuple):
    """The table, row by row: `Training`, `PublicTest` or `PrivateTest`, and the votes.

    The votes are those for each label, then for unknown and not a face.
    """

    usages: list[str]
    votes: list[tuple[int, ...]]


class VoteSource(Params):
    """Parameters: none."""

    def votes(self, dataset: Dataset, input_dir: Path, cache_dir: Path) -> Votes:
        """Join the votes to the pictures, from `fer2013new.csv` in `input_dir`, or downloaded once to `cache_dir`.

        Raises UserError when the file is none of FER+'s or in another order, the network fails, or no picture is
        FER2013's.
        """
        path = input_dir / FILE
        if not path.is_file():
            path = fetch(ADDRESS, cache_dir / "ferplus" / FILE, sha256=SHA256, put_at=path)
        table = read_ferplus(path)
        rows = {member: row for member in dataset.keys if (row := row_of(member)) is not None and row < _ROWS}
        _check_order(rows, table.usages, path)
        counts = {member: table.votes[row] for member, row in rows.items()}
        if not counts:
            raise DatasetError(
                "data.votes is `ferplus`, but no picture of this data set is FER2013's by its name (as in Kaggle's "
                f"msambare/fer2013, or in fer2013.csv), such as {min(dataset.keys)}; set data.votes: none"
            )
        if sha256_of(path) != SHA256:
            print(
                f"warning: {path} is not byte for byte the {FILE} that FER+ publishes; its rows fit the pictures' "
                "splits, so its votes are taken",
                file=sys.stderr,
            )
        _name_those_without(sorted(set(dataset.keys) - set(counts)))
        return Votes(tuple(LABELS.values()), counts)


def read_ferplus(path: Path) -> FerPlus:
    """Read every row. Raises UserError."""
    header, rows = read_rows(path, pictures=_ROWS)
    if header != _HEADER:
        raise DatasetError(
            f"{path} is not FER+'s: its first line is {','.join(header)!r}; expected {','.join(_HEADER)}"
        )
    numbered = enumerate(rows, start=2)
    usages, votes = list[str](), list[tuple[int, ...]]()
    for number, row in islice(numbered, _ROWS):
        usages.append(row[0].strip())
        votes.append(whole_votes(row[2:], where=f"{path}, line {number}"))
    if (found := len(votes) + sum(1 for _ in numbered)) != _ROWS:
        raise DatasetError(f"{path} has {found:,} rows of votes; FER+ has {_ROWS:,}: get it again from {ADDRESS}")
    return FerPlus(usages, votes)


def row_of(member: str) -> int | None:
    """The row of fer2013.csv, counted from 0, that a picture of the archive is; None where that is not known."""
    if member in (known := _rows_of_kaggle()):
        return known[member]
    named = _NAME_WITH_ROW.fullmatch(member.rpartition("/")[2])
    return int(named[2]) if named else None


def _check_order(rows: Mapping[str, int], usages: Sequence[str], path: Path) -> None:
    """Raise DatasetError where a picture's row is of another split than the picture's name says."""
    for member, row in rows.items():
        wanted = member.rpartition("/")[2].partition("_")[0]
        if usages[row] != wanted:
            raise DatasetError(
                f"{path}, row {row + 1:,} of votes is of {shown(usages[row])!r}, but the picture of that row is "
                f"{shown(member)}; expected the rows in FER+'s order, which sorting a table changes: get the file "
                f"again from {ADDRESS}"
            )


@cache
def _rows_of_kaggle() -> dict[str, int]:
    table = resources.files("emotion.votes.ferplus").joinpath("rows.csv").read_text(encoding="utf-8")
    return {row["path"]: int(row["row"]) for row in csv.DictReader(io.StringIO(table))}


def _name_those_without(paths: list[str]) -> None:
    for path in paths:
        print(f"no votes: {path}")
    if paths:
        print(f"{len(paths)} pictures have no votes in FER+ (listed above)")
