"""Draw boxes, labels and probability bars over a picture."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from emotion.inference.predictor import UNCERTAIN, FacePrediction, Prediction
from emotion.palette import BOXES, rgb

_COLOURS = tuple(rgb(colour) for colour in BOXES)  # of the labels, in their order
_GREY = (150, 150, 150)


def annotate(image: np.ndarray, prediction: Prediction, *, zoom: int | None = None) -> np.ndarray:
    """Draw every face's box, label and bars.

    Args:
        image: uint8 [height, width] or [height, width, 3] RGB, the picture that was predicted.
        zoom: how many times larger the result is; by default small pictures are enlarged to at least 240 pixels a side,
            so that the text is legible.

    Returns: uint8 [zoom * height, zoom * width, 3] RGB; taller where bars need room below the picture, unless `zoom`
    is given. `image` is not changed.
    """
    canvas = Image.fromarray(image).convert("RGB")
    fixed_size = zoom is not None
    zoom = zoom or max(1, -(-240 // min(canvas.size)))
    if zoom > 1:
        canvas = canvas.resize((canvas.width * zoom, canvas.height * zoom), Image.Resampling.NEAREST)
    places = [(face, _place(face, canvas.size, zoom)) for face in reversed(prediction.faces)]  # the first on top
    if not fixed_size and places:
        bottom = max(_bars_bottom(face, place) for face, place in places)
        canvas = canvas.crop((0, 0, canvas.width, max(canvas.height, bottom)))
    draw = ImageDraw.Draw(canvas, "RGBA")
    for face, place in places:
        _draw_bars(draw, face, place, canvas.height)
    for face, place in places:  # last, so that no bars cover a box or a label
        _draw_box(draw, face, place)
    return np.asarray(canvas)


class Place(NamedTuple):
    """Where a face is drawn, and the size of its text; in pixels."""

    left: int
    top: int
    width: int
    height: int
    font_px: int

    @property
    def row_px(self) -> int:
        """Height of one bar."""
        return max(9, int(self.font_px * 0.8))


def label_colour(face: FacePrediction, label: str | None = None) -> tuple[int, int, int]:
    """The colour of a label; grey for "uncertain"."""
    label = label or face.label
    return _GREY if label == UNCERTAIN else _COLOURS[list(face.probabilities).index(label) % len(_COLOURS)]


def _place(face: FacePrediction, size: tuple[int, int], zoom: int) -> Place:
    left, top, width, height = face.box.rounded() if face.box else (0, 0, size[0] // zoom, size[1] // zoom)
    font_px = int(np.clip(width * zoom / 9, 11, 36))
    return Place(left * zoom, top * zoom, width * zoom, height * zoom, font_px)


def _bars_bottom(face: FacePrediction, place: Place) -> int:
    return place.top + place.height + 3 + place.row_px * len(face.probabilities)


def _draw_box(draw: ImageDraw.ImageDraw, face: FacePrediction, place: Place) -> None:
    left, top, width, height, font_px = place
    colour = label_colour(face)
    draw.rectangle((left, top, left + width - 1, top + height - 1), outline=colour, width=max(2, font_px // 7))
    _draw_title(draw, f"{face.label} {face.confidence:.0%}", left, top, colour, font_px)


def _draw_title(
    draw: ImageDraw.ImageDraw, text: str, left: int, top: int, colour: tuple[int, int, int], font_px: int
) -> None:
    text_width = draw.textlength(text, font=_font(font_px))
    y = top - font_px - 6 if top >= font_px + 6 else max(top, 0)
    x = max(left, 0)
    draw.rectangle((x, y, x + text_width + 8, y + font_px + 6), fill=(*colour, 235))
    draw.text((x + 4, y + 1), text, fill=_ink(colour), font=_font(font_px))


def _draw_bars(draw: ImageDraw.ImageDraw, face: FacePrediction, place: Place, picture_height: int) -> None:
    """A row for each label under the box, or over its lower part where the picture ends."""
    left, top, width, height, _ = place
    row = place.row_px
    y = min(top + height + 2, picture_height - row * len(face.probabilities) - 1)
    x, font = max(left, 0), _font(row - 2)
    name_width = max(draw.textlength(label, font=font) for label in face.probabilities) + 6
    draw.rectangle((x, y, x + width - 1, y + row * len(face.probabilities)), fill=(0, 0, 0, 140))
    for label, probability in face.probabilities.items():
        draw.text((x + 3, y), label, fill=(255, 255, 255), font=font)
        bar = max(1.0, (width - name_width - 3) * probability)
        draw.rectangle((x + name_width, y + 2, x + name_width + bar, y + row - 2), fill=label_colour(face, label))
        y += row


def _ink(colour: tuple[int, int, int]) -> tuple[int, int, int]:
    """Black or white, whichever is easier to read on `colour`."""
    red, green, blue = colour
    return (0, 0, 0) if 0.299 * red + 0.587 * green + 0.114 * blue > 110 else (255, 255, 255)


@lru_cache(maxsize=32)
def _font(size_px: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size_px)
