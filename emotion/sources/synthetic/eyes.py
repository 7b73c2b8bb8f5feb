"""The brows, the eyes and the glasses."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from emotion.sources.synthetic.expressions import ActionUnits
from emotion.sources.synthetic.people import Identity
from emotion.sources.synthetic.shapes import ACROSS, CIRCLE, MIRROR, Floats, Shape, band, both, curve, ellipse, line


def brow_line(who: Identity, does: ActionUnits) -> Floats:
    """The middle of the right brow, from the nose outwards."""
    inner_up, outer_up = 3.2 * does.inner_brow_raiser, 2.6 * does.outer_brow_raiser
    down = does.brow_lowerer * (1 - 0.9 * min(does.inner_brow_raiser, 1.0))  # raised and lowered, it comes out raised
    together, wrinkle = 1.3 * does.brow_lowerer, does.nose_wrinkler
    x, y, arch = who.eye_x, who.brow_y + 0.5 * wrinkle, who.brow_arch * (1 - 0.6 * min(does.inner_brow_raiser, 1.0))
    tail_up = 0.9 * outer_up - 0.3 * inner_up * (1 - min(does.outer_brow_raiser, 1.0))
    return curve(
        (x - 4.3 - together, y + 0.5 - inner_up + 3.0 * down + wrinkle),
        (x - 1.8 - 0.6 * together, y - 0.4 - 0.75 * inner_up - 0.2 * outer_up + 2.0 * down + 0.5 * wrinkle),
        (x + 1.8, y - arch - 0.15 * inner_up - 0.8 * outer_up + 0.8 * down),
        (x + 5.0, y + 0.9 - tail_up),
    )


_BROW_TAPER = np.interp(np.arange(16), (0, 3, 10, 15), (0.75, 1.0, 0.8, 0.15))[:, None]


def brows(who: Identity, does: ActionUnits) -> Iterator[Shape]:
    """Both brows."""
    middle, half = brow_line(who, does), _BROW_TAPER * (0.0, who.brow_thickness)
    yield Shape(both(band(middle - half, middle + half)), min(who.hair_tone + 5, 0.5 * who.skin_tone))


class Eye(NamedTuple):
    """The right eye's opening: its middle, half its width, and how far the lids are from the line of its corners."""

    x: float
    y: float
    width: float
    slant: float
    upper: float
    lower: float


def eye_opening(who: Identity, does: ActionUnits) -> Eye:
    """Where the lids stand."""
    tight, cheek, wrinkle = does.lid_tightener, does.cheek_raiser, does.nose_wrinkler
    upper = who.eye_height * (1 - 0.25 * tight - 0.25 * cheek - 0.2 * wrinkle - 0.45 * does.lids_droop)
    lower = who.eye_height * (0.75 - 0.38 * tight - 0.5 * cheek - 0.22 * wrinkle)
    upper, lower = upper + 1.1 * does.upper_lid_raiser, lower + 0.3 * does.upper_lid_raiser
    return Eye(who.eye_x, who.eye_y, who.eye_width, who.eye_slant, max(upper, 0.25), max(lower, 0.15))


def lid_y(eye: Eye, height: float, across: Floats) -> Floats:
    """How far down a line between the eye's corners (-1 inner, 1 outer) is that passes `height` below its middle."""
    return eye.y + eye.slant * across + height * (1 - across * across) * (1 - 0.18 * across)


def lid(eye: Eye, height: float) -> Floats:
    """The line between the eye's corners that passes `height` below its middle."""
    return line(eye.x + eye.width * ACROSS, lid_y(eye, height, ACROSS))


def eyes(who: Identity, does: ActionUnits) -> Iterator[Shape]:
    """Both eyes, with the folds above and below."""
    eye, skin = eye_opening(who, does), who.skin_tone
    upper, lower = lid(eye, -eye.upper), lid(eye, eye.lower)
    yield Shape(both(lid(eye, -eye.upper - 1.5)), 0.72 * skin, 0.5)
    yield Shape(both(lid(eye, eye.lower + 1.3)), 0.82 * skin, 0.5)
    yield Shape(both(band(upper, lower)), 150 + 0.42 * skin)
    for disks, tone in zip(_iris_disks(who, eye), (who.iris_tone, 10, 245), strict=True):
        yield Shape(disks, tone)
    yield Shape(both(lower), 0.6 * skin, 0.4)
    yield Shape(both(upper), 0.16 * skin, who.lashes)


def _iris_disks(who: Identity, eye: Eye) -> list[tuple[Floats, ...]]:
    """Irises, pupils and glints, each of the right and the left eye, as far as the lids leave them free."""
    gaze, glint = who.gaze, 0.8 if who.light_x > 0 else -0.8
    right = [(gaze, -0.2, 2.0), (gaze, -0.2, 1.0), (gaze + glint, -0.9, 0.55)]
    left = [(-x, y, radius) for x, y, radius in right]
    x, y, radius = np.array(right + left).T[:, :, None]
    across = np.minimum(np.maximum((x + radius * CIRCLE[:, 0]) / eye.width, -1), 1)
    top, bottom = (lid_y(eye, height, across) for height in (-eye.upper, eye.lower))
    disks = line(eye.x + eye.width * across, np.minimum(np.maximum(eye.y + y + radius * CIRCLE[:, 1], top), bottom))
    disks[3:] *= MIRROR
    return [(disks[k], disks[k + 3]) for k in range(3)]


def glasses(who: Identity) -> Iterator[Shape]:
    """Round or square glasses."""
    if who.glasses == "none":
        return
    x, y = who.eye_x + 0.2, who.eye_y + 0.6
    rim = ellipse(x, y, 5.2, 4.4)
    if who.glasses == "square":
        rim = np.clip(ellipse(x, y, 6.6, 5.2), (x - 5.3, y - 3.5), (x + 5.3, y + 3.9))
    temple = np.array([(x + 5.2, y - 1), (who.head_width, y - 1.6)])
    bridge = curve((-x + 5.2, y - 0.8), (0, y - 1.6), (x - 5.2, y - 0.8))
    yield Shape((*both(np.concatenate([rim, rim[:1]]), temple), bridge), 20, 0.7)
