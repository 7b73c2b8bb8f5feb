"""The finished split as tables and counts: the index of every face, the pairs of copies, the report."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import pandas as pd

from emotion.dataset.archive.faces import SPLITS, Face
from emotion.dataset.copies import Pair, group_copies
from emotion.dataset.labels import label_order, subset_of
from emotion.dataset.votes import (
    COLUMN_PREFIX,
    agreed_labels,
    vote_counts,
    voted_labels,
    votes_to_learn,
    without_outliers,
)

DROPPED = "drop"  # the split of a picture that is in none
_PLACES = [*SPLITS, DROPPED]
_KINDS = ["", "near", "exact", "group"]
_AT_ONCE = 8192  # rows of an index


def index_tables(
    faces: Sequence[Face], parts: np.ndarray, pairs: list[Pair], groups: np.ndarray | None = None
) -> Iterator[pd.DataFrame]:
    """One row per face: path, label, label_index, subset, split, and `copy`; so many at a time, in their order.

    `copy` says which kind of copy a test picture has in train or validation (pictures dropped from there do not
    count): `exact`, `near` or empty; `group` where it has none, but a picture of its group is there. `label`, `split`
    and `copy` are categories.

    Args:
        groups: int [n], the number of each face's group; None where they are in none.
    """
    labels = label_order({face.label for face, part in zip(faces, parts, strict=True) if part == "train"})
    kinds = copies_across(parts, pairs, of=("test",), among=("train", "val"), groups=groups)
    for start in range(0, len(faces), _AT_ONCE):
        rows = range(start, min(start + _AT_ONCE, len(faces)))
        some = [faces[row] for row in rows]
        columns = {
            "path": [face.path for face in some],
            "label": pd.Categorical([face.label for face in some], labels),
            "label_index": [labels.index(face.label) for face in some],
            "subset": [subset_of(face.name) for face in some],
            "split": pd.Categorical(parts[start : rows.stop], _PLACES),
            "copy": pd.Categorical(kinds[start : rows.stop], _KINDS),
        }
        yield pd.DataFrame(columns, index=rows)


def with_votes(
    table: pd.DataFrame, facts: pd.DataFrame, *, outlier_votes: int, agreement: Literal["majority", "plurality"]
) -> pd.DataFrame:
    """Add what the crowd said to an index; nothing where nobody was asked.

    Columns: `crowd`, the label that the crowd agrees on, or empty; `votes_<label>`, the votes a network can learn from,
    all 0 for a picture that is left out.

    Args:
        facts: with the votes as they were cast; pictures without votes lack.
        outlier_votes: so many votes for a label on a picture, or fewer, count as none.
        agreement: what the crowd's agreement is.
    """
    cast = voted_labels(facts.columns)
    if not cast:
        return table
    labels = label_order(cast)
    joined = table[["path"]].merge(facts, on="path", how="left").fillna(0)
    counts = without_outliers(vote_counts(joined, labels), outlier_votes=outlier_votes)
    names = np.array([*labels, ""], dtype=object)
    learnt = pd.DataFrame(votes_to_learn(counts), columns=[COLUMN_PREFIX + name for name in labels], index=table.index)
    return pd.concat([table.assign(crowd=names[agreed_labels(counts, agreement=agreement)]), learnt], axis=1)


def pair_table(faces: Sequence[Face], parts: np.ndarray, pairs: list[Pair]) -> pd.DataFrame:
    """One row per pair of copies: both paths, their splits, whether their labels agree, kind, correlation."""
    first, second = [faces[pair.first] for pair in pairs], [faces[pair.second] for pair in pairs]
    return pd.DataFrame(
        {
            "first": [face.path for face in first],
            "second": [face.path for face in second],
            "first_split": parts[[pair.first for pair in pairs]],
            "second_split": parts[[pair.second for pair in pairs]],
            "same_label": [one.label == other.label for one, other in zip(first, second, strict=True)],
            "kind": ["exact" if pair.exact else "near" for pair in pairs],
            "correlation": [pair.correlation for pair in pairs],
        }
    )


def split_report(table: pd.DataFrame, pairs: list[Pair], groups: np.ndarray | None = None) -> dict[str, object]:
    """Counts for metrics/split.json: images per split and label, groups of copies, their conflicts, groups.

    Args:
        table: of all faces, in their order: `label`, `split`, `copy`, and what `with_votes` adds.
        groups: int [n], of `split.group_by`; None where it is empty.
    """
    counts = {part: table[table["split"] == part] for part in SPLITS}
    return {
        "images": {part: {"total": len(rows), **_sorted_counts(rows["label"])} for part, rows in counts.items()},
        **({"crowd": {part: _crowd_report(rows) for part, rows in counts.items()}} if "crowd" in table else {}),
        "copies": {kind: _copy_report(table, pairs, kind) for kind in ("exact", "near")},
        **({"groups": _group_report(table, pairs, groups)} if groups is not None else {}),
    }


def copies_across(
    parts: np.ndarray,
    pairs: list[Pair],
    *,
    of: Sequence[str],
    among: Sequence[str],
    groups: np.ndarray | None = None,
) -> np.ndarray:
    """For each picture of the splits `of`, the closest kind of copy in the splits `among`.

    Copies of copies count; so do, after all copies, pictures of the same group and what those are copies of.

    Returns: str [n]: `exact`, `near`, `group`, or empty where there is none.
    """
    kinds = np.full(len(parts), "", dtype="<U5")
    for kind in ("group", "near", "exact"):  # an exact copy overwrites a near one
        if kind != "group" or groups is not None:
            together = group_copies(_of_kind(pairs, kind), len(parts), groups if kind == "group" else None)
            kinds[np.isin(parts, of) & np.isin(together, together[np.isin(parts, among)])] = kind
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


def _group_report(table: pd.DataFrame, pairs: list[Pair], groups: np.ndarray) -> dict[str, int]:
    held_out = copies_across(table["split"].to_numpy(str), pairs, of=("val",), among=("train",), groups=groups)
    return {
        "groups": len(np.unique(groups)),
        "images_in_largest": int(np.bincount(groups).max()),
        "test_images_with_group_in_train_or_val": int((table["copy"] != "").sum()),
        "val_images_with_group_in_train": int((held_out != "").sum()),
    }


def _crowd_report(rows: pd.DataFrame) -> dict[str, int]:
    """Pictures with votes to learn from, pictures on whose label the crowd agrees, and of the latter each label's."""
    agreed = rows["crowd"][rows["crowd"] != ""]
    learnt = vote_counts(rows, voted_labels(rows.columns), with_no_label=False).any(axis=1)
    return {"learnable": int(learnt.sum()), "agreed": len(agreed), **_sorted_counts(agreed)}


def _of_kind(pairs: list[Pair], kind: str) -> list[Pair]:
    """The exact pairs, or (`near`, `group`) exact and near ones."""
    return [pair for pair in pairs if pair.exact or kind != "exact"]


def _sorted_counts(labels: pd.Series) -> dict[str, int]:
    return dict(sorted(Counter(labels).items()))
