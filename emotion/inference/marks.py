"""What is drawn at each face of a picture, and where, so that nothing lies upon a face. In whole pixels."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from emotion.inference.predictor import FacePrediction

SMALLEST_TEXT_PX = 10
ROWS = 8  # bars of a face; where there are more labels, the most probable
_ROW, _GAP_PX = 1.3, 2  # height of a row / of its text
_SMALL_FACE = 5.0  # in widths of the smallest text: below it, bars would be larger than the face
Measure = Callable[[str, int], float]  # text, its size -> its width


class Rect(NamedTuple):
    """A part of a picture."""

    left: int
    top: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """First column beyond it."""
        return self.left + self.width

    @property
    def bottom(self) -> int:
        """First row below it."""
        return self.top + self.height

    def grown(self, by: int) -> "Rect":
        """The same with a margin on every side."""
        return Rect(self.left - by, self.top - by, self.width + 2 * by, self.height + 2 * by)


class Room:
    """What is still free of a picture, at first all but the faces."""

    def __init__(self, width: int, height: int, faces: Iterable[Rect]) -> None:
        self.width, self.height = width, height
        self._taken = np.array([_edges(rect) for rect in faces], np.int64).reshape(-1, 4)

    def take_first(self, places: Iterable[Rect]) -> Rect | None:
        """Take the first place that is free, moved into the picture; None where none is."""
        for place in places:
            moved = self.within(place)
            if self._is_free(moved):
                self._taken = np.vstack([self._taken, _edges(moved)])
                return moved
        return None

    def within(self, rect: Rect) -> Rect:
        """Moved into the picture, as far as it goes."""
        left = max(0, min(rect.left, self.width - rect.width))
        return rect._replace(left=left, top=max(0, min(rect.top, self.height - rect.height)))

    def _is_free(self, rect: Rect) -> bool:
        if rect.right > self.width or rect.bottom > self.height:
            return False
        left, top, right, bottom = self._taken.T
        return not ((left < rect.right) & (rect.left < right) & (top < rect.bottom) & (rect.top < bottom)).any()


@dataclass(frozen=True)
class Marks:
    """What belongs to one face.

    Attributes:
        number: None for a single face.
        box: around it; None where the whole picture is the face.
        tag: where `text` is written, in letters of `text_px`; None where there is no room.
        bars: where they are drawn, in letters of `bars_px`; None for small faces, and where there is no room.
        is_small: too small for bars.
    """

    face: FacePrediction
    number: int | None
    box: Rect | None
    stroke_px: int
    text_px: int
    bars_px: int
    is_small: bool
    text: str = ""
    tag: Rect | None = None
    bars: Rect | None = None

    @property
    def title(self) -> str:
        """Number, label and confidence."""
        number = "" if self.number is None else f"{self.number} "
        return f"{number}{self.face.label} {self.face.confidence:.0%}"

    @property
    def is_complete(self) -> bool:
        """Whether all of it is said beside the face."""
        return self.text == self.title and (self.is_small or self.bars is not None)


def unit_px(width: int, height: int) -> int:
    """The size of a picture's text: it follows the picture, so that it is legible when all of it is looked at."""
    return max(11, round(math.sqrt(width * height) / 60))


def plan_marks(
    faces: Sequence[FacePrediction],
    numbers: Sequence[int] | None,
    size: tuple[int, int],
    scale: float,
    measure: Measure,
    *,
    has_strip: bool,
) -> list[Marks]:
    """Find a place for everything.

    Args:
        numbers: by default 1, 2, ... where there are several faces.
        size: width and height of the picture that is drawn on, which is `scale` times the one with the faces.
        has_strip: what has no room will be said below the picture. Then nothing but a number, in the box's corner,
            lies in a box whose surroundings are full, and either all large faces have bars beside them or none.
    """
    shown: Sequence[int | None] = numbers or (range(1, len(faces) + 1) if len(faces) > 1 else [None] * len(faces))
    unit = unit_px(*size)
    marks = [_empty(face, number, scale, unit) for face, number in zip(faces, shown, strict=True)]
    room = Room(*size, [mark.box.grown(mark.stroke_px) for mark in marks if mark.box])
    tagged = [_tagged(mark, room, measure, has_strip=has_strip) for mark in marks]
    complete = [_with_bars(mark, room, measure) for mark in tagged]
    is_short = any(mark.bars is None and not mark.is_small for mark in complete)
    return tagged if has_strip and is_short else complete


def place_note(marks: Sequence[Marks], size: tuple[int, int], note: tuple[int, int]) -> Rect | None:
    """Find a corner of a picture of `size` where a note of that width and height lies upon no face nor its marks.

    None where there is none, also where the whole picture is a face.
    """
    if any(mark.box is None for mark in marks):
        return None
    places = [place for mark in marks for place in (mark.box and mark.box.grown(mark.stroke_px), mark.tag, mark.bars)]
    room = Room(*size, [place for place in places if place])
    lefts, tops = (size[0] - note[0], 0), (size[1] - note[1], 0)
    return room.take_first(Rect(left, top, *note) for top in tops for left in lefts)


