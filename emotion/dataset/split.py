"""Which face goes into which split: stratified, seeded, and with all copies of a picture, or a group, on one side."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from scipy.sparse import coo_matrix, csr_matrix

from emotion.dataset.archive.faces import SPLITS, DatasetError, Face, read_faces
from emotion.dataset.copies import Fingerprints, exact_copies, fingerprint, group_copies, near_copies, sorted_pairs
from emotion.dataset.labels import label_order, subset_of

DROPPED = "drop"  # the split of a face that is in none
PLACES = [*SPLITS, DROPPED]
_ORDERS = 32  # of large groups that are tried
_NEAR_ENOUGH = 0.02  # of the wanted counts


class PathColumns(NamedTuple):
    """What the paths of n faces say: a few bytes of memory each, where a path takes a hundred.

    Attributes:
        splits: of PLACES [n]; where the data set has each face.
        labels: of all labels there are, sorted by code point [n].
        public: bool [n]; whether the name is of FER2013's PublicTest.
    """

    splits: pd.Categorical
    labels: pd.Categorical
    public: np.ndarray


def columns_of_paths(faces: Sequence[Face]) -> PathColumns:
    """Go through the faces once."""
    numbers: dict[str, int] = {}
    rows = (
        (PLACES.index(face.split), numbers.setdefault(face.label, len(numbers)), subset_of(face.name) == "public")
        for face in faces
    )
    table = np.fromiter(rows, [("split", np.int8), ("label", np.int32), ("public", bool)], len(faces))
    labels = pd.Categorical.from_codes(table["label"], list(numbers)).reorder_categories(sorted(numbers))
    return PathColumns(pd.Categorical.from_codes(table["split"].copy(), PLACES), labels, table["public"].copy())


def pair_and_assign(
    archive: Path,
    faces: Sequence[Face],
    columns: PathColumns,
    groups: np.ndarray | None,
    *,
    max_hash_distance: int,
    min_correlation: float,
    **choices: Any,
) -> tuple[pd.DataFrame, pd.Categorical]:
    """All pairs of copies, sorted, and the split of each face; the fingerprints' memory is free again afterwards.

    Args:
        faces: of the archive, and what their paths say.
        groups: as `assign_splits`, which takes `choices` too.
        max_hash_distance: and `min_correlation`, as `near_copies`.
    """
    prints = fingerprint(read_faces(archive, (face.path for face in faces)), len(faces), folder=archive.parent)
    near = near_copies(prints, max_hash_distance=max_hash_distance, min_correlation=min_correlation)
    splits = assign_splits(columns, prints, near, groups, **choices)
    return sorted_pairs([exact_copies(prints.exact), near]), splits


def assign_splits(
    columns: PathColumns,
    prints: Fingerprints,
    near: pd.DataFrame,
    groups: np.ndarray | None,
    *,
    test_fraction: float,
    val_fraction: float,
    validation: Literal["train", "public"],
    group_duplicates: Literal["none", "exact", "near"],
    seed: int,
) -> pd.Categorical:
    """Assign a split to each face: of PLACES [n].

    Splits that the dataset comes with are kept. Missing ones are taken from train: first test, then validation.

    Args:
        columns: what the paths of the archive's faces say, in their order.
        prints: their fingerprints.
        near: the pairs of near copies among them, as `pair_rows`.
        groups: int [n]; pictures with the same number stay on one side, together with their copies; None for copies
            alone.
        test_fraction: of all images, 0 to 1.
        val_fraction: of the training images, 0 to 1; not used with `public`.
        validation: `public`: FER2013's PublicTest images are the validation set, and test images no more.
        group_duplicates: which copies of a picture stay on one side.
        seed: of the random order in which groups are tried.

    Raises DatasetError where `groups` are so large that none can be held out.
    """
    splits = _public_as_validation(columns) if validation == "public" else columns.splits.copy()
    for name, fraction in (("test", test_fraction), ("val", val_fraction)):
        if name not in splits:
            pool = np.flatnonzero(splits == "train")
            together = _groups_within(pool, prints, near, group_duplicates, groups)
            choose = stratified_split if groups is None else nearest_split
            chosen = choose(columns.labels[pool], together, fraction=fraction, seed=seed)
            if groups is not None and fraction * len(pool) >= 1 and not chosen.any():
                raise _too_large(name, fraction, together)
            splits[pool[chosen]] = name
    return splits


def _public_as_validation(columns: PathColumns) -> pd.Categorical:
    """Make the test images of the public subset the validation set. Raises DatasetError where that cannot be."""
    splits = columns.splits.copy()
    public = columns.public & (splits == "test")
    if "val" in splits or not public.any():
        raise DatasetError(
            "split.validation is `public`, but the data set "
            + ("brings a validation set of its own" if "val" in splits else "has no test image named PublicTest_…")
            + "; set split.validation: train"
        )
    splits[public] = "val"
    return splits


def check_splits(columns: PathColumns, splits: pd.Categorical, dropped: np.ndarray) -> None:
    """Raise DatasetError when there is nothing to test on, or a label without a training image."""
    if "test" not in splits:
        raise DatasetError(f"no test image among {len(splits)}; raise split.test_fraction or add images")
    brought = set(columns.labels[columns.splits == "train"].unique())
    if strangers := sorted(set(columns.labels.categories) - brought):
        raise DatasetError(
            f"{strangers} have validation or test images but no training image; train has {label_order(brought)}. "
            "Rename, merge or drop them with data.labels"
        )
    if emptied := sorted(brought - set(columns.labels[(splits == "train") & ~dropped].unique())):
        raise DatasetError(
            f"no training image is left for {emptied}; lower split.val_fraction or split.test_fraction, add images, "
            "or set split.drop_train_copies_of_test: false"
        )


def stratified_split(
    labels: Sequence[str] | pd.Categorical, groups: Sequence[int] | np.ndarray, *, fraction: float, seed: int
) -> np.ndarray:
    """Choose about `fraction` of each label, whole groups at a time.

    Each label contributes round(fraction x its pictures); a group that would overfill a label is skipped, so the count
    is met exactly wherever single pictures can fill the rest.

    Args:
        labels: label of each picture [n].
        groups: number of each picture's group of copies [n]; the labels in a group may differ.
        fraction: 0 to 1.
        seed: of the random order in which groups are tried.

    Returns: bool [n], True for the chosen pictures.
    """
    codes = pd.Categorical(labels).codes
    room = Counter({label: round(fraction * count) for label, count in enumerate(np.bincount(codes).tolist())})
    chosen = np.zeros(len(labels), dtype=bool)
    for members in _shuffled_groups(np.asarray(groups), seed=seed):
        group_labels = Counter(codes[members].tolist())
        if all(count <= room[label] for label, count in group_labels.items()):
            chosen[members] = True
            room.subtract(group_labels)
    return chosen


def nearest_split(
    labels: Sequence[str] | pd.Categorical, groups: Sequence[int] | np.ndarray, *, fraction: float, seed: int
) -> np.ndarray:
    """Choose whole groups so that each label's pictures come near `fraction`, where groups are large: persons, say.

    `stratified_split` would skip every group that overfills one label, and with persons that is soon each of them. Here
    a group is taken where that brings the counts closer to those wanted and leaves some of each label; of several
    random orders the closest counts. The distance is the squared relative error of each label's count, and as much
    again for the count of all pictures.

    Args:
        labels: label of each picture [n].
        groups: number of each picture's group [n].
        fraction: 0 to 1.
        seed: of the orders in which groups are tried.

    Returns: bool [n], True for the chosen pictures.
    """
    if not len(labels):
        return np.zeros(0, bool)
    _, codes = np.unique(pd.Categorical(labels).codes, return_inverse=True)
    _, group = np.unique(np.asarray(groups, np.int64), return_inverse=True)
    alone = np.bincount(codes)
    columns = np.concatenate([codes, np.full(len(codes), len(alone))])  # the last one counts all labels
    counts = coo_matrix((np.ones(2 * len(group)), (np.tile(group, 2), columns))).tocsr()
    totals = np.append(alone, len(codes))
    wanted = np.round(fraction * totals)
    weights = np.append(np.ones(len(alone)), len(alone)) / np.maximum(wanted, 1) ** 2
    rng = np.random.default_rng(seed)
    best, least = np.zeros(counts.shape[0], bool), np.inf
    for _ in range(_ORDERS):
        taken, held = _take_nearest(counts, totals, wanted, weights, rng.permutation(counts.shape[0]))
        distance = float((weights * (held - wanted) ** 2).sum()) / (2 * len(alone))
        if distance < least:
            best, least = taken, distance
        if least <= _NEAR_ENOUGH**2:
            break
    return best[group]


def _take_nearest(
    counts: csr_matrix, totals: np.ndarray, wanted: np.ndarray, weights: np.ndarray, order: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Go through the groups in an order: which are taken, bool [groups], and what they hold, as `totals`."""
    taken, held = np.zeros(counts.shape[0], bool), np.zeros(len(totals))
    for number in order:
        row = slice(counts.indptr[number], counts.indptr[number + 1])
        place, more = counts.indices[row], counts.data[row]
        change = (weights[place] * more * (2 * (held[place] - wanted[place]) + more)).sum()
        if change < 0 and (held[place] + more < totals[place]).all():
            taken[number] = True
            held[place] += more
    return taken, held


