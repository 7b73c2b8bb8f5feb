"""Draw boxes, labels and probability bars over a picture, none of them upon a face.

A face has its label above it and its bars below it, or wherever else there is room; small faces have a label only.
Where there are several faces, each has its number. What finds no room lies in a strip below the picture, under the
face's number. A prior other than the training's is named in a corner, or in the strip where none is free.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from emotion.foundation.errors import UserError, shown
from emotion.foundation.files import written_whole
from emotion.inference.given.prior import TRAINING
from emotion.inference.marks import (
    Marks,
    Rect,
    bars_size,
    name_width,
    place_note,
    plan_marks,
    row_px,
    rows_of,
    tag_size,
    unit_px,
)
from emotion.inference.predictor import FacePrediction, Prediction, read_picture
from emotion.model.about import UNCERTAIN
from emotion.palette import BOXES, UNCERTAIN_GREY, rgb

MAX_GROWTH = 4  # times the picture's pixels
ALWAYS_ALLOWED_PIXELS = 1_000_000  # whatever the picture's size
JPEG_QUALITY = 90
JPEG_SUFFIXES = (".jpg", ".jpeg")
_ENLARGED_BELOW_PX = 400  # root of the pixels; smaller pictures are enlarged, so that there is room for text
_LONGEST_PX = 65_000  # a JPEG has at most 65,500
_LONGEST_NOTE = 100  # characters
_WIDEST_TITLE = 24  # in heights of its text, in a picture that is narrower than that
_SHRUNK_PX = 2_000  # longest side of what is too narrow for the bound
_COLOURS = tuple(rgb(colour) for colour in BOXES)  # of the labels, in their order
_GREY, _WHITE, _STRIP = rgb(UNCERTAIN_GREY), (255, 255, 255), (24, 24, 27)
_SHADE, _TRACK = (16, 16, 18, 190), (255, 255, 255, 45)


def annotate(
    image: np.ndarray, prediction: Prediction, *, keep_size: bool = False, numbers: Sequence[int] | None = None
) -> np.ndarray:
    """Draw every face's box, label and bars.

    Args:
        image: uint8 [height, width] or [height, width, 3] RGB, the picture that was predicted.
        keep_size: for frames of a video: nothing is enlarged, and what has no room is left out.
        numbers: of the faces; by default 1, 2, ... where there are several, none for a single face.

    Returns: uint8 [rows, columns, 3] RGB. Unless `keep_size`: small pictures are enlarged, and a strip is added below
        where something has no room, up to `MAX_GROWTH` times the pixels of `image`, or `ALWAYS_ALLOWED_PIXELS`. What is
        so narrow that this is not enough is shrunk. `image` is not changed.
    """
    return np.asarray(_drawn(image, prediction, keep_size=keep_size, numbers=numbers))


def annotated_name(path: Path) -> str:
    """The file name of an annotated copy: a JPEG stays one, all else becomes a PNG."""
    return path.name if path.suffix.lower() in JPEG_SUFFIXES else f"{path.stem}.png"


def write_annotated(prediction: Prediction, path: Path) -> None:
    """Write one predicted picture, read again, with its boxes and bars: a JPEG or a PNG, by the name.

    Raises UserError when it cannot be written.
    """
    image = read_picture(prediction.source)
    try:
        with written_whole(path) as part, part.open("wb") as file:
            save_annotated(image, prediction, file, is_jpeg=path.suffix.lower() in JPEG_SUFFIXES)
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror or error})") from None


def save_annotated(image: np.ndarray, prediction: Prediction, file: IO[bytes], *, is_jpeg: bool) -> None:
    """Write a predicted picture with its boxes and bars to an open file."""
    drawn = _drawn(image, prediction)
    if is_jpeg:
        drawn.save(file, "JPEG", quality=JPEG_QUALITY)
    else:
        drawn.save(file, "PNG")


# --- how large it becomes --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Panel:
    """A face's part of the strip: its label and, for a large face, its bars."""

    marks: Marks
    place: Rect


@dataclass(frozen=True)
class Note:
    """What is said of the picture as a whole, in letters of `text_px`."""

    text: str
    text_px: int
    place: Rect


