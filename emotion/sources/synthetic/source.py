"""Drawn faces, so that the pipeline runs without an account and without a network.

Who is drawn (`Identity`) and what the face does (`ActionUnits`) are independent: everybody can wear every expression.
Shapes are in face coordinates: pixels of the finished picture, the origin between eyes and nose, x right, y down.
Only the right half of what is symmetric is written out.

Every picture is a function of its seed alone. Floats end where pixels begin: coordinates are rounded to 1/16 of a
subpixel and the relief's bells to 1/256, and what follows is exact, so that another processor draws the same picture.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from functools import cache
from itertools import accumulate, islice, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from emotion.dataset.archive import Dataset
from emotion.dataset.labels import EMOTIONS
from emotion.params import Params

SIZE_PX = 48
_SUPERSAMPLING = 4
_FRACTION_BITS = 4  # of the coordinates that OpenCV draws at
# Every label twice in the first 14 faces; disgust is the rarest, as it is in FER2013.
_LABEL_CYCLE = EMOTIONS + EMOTIONS + tuple(label for label in EMOTIONS if label != "disgust")

Floats = NDArray[np.float64]
Pixels = NDArray[np.uint8]


class Source(Params):
    """Parameters of `data.synthetic`."""

    seed: int = Field(ge=0, lt=2**32)
    train_images: int = Field(ge=14)
    test_images: int = Field(ge=7)
    min_intensity: float = Field(ge=0, le=1)  # of an expression, as a fraction of the full one
    noise: float = Field(ge=0, le=0.5)  # the noisiest picture's standard deviation, as a fraction of the grey range

    def dataset(self, input_dir: Path, cache_dir: Path) -> Dataset:
        """Return the drawn faces; neither folder is used."""
        keys = {}
        for split, count in (("train", self.train_images), ("test", self.test_images)):
            for number in range(count):
                label = _LABEL_CYCLE[number % len(_LABEL_CYCLE)]
                keys[f"{split}/{label}/{split}_{number:06d}.png"] = (split, label, number)
        return Dataset(keys, self._png)

    def draw(self, split: str, label: str, number: int) -> Pixels:
        """Draw one face, uint8 of shape (48, 48); its random numbers are its own, whatever else is drawn."""
        rng = np.random.default_rng([self.seed, ("train", "test").index(split), number])
        who = draw_identity(rng)
        does = express(label, rng.uniform(self.min_intensity, 1.0), rng)
        return photograph(portray(who, does), self.noise * rng.random(), rng)

    def _png(self, key: tuple[str, str, int]) -> bytes:
        return cv2.imencode(".png", self.draw(*key), (cv2.IMWRITE_PNG_COMPRESSION, 1))[1].tobytes()


# --- what a face does -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ActionUnits:
    """How strongly each muscle action of a face is at work: 0 at rest, 1 in full.

    Source: Ekman, Friesen & Hager, Facial Action Coding System, 2nd edition (2002).
    """

    inner_brow_raiser: float = 0.0  # AU1
    outer_brow_raiser: float = 0.0  # AU2
    brow_lowerer: float = 0.0  # AU4
    upper_lid_raiser: float = 0.0  # AU5
    cheek_raiser: float = 0.0  # AU6
    lid_tightener: float = 0.0  # AU7
    nose_wrinkler: float = 0.0  # AU9
    upper_lip_raiser: float = 0.0  # AU10
    lip_corner_puller: float = 0.0  # AU12
    lip_corner_depressor: float = 0.0  # AU15
    lower_lip_depressor: float = 0.0  # AU16
    chin_raiser: float = 0.0  # AU17
    lip_stretcher: float = 0.0  # AU20
    lip_tightener: float = 0.0  # AU23, with AU24, the lip pressor
    lips_part: float = 0.0  # AU25
    jaw_drop: float = 0.0  # AU26, from about 0.7 on AU27, the mouth stretch
    lids_droop: float = 0.0  # the beginning of AU43, eyes closed


# The emotions' prototypes and major variants: Friesen & Ekman, EMFACS-7 (1983); FACS Investigator's Guide (2002).
EXPRESSIONS: dict[str, tuple[ActionUnits, ...]] = {
    "angry": (
        ActionUnits(brow_lowerer=1, upper_lid_raiser=0.5, lid_tightener=0.8, lip_tightener=1, chin_raiser=0.4),
        ActionUnits(brow_lowerer=1, upper_lid_raiser=0.7, lid_tightener=0.7, upper_lip_raiser=0.4,
                    lower_lip_depressor=0.8, lip_stretcher=0.2, lips_part=1, jaw_drop=0.3),
    ),
    "disgust": (
        ActionUnits(brow_lowerer=0.3, lid_tightener=0.6, nose_wrinkler=1, upper_lip_raiser=0.9,
                    lip_corner_depressor=0.5, chin_raiser=0.7),
        ActionUnits(brow_lowerer=0.3, cheek_raiser=0.4, lid_tightener=0.7, nose_wrinkler=1, upper_lip_raiser=1,
                    lower_lip_depressor=0.4, lips_part=0.8),
    ),
    "fear": (
        ActionUnits(inner_brow_raiser=1, outer_brow_raiser=0.5, brow_lowerer=0.7, upper_lid_raiser=1,
                    lid_tightener=0.3, lip_stretcher=1, lips_part=1, jaw_drop=0.25),
        ActionUnits(inner_brow_raiser=1, outer_brow_raiser=0.6, brow_lowerer=0.7, upper_lid_raiser=0.9,
                    lower_lip_depressor=0.2, lip_stretcher=0.6, lips_part=0.6, jaw_drop=0.5),
    ),
    "happy": (
        ActionUnits(cheek_raiser=0.7, lip_corner_puller=1),
        ActionUnits(cheek_raiser=0.8, lip_corner_puller=1, lips_part=1, jaw_drop=0.15),
        ActionUnits(cheek_raiser=1, lip_corner_puller=1, lips_part=1, jaw_drop=0.45),
    ),
    "neutral": (ActionUnits(),),
    "sad": (
        ActionUnits(inner_brow_raiser=1, brow_lowerer=0.6, lip_corner_depressor=1, chin_raiser=0.6, lids_droop=0.5),
        ActionUnits(inner_brow_raiser=0.8, brow_lowerer=0.5, lip_corner_depressor=0.9, lids_droop=0.9),
    ),
    "surprise": (
        ActionUnits(inner_brow_raiser=1, outer_brow_raiser=1, upper_lid_raiser=0.8, lips_part=0.5, jaw_drop=0.8),
        ActionUnits(inner_brow_raiser=1, outer_brow_raiser=1, upper_lid_raiser=1, lips_part=0.5, jaw_drop=0.5),
    ),
}  # fmt: skip


def express(label: str, intensity: float, rng: np.random.Generator) -> ActionUnits:
    """Return one way to show `label` at `intensity` (0 to 1): a variant, each unit varied, and a little of all."""
    variants = EXPRESSIONS[label]
    variant = variants[rng.integers(len(variants))]
    full = np.array([getattr(variant, unit.name) for unit in fields(ActionUnits)])
    own = rng.normal(1.0, 0.18, full.size).clip(0.5, 1.4)
    stray = rng.exponential(0.05, full.size)
    return ActionUnits(*(full * own * intensity + stray).tolist())


# --- who is drawn -----------------------------------------------------------------------------------------------------


def between(low: float, high: float) -> Any:
    """A field of Identity that is drawn uniformly from `low` to `high`."""
    return field(metadata={"draw": lambda share: low + (high - low) * share})


def one_of(*choices: str) -> Any:
    """A field of Identity that is one of `choices`; what is named twice is twice as frequent."""
    return field(metadata={"draw": lambda share: choices[int(share * len(choices))]})


@dataclass(frozen=True)
class Identity:
    """All of a picture but the expression: person, pose and light. Lengths in pixels, widths halved, tones 0 to 255."""

    head_width: float = between(15.6, 18.0)
    crown: float = between(21.5, 24.0)
    chin: float = between(19.5, 22.5)
    jaw_width: float = between(0.70, 0.88)  # of the head's
    chin_width: float = between(0.30, 0.46)  # of the head's
    ear_height: float = between(3.2, 4.8)
    eye_x: float = between(6.6, 7.7)
    eye_y: float = between(-4.8, -3.6)
    eye_width: float = between(3.5, 4.3)
    eye_height: float = between(1.5, 2.1)
    eye_slant: float = between(-0.6, 0.4)
    iris_tone: float = between(25, 110)
    gaze: float = between(-0.7, 0.7)
    lashes: float = between(0.6, 1.1)
    brow_y: float = between(-10.0, -8.6)
    brow_arch: float = between(0.2, 1.4)
    brow_thickness: float = between(0.7, 1.4)
    nose_width: float = between(2.7, 4.0)
    nose_tip: float = between(4.2, 6.2)
    mouth_y: float = between(11.6, 13.0)
    mouth_width: float = between(5.4, 6.9)
    mouth_curve: float = between(-1.0, 0.2)
    upper_lip: float = between(0.9, 1.7)
    lower_lip: float = between(1.3, 2.4)
    skin_tone: float = between(105, 220)
    hair_tone: float = between(15, 150)
    hair: str = one_of("short", "short", "short", "long", "long", "fringe", "curly", "bald")
    hairline: float = between(-19.0, -15.0)
    hair_volume: float = between(0.5, 4.0)
    parting: float = between(-8.0, 8.0)
    beard: str = one_of("none", "none", "none", "none", "none", "stubble", "moustache", "full")
    glasses: str = one_of("none", "none", "none", "none", "none", "round", "square")
    age: float = between(0.0, 1.0)
    background_tone: float = between(20, 235)
    clothes_tone: float = between(20, 220)
    light_x: float = between(-0.8, 0.8)
    light_y: float = between(-0.7, 0.0)
    tilt: float = between(-0.14, 0.14)  # radians
    turn: float = between(-2.2, 2.2)  # how far the middle of the face moves sideways
    nod: float = between(-1.2, 1.2)
    scale: float = between(1.0, 1.14)
    shift_x: float = between(-1.5, 1.5)
    shift_y: float = between(-1.2, 1.2)


def draw_identity(rng: np.random.Generator) -> Identity:
    """Draw a person, a pose and a light."""
    traits = fields(Identity)
    shares = rng.random(len(traits)).tolist()
    return Identity(*(trait.metadata["draw"](share) for trait, share in zip(traits, shares, strict=True)))


# --- lines and shapes -------------------------------------------------------------------------------------------------


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


_MIRROR = np.array([-1.0, 1.0])
_CIRCLE = _circle(20)[1]
_CURLS = _circle(84)[1] * (1 + 0.04 * np.cos(14 * _circle(84)[0]))[:, None]


@cache
def _spline(count: int, steps: int = 5) -> Floats:
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
    smooth: Floats = _spline(len(points)) @ np.array(points)
    return smooth


def ellipse(x: float, y: float, width: float, height: float) -> Floats:
    """The outline of an ellipse around (x, y); width and height are its half axes."""
    return _CIRCLE * (width, height) + (x, y)


def both(*halves: Floats) -> tuple[Floats, ...]:
    """The lines and their mirror images in the face's other half."""
    return (*halves, *(half * _MIRROR for half in halves))


