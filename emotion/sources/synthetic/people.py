"""People: what a face looks like whatever it expresses (`Identity`), and how the head is held."""

import math
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from emotion.sources.synthetic.shapes import SIZE_PX, Floats, line


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
