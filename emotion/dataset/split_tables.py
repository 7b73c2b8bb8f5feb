"""The finished split as tables and counts: the index of every face, the pairs of copies, the report."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from emotion.dataset.archive.faces import SPLITS, Face
from emotion.dataset.copies import group_copies
from emotion.dataset.index import append_index
from emotion.dataset.labels import label_order, subset_of
from emotion.dataset.votes import (
    COLUMN_PREFIX,
    agreed_labels,
    vote_counts,
    voted_labels,
    votes_to_learn,
    without_outliers,
)
from emotion.foundation.files import written_whole

_KINDS = ["", "near", "exact", "group"]
_AT_ONCE = 8192  # rows of a table


def index_tables(
    faces: Sequence[Face],
    labels: list[str],
    splits: pd.Categorical,
    pairs: pd.DataFrame,
    groups: np.ndarray | None = None,
) -> Iterator[pd.DataFrame]:
    """One row per face: path, label, label_index, subset, split, and `copy`; so many at a time, in their order.

    `copy` says which kind of copy a test picture has in train or validation (pictures dropped from there do not
    count): `exact`, `near` or empty; `group` where it has none, but a picture of its group is there. `label`, `split`
    and `copy` are categories.

    Args:
        labels: in their order.
        splits: the split of each face, of PLACES [n].
        pairs: of copies, as `pair_rows`.
        groups: int [n], the number of each face's group; None where they are in none.
    """
    kinds = copies_across(splits, pairs, of=("test",), among=("train", "val"), groups=groups)
    for start in range(0, len(faces), _AT_ONCE):
        rows = range(start, min(start + _AT_ONCE, len(faces)))
        some = [faces[row] for row in rows]
        columns = {
            "path": [face.path for face in some],
            "label": pd.Categorical([face.label for face in some], labels),
            "label_index": [labels.index(face.label) for face in some],
            "subset": [subset_of(face.name) for face in some],
            "split": splits[start : rows.stop],
            "copy": kinds[start : rows.stop],
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
    crowd = pd.Categorical(names[agreed_labels(counts, agreement=agreement)], names)
    learnt = pd.DataFrame(votes_to_learn(counts), columns=[COLUMN_PREFIX + name for name in labels], index=table.index)
    return pd.concat([table.assign(crowd=crowd), learnt], axis=1)


def reported_columns(table: pd.DataFrame) -> pd.DataFrame:
    """What `split_report` needs of an index, in a few bytes a row: `label`, `split` and `copy`.

    Where `with_votes` has added what the crowd said, also `crowd`, and `learnable`: whether there are votes to learn.
    """
    short = table[[name for name in ("label", "split", "copy", "crowd") if name in table]]
    if not (voted := voted_labels(table.columns)):
        return short
    return short.assign(learnable=vote_counts(table, voted, with_no_label=False).any(axis=1))


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


def pair_tables(faces: Sequence[Face], splits: pd.Categorical, pairs: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """One row per pair of copies: both paths, their splits, whether their labels agree, kind, correlation.

    So many at a time, in their order; of no pairs a table without rows.
    """
    for start in range(0, max(len(pairs), 1), _AT_ONCE):
        some = pairs[start : start + _AT_ONCE]
        first, second = ([faces[row] for row in some[name].tolist()] for name in ("first", "second"))
        columns = {
            "first": [face.path for face in first],
            "second": [face.path for face in second],
            "first_split": splits[some["first"]],
            "second_split": splits[some["second"]],
            "same_label": [one.label == other.label for one, other in zip(first, second, strict=True)],
            "kind": np.where(some["exact"], "exact", "near"),
            "correlation": some["correlation"].to_numpy(),
        }
        yield pd.DataFrame(columns)


def write_pairs(tables: Iterable[pd.DataFrame], path: Path) -> None:
    """Write the pairs of copies to one table."""
    with written_whole(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        for table in tables:
            append_index(file, table)


def split_report(table: pd.DataFrame, pairs: pd.DataFrame, groups: np.ndarray | None = None) -> dict[str, object]:
    """Counts for metrics/split.json: images per split and label, groups of copies, their conflicts, groups.

    Args:
        table: of all faces, in their order, the columns that `reported_columns` leaves.
        pairs: of copies, as `pair_rows`.
        groups: int [n], of `split.group_by`; None where it is empty.
    """
    counts = {split: table[table["split"] == split] for split in SPLITS}
    return {
        "images": {split: {"total": len(rows), **_sorted_counts(rows["label"])} for split, rows in counts.items()},
        **({"crowd": {split: _crowd_report(rows) for split, rows in counts.items()}} if "crowd" in table else {}),
        "copies": {kind: _copy_report(table, pairs, kind) for kind in ("exact", "near")},
        **({"groups": _group_report(table, pairs, groups)} if groups is not None else {}),
    }


def copies_across(
    splits: pd.Categorical,
    pairs: pd.DataFrame,
    *,
    of: Sequence[str],
    among: Sequence[str],
    groups: np.ndarray | None = None,
) -> pd.Categorical:
    """For each picture of the splits `of`, the closest kind of copy in the splits `among`.

    Copies of copies count; so do, after all copies, pictures of the same group and what those are copies of.

    Returns: [n]: `exact`, `near`, `group`, or empty where there is none.
    """
    kinds = pd.Categorical.from_codes(np.full(len(splits), _KINDS.index(""), np.int8), _KINDS)
    for kind in ("group", "near", "exact"):  # an exact copy overwrites a near one
        if kind != "group" or groups is not None:
            together = group_copies(_of_kind(pairs, kind), len(splits), groups if kind == "group" else None)
            kinds[splits.isin(of) & np.isin(together, together[splits.isin(among)])] = kind
    return kinds


def _copy_report(table: pd.DataFrame, pairs: pd.DataFrame, kind: str) -> dict[str, int]:
    groups = group_copies(_of_kind(pairs, kind), len(table))
    sizes = np.bincount(groups)
    has_copy = sizes[groups] > 1
    labels = table["label"][has_copy].groupby(groups[has_copy]).nunique()
    return {
        "groups": int((sizes > 1).sum()),
        "images_in_groups": int(has_copy.sum()),
        "groups_with_label_conflict": int((labels > 1).sum()),
        "test_images_with_copy_in_train_or_val": int(table["copy"].isin(("exact", kind)).sum()),
    }


def _group_report(table: pd.DataFrame, pairs: pd.DataFrame, groups: np.ndarray) -> dict[str, int]:
    held_out = copies_across(table["split"].array, pairs, of=("val",), among=("train",), groups=groups)
    return {
        "groups": len(np.unique(groups)),
        "images_in_largest": int(np.bincount(groups).max()),
        "test_images_with_group_in_train_or_val": int((table["copy"] != "").sum()),
        "val_images_with_group_in_train": int((held_out != "").sum()),
    }


def _crowd_report(rows: pd.DataFrame) -> dict[str, int]:
    """Pictures with votes to learn from, pictures on whose label the crowd agrees, and of the latter each label's."""
    agreed = rows["crowd"][rows["crowd"] != ""]
    return {"learnable": int(rows["learnable"].sum()), "agreed": len(agreed), **_sorted_counts(agreed)}


def _of_kind(pairs: pd.DataFrame, kind: str) -> pd.DataFrame:
    """The exact pairs, or (`near`, `group`) exact and near ones."""
    return pairs[pairs["exact"]] if kind == "exact" else pairs


def _sorted_counts(labels: pd.Series) -> dict[str, int]:
    return dict(sorted(Counter(labels).items()))
