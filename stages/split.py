"""Split the archive's faces into train, validation and test indexes, copies of a picture on one side."""

from stages._entry.start import START

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field

from emotion.dataset.archive import SPLITS, DatasetError, Face, list_faces, read_faces
from emotion.dataset.copies import Fingerprints, Pair, exact_copies, fingerprint, group_copies, near_copies
from emotion.dataset.labels import label_order
from emotion.dataset.split import stratified_split
from emotion.params import Params
from stages._entry.stage import Reads, Section, run_stage, write_file, write_json


class NearParams(Params):
    """When two pictures count as near copies: the hash proposes, the correlation confirms."""

    max_hash_distance: int = Field(ge=0, le=64)
    min_correlation: float = Field(gt=0, le=1)


class SplitParams(Params):
    """The `split` section."""

    val_fraction: float = Field(ge=0, lt=1)
    test_fraction: float = Field(gt=0, lt=1)
    seed: int = Field(ge=0)
    group_duplicates: Literal["none", "exact", "near"]
    drop_train_copies_of_test: bool
    near: NearParams


READS: Reads = {"params": Section("split", SplitParams)}

_DROPPED = "drop"  # the split of a picture that is in none

# FER2013 keeps its original split in the file names: the public and the private leaderboard's test set.
_SUBSETS = {"PublicTest": "public", "PrivateTest": "private"}


def split(archive: Path, train: Path, val: Path, test: Path, copies: Path, report: Path, params: SplitParams) -> None:
    """Write the three indexes, the table of copies, and a report of what was found."""
    faces = list_faces(archive)
    prints = fingerprint(read_faces(archive, [face.path for face in faces]), len(faces))
    near = near_copies(prints, **params.near.model_dump())
    pairs = sorted(exact_copies(prints.exact) + near)
    parts = assign_splits(faces, prints, near, params)
    copied = copies_across(parts, pairs, of=("train", "val"), among=("test",)) != ""
    dropped = copied if params.drop_train_copies_of_test else np.zeros(len(faces), dtype=bool)
    check_splits(faces, parts, dropped)
    table = index_table(faces, np.where(dropped, _DROPPED, parts), pairs)
    for name, path in zip(SPLITS, (train, val, test), strict=True):
        part = table[table["split"] == name]
        # Only the test index says what is copied where: nothing of the test set reaches the training index.
        write_file(path, _csv(part.drop(columns=["split"] if name == "test" else ["split", "copy"])))
    write_file(copies, _csv(pair_table(table, pairs)))
    dropped_from = {f"dropped_from_{name}": int((dropped & (parts == name)).sum()) for name in ("train", "val")}
    write_json(report, {**split_report(table, pairs), **dropped_from})


def assign_splits(faces: list[Face], prints: Fingerprints, near: list[Pair], params: SplitParams) -> np.ndarray:
    """Say for each face which split it goes to: str [n].

    A split that the dataset brings is kept. A missing test set is taken from train first, then validation.
    """
    parts = np.array([face.split for face in faces], dtype="<U5")
    for name, fraction in (("test", params.test_fraction), ("val", params.val_fraction)):
        if name not in parts:
            pool = np.flatnonzero(parts == "train")
            groups = _groups_within(pool, prints, near, params.group_duplicates)
            labels = [faces[index].label for index in pool]
            parts[pool[stratified_split(labels, groups, fraction=fraction, seed=params.seed)]] = name
    return parts


def _groups_within(pool: np.ndarray, prints: Fingerprints, near: list[Pair], mode: str) -> np.ndarray:
    """Number the copies within the pool; pictures outside it have no say, so the test set cannot shape training."""
    pairs = exact_copies(prints.exact[pool]) if mode != "none" else []
    if mode == "near":
        place = {index: position for position, index in enumerate(pool.tolist())}
        inside = (pair for pair in near if pair.first in place and pair.second in place)
        pairs += [pair._replace(first=place[pair.first], second=place[pair.second]) for pair in inside]
    return group_copies(pairs, len(pool))


