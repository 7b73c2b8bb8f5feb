"""The search by bands finds what comparing all finds."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from emotion.dataset.copies import _close_hashes_by_bands, _close_hashes_by_comparing_all


def hashes_with_neighbours(count: int, *, seed: int) -> np.ndarray:
    """uint64 [count]: a few random hashes, each many times with up to 13 bits flipped."""
    rng = np.random.default_rng(seed)
    hashes = rng.integers(0, 2**64, max(1, count // 6), dtype=np.uint64)[rng.integers(0, max(1, count // 6), count)]
    for _ in range(13):
        where = rng.random(count) < 0.5
        hashes[where] ^= np.uint64(1) << rng.integers(0, 64, where.sum(), dtype=np.uint64)
    return hashes


@settings(max_examples=12, deadline=None)
@given(count=st.integers(0, 300), distance=st.integers(0, 11), seed=st.integers(0, 10**6))
def test_bands_find_exactly_the_pairs_that_comparing_all_finds(count: int, distance: int, seed: int) -> None:
    hashes = hashes_with_neighbours(count, seed=seed)
    by_bands, by_all = (find(hashes, distance) for find in (_close_hashes_by_bands, _close_hashes_by_comparing_all))
    assert np.array_equal(by_bands, by_all)


def test_the_comparison_is_not_empty() -> None:
    assert len(_close_hashes_by_comparing_all(hashes_with_neighbours(300, seed=0), 10)[0]) > 100
