"""Split the archive's faces into train, validation and test indexes: copies of a picture, and groups, on one side."""

from stages._entry.start import START

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import AfterValidator, Field

from emotion.dataset.archive.faces import SPLITS, list_faces
from emotion.dataset.groups import number_groups, usable_pattern, warn_of_groups
from emotion.dataset.labels import label_order
from emotion.dataset.split import DROPPED, check_splits, columns_of_paths, pair_and_assign
from emotion.dataset.split_tables import (
    copies_across,
    index_tables,
    pair_tables,
    split_report,
    with_votes,
    write_indexes,
    write_pairs,
)
from emotion.dataset.votes import VotesParams, read_votes
from emotion.foundation.files import write_json
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
    # A regular expression on the path, or a column of groups.csv; empty = copies alone.
    group_by: Annotated[str, AfterValidator(usable_pattern)]
    drop_train_copies_of_test: bool
    near: NearParams


READS: Reads = {"params": Section("split", SplitParams)}


def split(
    archive: Path, facts: Path, train: Path, val: Path, test: Path, copies: Path, report: Path, params: SplitParams
) -> None:
    """Write the three indexes, the table of copies, and a report of what was found."""
    faces = list_faces(archive)
    groups = number_groups(faces, params.group_by, facts)
    columns = columns_of_paths(faces)
    choices = params.model_dump(exclude={"drop_train_copies_of_test", "group_by", "near", "votes"})
    pairs, splits = pair_and_assign(archive, faces, columns, groups, **params.near.model_dump(), **choices)
    copied = copies_across(splits, pairs, of=("train", "val"), among=("test",)) != ""
    dropped = copied if params.drop_train_copies_of_test else np.zeros(len(faces), dtype=bool)
    check_splits(columns, splits, dropped)
    places = splits.copy()
    places[dropped] = DROPPED
    votes = read_votes(facts)
    indexes = index_tables(faces, label_order(columns.labels.categories), places, pairs, groups)
    tables = (with_votes(table, votes, **params.votes.model_dump()) for table in indexes)
    table = write_indexes(tables, dict(zip(SPLITS, (train, val, test), strict=True)))
    write_pairs(pair_tables(faces, places, pairs), copies)
    dropped_from = {f"dropped_from_{name}": int((dropped & (splits == name)).sum()) for name in ("train", "val")}
    counts = split_report(table, pairs, groups)
    write_json(report, {**counts, **dropped_from})
    warn_of_groups(faces, counts)


if __name__ == "__main__":
    run_stage(split, READS, START)
