"""Copies of a picture: the same pixels, or nearly."""

from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_strategies
from PIL import Image
from scipy.fft import dctn

from emotion.dataset import copies
from emotion.dataset.copies import Fingerprints, exact_copies, fingerprint, group_copies, near_copies, pair_rows
from tests.support.pictures import encoded, noise, smooth

BLANK = np.full((48, 48), 200, np.uint8)


class Pair(NamedTuple):
    """A row of the pairs of copies."""

    first: int
    second: int
    exact: bool
    correlation: float


def listed(pairs: pd.DataFrame) -> list[Pair]:
    assert list(pairs.columns) == list(Pair._fields)
    return [Pair(*row) for row in pairs.itertuples(index=False)]


def exact(digests: np.ndarray) -> list[Pair]:
    return listed(exact_copies(digests))


def prints_of(*contents: bytes) -> Fingerprints:
    return fingerprint(iter(contents), len(contents))


def near(*contents: bytes, max_hash_distance: int = 10, min_correlation: float = 0.95) -> list[Pair]:
    limits = {"max_hash_distance": max_hash_distance, "min_correlation": min_correlation}
    return listed(near_copies(prints_of(*contents), **limits))


# --- exact ------------------------------------------------------------------------------------------------------------


def test_equal_pixels_are_exact_copies_whatever_the_file() -> None:
    png, bmp = encoded(smooth(1), "png"), encoded(smooth(1), "bmp")
    other = smooth(1).copy()
    other[40, 40] ^= 1
    digests = prints_of(png, bmp, encoded(other), png).exact
    assert exact(digests) == [Pair(0, 1, True, 1.0), Pair(0, 3, True, 1.0)]


def test_the_same_bytes_in_another_shape_are_no_copy() -> None:
    tall, wide = encoded(noise(0, 4, 9)), encoded(noise(0, 4, 9).reshape(9, 4))
    assert exact(prints_of(tall, wide).exact) == []


def test_undecodable_files_are_copies_only_of_equal_bytes() -> None:
    assert exact(prints_of(b"broken", encoded(BLANK), b"", b"broken", b"other").exact) == [Pair(0, 3, True, 1.0)]


@given(st.lists(st.integers(0, 5), max_size=40))
def test_a_group_of_n_exact_copies_gives_n_minus_one_pairs(values: list[int]) -> None:
    digests = np.array([str(value).encode() for value in values], dtype="S32")
    pairs = exact_copies(digests)
    assert len(pairs) == len(values) - len(set(values))
    for pair in listed(pairs):
        assert pair.first < pair.second and values[pair.first] == values[pair.second]
    assert len(set(group_copies(pairs, len(values)).tolist())) == len(set(values))


# --- near -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "copy",
    [
        encoded(smooth(5), "jpeg", quality=60),
        encoded(np.asarray(Image.fromarray(smooth(5)).resize((96, 96))), "png"),
        encoded((smooth(5) * 0.8 + 20).astype(np.uint8), "png"),
        encoded(np.stack([smooth(5)] * 3, axis=-1), "png"),
        encoded(smooth(5)[1:], "png"),
    ],
    ids=["encoded again", "enlarged", "paler", "coloured", "cut"],
)
def test_altered_copies_are_near(copy: bytes) -> None:
    (pair,) = near(encoded(smooth(5)), encoded(smooth(6)), copy)
    assert pair[:3] == (0, 2, False)
    assert 0.95 <= pair.correlation <= 1


def test_other_pictures_exact_copies_and_negatives_are_not_near() -> None:
    others = [encoded(smooth(seed)) for seed in range(30)]
    assert near(*others, others[0], encoded(255 - smooth(1))) == []


def test_blank_and_broken_pictures_are_nobodys_near_copy() -> None:
    blanks = [encoded(np.full((48, 48), tone, np.uint8)) for tone in (0, 0, 120, 255)]
    assert near(*blanks, b"broken", b"", max_hash_distance=64, min_correlation=0.01) == []


def test_blank_pictures_are_not_compared_for_they_all_hash_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[int] = []
    empty = np.empty(0, np.int64)
    monkeypatch.setattr(copies, "_close_hashes", lambda hashes, _: (compared.append(len(hashes)), empty, empty)[1:])
    assert near(*[encoded(BLANK)] * 5, encoded(smooth(1)), encoded(smooth(2))) == []
    assert compared == [2]


