"""Lines and areas in face coordinates, from which every face is put together."""

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SIZE_PX = 48

Floats = NDArray[np.float64]
Pixels = NDArray[np.uint8]


class Shape(NamedTuple):
    """What is painted in one tone: areas that do not overlap, or lines when they have a width.

    Attributes:
        outlines: arrays of shape (points, 2), in face coordinates.
        tone: 0 to 255.
        width_px: of the lines; 0 for areas.
        solid: whether it adds to the person's outline, within which the light shapes the head.
    """

    outlines: tuple[Floats, ...]
    tone: float
    width_px: float = 0.0
    solid: bool = False


def _circle(points: int) -> tuple[Floats, Floats]:
    angles = np.linspace(0, 2 * np.pi, points, endpoint=False)
    return angles, np.stack([np.cos(angles), np.sin(angles)], axis=1)


ACROSS = np.linspace(-1, 1, 15)  # from one corner of an eye or a mouth to the other
MIRROR = np.array([-1.0, 1.0])
CIRCLE = _circle(20)[1]
CURLS = _circle(84)[1] * (1 + 0.04 * np.cos(14 * _circle(84)[0]))[:, None]


@cache
def spline(count: int, steps: int = 5) -> Floats:
    """The weights, of shape (samples, count), of the Catmull-Rom curve through `count` points."""
    unit = np.eye(count)
    padded = np.vstack([2 * unit[0] - unit[1], unit, 2 * unit[-1] - unit[-2]])
    a, b, c, d = padded[:-3], padded[1:-2], padded[2:-1], padded[3:]
    u = np.arange(steps)[:, None, None] / steps
    samples = b + 0.5 * u * (c - a + u * (2 * a - 5 * b + 4 * c - d + u * (3 * (b - c) + d - a)))
    return np.vstack([samples.swapaxes(0, 1).reshape(-1, count), c[-1]])


def line(x: Floats, y: Floats) -> Floats:
    """The points (x, y), of shape (..., 2); several times faster than np.stack."""
    points = np.empty((*x.shape, 2))
    points[..., 0], points[..., 1] = x, y
    return points


def curve(*points: tuple[float, float]) -> Floats:
    """A smooth line through `points`."""
    smooth: Floats = spline(len(points)) @ np.array(points)
    return smooth


def ellipse(x: float, y: float, width: float, height: float) -> Floats:
    """The outline of an ellipse around (x, y); width and height are its half axes."""
    return CIRCLE * (width, height) + (x, y)


def both(*halves: Floats) -> tuple[Floats, ...]:
    """The lines and their mirror images in the face's other half."""
    return (*halves, *(half * MIRROR for half in halves))


def symmetric(half: Floats) -> Floats:
    """The outline made of `half`, which runs from top to bottom, and its mirror image."""
    return np.concatenate([half, half[::-1] * MIRROR])


def band(upper: Floats, lower: Floats) -> Floats:
    """The outline of what lies between two lines of the same direction."""
    return np.concatenate([upper, lower[::-1]])
