"""Expressions: how far each part of a face moves (`ActionUnits`), label by label."""

from dataclasses import dataclass, fields

import numpy as np


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