def symmetric(half: Floats) -> Floats:
    """The outline made of `half`, which runs from top to bottom, and its mirror image."""
    return np.concatenate([half, half[::-1] * _MIRROR])


def band(upper: Floats, lower: Floats) -> Floats:
    """The outline of what lies between two lines of the same direction."""
    return np.concatenate([upper, lower[::-1]])


# --- head and hair ----------------------------------------------------------------------------------------------------


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
        yield Shape((_CURLS * (w + 1.5 + v, 0.62 * crown + v) + (0, -0.5 * crown),), 0.95 * who.hair_tone, solid=True)
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
    yield Shape((np.concatenate([half[::-1] * _MIRROR, half, edge[::-1]]),), who.hair_tone, solid=True)
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
    hairs = _spline(3, 3) @ np.stack([np.broadcast_to(top, ends.shape), bend, ends], axis=1)
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


# --- brows, eyes, glasses ---------------------------------------------------------------------------------------------


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


_ACROSS = np.linspace(-1, 1, 15)  # from one corner of an eye or a mouth to the other


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
    return line(eye.x + eye.width * _ACROSS, lid_y(eye, height, _ACROSS))


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
    across = np.minimum(np.maximum((x + radius * _CIRCLE[:, 0]) / eye.width, -1), 1)
    top, bottom = (lid_y(eye, height, across) for height in (-eye.upper, eye.lower))
    disks = line(eye.x + eye.width * across, np.minimum(np.maximum(eye.y + y + radius * _CIRCLE[:, 1], top), bottom))
    disks[3:] *= _MIRROR
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


