"""Copies of a picture: exact (equal after decoding) and near (re-encoded, resized, slightly cropped).

Near copies: a 64-bit DCT hash proposes, pixel correlation confirms. On FER2013 the hash alone is 97 % precise at a
distance of 6 bits and 39 % at 10 (judged by correlation), so it only proposes.
Both are written by hand because splits must be the same on every machine and miss no close pair: imagehash transforms
floats, datasketch's search is approximate, and faiss would be a large dependency for this one search.
Source of the hash: Zauner, "Implementation and benchmarking of perceptual image hash functions" (2010), pHash.
"""

import hashlib
import os
import tempfile
import weakref
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from emotion.dataset.images import ImageError, decode_image, map_images, resize_face
from emotion.foundation.files import read_at

_THUMBNAIL_PX = 32
_HASH_PX = 8
_HASHED_AT_ONCE = 1024  # pictures
_TILE = (64, 4096)  # hashes compared at once: 2 MB of differences, which stay in a core's cache
_BAND = 1024  # hashes that one thread compares with all later ones
_CORRELATED_AT_ONCE = 256  # pairs: 2 MB of pixels on either side

# The cosine transform's lowest frequencies, in steps of 2^-12: sums of whole numbers are equal on every machine.
_COSINES = np.rint(
    2**12 * np.cos(np.pi / _THUMBNAIL_PX * np.outer(np.arange(_HASH_PX), np.arange(_THUMBNAIL_PX) + 0.5))
)
_MANY = 1 << 16  # hashes: from here on, bands are faster than comparing all pairs
_MAX_BANDED_DISTANCE = 11  # bits: beyond this, a band has so many flips to try that comparing all is faster
_SEARCHED_AT_ONCE = 1 << 14  # hashes, by a thread
_CANDIDATES = 1 << 15  # pairs compared at once by a thread
_DIGEST_BYTES, _KEY_BYTES = 16, 8  # of a digest, and of that part of it which is sorted


class Thumbnails:
    """Pictures shrunk to 32x32, grey, 0-255, zeros where one cannot be decoded: in a file that goes with this object.

    Args:
        folder: for the file, which takes a kilobyte a picture; None for the system's folder of temporary files.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - closed with this object
        self._folder = folder or Path(tempfile.gettempdir())
        weakref.finalize(self, self._file.close)

    def add(self, thumbnails: np.ndarray) -> None:
        """Append pictures: uint8 [n, 1024]. Raises OSError that names the folder, as on a full disk."""
        content = thumbnails.tobytes()
        try:
            while content:
                content = content[self._file.write(content) :]
        except OSError as error:
            error.filename = str(self._folder)
            raise

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """Read pictures by their numbers, int [n]: uint8 [n, 1024]."""
        size, file = _THUMBNAIL_PX**2, self._file.fileno()
        pictures = b"".join([read_at(file, size, row * size) for row in rows.tolist()])
        return np.frombuffer(pictures, np.uint8).reshape(len(rows), size)


class Fingerprints(NamedTuple):
    """What is kept of each picture to find its copies: 25 bytes in memory, and a kilobyte on the disk.

    Attributes:
        exact: bytes [n]; digests, equal when the decoded pictures are (of the file where it cannot be decoded).
        perceptual: uint64 [n]; DCT hash.
        varied: bool [n]; whether the thumbnail has more than one grey; false where the picture cannot be decoded.
        thumbnails: of the n pictures.
    """

    exact: np.ndarray
    perceptual: np.ndarray
    varied: np.ndarray
    thumbnails: Thumbnails


def fingerprint(contents: Iterable[bytes], count: int, *, folder: Path | None = None) -> Fingerprints:
    """Fingerprint `count` image files, decoding on all cores with bounded memory.

    Args:
        folder: for what is kept on the disk; None for the system's folder of temporary files.
    """
    prints = Fingerprints(
        np.empty(count, f"S{_DIGEST_BYTES}"), np.empty(count, np.uint64), np.empty(count, bool), Thumbnails(folder)
    )
    made = map_images(_fingerprint_one, contents)
    start = 0
    while block := list(islice(made, _HASHED_AT_ONCE)):
        rows = slice(start, start := start + len(block))
        thumbnails = np.stack([thumbnail.reshape(-1) for _, thumbnail in block])
        prints.exact[rows] = [digest for digest, _ in block]
        prints.perceptual[rows] = _dct_hash(thumbnails)
        prints.varied[rows] = thumbnails.max(axis=1) > thumbnails.min(axis=1)
        prints.thumbnails.add(thumbnails)
    return prints


def pair_rows(first: np.ndarray, second: np.ndarray, exact: bool, correlation: np.ndarray | float) -> pd.DataFrame:
    """Pairs of copies, a row each, in 25 bytes of memory.

    Columns: `first` and `second`, int64, the pictures by index; `exact`, bool, whether they are equal after decoding;
    `correlation`, float64, -1 to 1.
    """
    return pd.DataFrame({"first": first, "second": second, "exact": exact, "correlation": correlation})


def exact_copies(digests: np.ndarray) -> pd.DataFrame:
    """Pair each picture with the first one equal to it, as `pair_rows`: a group of n pictures gives n - 1 pairs.

    Args:
        digests: bytes [n], `Fingerprints.exact`.
    """
    repeated = np.flatnonzero(_occurs_twice(digests.astype(f"S{_KEY_BYTES}").view(np.uint64)))
    _, firsts, group = np.unique(digests[repeated], return_index=True, return_inverse=True)
    first = repeated[firsts[group]]
    is_copy = first != repeated
    return pair_rows(first[is_copy], repeated[is_copy], True, 1.0)


def near_copies(prints: Fingerprints, *, max_hash_distance: int, min_correlation: float) -> pd.DataFrame:
    """Every pair of pictures that are nearly, but not exactly, equal: as `pair_rows`, correlations to four decimals.

    Args:
        max_hash_distance: bits, 0-64: pairs at most this far apart are proposed.
        min_correlation: -1 to 1: proposed pairs are confirmed from this correlation on.
    """
    varied = np.flatnonzero(prints.varied)  # all blanks hash alike
    first, second = (varied[found] for found in _close_hashes(prints.perceptual[varied], max_hash_distance))
    correlation = _correlation(prints.thumbnails, first, second)
    near = (correlation >= min_correlation) & (prints.exact[first] != prints.exact[second])
    rounded = np.array([round(value, 4) for value in correlation[near].tolist()])  # NumPy's own is off in the last bit
    return sorted_pairs([pair_rows(first[near], second[near], False, rounded)])


def sorted_pairs(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Pairs of several tables, sorted by their first picture and then by their second."""
    return pd.concat(tables).sort_values(["first", "second"], ignore_index=True)


