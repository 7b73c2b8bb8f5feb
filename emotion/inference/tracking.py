"""Follow faces from frame to frame, and smooth each one's probabilities, so that labels do not flicker."""

import math
from dataclasses import dataclass, field

import numpy as np

from emotion.inference.detector import Box, Found, crop_face, overlap
from emotion.inference.predictor import FacePrediction, Predictor

_SAME_FACE = 0.25  # least intersection over union of one face in two consecutive frames
_KEEP_FOR_S = 0.5  # seconds that a face is remembered while unseen
_SWITCH_MARGIN = 0.05  # a label is replaced only by one that is this much more probable


@dataclass
class Track:
    """One face over time.

    Attributes:
        number: 1, 2, ... in order of appearance.
        box: where it was last, smoothed.
        probabilities: smoothed, float64 [labels].
        label_index: the label shown.
        seen_s: when it was last found, in seconds.
    """

    number: int
    box: Box
    score: float
    probabilities: np.ndarray
    label_index: int
    seen_s: float


@dataclass
class FaceTracker:
    """Labels the faces in consecutive frames.

    Attributes:
        predictor: with a detector.
        smoothing_s: seconds until a change of expression shows to 63 %; 0 turns smoothing off.
    """

    predictor: Predictor
    smoothing_s: float = 0.4
    tracks: list[Track] = field(default_factory=list)
    _last_s: float = -math.inf
    _count: int = 0

    def update(self, frame: np.ndarray, time_s: float) -> list[Track]:
        """Look at one frame, uint8 [height, width, 3] RGB, at `time_s` seconds; returns the faces seen in it."""
        found = self._find(frame)
        rows = self.predictor.probabilities([crop_face(frame, face.box, face.roll_deg) for face in found])
        keep = math.exp(-(time_s - self._last_s) / self.smoothing_s) if self.smoothing_s > 0 else 0.0
        oldest = min(time_s - _KEEP_FOR_S, self._last_s)  # faces seen in the last update stay, however long ago it was
        self.tracks = [track for track in self.tracks if track.seen_s >= oldest]
        free = list(self.tracks)
        seen = []
        for face, row in zip(found, rows, strict=True):
            track = max(free, key=lambda track: overlap(track.box, face.box), default=None)
            if track is None or overlap(track.box, face.box) < _SAME_FACE:
                track = self._begin(face, row, time_s)
            else:
                free.remove(track)
                _continue(track, face, row, keep, time_s)
            seen.append(track)
        self._last_s = time_s
        return seen

    def describe(self, track: Track) -> FacePrediction:
        """What to show for a face: its smoothed probabilities and its steady label."""
        face = self.predictor.face(track.box, track.score, track.probabilities)
        confidence = float(track.probabilities[track.label_index])
        if confidence < self.predictor.min_confidence:
            return face
        label = self.predictor.labels[track.label_index]
        return FacePrediction(track.box, track.score, label, confidence, face.probabilities)

    def _find(self, frame: np.ndarray) -> list[Found]:
        if self.predictor.detector is None:
            height, width = frame.shape[:2]
            return [Found(Box(0, 0, width, height), 1.0)]
        return self.predictor.detector.find(frame)

    def _begin(self, face: Found, row: np.ndarray, time_s: float) -> Track:
        self._count += 1
        track = Track(self._count, face.box, face.score, row, int(row.argmax()), time_s)
        self.tracks.append(track)
        return track


def _continue(track: Track, face: Found, row: np.ndarray, keep: float, time_s: float) -> None:
    """Update a track; `keep` is the weight of its previous values, 0 to 1."""
    track.probabilities = keep * track.probabilities + (1 - keep) * row
    steady = min(keep, 0.3)  # a box that lags behind is worse than one that jitters
    track.box = Box(*(steady * old + (1 - steady) * new for old, new in zip(track.box, face.box, strict=True)))
    track.score, track.seen_s = face.score, time_s
    best = int(track.probabilities.argmax())
    margin = _SWITCH_MARGIN if keep else 0.0
    if track.probabilities[best] > track.probabilities[track.label_index] + margin:
        track.label_index = best