# --- nose, mouth, creases ---------------------------------------------------------------------------------------------


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


_ARC = 1 - _ACROSS**2
_MOUSTACHE = line(0 * _ARC, 1.6 * _ARC**0.4)
_BOW = np.interp(np.abs(_ACROSS), (0, 0.22, 0.6, 1), (0.8, 1.0, 0.62, 0.0))


def mouth_line(who: Identity, does: ActionUnits) -> Floats:
    """Where the lips meet when they are closed."""
    smile, jaw = does.lip_corner_puller, does.jaw_drop
    width = who.mouth_width + 2.0 * smile + 1.6 * does.lip_stretcher - 2.2 * jaw - 0.7 * does.lip_tightener
    curl = who.mouth_curve - 3.2 * smile + 2.8 * does.lip_corner_depressor + 0.6 * does.lip_stretcher + 1.2 * jaw
    raised = 0.9 * does.chin_raiser + 0.4 * does.upper_lip_raiser + 0.5 * does.nose_wrinkler - 0.3 * smile
    return line(width * _ACROSS, who.mouth_y - raised + curl * _ACROSS**2)


def mouth_edges(who: Identity, does: ActionUnits) -> Mouth:
    """Where the lips are."""
    sneer, snarl, stretch = does.upper_lip_raiser, does.lower_lip_depressor, does.lip_stretcher
    part, smile = min(does.lips_part, 1.2), does.lip_corner_puller
    open_shape = 1 - np.abs(_ACROSS) ** (2 + 2.5 * min(1.0, snarl + sneer + 0.7 * stretch))  # round to square
    up = part * (0.5 + 0.3 * smile + 1.3 * sneer) + 1.5 * does.jaw_drop * max(1 - smile, 0)
    down = part * (0.8 + 1.2 * smile + 1.6 * snarl) + 5.6 * does.jaw_drop
    thin = 1 - 0.6 * min(does.lip_tightener, 1) - 0.25 * min(smile, 1) - 0.25 * min(stretch, 1)
    closed = mouth_line(who, does)
    upper = closed[:, 1] - up * open_shape - 0.8 * sneer * (1 - _ACROSS**4)
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