def test_thresholds_are_inclusive_and_count() -> None:
    pictures = [encoded(smooth(5)), encoded(smooth(5), "jpeg", quality=30)]
    (pair,) = near(*pictures)
    distance = int(np.bitwise_count(np.bitwise_xor(*prints_of(*pictures).perceptual)))
    assert near(*pictures, max_hash_distance=distance, min_correlation=pair.correlation - 1e-4) == [pair]
    assert near(*pictures, min_correlation=pair.correlation + 1e-4) == []
    if distance:
        assert near(*pictures, max_hash_distance=distance - 1) == []


def test_correlation_is_pearsons() -> None:
    prints = prints_of(*(encoded(noise(seed, 32, 32)) for seed in range(12)))
    first, second = np.triu_indices(12, k=1)
    expected = np.corrcoef(prints.thumbnails[np.arange(12)])[first, second]
    assert copies._correlation(prints.thumbnails, first, second) == pytest.approx(expected, abs=1e-12)


def test_near_copies_are_sorted_pairs_of_two() -> None:
    copies = [encoded(smooth(3), "jpeg", quality=quality) for quality in (95, 80, 60)]
    pairs = near(*copies[:2], encoded(smooth(4)), copies[2])
    assert [pair[:2] for pair in pairs] == [(0, 1), (0, 3), (1, 3)]


# --- the hash ---------------------------------------------------------------------------------------------------------


def test_hash_says_which_low_frequencies_are_above_their_median() -> None:
    picture = smooth(8, 32)
    frequencies = dctn(picture.astype(float))[:8, :8].ravel()
    expected = "".join("1" if value > np.median(frequencies[1:]) else "0" for value in frequencies)
    assert f"{int(copies._dct_hash(picture.reshape(1, -1))[0]):064b}" == expected


@given(
    hashes=numpy_strategies.arrays(np.uint64, st.integers(0, 60), elements=st.integers(0, 2**12 - 1)),
    max_distance=st.integers(0, 12),
)
@settings(max_examples=60)
def test_close_hashes_are_found_in_every_tile(hashes: np.ndarray, max_distance: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(copies, "_TILE", (4, 8))
        patch.setattr(copies, "_BAND", 12)
        first, second = copies._close_hashes(hashes, max_distance)
    close = {
        (i, j)
        for i in range(len(hashes))
        for j in range(i + 1, len(hashes))
        if (int(hashes[i]) ^ int(hashes[j])).bit_count() <= max_distance
    }
    assert len(first) == len(close)
    assert set(zip(first.tolist(), second.tolist(), strict=True)) == close


def test_more_pictures_than_fit_in_a_block_are_all_fingerprinted(monkeypatch: pytest.MonkeyPatch) -> None:
    contents = [encoded(smooth(seed, 32)) for seed in range(50)]
    whole = prints_of(*contents)
    monkeypatch.setattr(copies, "_HASHED_AT_ONCE", 7)
    monkeypatch.setattr(copies, "_CORRELATED_AT_ONCE", 3)
    blocks = prints_of(*contents)
    for one, other in zip(whole[:3], blocks[:3], strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(whole.thumbnails[np.arange(50)], blocks.thumbnails[np.arange(50)])
    assert len(set(whole.perceptual.tolist())) == 50
    first, second = np.triu_indices(50, k=1)
    assert len(copies._correlation(whole.thumbnails, first, second)) == 1225


def test_a_picture_costs_25_bytes_of_memory() -> None:
    prints = prints_of(*[encoded(noise(0))] * 10)
    assert sum(part.nbytes for part in prints[:3]) == 10 * 25


# --- groups -----------------------------------------------------------------------------------------------------------


def test_copies_of_copies_are_one_group() -> None:
    pairs = pair_rows(np.array([0, 3, 1]), np.array([3, 5, 2]), False, np.array([0.97, 0.96, 0.99]))
    groups = group_copies(pairs, 6).tolist()
    assert groups[0] == groups[3] == groups[5]
    assert groups[1] == groups[2]
    assert len(set(groups)) == 3


def test_without_pairs_everybody_is_alone() -> None:
    none = exact_copies(np.empty(0, "S16"))
    assert sorted(group_copies(none, 4).tolist()) == [0, 1, 2, 3]
    assert group_copies(none, 0).tolist() == []
