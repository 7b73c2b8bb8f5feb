"""Find the faces of a picture, framed as the network was trained to see them."""

import threading
from pathlib import Path
from typing import NamedTuple, Protocol

import cv2
import numpy as np

from emotion.foundation.errors import UserError

_YUNET = Path(__file__).parents[1] / "published" / "yunet.onnx"


class Box(NamedTuple):
    """A rectangular part of a picture, in pixels; it may reach beyond the picture's edge."""

    left: float
    top: float
    width: float
    height: float

    def rounded(self) -> tuple[int, int, int, int]:
        """Left, top, width and height in whole pixels."""
        return round(self.left), round(self.top), max(1, round(self.width)), max(1, round(self.height))


class Found(NamedTuple):
    """One face: where it is, framed for the network; how sure the detector is, 0 to 1; its roll.

    `roll_deg` is how far the box's content is to be turned counter-clockwise to stand upright; 0: take it as it is.
    """

    box: Box
    score: float
    roll_deg: float = 0.0

    @property
    def prominence(self) -> float:
        """What faces are ordered by: the side, which counts less the less sure it is that this is a face.

        False faces, such as a logo's, can be large, but score 0.7 to 0.8 where faces score 0.9: the power of four
        lets them come before a real face only where they are about twice as large.
        """
        return self.box.width * self.score**4


class Detector(Protocol):
    """Anything that finds faces; this method is all it needs."""

    def find(self, image: np.ndarray) -> list[Found]:
        """Faces of a uint8 picture [height, width] or [height, width, 3] RGB, the most prominent first."""


def crop_face(image: np.ndarray, box: Box, roll_deg: float = 0.0) -> np.ndarray:
    """Cut a box out of a picture [height, width(, 3)], turned by `roll_deg`; beyond the edge, its pixels repeat."""
    if roll_deg:
        image, box = _turned(image, box, roll_deg), Box(0, 0, *box.rounded()[2:])
    left, top, width, height = box.rounded()
    rows, columns = image.shape[:2]
    left, top = min(left, columns - 1), min(top, rows - 1)
    inside = image[max(top, 0) : max(top + height, 1), max(left, 0) : max(left + width, 1)]
    missing = (max(-top, 0), max(top + height - rows, 0), max(-left, 0), max(left + width - columns, 0))
    return cv2.copyMakeBorder(inside, *missing, cv2.BORDER_REPLICATE) if any(missing) else inside


