"""Draw the page's example: framed portraits on a wall, by the source of drawn faces, but in colour and larger.

python -m tools.docs.example_picture
"""

from pathlib import Path

import cv2
import numpy as np

from emotion.sources.synthetic.expressions import express
from emotion.sources.synthetic.light import illuminate
from emotion.sources.synthetic.people import draw_identity
from emotion.sources.synthetic.picture import SUPERSAMPLING, paint_enlarged, person_shapes
from emotion.sources.synthetic.shapes import SIZE_PX

PATH = Path(__file__).parents[2] / "emotion/web/page/example.jpg"
SIDE_PX = SIZE_PX * SUPERSAMPLING
WALL, FRAME, MAT, SHADOW = (214, 205, 190), (88, 62, 44), (247, 243, 234), (176, 166, 150)
_TONES = np.array([0, 60, 120, 190, 255])
_SKIN = np.array([(24, 16, 20), (92, 54, 44), (168, 112, 84), (226, 178, 144), (255, 240, 224)])  # of these tones
SIZE = (960, 660)  # of the picture, width and height
# Label, random number of the person, left and top edge, background.
PORTRAITS = (
    ("happy", 36, (60, 50), (132, 168, 178)),
    ("surprise", 41, (384, 34), (206, 158, 104)),
    ("neutral", 43, (708, 56), (150, 160, 122)),
    ("angry", 8, (212, 380), (196, 176, 190)),
    ("sad", 7, (556, 372), (120, 134, 160)),
)


def portrait(label: str, number: int, background: tuple[int, int, int]) -> np.ndarray:
    """One person with an expression: uint8 RGB [SIDE_PX, SIDE_PX, 3]."""
    rng = np.random.default_rng(number)
    who = draw_identity(rng)
    does = express(label, 0.9, rng)
    tones, cover = paint_enlarged(person_shapes(who, does), who, background_tone=0, edges=cv2.LINE_AA)
    light = cv2.resize(illuminate(who, does), (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_CUBIC)
    lit = np.clip(tones * light, 0, 255)
    coloured = np.stack([np.interp(lit, _TONES, _SKIN[:, channel]) for channel in range(3)], axis=2)
    share = cover[:, :, None] / 255
    return np.rint(coloured * share + np.array(background) * (1 - share)).astype(np.uint8)


def gallery() -> np.ndarray:
    """The portraits in their frames: uint8 RGB."""
    wall = np.full((SIZE[1], SIZE[0], 3), WALL, np.uint8)
    for label, number, (left, top), background in PORTRAITS:
        for margin, shift, colour in ((24, 6, SHADOW), (22, 0, FRAME), (14, 0, MAT)):
            start, side = (left - margin + shift, top - margin + shift), SIDE_PX + 2 * margin
            cv2.rectangle(wall, (*start, side, side), colour, -1)
        wall[top : top + SIDE_PX, left : left + SIDE_PX] = portrait(label, number, background)
    return wall


if __name__ == "__main__":
    cv2.imwrite(str(PATH), gallery()[:, :, ::-1], (cv2.IMWRITE_JPEG_QUALITY, 88))