def group_copies(pairs: pd.DataFrame, count: int, groups: np.ndarray | None = None) -> np.ndarray:
    """Number the pictures so that copies, and copies of copies, share a number: int [count].

    Args:
        groups: int [count]; pictures that share a number here share one in the result, too.
    """
    first, second = pairs["first"].to_numpy(), pairs["second"].to_numpy()
    if groups is not None:
        order = np.argsort(groups, kind="stable")
        same = groups[order[1:]] == groups[order[:-1]]
        first, second = np.append(first, order[:-1][same]), np.append(second, order[1:][same])
    graph = coo_matrix((np.ones(len(first), bool), (first, second)), shape=(count, count))
    return connected_components(graph, directed=False)[1]


def _occurs_twice(keys: np.ndarray) -> np.ndarray:
    """Which of the keys are there more than once: bool [n]."""
    ordered = np.sort(keys)
    repeated = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    if not len(repeated):
        return np.zeros(len(keys), bool)
    return repeated.take(np.searchsorted(repeated, keys), mode="clip") == keys  # np.isin takes 60 bytes for each


def _fingerprint_one(content: bytes) -> tuple[bytes, np.ndarray]:
    try:
        image = decode_image(content)
    except ImageError:
        # Preprocessing reports the picture; here it has no near copies.
        return _digest(content), np.zeros((_THUMBNAIL_PX, _THUMBNAIL_PX), np.uint8)
    return _digest(repr(image.shape).encode() + image.tobytes()), resize_face(image, size_px=_THUMBNAIL_PX, channels=1)


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()[:_DIGEST_BYTES]


def _dct_hash(thumbnails: np.ndarray) -> np.ndarray:
    """uint8 [n, 1024] -> uint64 [n]: is each of the 64 lowest frequencies above their median, leaving out the mean?"""
    pictures = thumbnails.reshape(-1, _THUMBNAIL_PX, _THUMBNAIL_PX).astype(np.float64)
    frequencies = (_COSINES @ pictures @ _COSINES.T).reshape(len(pictures), -1)
    bits = frequencies > np.median(frequencies[:, 1:], axis=1, keepdims=True)
    return np.packbits(bits, axis=1).view(">u8").reshape(-1).astype(np.uint64)