class YuNet:
    """YuNet through OpenCV's FaceDetectorYN, which also decodes its boxes and drops those that overlap a surer one.

    The picture is scaled to `longest_px` first, as YuNet finds faces of about 15 to 500 pixels: in 640, those
    that are a 40th of the picture's longer side or larger.

    Args:
        min_score: 0 to 1; what the detector is less sure of is no face.
        longest_px: the longest side that YuNet sees; 480 takes three quarters of the time of 640 and finds faces from a
            30th.
        small_faces: look a second time, at pictures of more than `longest_px` in their own size, or in 1280 where that
            is less: faces from an 80th, in five times the time. Of these, only those count that the first look
            can't see well (`SMALL_SIDE`) and that YuNet is surer of (`SMALL_SCORE`): it sees other things in large
            pictures, such as patterns and parts of faces.

    Raises UserError: `min_score` out of range.

    Source: Wu, Peng, Yu 2023 (https://doi.org/10.1007/s11633-023-1423-y); the file: emotion/published/README.md.
    """

    MIN_SCORE = 0.7  # docs/using.md: from 0.6 to 0.75 next to nothing changes on real photographs
    LONGEST_PX = 640
    MAX_ENLARGEMENT = 4  # of small pictures: a FER2013 picture (48 pixels) is found more often at 192
    MIN_SIDE_PX = 64  # at 32 a layer has one row, for which OpenCV 4.14's depthwise convolution computes nonsense
    MAX_OVERLAP = 0.4  # of two boxes, intersection over union
    # Of the second look, chosen by `python -m benchmarks.faces small`, where neither 0.7 nor a 16th adds a false face
    SMALL_PX = 1280  # the longest side
    SMALL_SIDE = 1 / 24  # the largest face / longer side of the picture
    SMALL_SCORE = 0.8  # the least, where `min_score` isn't more
    # Chosen on FER2013's PublicTest by `python -m benchmarks.faces framing`.
    SIDE = 1.03  # side of the network's square / geometric mean of YuNet's width and height; both have the same middle
    TURN_FROM_DEG = 15.0  # of roll: the network knows 96 % of FER2013 to be less, and smaller turns gain nothing

    def __init__(
        self, *, min_score: float = MIN_SCORE, longest_px: int = LONGEST_PX, small_faces: bool = False
    ) -> None:
        if not 0.0 < min_score <= 1.0:
            raise UserError(f"min_score is {min_score}; it must be more than 0, and at most 1")
        self.min_score, self._longest_px, self._small_faces = min_score, longest_px, small_faces
        self._turn = threading.Lock()
        # From memory, as OpenCV on Windows opens no path with letters beyond ASCII.
        model, config = np.fromfile(_YUNET, np.uint8), np.empty(0, np.uint8)
        self._network = cv2.FaceDetectorYN.create("onnx", model, config, (32, 32), min_score, self.MAX_OVERLAP)

    def for_video(self) -> "YuNet":
        """With a faster first look; for frames, whose faces are seldom small."""
        return YuNet(min_score=self.min_score, longest_px=480, small_faces=self._small_faces)

    def find(self, image: np.ndarray) -> list[Found]:
        """Faces of a uint8 picture [height, width] or [height, width, 3] RGB, the most prominent first."""
        found, side_px = self._look(image, self._longest_px), max(image.shape[:2])
        if self._small_faces and side_px > self._longest_px:
            closer = self._look(image, min(self.SMALL_PX, side_px))
            found += [face for face in closer if self._is_small(face, side_px) and not _is_within_any(face, found)]
        return sorted(found, key=lambda face: (-face.prominence, face.box.top, face.box.left))

    def _look(self, image: np.ndarray, longest_px: int) -> list[Found]:
        scale = min(self.MAX_ENLARGEMENT, longest_px / max(image.shape[:2]))
        seen = _padded(_scaled(image, scale), self.MIN_SIDE_PX)
        with self._turn:  # between the size and the picture of that size
            self._network.setInputSize((seen.shape[1], seen.shape[0]))
            _, rows = self._network.detect(seen)  # float32 [faces, 15]: box, five landmarks, score
        return [self._framed(row, scale) for row in ([] if rows is None else rows.astype(float))]

    def _is_small(self, face: Found, side_px: int) -> bool:
        return face.box.width <= self.SMALL_SIDE * side_px and face.score >= self.SMALL_SCORE

    def _framed(self, row: np.ndarray, scale: float) -> Found:
        left, top, width, height = row[:4] / scale
        side = self.SIDE * np.sqrt(width * height)
        box = Box(*map(float, (left + width / 2 - side / 2, top + height / 2 - side / 2, side, side)))
        across, down = row[6:8] - row[4:6]  # from the eye on the left to the eye on the right
        roll_deg = float(np.degrees(np.arctan2(down, across)))
        return Found(box, float(row[14]), roll_deg if abs(roll_deg) >= self.TURN_FROM_DEG else 0.0)


class FirstOnly:
    """Another detector's most prominent face alone."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector

    def for_video(self) -> "FirstOnly":
        """The same with the faster look of the detector, where it has one."""
        return FirstOnly(self._detector.for_video()) if isinstance(self._detector, YuNet) else self

    def find(self, image: np.ndarray) -> list[Found]:
        """At most one face of a uint8 picture [height, width] or [height, width, 3] RGB."""
        return self._detector.find(image)[:1]


def overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes, 0 to 1."""
    across = min(one.left + one.width, other.left + other.width) - max(one.left, other.left)
    down = min(one.top + one.height, other.top + other.height) - max(one.top, other.top)
    shared = max(0.0, across) * max(0.0, down)
    return shared / (one.width * one.height + other.width * other.height - shared)


def _is_within_any(face: Found, others: list[Found]) -> bool:
    """Is its middle in one of them? Then it is the same face, or a part of it."""
    x, y = face.box.left + face.box.width / 2, face.box.top + face.box.height / 2
    return any(0 <= x - box.left <= box.width and 0 <= y - box.top <= box.height for box, *_ in others)


def _scaled(image: np.ndarray, scale: float) -> np.ndarray:
    """Scale a grey or RGB picture and turn it into BGR, which YuNet was trained on."""
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    image = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    return cv2.cvtColor(image, cv2.COLOR_GRAY2BGR if image.ndim == 2 else cv2.COLOR_RGB2BGR)


def _padded(image: np.ndarray, side_px: int) -> np.ndarray:
    """Black below and to the right, where OpenCV adds it too, until no side is shorter than `side_px`."""
    below, right = (max(0, side_px - length) for length in image.shape[:2])
    return cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_CONSTANT) if below or right else image


def _turned(image: np.ndarray, box: Box, roll_deg: float) -> np.ndarray:
    """The box's content, turned counter-clockwise about its middle: uint8 [height, width(, 3)] of the box's size."""
    _, _, width, height = box.rounded()
    middle = (box.left + box.width / 2 - 0.5, box.top + box.height / 2 - 0.5)  # OpenCV counts from a pixel's middle
    matrix = cv2.getRotationMatrix2D(middle, roll_deg, 1.0)
    matrix[:, 2] += np.array([(width - 1) / 2 - middle[0], (height - 1) / 2 - middle[1]])
    return cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
