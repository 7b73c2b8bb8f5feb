"""Choosing a part of the pictures: stratified, whole groups at a time, from a seed."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotion.dataset.split import nearest_split, stratified_split

fractions = st.floats(0, 1)
grouped = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 8)), max_size=60)


@given(labels=st.lists(st.sampled_from("abcd"), max_size=80), fraction=fractions, seed=st.integers(0, 99))
def test_single_pictures_meet_each_labels_count_exactly(labels: list[str], fraction: float, seed: int) -> None:
    chosen = stratified_split(labels, range(len(labels)), fraction=fraction, seed=seed)
    counts = Counter(label for label, taken in zip(labels, chosen, strict=True) if taken)
    assert counts == {label: count for label in set(labels) if (count := round(fraction * labels.count(label)))}


@given(pictures=grouped, fraction=fractions, seed=st.integers(0, 99))
def test_groups_stay_whole_and_no_label_is_overfilled(
    pictures: list[tuple[str, int]], fraction: float, seed: int
) -> None:
    labels, groups = [label for label, _ in pictures], [group for _, group in pictures]
    chosen = stratified_split(labels, groups, fraction=fraction, seed=seed)
    taken = {group for group, is_taken in zip(groups, chosen, strict=True) if is_taken}
    assert chosen.tolist() == [group in taken for group in groups]
    for label, count in Counter(np.array(labels, dtype=str)[chosen].tolist()).items():
        assert count <= round(fraction * labels.count(label))


@given(pictures=grouped, fraction=fractions)
def test_a_group_is_left_behind_only_when_it_does_not_fit(pictures: list[tuple[str, int]], fraction: float) -> None:
    labels, groups = [label for label, _ in pictures], [group for _, group in pictures]
    chosen = stratified_split(labels, groups, fraction=fraction, seed=1)
    room = {label: round(fraction * labels.count(label)) for label in labels}
    for label, taken in zip(labels, chosen, strict=True):
        room[label] -= taken
    for group in set(groups) - {group for group, taken in zip(groups, chosen, strict=True) if taken}:
        needs = Counter(label for label, other in pictures if other == group)
        assert any(count > room[label] for label, count in needs.items())


def test_copies_do_not_cost_accuracy_where_single_pictures_can_fill_up() -> None:
    labels = ["happy"] * 100 + ["sad"] * 50
    groups = [index // 7 if index < 42 else 1000 + index for index in range(150)]  # six groups of seven, then singles
    chosen = stratified_split(labels, groups, fraction=0.2, seed=3)
    assert (chosen[:100].sum(), chosen[100:].sum()) == (20, 10)


def test_a_group_with_two_labels_counts_for_both() -> None:
    # One group holds two happy and one sad; half of four is two, half of two is one: it fits just so, or stays.
    labels, groups = ["happy"] * 4 + ["sad"] * 2, [0, 0, 1, 2, 0, 3]
    for seed in range(20):
        chosen = stratified_split(labels, groups, fraction=0.5, seed=seed)
        assert chosen[[0, 1, 4]].sum() in (0, 3)
        assert chosen[4:].sum() <= 1
        assert chosen[:4].sum() <= 2


def test_the_same_seed_chooses_the_same_and_another_does_not() -> None:
    labels, groups = ["a"] * 60, list(range(60))
    first = stratified_split(labels, groups, fraction=0.5, seed=0)
    assert np.array_equal(first, stratified_split(labels, groups, fraction=0.5, seed=0))
    assert not np.array_equal(first, stratified_split(labels, groups, fraction=0.5, seed=1))


@pytest.mark.parametrize(("fraction", "count"), [(0.0, 0), (1.0, 10)])
def test_nothing_and_everything_can_be_chosen(fraction: float, count: int) -> None:
    assert stratified_split(["a"] * 10, range(10), fraction=fraction, seed=0).sum() == count


# --- large groups -----------------------------------------------------------------------------------------------------


@given(pictures=grouped, fraction=fractions, seed=st.integers(0, 99))
def test_large_groups_stay_whole_and_leave_some_of_each_label(
    pictures: list[tuple[str, int]], fraction: float, seed: int
) -> None:
    labels, groups = [label for label, _ in pictures], [group for _, group in pictures]
    chosen = nearest_split(labels, groups, fraction=fraction, seed=seed)
    taken = {group for group, is_taken in zip(groups, chosen, strict=True) if is_taken}
    assert chosen.tolist() == [group in taken for group in groups]
    assert set(np.array(labels, dtype=str)[~chosen]) == set(labels)


def test_persons_who_show_labels_unevenly_are_held_out_about_as_often_as_asked() -> None:
    """Strictly, hardly a person fits: each one overfills some label."""
    rng = np.random.default_rng(0)
    pictures = [(label, person) for person in range(20) for label in "abcdefg" for _ in range(rng.integers(1, 12))]
    labels, persons = [label for label, _ in pictures], [person for _, person in pictures]
    shares = []
    for seed in range(10):
        chosen = nearest_split(labels, persons, fraction=0.2, seed=seed)
        shares.append(chosen.mean())
        for label in "abcdefg":
            of_label = np.array(labels) == label
            assert 0.1 < chosen[of_label].mean() < 0.3
    assert min(shares) > 0.17 and max(shares) < 0.23
    assert stratified_split(labels, persons, fraction=0.2, seed=0).mean() < 0.15


def test_of_one_large_and_many_small_groups_the_large_one_stays() -> None:
    groups = [0] * 40 + [1 + n // 6 for n in range(60)]
    for seed in range(10):
        chosen = nearest_split(["a"] * 100, groups, fraction=0.2, seed=seed)
        assert not chosen[0]
        assert chosen.sum() == 18


def test_the_same_seed_holds_out_the_same_groups_and_another_does_not() -> None:
    labels, groups = ["a"] * 60, [n // 3 for n in range(60)]
    first = nearest_split(labels, groups, fraction=0.5, seed=0)
    assert np.array_equal(first, nearest_split(labels, groups, fraction=0.5, seed=0))
    assert not np.array_equal(first, nearest_split(labels, groups, fraction=0.5, seed=1))