@dataclass(frozen=True)
class Sheet:
    """The picture as it will be drawn.

    Attributes:
        picture: its width and height, in the upper left of the canvas.
        canvas: width and height of all.
        marks: at the faces.
        panels: in the strip below.
        left_out: how many faces have no panel, as the bound leaves no room for it.
        text_px: size of the strip's text.
        note: which prior was used, where it is not the training's and there is room.
    """

    picture: tuple[int, int]
    canvas: tuple[int, int]
    marks: list[Marks]
    panels: list[Panel]
    left_out: int
    text_px: int
    note: Note | None = None


def _planned(
    width: int, height: int, faces: Sequence[FacePrediction], numbers: Sequence[int] | None, *, keep_size: bool
) -> Sheet:
    """The largest sheet within the bound; one that keeps the picture's size has no strip."""
    if keep_size:
        marks = plan_marks(faces, numbers, (width, height), 1.0, _text_width, has_strip=False)
        return Sheet((width, height), (width, height), marks, [], 0, 0)
    shrunk = min(1.0, _SHRUNK_PX / max(width, height))
    if not faces:
        return _sheet_at(1.0 if max(width, height) <= _LONGEST_PX else shrunk, width, height, faces, numbers)
    zoom = math.ceil(_ENLARGED_BELOW_PX / math.sqrt(width * height))
    sheets = (_sheet_at(scale, width, height, faces, numbers) for scale in (zoom, 1.0))
    limit = max(MAX_GROWTH * width * height, ALWAYS_ALLOWED_PIXELS)
    fitting = (sheet for sheet in sheets if math.prod(sheet.canvas) <= limit and max(sheet.canvas) <= _LONGEST_PX)
    return next(fitting, None) or _sheet_at(shrunk, width, height, faces, numbers)