def rows_of(face: FacePrediction) -> list[str]:
    """The labels that get a bar, in the model's order."""
    best = sorted(face.probabilities, key=face.probabilities.__getitem__, reverse=True)[:ROWS]
    return [label for label in face.probabilities if label in best]


def row_px(text_px: int) -> int:
    """Height of a row of text of this size."""
    return round(text_px * _ROW)


def bars_size(face: FacePrediction, text_px: int, measure: Measure) -> tuple[int, int]:
    """Least width, and height, of a face's bars: a row for each label with its name, bar and percentage."""
    names = name_width(face, text_px, measure)
    return math.ceil(names + 7.5 * text_px), row_px(text_px) * len(rows_of(face)) + 2 * _GAP_PX


def name_width(face: FacePrediction, text_px: int, measure: Measure) -> float:
    """Width of the column of names; long names are cut off."""
    return min(9.0 * text_px, max(measure(label, text_px) for label in rows_of(face)))


def tag_size(text: str, text_px: int, measure: Measure) -> tuple[int, int]:
    """Width and height of a label with its margin."""
    return math.ceil(measure(text, text_px) + 0.7 * text_px), math.ceil(1.4 * text_px)


def _empty(face: FacePrediction, number: int | None, scale: float, unit: int) -> Marks:
    """A face's box and the sizes of its text, which follow the face within what the picture allows."""
    if face.box is None:
        return Marks(face, number, None, 0, unit, unit, is_small=False)
    edges = (face.box.left, face.box.top, face.box.left + face.box.width, face.box.top + face.box.height)
    left, top, right, bottom = (math.floor(edge * scale + 0.5) for edge in edges)
    box = Rect(left, top, max(1, right - left), max(1, bottom - top))
    side = min(box.width, box.height)
    least = max(SMALLEST_TEXT_PX, round(0.6 * unit))
    text_px = max(least, min(side // 8, 2 * unit))
    bars_px = max(least, min(side // 13, round(1.3 * unit)))
    is_small = side < _SMALL_FACE * least
    return Marks(face, number, box, max(2, text_px // 7), text_px, bars_px, is_small)


def _tagged(mark: Marks, room: Room, measure: Measure, *, has_strip: bool) -> Marks:
    """With its label, or else its number, where that does not cover a face."""
    texts = [mark.title] if mark.number is None else [mark.title, f"{mark.number}"]
    around = mark.box.grown(mark.stroke_px) if mark.box else None
    for text in texts:
        size = tag_size(text, mark.text_px, measure)
        if around and (tag := room.take_first(_above_first(around, *size))):
            return replace(mark, text=text, tag=tag)
    if has_strip and mark.number is None:
        return mark
    corner = around or Rect(0, 0, room.width, room.height)
    text = next((text for text in texts if tag_size(text, mark.text_px, measure)[0] <= corner.width), texts[-1])
    text = texts[-1] if has_strip else text
    return replace(mark, text=text, tag=room.within(Rect(*corner[:2], *tag_size(text, mark.text_px, measure))))


def _with_bars(mark: Marks, room: Room, measure: Measure) -> Marks:
    if mark.box is None or mark.is_small:
        return mark
    width, height = bars_size(mark.face, mark.bars_px, measure)
    around = mark.box.grown(mark.stroke_px)
    widths = dict.fromkeys((max(width, min(mark.box.width, 18 * mark.bars_px)), width))  # as the face, or the least
    places = (place for width in widths for place in _below_first(around, mark.tag or around, width, height))
    return replace(mark, bars=room.take_first(places))


def _above_first(face: Rect, width: int, height: int) -> Iterator[Rect]:
    """Places for a label of this size at a face: above, below, then beside it."""
    for top in (face.top - height, face.bottom):
        for left in (face.left, face.right - width):
            yield Rect(left, top, width, height)
    yield from _beside(face, width, height)


def _below_first(face: Rect, tag: Rect, width: int, height: int) -> Iterator[Rect]:
    """Places for bars of this size at a face: below, beside, then above it and its label."""
    left = face.left + (face.width - width) // 2
    yield Rect(left, max(face.bottom, tag.bottom) + _GAP_PX, width, height)
    yield from _beside(face.grown(_GAP_PX), width, height)
    yield Rect(left, min(face.top, tag.top) - _GAP_PX - height, width, height)


def _beside(face: Rect, width: int, height: int) -> Iterator[Rect]:
    for left in (face.right, face.left - width):
        for top in (face.top, face.bottom - height):
            yield Rect(left, top, width, height)


def _edges(rect: Rect) -> tuple[int, int, int, int]:
    return rect.left, rect.top, rect.right, rect.bottom
