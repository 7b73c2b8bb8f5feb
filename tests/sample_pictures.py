"""Pictures for the tests of using a model: drawn faces on larger canvases."""

import cv2
import numpy as np

from emotion.labels import EMOTIONS
from emotion.sources.synthetic import Source

SOURCE = Source(seed=0, train_images=28, test_images=7, min_intensity=0.7, noise=0.0)


def drawn_face(number: int, side_px: int = 100) -> np.ndarray:
    """One drawn face: uint8 [side_px, side_px]."""
    face = SOURCE.draw("train", EMOTIONS[number % len(EMOTIONS)], number)
    return cv2.resize(face, (side_px, side_px), interpolation=cv2.INTER_CUBIC)


def canvas_with(faces: list[tuple[int, int, int]], height: int = 240, width: int = 320) -> np.ndarray:
    """A light canvas with faces at (left, top, side): uint8 [height, width, 3]."""
    canvas = np.full((height, width), 190, np.uint8)
    for number, (left, top, side) in enumerate(faces):
        canvas[top : top + side, left : left + side] = drawn_face(number, side)
    return cv2.cvtColor(canvas, cv2.COLOR_GRAY2RGB)


def png(image: np.ndarray) -> bytes:
    """RGB or grey pixels -> PNG bytes."""
    return cv2.imencode(".png", image[:, :, ::-1] if image.ndim == 3 else image)[1].tobytes()
