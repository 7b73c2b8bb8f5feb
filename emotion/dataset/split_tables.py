"""What a split came to, as tables and counts: the index of every face, the pairs of copies, the report."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd

from emotion.dataset.archive import SPLITS, Face
from emotion.dataset.copies import Pair, group_copies
from emotion.dataset.labels import label_order

# FER2013 keeps its original split in the file names: the public and the private leaderboard's test set.
_SUBSETS = {"PublicTest": "public", "PrivateTest": "private"}


def index_table(faces: list[Face], parts: np.ndarray, pairs: list[Pair]) -> pd.DataFrame:
    """One row per face: path, label, label_index, subset, split, and `copy`.

    `copy` says of a test picture what copy of it lies in train or validation (pictures dropped from there do not
    count): `exact`, `near` or empty.
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


def _sorted_counts(labels: pd.Series) -> dict[str, int]:
    return dict(sorted(Counter(labels).items()))