def _sheet_at(
    scale: float, width: int, height: int, faces: Sequence[FacePrediction], numbers: Sequence[int] | None
) -> Sheet:
    """The sheet with the picture at a scale."""
    size = max(1, round(width * scale)), max(1, round(height * scale))
    marks = plan_marks(faces, numbers, size, scale, _text_width, has_strip=True)
    text_px = max(11, round(0.85 * unit_px(*size)))
    largest = max(MAX_GROWTH * width * height, ALWAYS_ALLOWED_PIXELS)
    incomplete = [mark for mark in marks if not mark.is_complete]
    if not incomplete:
        return Sheet(size, size, marks, [], 0, text_px)
    groups = [[mark for mark in incomplete if mark.is_small is is_small] for is_small in (False, True)]
    least = max(max(_panel_size(mark, text_px, size[0])[0] for mark in incomplete) + 2 * text_px, size[0])
    return _with_strip(Sheet(size, (least, size[1]), marks, [], 0, text_px), groups, largest // least)


def _with_strip(sheet: Sheet, groups: Sequence[Sequence[Marks]], tallest: int) -> Sheet:
    """Add the panels, one grid of equal ones for each group, until the canvas is `tallest` pixels high."""
    gap, top, panels = sheet.text_px, sheet.picture[1] + sheet.text_px, list[Panel]()
    for group in filter(None, groups):
        width, height = (
            max(sides)
            for sides in zip(*(_panel_size(mark, sheet.text_px, sheet.picture[0]) for mark in group), strict=True)
        )
        columns = min(len(group), max(1, (sheet.canvas[0] - gap) // (width + gap)))
        width = min((sheet.canvas[0] - gap) // columns - gap, round(1.7 * width))
        rows = min(-(-len(group) // columns), max(0, (tallest - top) // (height + gap)))
        for index, mark in enumerate(group[: rows * columns]):
            row, column = divmod(index, columns)
            panels.append(Panel(mark, Rect(gap + column * (width + gap), top + row * (height + gap), width, height)))
        top += rows * (height + gap)
    left_out = sum(map(len, groups)) - len(panels)
    line = row_px(sheet.text_px) if left_out else 0
    return replace(sheet, canvas=(sheet.canvas[0], top + line), panels=panels, left_out=left_out)


def _with_note(sheet: Sheet, prior: str, largest: int) -> Sheet:
    """Say which prior was used: in a free corner of the picture, else in a row below all, up to `largest` pixels."""
    text_px = max(11, round(0.85 * unit_px(*sheet.picture)))
    text = _cut(f"prior: {shown(prior)}"[:_LONGEST_NOTE], text_px, sheet.canvas[0] - text_px)
    size = tag_size(text, text_px, _text_width)
    if place := place_note(sheet.marks, sheet.picture, size):
        return replace(sheet, note=Note(text, text_px, place))
    width, height = sheet.canvas[0], sheet.canvas[1] + size[1]
    if size[0] > width or width * height > largest or height > _LONGEST_PX:
        return sheet
    return replace(sheet, canvas=(width, height), note=Note(text, text_px, Rect(0, sheet.canvas[1], *size)))


def _panel_size(mark: Marks, text_px: int, picture_width: int) -> tuple[int, int]:
    """Least width and height of a face's part of the strip, whose title is cut where it would widen the picture far."""
    title_width, title_height = tag_size(mark.title, text_px, _text_width)
    title_width = min(title_width, max(picture_width - 2 * text_px, _WIDEST_TITLE * text_px))
    if mark.is_small:
        return title_width, title_height
    width, height = bars_size(mark.face, text_px, _text_width)
    return max(title_width, width), title_height + height


# --- drawing ---------------------------------------------------------------------------------------------------------


def _drawn(
    image: np.ndarray, prediction: Prediction, *, keep_size: bool = False, numbers: Sequence[int] | None = None
) -> Image.Image:
    height, width = image.shape[:2]
    sheet = _planned(width, height, prediction.faces, numbers, keep_size=keep_size)
    if prediction.faces and prediction.prior != TRAINING:
        largest = 0 if keep_size else max(MAX_GROWTH * width * height, ALWAYS_ALLOWED_PIXELS)
        sheet = _with_note(sheet, prediction.prior, largest)
    canvas = Image.new("RGB", sheet.canvas, _STRIP)
    canvas.paste(_resized(image, sheet.picture))
    draw = ImageDraw.Draw(canvas, "RGBA")
    for mark in sheet.marks:
        if mark.bars:
            draw.rectangle(_corners(mark.bars), fill=_SHADE)
            _draw_bars(draw, mark.face, mark.bars, mark.bars_px)
    for mark in reversed(sheet.marks):  # the first on top
        _draw_box(draw, mark, sheet.picture)
    for mark in reversed(sheet.marks):
        if mark.tag:
            _draw_tag(draw, mark.face, mark.text, mark.tag, mark.text_px)
    for panel in sheet.panels:
        _draw_panel(draw, panel, sheet.text_px)
    if sheet.left_out:
        place = (sheet.text_px, sheet.canvas[1] - row_px(sheet.text_px) - sheet.text_px // 3)
        draw.text(place, f"and {sheet.left_out} more", fill=_WHITE, font=_font(sheet.text_px))
    if sheet.note:
        draw.rectangle(_corners(sheet.note.place), fill=_SHADE)
        _draw_text(draw, sheet.note.text, sheet.note.place, sheet.note.text_px, _WHITE)
    return canvas


def _resized(image: np.ndarray, size: tuple[int, int]) -> Image.Image:
    """Enlarge smoothly; shrink by picking pixels before Pillow sees the picture, as it needs 16 bytes for each row."""
    height, width = image.shape[:2]
    if size[0] < width or size[1] < height:
        rows, columns = (np.arange(new) * old // new for new, old in zip(size[::-1], (height, width), strict=True))
        image = image[rows][:, columns]
    picture = Image.fromarray(image)
    return picture if picture.size == size else picture.resize(size, Image.Resampling.BICUBIC)


def label_colours(labels: Sequence[str]) -> dict[str, str]:
    """The colour of each label, as `#0072B2`."""
    return {label: BOXES[index % len(BOXES)] for index, label in enumerate(labels)}


def label_colour(face: FacePrediction, label: str | None = None) -> tuple[int, int, int]:
    """The colour of a label; grey for "uncertain"."""
    label = label or face.label
    return _GREY if label == UNCERTAIN else _COLOURS[list(face.probabilities).index(label) % len(_COLOURS)]


def _draw_box(draw: ImageDraw.ImageDraw, mark: Marks, size: tuple[int, int]) -> None:
    """Around the face rather than upon it; what lies outside the picture is drawn along its edge."""
    if mark.box is None:
        return
    left, top, right, bottom = _corners(mark.box.grown(mark.stroke_px))
    left, top = (max(0, min(edge, length - 1)) for edge, length in zip((left, top), size, strict=True))
    right, bottom = max(left, min(right, size[0] - 1)), max(top, min(bottom, size[1] - 1))
    draw.rectangle((left, top, right, bottom), outline=label_colour(mark.face), width=mark.stroke_px)


def _draw_tag(draw: ImageDraw.ImageDraw, face: FacePrediction, text: str, place: Rect, text_px: int) -> None:
    colour = label_colour(face)
    draw.rectangle(_corners(place), fill=colour)
    _draw_text(draw, text, place, text_px, _ink(colour))


def _draw_text(draw: ImageDraw.ImageDraw, text: str, place: Rect, text_px: int, ink: tuple[int, int, int]) -> None:
    """A line with the margin that `tag_size` counts."""
    middle = (place.left + 0.35 * text_px, place.top + place.height / 2)
    draw.text(middle, text, fill=ink, font=_font(text_px), anchor="lm")


def _draw_panel(draw: ImageDraw.ImageDraw, panel: Panel, text_px: int) -> None:
    """The strip's part for one face."""
    title, face = tag_size(panel.marks.title, text_px, _text_width), panel.marks.face
    width, text = title[0], panel.marks.title
    if width > panel.place.width:
        width, text = panel.place.width, _cut(text, text_px, panel.place.width - 0.7 * text_px)
    _draw_tag(draw, face, text, Rect(panel.place.left, panel.place.top, width, title[1]), text_px)
    if not panel.marks.is_small:
        left, top, width, height = panel.place
        _draw_bars(draw, face, Rect(left, top + title[1], width, height - title[1]), text_px)


def _draw_bars(draw: ImageDraw.ImageDraw, face: FacePrediction, place: Rect, text_px: int) -> None:
    """A row for each label: its name, its bar, and how many per cent it has."""
    font, row, margin = _font(text_px), row_px(text_px), max(2, round(0.3 * text_px))
    names = name_width(face, text_px, _text_width)
    left, right = place.left + margin + names + 0.5 * text_px, place.right - margin - 2.9 * text_px
    y = place.top + (place.height - row * len(rows_of(face))) // 2
    for label in rows_of(face):
        middle, probability = y + row / 2, face.probabilities[label]
        draw.text((place.left + margin, middle), _cut(label, text_px, names), fill=_WHITE, font=font, anchor="lm")
        thickness = (y + row * 0.2, y + row * 0.8)
        draw.rectangle((left, thickness[0], right, thickness[1]), fill=_TRACK)
        draw.rectangle(
            (left, thickness[0], left + (right - left) * probability, thickness[1]), fill=label_colour(face, label)
        )
        draw.text((place.right - margin, middle), f"{probability:.0%}", fill=_WHITE, font=font, anchor="rm")
        y += row


def _corners(rect: Rect) -> tuple[int, int, int, int]:
    """As Pillow wants them: the last column and row included."""
    return rect.left, rect.top, rect.right - 1, rect.bottom - 1


def _ink(colour: tuple[int, int, int]) -> tuple[int, int, int]:
    """Black or white, whichever is easier to read on `colour`."""
    red, green, blue = colour
    return (0, 0, 0) if 0.299 * red + 0.587 * green + 0.114 * blue > 100 else (255, 255, 255)


def _cut(text: str, text_px: int, width: float) -> str:
    """As much of a text as fits."""
    if _text_width(text, text_px) <= width:
        return text
    fitting = bisect_right(range(1, len(text) + 1), width, key=lambda length: _text_width(text[:length], text_px))
    return text[: max(1, fitting)]


@lru_cache(maxsize=4096)
def _text_width(text: str, text_px: int) -> float:
    return float(_font(text_px).getlength(text))


@lru_cache(maxsize=64)
def _font(size_px: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size_px)
