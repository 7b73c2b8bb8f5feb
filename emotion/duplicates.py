"""Copies of a picture: exact (equal after decoding) and near (re-encoded, resized, slightly cropped).

Near copies: a 64-bit DCT hash proposes, pixel correlation confirms. On FER2013 the hash alone at a distance of 6 bits
is 97 % precise and at 10 bits 39 % (measured against correlation), so it only proposes.
Source of the hash: Zauner, "Implementation and benchmarking of perceptual image hash functions" (2010), pHash.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice
from typing import NamedTuple

import numpy as np
import scipy.fft
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from emotion.faces import ImageError, decode_image, resize_face

_THUMBNAIL_PX = 32
_HASH_PX = 8
_BLOCK = 1024  # pictures held at once
_CHUNK = 64  # pictures a thread takes at once


class Fingerprints(NamedTuple):
    """What is kept of every picture to find its copies.

    Attributes:
        exact: bytes [n]; equal when the decoded pictures are equal (of the file itself where it cannot be decoded).
        perceptual: uint64 [n]; DCT hash.
        thumbnails: float32 [n, 1024]; zero mean, unit norm, so that a product is a correlation (0 for a blank picture).
    """

    exact: np.ndarray
    perceptual: np.ndarray
    thumbnails: np.ndarray


class Pair(NamedTuple):
    """Two copies of one picture, by index; `exact` if equal after decoding; correlation is -1 to 1."""

    first: int
    second: int
    exact: bool
    correlation: float


def fingerprint(contents: Iterator[bytes], count: int) -> Fingerprints:
    """Fingerprint `count` image files, decoding on all cores with bounded memory."""
    exact = np.empty(count, dtype="S32")
    thumbnails = np.zeros((count, _THUMBNAIL_PX, _THUMBNAIL_PX), np.float32)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, count, _BLOCK):
            block = list(islice(contents, _BLOCK))
            chunks = pool.map(_fingerprint_all, (block[at : at + _CHUNK] for at in range(0, len(block), _CHUNK)))
            for offset, (digest, thumbnail) in enumerate(chain.from_iterable(chunks)):
                exact[start + offset], thumbnails[start + offset] = digest, thumbnail
    perceptual = _dct_hash(thumbnails)
    flat = thumbnails.reshape(count, -1)
    flat -= flat.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(flat, axis=1, keepdims=True)
    np.divide(flat, norm, out=flat, where=norm > 1e-3)
    return Fingerprints(exact, perceptual, flat)


def exact_copies(digests: np.ndarray) -> list[Pair]:
    """Pair each picture with the first of its equals: a group of n pictures gives n - 1 pairs.

    Args:
        digests: bytes [n], `Fingerprints.exact`.
    """
    firsts: dict[bytes, int] = {}
    links = ((firsts.setdefault(digest, index), index) for index, digest in enumerate(digests.tolist()))
    return [Pair(first, index, True, 1.0) for first, index in links if first != index]


def near_copies(prints: Fingerprints, *, max_hash_distance: int, min_correlation: float) -> list[Pair]:
    """Every pair of pictures that are nearly, but not exactly, equal; sorted.

    Args:
        max_hash_distance: bits, 0-64: pairs at most this far apart are proposed.
        min_correlation: -1 to 1: proposed pairs are confirmed from here.
    """
    first, second = _close_hashes(prints.perceptual, max_hash_distance)
    correlation = np.einsum("np,np->n", prints.thumbnails[first], prints.thumbnails[second])
    near = (correlation >= min_correlation) & (prints.exact[first] != prints.exact[second])
    columns = (first[near].tolist(), second[near].tolist(), correlation[near].tolist())
    return sorted(Pair(i, j, False, round(value, 4)) for i, j, value in zip(*columns, strict=True))


def group_copies(pairs: Sequence[Pair], count: int) -> np.ndarray:
    """Number pictures so that copies, directly or over others, share a number: int [count]."""
    links = np.array([(pair.first, pair.second) for pair in pairs], dtype=np.int64).reshape(-1, 2)
    graph = coo_matrix((np.ones(len(links)), (links[:, 0], links[:, 1])), shape=(count, count))
    return connected_components(graph, directed=False)[1]


def _fingerprint_all(contents: list[bytes]) -> list[tuple[bytes, np.ndarray]]:
    return [_fingerprint_one(content) for content in contents]


def _fingerprint_one(content: bytes) -> tuple[bytes, np.ndarray]:
    try:
        image = decode_image(content)
    except ImageError:
        # Preprocessing reports it; here it is nobody's near copy.
        return hashlib.sha256(content).digest(), np.zeros((_THUMBNAIL_PX, _THUMBNAIL_PX), np.float32)
    digest = hashlib.sha256(repr(image.shape).encode() + image.tobytes()).digest()
    return digest, resize_face(image, size_px=_THUMBNAIL_PX, channels=1)[..., 0].astype(np.float32)


def _dct_hash(thumbnails: np.ndarray) -> np.ndarray:
    """float32 [n, 32, 32] -> uint64 [n]: is each of the 64 lowest frequencies above their median?"""
    frequencies = scipy.fft.dctn(thumbnails, axes=(1, 2), workers=-1)[:, :_HASH_PX, :_HASH_PX]
    frequencies = frequencies.reshape(len(thumbnails), -1)
    bits = frequencies > np.median(frequencies[:, 1:], axis=1, keepdims=True)
    return np.packbits(bits, axis=1).view(">u8").astype(np.uint64).reshape(-1)


def _close_hashes(hashes: np.ndarray, max_distance: int) -> tuple[np.ndarray, np.ndarray]:
    """Index pairs (first < second) whose hashes differ in at most `max_distance` bits; blocks bound the memory."""

    def block(start: int) -> tuple[np.ndarray, np.ndarray]:
        rows = hashes[start : start + _BLOCK, None]
        distance = np.bitwise_count(rows ^ hashes[None, start:])
        first, second = np.nonzero(distance <= max_distance)
        above = second > first
        return first[above] + start, second[above] + start

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(block, range(0, len(hashes), _BLOCK)))
    empty = np.empty(0, np.int64)
    return np.concatenate([empty, *(pair[0] for pair in found)]), np.concatenate([empty, *(pair[1] for pair in found)])