def check_splits(faces: list[Face], parts: np.ndarray, dropped: np.ndarray) -> None:
    """Raise DatasetError when there is nothing to test on, or a label without a training image."""
    if "test" not in parts:
        raise DatasetError(f"no test image among {len(faces)}; raise split.test_fraction or add images")
    brought = {face.label for face in faces if face.split == "train"}
    if strangers := sorted({face.label for face in faces} - brought):
        raise DatasetError(
            f"{strangers} have validation or test images but no training image; train has {label_order(brought)}. "
            "Rename, merge or drop them with data.labels"
        )
    trained = {face.label for face, part in zip(faces, np.where(dropped, "", parts), strict=True) if part == "train"}
    if emptied := sorted(brought - trained):
        raise DatasetError(
            f"no training image is left for {emptied}; lower split.val_fraction or split.test_fraction, add images, "
            "or set split.drop_train_copies_of_test: false"
        )


def index_table(faces: list[Face], parts: np.ndarray, pairs: list[Pair]) -> pd.DataFrame:
    """One row per face: path, label, label_index, subset, split, and `copy`.

    `copy` says of a test picture what copy of it lies in train or validation (pictures dropped from there do not count):
    `exact`, `near` or empty.
    """
    labels = label_order(face.label for face, part in zip(faces, parts, strict=True) if part == "train")
    return pd.DataFrame(
        {
            "path": [face.path for face in faces],
            "label": [face.label for face in faces],
            "label_index": [labels.index(face.label) for face in faces],
            "subset": [_SUBSETS.get(face.name.partition("_")[0], "") for face in faces],
            "split": parts,
            "copy": copies_across(parts, pairs, of=("test",), among=("train", "val")),
        }
    )


def pair_table(table: pd.DataFrame, pairs: list[Pair]) -> pd.DataFrame:
    """One row per pair of copies: both paths, their splits, whether their labels agree, kind, correlation."""
    first, second = table.iloc[[pair.first for pair in pairs]], table.iloc[[pair.second for pair in pairs]]
    return pd.DataFrame(
        {
            "first": first["path"].to_numpy(),
            "second": second["path"].to_numpy(),
            "first_split": first["split"].to_numpy(),
            "second_split": second["split"].to_numpy(),
            "same_label": first["label"].to_numpy() == second["label"].to_numpy(),
            "kind": ["exact" if pair.exact else "near" for pair in pairs],
            "correlation": [pair.correlation for pair in pairs],
        }
    )


def split_report(table: pd.DataFrame, pairs: list[Pair]) -> dict[str, object]:
    """Counts for metrics/split.json: images per split and label, groups of copies, their conflicts."""
    counts = {part: table[table["split"] == part] for part in SPLITS}
    return {
        "images": {part: {"total": len(rows), **_sorted_counts(rows["label"])} for part, rows in counts.items()},
        "copies": {kind: _copy_report(table, pairs, kind) for kind in ("exact", "near")},
    }


def copies_across(parts: np.ndarray, pairs: list[Pair], *, of: Sequence[str], among: Sequence[str]) -> np.ndarray:
    """For each picture of the splits `of`, the closest kind of copy that lies in the splits `among`.

    Copies of copies count.

    Returns: str [n]: `exact`, `near`, or empty where there is none.
    """
    kinds = np.full(len(parts), "", dtype="<U5")
    for kind in ("near", "exact"):  # an exact copy overwrites a near one
        groups = group_copies(_of_kind(pairs, kind), len(parts))
        kinds[np.isin(parts, of) & np.isin(groups, groups[np.isin(parts, among)])] = kind
    return kinds


def _copy_report(table: pd.DataFrame, pairs: list[Pair], kind: str) -> dict[str, int]:
    groups = pd.Series(group_copies(_of_kind(pairs, kind), len(table)), index=table.index)
    many = groups[groups.duplicated(keep=False)]
    labels = table.loc[many.index, "label"].groupby(many).nunique()
    return {
        "groups": int(many.nunique()),
        "images_in_groups": len(many),
        "groups_with_label_conflict": int((labels > 1).sum()),
        "test_images_with_copy_in_train_or_val": int(table["copy"].isin(("exact", kind)).sum()),
    }


def _of_kind(pairs: list[Pair], kind: str) -> list[Pair]:
    """The exact pairs, or (`near`) exact and near ones."""
    return [pair for pair in pairs if pair.exact or kind == "near"]


def _csv(table: pd.DataFrame) -> str:
    return table.to_csv(index=False, lineterminator="\n")  # the same bytes on every operating system


def _sorted_counts(labels: pd.Series) -> dict[str, int]:
    return dict(sorted(Counter(labels).items()))


if __name__ == "__main__":
    run_stage(split, READS, START)
