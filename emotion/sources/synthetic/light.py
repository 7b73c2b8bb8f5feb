"""The light on the skin."""

import numpy as np

from emotion.sources.synthetic.expressions import ActionUnits
from emotion.sources.synthetic.head import chin_y
from emotion.sources.synthetic.people import Identity, place
from emotion.sources.synthetic.shapes import SIZE_PX, Floats


def relief(who: Identity, does: ActionUnits) -> Floats:
    """The head's bulges and hollows, an array of shape (bells, 5): x, y, width, height, and rise, all in pixels."""
    cheek, frown = 0.5 * does.cheek_raiser + 0.5 * does.lip_corner_puller, does.brow_lowerer
    middle = [
        (0, -1, 0.85 * who.head_width, 19, 20.0),  # the head as a whole
        (0, -1, 1.7, 4.2, 1.6),  # bridge of the nose
        (0, who.nose_tip - 0.6, 2.2, 1.9, 2.6),  # tip of the nose
        (0, who.mouth_y, 5.5, 3.0, 1.2),  # lips
        (0, who.mouth_y + 4.2 + 2 * does.jaw_drop, 4.0, 1.0, -0.5 - 0.5 * does.chin_raiser),  # below the lip
        (0, chin_y(who, does) - 3.2, 3.6, 2.2, 1.4 + 0.8 * does.chin_raiser),  # chin
    ]
    right = [
        (who.eye_x, who.eye_y, 3.8, 2.6, -1.8),  # socket
        (who.eye_x, who.eye_y, 2.4, 1.7, 0.7),  # eyeball
        (who.eye_x - 0.5, who.brow_y + 0.6 + 1.5 * frown, 4.4, 1.5, 0.9 + 0.5 * frown),  # brow ridge
        (who.eye_x + 2.0, 4.0 - 1.4 * cheek, 3.6, 3.0, 1.2 + 1.6 * cheek),  # cheekbone
        (who.nose_width - 0.6, who.nose_tip - 0.4, 1.1, 1.2, 0.9),  # wing of the nose
        (0.72 * who.head_width, 11.0, 3.0, 4.0, -0.9),  # below the cheek
    ]
    return np.array(middle + right + [(-x, *rest) for x, *rest in right])


def illuminate(who: Identity, does: ActionUnits) -> Floats:
    """The light on each pixel, of shape (SIZE_PX, SIZE_PX), 1 where the skin faces the viewer: Lambert's law.

    The height map is a sum of bells, each the product of a row and a column. They are whole numbers, so that the matrix
    product is exact in whatever order a processor sums it.
    """
    bells = relief(who, does)
    away = (np.arange(-1, SIZE_PX + 1) - place(who, bells[:, :2])[:, :, None]) / bells[:, 2:4, None]
    falloff = np.rint(256 * np.exp(-0.5 * away * away))
    height = (np.rint(64 * bells[:, 4:]) * falloff[:, 1]).T @ falloff[:, 0] / (2 * 64 * 256 * 256)
    slope_x = height[1:-1, 2:] - height[1:-1, :-2]
    slope_y = height[2:, 1:-1] - height[:-2, 1:-1]
    facing = (1 - who.light_x * slope_x - who.light_y * slope_y) / np.sqrt(1 + slope_x * slope_x + slope_y * slope_y)
    light: Floats = 0.4 + 0.6 * np.maximum(facing, 0)
    return light
