"""The nose, the mouth and the creases of the skin."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from emotion.sources.synthetic.expressions import ActionUnits
from emotion.sources.synthetic.people import Identity
from emotion.sources.synthetic.shapes import ACROSS, Floats, Shape, band, both, curve, ellipse, line


def nose(who: Identity, does: ActionUnits) -> Iterator[Shape]:
    """The wings of the nose and the nostrils; the light draws the rest."""
    w = who.nose_width * (1 + 0.1 * does.lip_corner_puller + 0.12 * does.nose_wrinkler)
    tip = who.nose_tip - 0.8 * does.nose_wrinkler
    wing = curve((w - 0.2, tip - 2.0), (w + 0.25, tip - 0.5), (w - 0.5, tip + 0.7), (w - 1.5, tip + 0.5))
    yield Shape(both(wing), 0.66 * who.skin_tone, 0.6)
    yield Shape(both(ellipse(0.47 * w, tip + 0.7, 0.85, 0.5)), 0.3 * who.skin_tone)


class Mouth(NamedTuple):
    """The edges of both lips from above to below, arrays of shape (points, 2) from the left corner to the right one."""

    top: Floats
    upper: Floats
    lower: Floats
    bottom: Floats


_ARC = 1 - ACROSS**2
_MOUSTACHE = line(0 * _ARC, 1.6 * _ARC**0.4)
_BOW = np.interp(np.abs(ACROSS), (0, 0.22, 0.6, 1), (0.8, 1.0, 0.62, 0.0))


def mouth_line(who: Identity, does: ActionUnits) -> Floats:
    """Where the lips meet when they are closed."""
    smile, jaw = does.lip_corner_puller, does.jaw_drop
    width = who.mouth_width + 2.0 * smile + 1.6 * does.lip_stretcher - 2.2 * jaw - 0.7 * does.lip_tightener
    curl = who.mouth_curve - 3.2 * smile + 2.8 * does.lip_corner_depressor + 0.6 * does.lip_stretcher + 1.2 * jaw
    raised = 0.9 * does.chin_raiser + 0.4 * does.upper_lip_raiser + 0.5 * does.nose_wrinkler - 0.3 * smile
    return line(width * ACROSS, who.mouth_y - raised + curl * ACROSS**2)


def mouth_edges(who: Identity, does: ActionUnits) -> Mouth:
    """Where the lips are."""
    sneer, snarl, stretch = does.upper_lip_raiser, does.lower_lip_depressor, does.lip_stretcher
    part, smile = min(does.lips_part, 1.2), does.lip_corner_puller
    open_shape = 1 - np.abs(ACROSS) ** (2 + 2.5 * min(1.0, snarl + sneer + 0.7 * stretch))  # round to square
    up = part * (0.5 + 0.3 * smile + 1.3 * sneer) + 1.5 * does.jaw_drop * max(1 - smile, 0)
    down = part * (0.8 + 1.2 * smile + 1.6 * snarl) + 5.6 * does.jaw_drop
    thin = 1 - 0.6 * min(does.lip_tightener, 1) - 0.25 * min(smile, 1) - 0.25 * min(stretch, 1)
    closed = mouth_line(who, does)
    upper = closed[:, 1] - up * open_shape - 0.8 * sneer * (1 - ACROSS**4)
    lower = np.maximum(closed[:, 1] + down * open_shape - (0.7 * sneer if part < 0.3 else 0) * _ARC, upper)
    top = upper - who.upper_lip * thin * _BOW - 0.5 * sneer * _ARC
    bottom = lower + who.lower_lip * (thin + 0.2 * does.chin_raiser) * _ARC**0.8
    return Mouth(*(line(closed[:, 0], y) for y in (top, upper, lower, bottom)))


def mouth(who: Identity, does: ActionUnits) -> Iterator[Shape]:
    """The lips, what they open on, and the folds that run down to them from the nose."""
    edges, skin = mouth_edges(who, does), who.skin_tone
    x, y = edges.upper[-1]
    pulled = 0.5 * does.lip_corner_puller + 0.5 * does.nose_wrinkler + 0.4 * does.upper_lip_raiser
    halfway = 0.55 * (x + who.nose_width) + 0.8, who.nose_tip + 2.5
    fold = curve((who.nose_width + 0.4, who.nose_tip - 1.2), halfway, (x + 1.3, y - 0.5))
    yield Shape(both(fold), _crease(who, 0.12 + 0.15 * who.age + pulled), 0.7)
    if who.beard == "moustache":
        root = edges.top * (1.15, 1.0) - (0.0, 0.3)
        yield Shape((band(root - _MOUSTACHE, root),), 0.8 * who.hair_tone)
    yield Shape((band(edges.top, edges.upper),), 0.62 * skin)
    yield Shape((band(edges.lower, edges.bottom),), 0.74 * skin)
    yield Shape((band(edges.upper, edges.lower),), 22)
    yield from _teeth(edges, does)
    yield Shape((edges.upper,), 0.28 * skin, 0.55)


def _teeth(edges: Mouth, does: ActionUnits) -> Iterator[Shape]:
    """As much of the teeth as the lips uncover."""
    gap = edges.lower[:, 1] - edges.upper[:, 1]
    if gap.max() < 0.7:
        return
    smile, sneer, snarl = does.lip_corner_puller, does.upper_lip_raiser, does.lower_lip_depressor
    bared = min(smile + sneer + 0.5 * snarl + 0.7 * does.lip_stretcher + 0.1 * does.jaw_drop, 1.0)
    below = edges.upper.copy()
    below[:, 1] += np.minimum(0.92 * gap, 2.3 * bared)
    yield Shape((band(edges.upper, below)[2:-2],), 225)
    if snarl > 0.25:
        above = edges.lower.copy()
        above[:, 1] -= np.minimum(0.4 * gap, 2.0 * snarl)
        yield Shape((band(above, edges.lower)[3:-3],), 205)


def creases(who: Identity, does: ActionUnits) -> Iterator[Shape]:
    """The folds that an expression and the years leave in forehead, nose and the eyes' corners."""
    worn = 0.4 + 0.6 * who.age
    raised = 0.3 * worn * (does.inner_brow_raiser + does.outer_brow_raiser)
    rows = tuple(curve((-6.5, y + 0.5), (0, y), (6.5, y + 0.5)) for y in (-14.2, -16.4))
    yield Shape(rows, _crease(who, raised), 0.5)
    yield Shape(both(curve((1.2, -10.0), (1.0, -7.0))), _crease(who, does.brow_lowerer), 0.6)
    bridge = curve((0.6, -1.6), (2.6, -2.8)), curve((0.9, 0.2), (3.0, -0.8))
    yield Shape(both(*bridge), _crease(who, 0.9 * does.nose_wrinkler), 0.5)
    x, y = who.eye_x + who.eye_width + 0.8, who.eye_y
    crow = curve((x, y - 0.5), (x + 2.2, y - 1.4)), curve((x, y + 0.4), (x + 2.2, y + 1.0))
    yield Shape(both(*crow), _crease(who, 0.7 * worn * does.cheek_raiser), 0.4)


def _crease(who: Identity, depth: float) -> float:
    """The tone of a fold that is `depth` deep, 0 to 1."""
    return who.skin_tone * (1 - 0.45 * min(depth, 1.0))
