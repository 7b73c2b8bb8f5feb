"""Split the archive's faces into train, validation and test indexes: copies of a picture, and groups, on one side."""

from stages._entry.start import START

import re
import sys
import warnings
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field, field_validator

from emotion.dataset.archive.faces import SPLITS, Face, list_faces, read_faces
from emotion.dataset.copies import exact_copies, fingerprint, near_copies, sorted_pairs
from emotion.dataset.groups import likely_groups, number_groups
from emotion.dataset.index import append_index
from emotion.dataset.labels import label_order
from emotion.dataset.split import DROPPED, Told, assign_splits, check_splits, told_by_paths
from emotion.dataset.split_tables import (
    copies_across,
    index_tables,
    pair_tables,
    reported_columns,
    split_report,
    with_votes,
)
from emotion.dataset.votes import VotesParams, read_votes
from emotion.foundation.errors import shown
from emotion.foundation.files import write_json, written_whole
from emotion.foundation.params import Params
from stages._entry.stage import Reads, Section, run_stage


class NearParams(Params):
    """When two pictures count as near copies: the hash proposes, the correlation confirms."""

    max_hash_distance: int = Field(ge=0, le=64)
    min_correlation: float = Field(gt=0, le=1)


class SplitParams(Params):
    """The `split` section."""

    val_fraction: float = Field(ge=0, lt=1)
    test_fraction: float = Field(gt=0, lt=1)
    seed: int = Field(ge=0, lt=2**32)
    validation: Literal["train", "public"]  # public: FER2013's PublicTest
    votes: VotesParams
    group_duplicates: Literal["none", "exact", "near"]
    group_by: str  # a regular expression on the path, or a column of groups.csv; empty = copies alone
    drop_train_copies_of_test: bool
    near: NearParams

    @field_validator("group_by")
    @classmethod
    def _compiles(cls, group_by: str) -> str:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # of what another version of Python may read otherwise, such as `[[`
                re.compile(group_by)
        except (re.error, RecursionError, OverflowError, Warning) as error:
            raise ValueError(f"is no regular expression ({error})") from None
        return group_by


READS: Reads = {"params": Section("split", SplitParams)}


def split(
    archive: Path, facts: Path, train: Path, val: Path, test: Path, copies: Path, report: Path, params: SplitParams
) -> None:
    """Write the three indexes, the table of copies, and a report of what was found."""
    faces = list_faces(archive)
    groups = number_groups(faces, params.group_by, facts)
    told = told_by_paths(faces)
    pairs, parts = pair_and_assign(archive, faces, told, groups, params)
    copied = copies_across(parts, pairs, of=("train", "val"), among=("test",)) != ""
    dropped = copied if params.drop_train_copies_of_test else np.zeros(len(faces), dtype=bool)
    check_splits(told, parts, dropped)
    places = parts.copy()
    places[dropped] = DROPPED
    votes = read_votes(facts)
    indexes = index_tables(faces, label_order(told.labels.categories), places, pairs, groups)
    tables = (with_votes(table, votes, **params.votes.model_dump()) for table in indexes)
    table = write_indexes(tables, dict(zip(SPLITS, (train, val, test), strict=True)))
    write_pairs(pair_tables(faces, places, pairs), copies)
    dropped_from = {f"dropped_from_{name}": int((dropped & (parts == name)).sum()) for name in ("train", "val")}
    counts = split_report(table, pairs, groups)
    write_json(report, {**counts, **dropped_from})
    warn_of_groups(faces, counts)


def pair_and_assign(
    archive: Path, faces: Sequence[Face], told: Told, groups: np.ndarray | None, params: SplitParams
) -> tuple[pd.DataFrame, pd.Categorical]:
    """All pairs of copies, sorted, and the split of each face; the fingerprints' memory is free again afterwards."""
    prints = fingerprint(read_faces(archive, (face.path for face in faces)), len(faces), folder=archive.parent)
    near = near_copies(prints, **params.near.model_dump())
    choices = params.model_dump(exclude={"drop_train_copies_of_test", "group_by", "near", "votes"})
    parts = assign_splits(told, prints, near, groups, **choices)
    return sorted_pairs([exact_copies(prints.exact), near]), parts


def warn_of_groups(faces: Iterable[Face], report: Mapping[str, Any]) -> None:
    """Print a line to stderr when groups lie on both sides, or the file names suggest groups and none are told."""
    if "groups" not in report:
        if likely := likely_groups(faces):
            print(
                f"warning: the file names begin with one of {likely.groups} names, such as {shown(likely.example)!r}; "
                "if those are persons or sequences, they lie on both sides and the scores come out too high: set "
                f"split.group_by: '{likely.group_by}'",
                file=sys.stderr,
            )
    elif seen := report["groups"]["test_images_with_group_in_train_or_val"]:
        print(
            f"warning: {seen:,} of {report['images']['test']['total']:,} test pictures are of a group that train or "
            "val has, too; the data set brings them as they are, so they stay, and subsets.unseen_groups of "
            "metrics/evaluate.json scores the others",
            file=sys.stderr,
        )


def write_indexes(tables: Iterable[pd.DataFrame], paths: Mapping[str, Path]) -> pd.DataFrame:
    """Write the rows of each split to its index, and return what the report needs of all rows."""
    kept = []
    with ExitStack() as written:
        parts = {name: written.enter_context(written_whole(path)) for name, path in paths.items()}
        files = {
            name: written.enter_context(part.open("w", newline="", encoding="utf-8")) for name, part in parts.items()
        }
        for table in tables:
            for name, file in files.items():
                # Only the test index says what is copied where: nothing of the test set reaches the training index.
                hidden = ["split"] if name == "test" else ["split", "copy"]
                append_index(file, table[table["split"] == name].drop(columns=hidden))
            kept.append(reported_columns(table))
    return pd.concat(kept)


def write_pairs(tables: Iterable[pd.DataFrame], path: Path) -> None:
    """Write the pairs of copies to one table."""
    with written_whole(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        for table in tables:
            append_index(file, table)


if __name__ == "__main__":
    run_stage(split, READS, START)
