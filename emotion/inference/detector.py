"""Find the faces of a picture, framed as the network was trained to see them."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

import cv2
import numpy as np

from emotion.inference.lite import LiteModel

_SAME_FACE = 0.3  # boxes with a larger intersection over union are one face
_BLAZEFACE = Path(__file__).parents[1] / "published" / "blazeface_short_range.tflite"


class Box(NamedTuple):
    """A rectangular part of a picture, in pixels; it may reach beyond the picture's edge."""

    left: float
    top: float
    width: float
    height: float

    def rounded(self) -> tuple[int, int, int, int]:
        """Left, top, width and height in whole pixels."""
        return round(self.left), round(self.top), max(1, round(self.width)), max(1, round(self.height))


class Found(NamedTuple):
    """One face: where it is, framed for the network, and how sure the detector is, 0 to 1."""

    box: Box
    score: float


class Detector(Protocol):
    """Anything that finds faces; this method is all it needs."""

    def find(self, image: np.ndarray) -> list[Found]:
        """Faces of a uint8 picture [height, width] or [height, width, 3] RGB, largest first; empty where none is."""


def crop_face(image: np.ndarray, box: Box) -> np.ndarray:
    """Cut a box out of a picture [height, width(, 3)]; what lies beyond the edge repeats the edge's pixels."""
    left, top, width, height = box.rounded()
    rows, columns = image.shape[:2]
    inside = image[max(top, 0) : max(top + height, 1), max(left, 0) : max(left + width, 1)]
    missing = (max(-top, 0), max(top + height - rows, 0), max(-left, 0), max(left + width - columns, 0))
    return cv2.copyMakeBorder(inside, *missing, cv2.BORDER_REPLICATE) if any(missing) else inside


class BlazeFace:
    """Google's BlazeFace, short range, run over a pyramid of square tiles, each hit confirmed by a closer look.

    The network sees 128x128 pixels and is sure of faces that fill a quarter to all of them. So it looks at the whole
    picture with a margin, then at tiles of a half, a quarter and an eighth of its longer side, overlapping by half.
    Each proposed face is looked at again, centred, in a tile of twice its size: that rejects what is not a face and
    gives every box the same scale, which `SIDE` and `RAISE` then turn into FER2013's framing.

    Source: Bazarevsky et al. 2019 (https://arxiv.org/abs/1907.05047); anchors as in MediaPipe's
    face_detection_short_range.
    """

    # Measured by benchmarks/framing.py: a FER2013 picture's side, and how far its middle is above BlazeFace's box's.
    SIDE = 1.18  # of the box's side
    RAISE = 0.10  # of the box's side

    INPUT_PX = 128
    MAX_SIDE_PX = 1280  # larger pictures are shrunk to this before the search
    MIN_TILE_PX = 112
    MIN_PROPOSAL = 0.5
    MIN_SCORE = 0.6
    LOOKS = 3  # 1 costs 1.5 points of accuracy (two standard errors), as boxes then depend on the tile

    def __init__(self, *, halvings: int = 3) -> None:
        """Load the network. `halvings` of the tiles' side: 3 finds faces down to a 25th of the picture, 1 to a 6th."""
        self._network = LiteModel(_BLAZEFACE, threads=1)
        self._anchors = np.concatenate([_grid(16, repeat=2), _grid(8, repeat=6)])
        self._halvings = halvings

    def find(self, image: np.ndarray) -> list[Found]:
        """Faces of a uint8 picture [height, width] or [height, width, 3] RGB, largest first; empty where none is."""
        picture, shrink = _prepared(image, self.MAX_SIDE_PX)
        tiles = _tiles(*picture.shape[:2], halvings=self._halvings, min_side=self.MIN_TILE_PX)
        proposals = [found for tile in tiles for found in self._look(picture, tile, self.MIN_PROPOSAL)]
        return self._confirm(picture, [found.box for found in _distinct(proposals)], shrink, looks=self.LOOKS)

    def follow(self, image: np.ndarray, boxes: list[Box]) -> list[Found]:
        """Look only where faces were: `boxes` as `find` framed them in the previous frame. One network call per box."""
        picture, shrink = _prepared(image, self.MAX_SIDE_PX)
        return self._confirm(picture, [self._unframed(box, shrink) for box in boxes], shrink, looks=1)

    def _confirm(self, picture: np.ndarray, boxes: list[Box], shrink: float, *, looks: int) -> list[Found]:
        """Look at each box again, centred in a tile of twice its side; each look starts from the last one's box."""
        confirmed = []
        for box in boxes:
            seen: list[Found] = []
            for _ in range(looks):
                left, top, width, height = seen[-1].box if seen else box
                tile = Box(left - width / 2, top - height / 2, 2 * width, 2 * width)
                again = self._look(picture, tile, self.MIN_SCORE)[:1]
                if not again:
                    break  # the first look decides whether it is a face; the others refine where
                seen += again
            confirmed += seen[-1:]
        found = [Found(self._framed(face.box, shrink), face.score) for face in _distinct(confirmed)]
        return sorted(found, key=lambda face: (-face.box.width, face.box.top, face.box.left))

    def _look(self, picture: np.ndarray, tile: Box, min_score: float) -> list[Found]:
        """Run the network on one square tile: its faces, the surest first, in the picture's pixels."""
        pixels = _resampled(picture, tile, self.INPUT_PX).astype(np.float32) / 127.5 - 1.0
        first, second = self._network.run(pixels[None])
        raw, logits = (first, second) if first.shape[-1] > 1 else (second, first)
        scores = 1.0 / (1.0 + np.exp(-np.clip(logits[0, :, 0], -80.0, 80.0)))
        sure = scores >= min_score
        middles = raw[0, sure, :2] / self.INPUT_PX + self._anchors[sure]
        sides = raw[0, sure, 2:4] / self.INPUT_PX
        boxes = np.concatenate([middles - sides / 2, sides], axis=1) * tile.width
        boxes[:, :2] += (tile.left, tile.top)
        order = np.argsort(-scores[sure], kind="stable")
        return _merged([Found(Box(*boxes[index].tolist()), float(scores[sure][index])) for index in order])

    def _framed(self, box: Box, shrink: float) -> Box:
        side = self.SIDE * box.width / shrink
        middle_x, middle_y = box.left + box.width / 2, box.top + box.height / 2 - self.RAISE * box.height
        return Box(middle_x / shrink - side / 2, middle_y / shrink - side / 2, side, side)

    def _unframed(self, box: Box, shrink: float) -> Box:
        side = box.width * shrink / self.SIDE
        middle_x, middle_y = (
            (box.left + box.width / 2) * shrink,
            (box.top + box.height / 2) * shrink + self.RAISE * side,
        )
        return Box(middle_x - side / 2, middle_y - side / 2, side, side)


def overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes, 0 to 1."""
    across = min(one.left + one.width, other.left + other.width) - max(one.left, other.left)
    down = min(one.top + one.height, other.top + other.height) - max(one.top, other.top)
    shared = max(0.0, across) * max(0.0, down)
    return shared / (one.width * one.height + other.width * other.height - shared)


def _tiles(height: int, width: int, *, halvings: int, min_side: int) -> Iterator[Box]:
    """The whole picture with a margin, then overlapping squares of a half, a quarter ... of its longer side."""
    whole = max(height, width)
    yield Box(width / 2 - 0.625 * whole, height / 2 - 0.625 * whole, 1.25 * whole, 1.25 * whole)
    for halving in range(1, halvings + 1):
        side = whole / 2**halving
        if side < min_side:
            return
        for top in _starts(height, side):
            for left in _starts(width, side):
                yield Box(left, top, side, side)


def _starts(length: int, side: float) -> list[float]:
    """Where squares of `side` start that cover `length` and overlap by half."""
    if length <= side:
        return [(length - side) / 2]
    count = int(np.ceil((length - side) / (side / 2))) + 1
    return [float(start) for start in np.linspace(0, length - side, count)]


def _resampled(picture: np.ndarray, tile: Box, side_px: int) -> np.ndarray:
    """Cut a square tile and scale it to `side_px`; black beyond the picture's edge."""
    left, top, side, _ = tile.rounded()
    rows, columns = picture.shape[:2]
    inside = picture[max(top, 0) : max(top + side, 0), max(left, 0) : max(left + side, 0)]
    if inside.size == 0:
        return np.zeros((side_px, side_px, 3), np.uint8)
    missing = (max(-top, 0), max(top + side - rows, 0), max(-left, 0), max(left + side - columns, 0))
    if any(missing):
        inside = cv2.copyMakeBorder(inside, *missing, cv2.BORDER_CONSTANT)
    how = cv2.INTER_AREA if side > side_px else cv2.INTER_LINEAR
    return cv2.resize(inside, (side_px, side_px), interpolation=how)


def _prepared(image: np.ndarray, max_side_px: int) -> tuple[np.ndarray, float]:
    """RGB, no side longer than `max_side_px`; and the factor it was shrunk by, at most 1."""
    shrink = min(1.0, max_side_px / max(image.shape[:2]))
    if shrink < 1.0:
        size = max(1, round(image.shape[1] * shrink)), max(1, round(image.shape[0] * shrink))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return (cv2.cvtColor(image, cv2.COLOR_GRAY2RGB) if image.ndim == 2 else image), shrink


def _distinct(faces: list[Found]) -> list[Found]:
    """Drop every face that overlaps a surer one."""
    kept: list[Found] = []
    for face in sorted(faces, key=lambda face: -face.score):
        if all(overlap(face.box, other.box) < _SAME_FACE for other in kept):
            kept.append(face)
    return kept


def _merged(faces: list[Found]) -> list[Found]:
    """Average every group of overlapping boxes, weighted by score, as BlazeFace's authors do; the surest first."""
    merged = []
    while faces:
        same = [face for face in faces if overlap(face.box, faces[0].box) >= _SAME_FACE]
        faces = [face for face in faces if overlap(face.box, faces[0].box) < _SAME_FACE]
        box = np.average([face.box for face in same], axis=0, weights=[face.score for face in same])
        merged.append(Found(Box(*box.tolist()), same[0].score))
    return merged


def _grid(cells: int, *, repeat: int) -> np.ndarray:
    """Middles (x, y) of cells x cells squares that fill the unit square, row by row: float32 [cells² · repeat, 2]."""
    middles = (np.arange(cells, dtype=np.float32) + 0.5) / cells
    y, x = np.meshgrid(middles, middles, indexing="ij")
    return np.repeat(np.stack([x.ravel(), y.ravel()], axis=1), repeat, axis=0)
