"""The picture: shapes painted, lit, and seen by a poor camera."""

from collections.abc import Iterator
from itertools import accumulate, islice, pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion.sources.synthetic.expressions import ActionUnits
from emotion.sources.synthetic.eyes import brows, eyes, glasses
from emotion.sources.synthetic.head import back_hair, beard, body, front_hair, head
from emotion.sources.synthetic.light import illuminate
from emotion.sources.synthetic.mouth import creases, mouth, nose
from emotion.sources.synthetic.people import Identity, place
from emotion.sources.synthetic.shapes import SIZE_PX, Pixels, Shape

SUPERSAMPLING = 4
_FRACTION_BITS = 4  # of the coordinates that OpenCV draws at


def paint(shapes: list[Shape], who: Identity) -> tuple[Pixels, Pixels]:
    """Paint the shapes in their order, enlarged, and shrink the result.

    Returns:
        The picture in flat tones, and how much of each pixel the person covers (0 to 255), both of shape (48, 48).
    """
    canvas, cover = paint_enlarged(shapes, who, background_tone=round(who.background_tone), edges=cv2.LINE_8)
    return _shrink(canvas), _shrink(cover)


def paint_enlarged(shapes: list[Shape], who: Identity, *, background_tone: int, edges: int) -> tuple[Pixels, Pixels]:
    """Paint the shapes in their order, SUPERSAMPLING times as large; `edges` is OpenCV's line type.

    Returns:
        As `paint`, both of shape (SIZE_PX * SUPERSAMPLING, SIZE_PX * SUPERSAMPLING).
    """
    size = SIZE_PX * SUPERSAMPLING
    canvas, cover = np.full((size, size), background_tone, np.uint8), np.zeros((size, size), np.uint8)
    for shape, points in zip(shapes, _subpixels(shapes, who), strict=True):
        tone = (round(min(max(shape.tone, 0), 255)),)
        if shape.width_px:
            width = max(1, round(shape.width_px * SUPERSAMPLING))
            cv2.polylines(canvas, points, False, tone, width, edges, _FRACTION_BITS)
        else:
            cv2.fillPoly(canvas, points, tone, edges, _FRACTION_BITS)
        if shape.solid:
            cv2.fillPoly(cover, points, (255,), edges, _FRACTION_BITS)
    return canvas, cover


def _subpixels(shapes: list[Shape], who: Identity) -> Iterator[list[NDArray[np.int32]]]:
    """Each shape's outlines on the enlarged canvas, in fixed point."""
    outlines = [outline for shape in shapes for outline in shape.outlines]
    placed = (place(who, np.concatenate(outlines)) + 0.5) * SUPERSAMPLING - 0.5
    fixed = np.rint(placed * (1 << _FRACTION_BITS)).astype(np.int32)
    ends = accumulate((len(outline) for outline in outlines), initial=0)
    polygons = (fixed[start:end] for start, end in pairwise(ends))
    return (list(islice(polygons, len(shape.outlines))) for shape in shapes)


def _shrink(canvas: Pixels) -> Pixels:
    return cv2.resize(canvas, (SIZE_PX, SIZE_PX), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def person_shapes(who: Identity, does: ActionUnits) -> list[Shape]:
    """All that is seen of a person with an expression, from the back to the front."""
    person = [*back_hair(who), *body(who), *head(who, does), *beard(who, does), *creases(who, does)]
    features = [*nose(who, does), *mouth(who, does), *eyes(who, does)]
    return person + features + [*front_hair(who), *brows(who, does), *glasses(who)]


def portray(who: Identity, does: ActionUnits) -> Pixels:
    """The clean picture of a person with an expression, uint8 of shape (SIZE_PX, SIZE_PX)."""
    picture, cover = paint(person_shapes(who, does), who)
    light = 1 + (illuminate(who, does) - 1) * cover / 255
    return np.rint(np.minimum(picture * light, 255)).astype(np.uint8)


def photograph(picture: Pixels, noise: float, rng: np.random.Generator) -> Pixels:
    """The picture as a poor camera sees it; the noise has a standard deviation of `noise` times the grey range."""
    contrast, brightness, blur_px = rng.uniform(0.7, 1.1), rng.uniform(-20, 20), rng.uniform(0.1, 0.7)
    blurred = cv2.GaussianBlur(picture, (5, 5), blur_px)
    grain = rng.standard_normal(picture.shape, np.float32) * (noise * 255)
    return np.rint((blurred - 118.0) * contrast + 118.0 + brightness + grain).clip(0, 255).astype(np.uint8)