def _too_large(name: str, fraction: float, groups: np.ndarray) -> DatasetError:
    sizes = np.bincount(groups)
    return DatasetError(
        f"split.{name}_fraction is {fraction}, but no group of split.group_by can be held out for it: of {len(sizes)} "
        f"groups (with their copies) of {len(groups):,} pictures the smallest has {sizes.min():,}; raise the fraction, "
        "group more finely, or, where near copies join different groups, set split.group_duplicates: exact"
    )


def _shuffled_groups(groups: np.ndarray, *, seed: int) -> Iterator[np.ndarray]:
    """Yield the members of each group, the groups in random order.

    Args:
        groups: number of each picture's group, int [n].
        seed: of a permutation of the groups, numbered by their first members.
    """
    by_group = np.argsort(groups, kind="stable")
    starts = np.unique(groups[by_group], return_index=True)[1]
    ends = np.append(starts[1:], len(groups))
    numbered = np.argsort(by_group[starts])
    for number in np.random.default_rng(seed).permutation(len(numbered)):
        group = numbered[number]
        yield by_group[starts[group] : ends[group]]


def _groups_within(
    pool: np.ndarray, prints: Fingerprints, near: pd.DataFrame, mode: str, groups: np.ndarray | None
) -> np.ndarray:
    """Number what stays together in the pool, ignoring pictures outside it: the test set must not shape training."""
    pairs = exact_copies(prints.exact[pool]) if mode != "none" else near[:0]
    if mode == "near":
        place = np.full(len(prints.exact), -1)
        place[pool] = np.arange(len(pool))
        moved = near.assign(first=place[near["first"]], second=place[near["second"]])
        pairs = pd.concat([pairs, moved[(moved["first"] >= 0) & (moved["second"] >= 0)]])
    return group_copies(pairs, len(pool), None if groups is None else groups[pool])
