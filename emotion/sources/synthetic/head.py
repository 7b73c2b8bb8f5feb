"""The head, the hair and the beard."""

from collections.abc import Iterator

import numpy as np

from emotion.sources.synthetic.expressions import ActionUnits
from emotion.sources.synthetic.people import Identity
from emotion.sources.synthetic.shapes import CURLS, MIRROR, Floats, Shape, both, curve, ellipse, spline, symmetric


def chin_y(who: Identity, does: ActionUnits) -> float:
    """How far down the chin reaches."""
    return who.chin + 2.4 * does.jaw_drop - 0.5 * does.chin_raiser


def half_head(who: Identity, does: ActionUnits) -> Floats:
    """The right half of the head's outline, from crown to chin."""
    w, crown, jaw, chin, y = who.head_width, who.crown, who.jaw_width, who.chin_width, chin_y(who, does)
    skull = (0, -crown), (0.52 * w, -0.93 * crown), (0.88 * w, -0.66 * crown), (w, -5), (0.97 * w, 3)
    cheek = (0.5 * (1 + jaw) * w, 8), (jaw * w, 0.62 * y)
    return curve(*skull, *cheek, (0.5 * (chin + jaw) * w, 0.84 * y), (chin * w, 0.965 * y), (0, y))


def body(who: Identity) -> Iterator[Shape]:
    """Neck and clothes."""
    neck = 0.62 * who.head_width
    yield Shape((symmetric(curve((neck, 5), (neck, 20), (neck + 5, 30))),), 0.62 * who.skin_tone, solid=True)
    collar = np.array([(0, 28.0), (neck, 22.5), (20, 24.5), (40, 30), (40, 60)])
    yield Shape((symmetric(collar),), who.clothes_tone, solid=True)


def head(who: Identity, does: ActionUnits) -> Iterator[Shape]:
    """Ears and head."""
    for x, width, height, light in ((0.4, 2.0, 1.0, 0.92), (0.6, 1.0, 0.6, 0.7)):
        ear = ellipse(who.head_width + x, -1.0, width, height * who.ear_height)
        yield Shape(both(ear), light * who.skin_tone, solid=True)
    yield Shape((symmetric(half_head(who, does)),), who.skin_tone, solid=True)


def back_hair(who: Identity) -> Iterator[Shape]:
    """The hair behind the head."""
    w, v, crown = who.head_width, who.hair_volume, who.crown
    if who.hair == "curly":
        yield Shape((CURLS * (w + 1.5 + v, 0.62 * crown + v) + (0, -0.5 * crown),), 0.95 * who.hair_tone, solid=True)
    elif who.hair in ("long", "fringe"):
        fall = curve((0, -crown - v), (0.9 * w, -0.8 * crown), (w + 1 + v, -5), (w + 1.5 + v, 10), (w + v, 26))
        yield Shape((symmetric(fall),), 0.8 * who.hair_tone, solid=True)
        for share, tone in ((0.2, 1.05), (0.5, 0.65), (0.8, 1.05)):
            strand = curve((w + share * v - 1, -9), (w + share * (2 + v), 4), (w + share * (1 + v), 26))
            yield Shape(both(strand), tone * who.hair_tone + 4, 0.4)


def front_hair(who: Identity) -> Iterator[Shape]:
    """The hair over the forehead."""
    if who.hair == "bald":
        return
    w, v, crown = who.head_width, who.hair_volume, who.crown
    temple = {"short": -6.5, "curly": -5.0, "long": 3.0, "fringe": 2.0}[who.hair]
    top, side = (0.62 * w, -0.93 * crown - 0.7 * v), (w + 0.3 * v, -0.6 * crown)
    half = curve((0, -crown - v), top, side, (w + 0.6, temple))
    edge = hairline(who, temple)
    yield Shape((np.concatenate([half[::-1] * MIRROR, half, edge[::-1]]),), who.hair_tone, solid=True)
    if who.hair != "curly":
        yield from _strands(who, edge)


def hairline(who: Identity, temple: float) -> Floats:
    """The lower edge of the hair over the forehead, from the left temple to the right one."""
    w = who.head_width
    low, rise = (who.hairline + 1.5, -0.5) if who.hair == "fringe" else (who.hairline, 2.2)
    right = (0.66 * w, low + 1.2), (0.92 * w, -9), (w - 0.6, temple)
    edge = curve(*((-x, y) for x, y in right[::-1]), (who.parting, low - rise), *right)
    if who.hair == "curly":
        edge[:, 1] += 0.6 * np.cos(1.6 * np.arange(len(edge)))
    return edge


def _strands(who: Identity, edge: Floats) -> Iterator[Shape]:
    """Dark and light hairs from the parting to the hairline."""
    top = np.array([0.5 * who.parting, -who.crown - 0.6 * who.hair_volume])
    ends = edge[4:-4:2]
    bend = 0.5 * (ends + top) + (ends - top) * (0.16, -0.16)
    hairs = spline(3, 3) @ np.stack([np.broadcast_to(top, ends.shape), bend, ends], axis=1)
    yield Shape(tuple(hairs[::2]), 0.75 * who.hair_tone, 0.3)
    yield Shape(tuple(hairs[1::2]), 1.1 * who.hair_tone + 8, 0.3)


def beard(who: Identity, does: ActionUnits) -> Iterator[Shape]:
    """A full beard or stubble, lighter towards its edge."""
    if who.beard not in ("full", "stubble"):
        return
    jaw = half_head(who, does)
    jaw = jaw[jaw[:, 1] > 4]
    x, y, w = who.mouth_width + 1.5, who.mouth_y, who.head_width
    tone = 0.74 * who.skin_tone if who.beard == "stubble" else 0.3 * who.skin_tone + 0.45 * who.hair_tone
    for inset, share in ((0.0, 0.45), (1.3, 1.0)):
        edge = curve((0, y - 3.6 + inset), (4, y - 3.4 + inset), (x, y - 0.6 + inset), (0.78 * w, 8 + inset), (w, 1))
        yield Shape((symmetric(np.concatenate([edge, jaw])),), who.skin_tone + share * (tone - who.skin_tone))
