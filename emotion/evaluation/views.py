"""Views of a face, over which predictions are averaged: mirrored, shifted."""

from typing import NamedTuple

import numpy as np


class View(NamedTuple):
    """One way to look at a face: mirrored or not, the content moved down and right by whole pixels."""

    flip: bool = False
    down_px: int = 0
    right_px: int = 0


def views(*, flip: bool, shift_px: int) -> list[View]:
    """The views to average, the picture itself first.

    Args:
        flip: whether to add each view's mirror image.
        shift_px: pixels, 0 or more; unless 0, the four pictures moved along the diagonals are added. With `flip` these
            are the ten views of Krizhevsky et al. 2012 (https://doi.org/10.1145/3065386).
    """
    moves = [(0, 0)] + [(down, right) for down in (-shift_px, shift_px) for right in (-shift_px, shift_px)]
    moves = moves if shift_px else moves[:1]
    return [View(mirrored, *move) for mirrored in ((False, True) if flip else (False,)) for move in moves]


def seen_as(images: np.ndarray, view: View) -> np.ndarray:
    """Apply a view to images: any dtype [n, height, width, channels], same shape; the border is repeated."""
    if view.flip:
        images = images[:, :, ::-1]
    height, width = images.shape[1:3]
    rows = np.clip(np.arange(height) - view.down_px, 0, height - 1)
    columns = np.clip(np.arange(width) - view.right_px, 0, width - 1)
    return images[:, rows][:, :, columns]
