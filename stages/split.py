"""Split the archive's faces into train, validation and test indexes, keeping copies of a picture on one side."""

from stages._entry.start import START

from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from emotion.dataset.archive import SPLITS, list_faces, read_faces
from emotion.dataset.copies import exact_copies, fingerprint, near_copies
from emotion.dataset.index import index_text
from emotion.dataset.split import assign_splits, check_splits
from emotion.dataset.split_tables import copies_across, index_table, pair_table, split_report, with_votes
from emotion.dataset.votes import VotesParams, read_facts
from emotion.foundation.files import write_file, write_json
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
    drop_train_copies_of_test: bool
    near: NearParams


READS: Reads = {"params": Section("split", SplitParams)}

_DROPPED = "drop"  # the split of a picture that is in none


def split(
    archive: Path, facts: Path, train: Path, val: Path, test: Path, copies: Path, report: Path, params: SplitParams
) -> None:
    """Write the three indexes, the table of copies, and a report of what was found."""
    faces = list_faces(archive)
    prints = fingerprint(read_faces(archive, [face.path for face in faces]), len(faces))
    near = near_copies(prints, **params.near.model_dump())
    pairs = sorted(exact_copies(prints.exact) + near)
    parts = assign_splits(
        faces, prints, near, **params.model_dump(exclude={"drop_train_copies_of_test", "near", "votes"})
    )
    copied = copies_across(parts, pairs, of=("train", "val"), among=("test",)) != ""
    dropped = copied if params.drop_train_copies_of_test else np.zeros(len(faces), dtype=bool)
    check_splits(faces, parts, dropped)
    table = index_table(faces, np.where(dropped, _DROPPED, parts), pairs)
    table = with_votes(table, read_facts(facts), **params.votes.model_dump())
    for name, path in zip(SPLITS, (train, val, test), strict=True):
        part = table[table["split"] == name]
        # Only the test index says what is copied where: nothing of the test set reaches the training index.
        write_file(path, index_text(part.drop(columns=["split"] if name == "test" else ["split", "copy"])))
    write_file(copies, index_text(pair_table(table, pairs)))
    dropped_from = {f"dropped_from_{name}": int((dropped & (parts == name)).sum()) for name in ("train", "val")}
    write_json(report, {**split_report(table, pairs), **dropped_from})


if __name__ == "__main__":
    run_stage(split, READS, START)
