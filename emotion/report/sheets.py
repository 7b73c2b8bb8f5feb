"""Pictures of faces with captions: mistakes, copies, saliency.

Throughout: a picture is uint8 [height, width] grey or [height, width, 3] RGB, 0-255.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba

from emotion.palette import YELLOW
from emotion.report.charts import drawn, png

_FACE_INCHES = 1.25


class Captioned(NamedTuple):
    """A picture and the lines above it."""

    picture: np.ndarray
    caption: str


def contact_sheet(faces: Sequence[Captioned], *, columns: int) -> bytes:
    """Draw faces in rows of `columns`, each below its caption of up to two lines."""
    rows = max(1, -(-len(faces) // columns))
    with _grid(rows, columns, caption_lines=2) as (figure, axes):
        if not faces:
            axes.flat[0].set_title("none", fontsize=8, loc="left")
        for place, face in zip(axes.flat, faces, strict=False):
            _show(place, face)
        return png(figure)


def pair_sheet(pairs: Sequence[tuple[Captioned, Captioned]], *, across: int) -> bytes:
    """Draw pairs of faces side by side, `across` pairs in a row."""
    return contact_sheet([face for pair in pairs for face in pair], columns=2 * across)


def saliency_sheet(faces: Sequence[tuple[Captioned, np.ndarray]], *, columns: int) -> bytes:
    """Draw each face and, beside it, the face under its saliency map (float [rows, columns], 0-1).

    The higher the map, the yellower; the face stays to be seen under it. Above an empty map it says so.
    """
    rows = max(1, -(-len(faces) // columns))
    with _grid(rows, 2 * columns, caption_lines=2) as (figure, axes):
        for number, (face, heat) in enumerate(faces):
            left, right = axes.flat[2 * number], axes.flat[2 * number + 1]
            _show(left, face)
            height, width = face.picture.shape[:2]
            smooth = cv2.resize(heat.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
            veil = np.full((height, width, 4), to_rgba(YELLOW), dtype=np.float32)
            veil[..., 3] = 0.85 * np.clip(smooth, 0, 1)
            _show(right, Captioned(face.picture, "" if heat.any() else "nothing\nspoke for it"))
            right.imshow(veil)
        return png(figure)


def _grid(rows: int, columns: int, *, caption_lines: int) -> Any:
    height = _FACE_INCHES + 0.17 * caption_lines
    return drawn(columns * _FACE_INCHES, rows * height, nrows=rows, ncols=columns, squeeze=False, subplot_kw=_BARE)


_BARE = {"xticks": [], "yticks": [], "frame_on": False}


def _show(axes: Axes, face: Captioned) -> None:
    axes.imshow(face.picture, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axes.set_title(face.caption, fontsize=8, loc="left", pad=3)
