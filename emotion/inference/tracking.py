"""Follow faces from frame to frame, and smooth each one's probabilities, so that labels do not flicker."""

import math
from dataclasses import dataclass, field

import numpy as np

from emotion.inference.detector import Box, Detector, Found, YuNet, crop_face, overlap
from emotion.inference.predictor import FacePrediction, Predictor

_SAME_FACE = 0.25  # least intersection over union of one face in two consecutive frames
_KEEP_FOR_S = 2.0  # seconds that a face is remembered while unseen: a look aside, a hand in front of it
_SWITCH_MARGIN = 0.15  # a label is replaced only by one that is this much more probable


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


class Follower:
    """Finds the faces of consecutive frames: the whole frame is searched now and then, or once a face is lost.

    In between, each face is looked for near its last place only. A face that is followed is always framed by this
    closer look, also in frames that are searched: YuNet's boxes differ by a few per cent with the size at which it
    sees a face, and labels would flicker with them.

    Args:
        detector: one other than YuNet searches every frame; None takes every frame as one face crop.
    """

    SEARCH_EVERY_S = 0.2  # how long a new face may stay unseen
    NEAR = 2.0  # side of the square that is looked at / side of the face
    NEAR_PX = 128  # what it is scaled to: a seventh of the time that a frame takes; 96 loses twice as many faces
    MOST = 5  # faces; to look for more takes as long as to search the frame

    def __init__(self, detector: Detector | None) -> None:
        self._detector = detector
        self._near: Detector | None = None
        if isinstance(detector, YuNet):
            self._near = YuNet(min_score=detector.min_score, longest_px=self.NEAR_PX)
        self._searched_s = -math.inf

    def find(self, frame: np.ndarray, recent: list[Box], time_s: float) -> list[Found]:
        """Faces of a uint8 frame [height, width, 3] RGB, the most prominent first.

        Args:
            recent: where the faces of the last frame were.
            time_s: when the frame was taken, in seconds.
        """
        if self._detector is None:
            height, width = frame.shape[:2]
            return [Found(Box(0, 0, width, height), 1.0)]
        followed = self._follow(frame, recent)
        is_due = not 0 <= time_s - self._searched_s < self.SEARCH_EVERY_S
        if is_due or not recent or len(followed) < len(recent):
            self._searched_s = time_s
            followed = _distinct([*followed, *self._detector.find(frame)])
        return sorted(followed, key=lambda face: -face.prominence)

    def _follow(self, frame: np.ndarray, recent: list[Box]) -> list[Found]:
        """Those faces that are still near their last places."""
        if self._near is None or len(recent) > self.MOST:
            return []
        looks = [_look_near(self._near, frame, box, self.NEAR) for box in recent]
        return _distinct([face for face in looks if face is not None])


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

    def __post_init__(self) -> None:
        self.follower = Follower(self.predictor.detector)

    def update(self, frame: np.ndarray, time_s: float) -> list[Track]:
        """Look at one frame, uint8 [height, width, 3] RGB, at `time_s` seconds; returns the faces seen in it."""
        recent = [track.box for track in self.tracks if track.seen_s == self._last_s]
        found = self.follower.find(frame, recent, time_s)
        rows = self.predictor.probabilities([crop_face(frame, face.box, face.roll_deg) for face in found])
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
                _continue(track, face, row, self._keep(time_s - track.seen_s), time_s)
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

    def _keep(self, unseen_s: float) -> float:
        """Weight of a face's previous values, 0 to 1, `unseen_s` seconds after it was seen."""
        return math.exp(-unseen_s / self.smoothing_s) if self.smoothing_s > 0 else 0.0

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


def _look_near(detector: Detector, frame: np.ndarray, box: Box, near: float) -> Found | None:
    """The face of the frame that is most like `box`, looked for in a square of `near` times its side around it."""
    side = near * max(box.width, box.height)
    left, top = box.left + (box.width - side) / 2, box.top + (box.height - side) / 2
    square = Box(*map(float, Box(left, top, side, side).rounded()))
    faces = [
        face._replace(box=face.box._replace(left=face.box.left + square.left, top=face.box.top + square.top))
        for face in detector.find(crop_face(frame, square))
    ]
    best = max(faces, key=lambda face: overlap(face.box, box), default=None)
    return best if best is not None and overlap(best.box, box) >= _SAME_FACE else None


def _distinct(faces: list[Found]) -> list[Found]:
    """Without those that overlap one before them: the same face, found twice."""
    kept: list[Found] = []
    for face in faces:
        if all(overlap(face.box, other.box) < YuNet.MAX_OVERLAP for other in kept):
            kept.append(face)
    return kept