# --- light ------------------------------------------------------------------------------------------------------------


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


# --- the picture ------------------------------------------------------------------------------------------------------


def place(who: Identity, points: Floats) -> Floats:
    """Where `points` in face coordinates lie in the picture of a head that turns, nods and tilts; shape (points, 2)."""
    x, y = points[:, 0], points[:, 1]
    depth = np.maximum(1 - x * x / 18.0**2 - y * y / 24.0**2, 0)
    x, y = x + who.turn * depth, y + who.nod * depth
    cos, sin = who.scale * math.cos(who.tilt), who.scale * math.sin(who.tilt)
    middle = (SIZE_PX - 1) / 2
    placed_x = cos * x - sin * y + (middle + who.shift_x)
    placed_y = sin * x + cos * y + (middle + 1.2 + who.shift_y)
    return line(placed_x, placed_y)


def paint(shapes: list[Shape], who: Identity) -> tuple[Pixels, Pixels]:
    """Paint the shapes in their order, enlarged, and shrink the result.

    Returns:
        The picture in flat tones, and how much of each pixel the person covers (0 to 255), both of shape (48, 48).
    """
    size = SIZE_PX * _SUPERSAMPLING
    canvas, cover = np.full((size, size), round(who.background_tone), np.uint8), np.zeros((size, size), np.uint8)
    for shape, points in zip(shapes, _subpixels(shapes, who), strict=True):
        tone = (round(min(max(shape.tone, 0), 255)),)
        if shape.width_px:
            width = max(1, round(shape.width_px * _SUPERSAMPLING))
            cv2.polylines(canvas, points, False, tone, width, cv2.LINE_8, _FRACTION_BITS)
        else:
            cv2.fillPoly(canvas, points, tone, cv2.LINE_8, _FRACTION_BITS)
        if shape.solid:
            cv2.fillPoly(cover, points, (255,), cv2.LINE_8, _FRACTION_BITS)
    return _shrink(canvas), _shrink(cover)


def _subpixels(shapes: list[Shape], who: Identity) -> Iterator[list[NDArray[np.int32]]]:
    """Each shape's outlines on the enlarged canvas, in fixed point."""
    outlines = [outline for shape in shapes for outline in shape.outlines]
    placed = (place(who, np.concatenate(outlines)) + 0.5) * _SUPERSAMPLING - 0.5
    fixed = np.rint(placed * (1 << _FRACTION_BITS)).astype(np.int32)
    ends = accumulate((len(outline) for outline in outlines), initial=0)
    polygons = (fixed[start:end] for start, end in pairwise(ends))
    return (list(islice(polygons, len(shape.outlines))) for shape in shapes)


def _shrink(canvas: Pixels) -> Pixels:
    return cv2.resize(canvas, (SIZE_PX, SIZE_PX), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def portray(who: Identity, does: ActionUnits) -> Pixels:
    """The clean picture of a person with an expression, uint8 of shape (SIZE_PX, SIZE_PX)."""
    person = [*back_hair(who), *body(who), *head(who, does), *beard(who, does), *creases(who, does)]
    features = [*nose(who, does), *mouth(who, does), *eyes(who, does)]
    over = [*front_hair(who), *brows(who, does), *glasses(who)]
    picture, cover = paint(person + features + over, who)
    light = 1 + (illuminate(who, does) - 1) * cover / 255
    return np.rint(np.minimum(picture * light, 255)).astype(np.uint8)


def photograph(picture: Pixels, noise: float, rng: np.random.Generator) -> Pixels:
    """The picture as a poor camera sees it; the noise has a standard deviation of `noise` times the grey range."""
    contrast, brightness, blur_px = rng.uniform(0.7, 1.1), rng.uniform(-20, 20), rng.uniform(0.1, 0.7)
    blurred = cv2.GaussianBlur(picture, (5, 5), blur_px)
    grain = rng.standard_normal(picture.shape, np.float32) * (noise * 255)
    return np.rint((blurred - 118.0) * contrast + 118.0 + brightness + grain).clip(0, 255).astype(np.uint8)