def _correlation(thumbnails: Thumbnails, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Pearson's correlation of the pixels of each pair: float64 [pairs], -1 to 1; 0 where a picture is blank.

    It sums whole numbers, so that the result is the same on every machine.
    """
    correlation = np.zeros(len(first))
    for start in range(0, len(first), _CORRELATED_AT_ONCE):
        rows = slice(start, start + _CORRELATED_AT_ONCE)
        a, b = thumbnails[first[rows]].astype(np.float64), thumbnails[second[rows]].astype(np.float64)
        variance_a, variance_b, covariance = _covariance(a, a), _covariance(b, b), _covariance(a, b)
        spread = np.sqrt(variance_a) * np.sqrt(variance_b)
        np.divide(covariance, spread, out=correlation[rows], where=spread > 0)
    return correlation


def _covariance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Covariance of each row's pixels, times the square of their count: a whole number."""
    return a.shape[1] * np.einsum("np,np->n", a, b) - a.sum(axis=1) * b.sum(axis=1)


def _close_hashes(hashes: np.ndarray, max_distance: int) -> tuple[np.ndarray, np.ndarray]:
    """Index pairs (first < second) whose hashes differ in at most `max_distance` bits, sorted."""
    if len(hashes) < _MANY or max_distance > _MAX_BANDED_DISTANCE:
        return _close_hashes_by_comparing_all(hashes, max_distance)
    return _close_hashes_by_bands(hashes, max_distance)


def _close_hashes_by_bands(hashes: np.ndarray, max_distance: int) -> tuple[np.ndarray, np.ndarray]:
    """The same pairs, without comparing all.

    Cut into four bands of 16 bits, two hashes that differ in at most d bits differ in at most d // 4 bits of some band.
    So hashes are sorted by each band, and each is compared with those whose band is that close, by trying every way to
    flip so few bits.
    Source: Norouzi, Punjani & Fleet 2012, multi-index hashing (https://arxiv.org/abs/1307.2982).
    """
    bands = _bands(hashes)
    flips = [mask for mask in range(1 << 16) if mask.bit_count() <= max_distance // 4]
    found = [np.empty(0, np.int64)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for band in bands:
            order = np.argsort(band, kind="stable")
            starts = np.append(np.searchsorted(band[order], np.arange(1 << 16, dtype=np.uint16)), len(band))
            search = partial(_matches, hashes, band, order, starts, max_distance)
            found += [pairs for of_flip in pool.map(search, flips) for pairs in of_flip]
    return np.divmod(np.unique(np.concatenate(found)), len(hashes))  # a pair may be close in several bands


def _matches(
    hashes: np.ndarray, band: np.ndarray, order: np.ndarray, starts: np.ndarray, max_distance: int, flip: int
) -> list[np.ndarray]:
    """Pairs whose bands differ by exactly `flip`: int64 arrays [pairs], of `first * len(hashes) + second`."""
    pairs = []
    for top in range(0, len(order), _SEARCHED_AT_ONCE):
        values = band[order[top : top + _SEARCHED_AT_ONCE]]
        partner = (values ^ flip).astype(np.int64)
        # Each pair is found once: from the smaller band value or, where they are equal, from the earlier index.
        begins = starts[partner] if flip else np.arange(top + 1, top + len(values) + 1)
        counts = np.where(partner >= values, starts[partner + 1] - begins, 0)
        blocks = np.searchsorted(np.cumsum(counts), np.arange(0, counts.sum(), _CANDIDATES))
        for low, high in pairwise([*np.unique(blocks).tolist(), len(values)]):
            times = counts[low:high]
            left = np.repeat(np.arange(low, high), times)
            within = np.arange(len(left)) - np.repeat(np.cumsum(times) - times, times)
            one, other = order[top + left], order[np.repeat(begins[low:high], times) + within]
            close = np.bitwise_count(hashes[one] ^ hashes[other]) <= max_distance
            if close.any():  # mostly none is, and a hundred thousand empty arrays take 20 MB
                one, other = one[close], other[close]
                pairs.append(np.minimum(one, other) * len(hashes) + np.maximum(one, other))
    return pairs


def _bands(hashes: np.ndarray) -> np.ndarray:
    """uint64 [n] -> uint16 [4, n]: bits 0, 4, 8, ... then 1, 5, 9, ..., as neighbouring bits tend to agree."""
    bands = np.empty((4, len(hashes)), np.uint16)
    for top in range(0, len(hashes), _SEARCHED_AT_ONCE):
        some = np.ascontiguousarray(hashes[top : top + _SEARCHED_AT_ONCE, None])
        bits = np.unpackbits(some.view(np.uint8), axis=1).reshape(-1, 16, 4)
        packed = np.ascontiguousarray(np.packbits(bits.transpose(2, 0, 1), axis=2))
        bands[:, top : top + len(some)] = packed.view(np.uint16)[..., 0]
    return bands


def _close_hashes_by_comparing_all(hashes: np.ndarray, max_distance: int) -> tuple[np.ndarray, np.ndarray]:
    """Compare all pairs, tile by tile."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        bands = pool.map(lambda top: _close_to_band(hashes, top, max_distance), range(0, len(hashes), _BAND))
        empty = np.empty(0, np.int64)
        first, second = zip((empty, empty), *chain.from_iterable(bands), strict=True)
    return np.concatenate(first), np.concatenate(second)


def _close_to_band(hashes: np.ndarray, top: int, max_distance: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """The close pairs whose first is one of the _BAND hashes from `top` on."""
    height, width = _TILE
    differences, distances = np.empty(_TILE, np.uint64), np.empty(_TILE, np.uint8)  # allocated once: halves the time
    pairs = []
    for row in range(top, min(top + _BAND, len(hashes)), height):
        for column in range(row, len(hashes), width):
            rows, columns = hashes[row : row + height, None], hashes[None, column : column + width]
            tile = np.s_[: rows.shape[0], : columns.shape[1]]
            np.bitwise_xor(rows, columns, out=differences[tile])
            np.bitwise_count(differences[tile], out=distances[tile])
            first, second = np.divmod(np.flatnonzero(distances[tile] <= max_distance), columns.shape[1])
            above = second + column > first + row
            if above.any():
                pairs.append((first[above] + row, second[above] + column))
    return pairs
