"""Pictures -> faces with calibrated probabilities: the whole of prediction, for one picture or for many.

The way of a picture: it is decoded and turned upright (`emotion.dataset.images`), the detector finds the faces, each
is cut out and shrunk to the model's size, the model file gives probabilities (`emotion.inference.models`: scaling,
softmax and temperature are inside the file). `emotion.inference.given` is what the caller says: boxes in place of the
detector's; a prior, to which the probabilities are moved before they are averaged over the models; merged labels.
"""

import copy
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from emotion.dataset.archive.zip_entries import MAX_PICTURE_BYTES
from emotion.dataset.images import MAX_PIXELS, ImageError, decode_image, resize_face
from emotion.foundation.errors import UserError
from emotion.inference.detector import Box, Detector, FirstOnly, YuNet, crop_face
from emotion.inference.given.boxes import BoxError, as_box, check_inside, squared
from emotion.inference.given.merging import Merging
from emotion.inference.given.prior import TRAINING, parse_prior
from emotion.inference.models import PUBLISHED, FaceModel, open_model
from emotion.model.about import UNCERTAIN

_GROUP_PIXELS = 40_000_000  # of the pictures held in memory at once
ChannelOrder = Literal["rgb", "bgr"]
Picture = str | Path | bytes | np.ndarray
_Seen = dict[tuple[int, int], np.ndarray]  # size_px and channels of a model -> a face as it sees it
Boxes = Sequence[Box | Sequence[float]]  # left, top, width, height of each face


@dataclass(frozen=True)
class FacePrediction:
    """One face.

    Attributes:
        box: where it is, in the picture's pixels (turned upright); None where the whole picture was taken as the face.
        score: how sure the detector is that this is a face, 0 to 1; None without detection, and of a given box.
        label: the most probable label, or "uncertain" where its probability is below the requested minimum.
        confidence: the probability of the most probable label, 0 to 1.
        probabilities: label -> calibrated probability, in the predictor's order; they sum to one.
    """

    box: Box | None
    score: float | None
    label: str
    confidence: float
    probabilities: dict[str, float]


@dataclass(frozen=True)
class Prediction:
    """One picture.

    Attributes:
        source: its path, or "bytes" or "array".
        width: in pixels, turned upright; 0 where the picture could not be read.
        height: likewise.
        faces: the most prominent first, which is the largest where the detector is equally sure; empty where none was
            found. With given boxes one for each, in their order.
        prior: how frequent the labels were taken to be, as `Predictor` was told.
        error: why the picture could not be used; None where it could.
    """

    source: str
    width: int
    height: int
    faces: tuple[FacePrediction, ...]
    error: str | None = None
    prior: str = TRAINING

    @property
    def label(self) -> str | None:
        """Label of the most prominent face; None where there is no face."""
        return self.faces[0].label if self.faces else None

    @property
    def probabilities(self) -> dict[str, float]:
        """Probabilities of the most prominent face; empty where there is no face."""
        return self.faces[0].probabilities if self.faces else {}


class Predictor:
    """Finds the faces in pictures and recognises their emotion; load it once, use it for many.

    Args:
        models: model files (.tflite, .onnx, .keras), whose probabilities are averaged; by default the shipped one.
        detector: what finds faces; None takes every picture as one face crop.
        min_score: 0 to 1; what the default detector is less sure of is no face; others have their own scores.
        prior: how frequent the labels are where the pictures come from: `training` (as where the model learnt), `even`,
            or label -> share; the probabilities are recomputed by Bayes' rule.
        merge: new label -> the model's labels that it stands for; their probabilities add up.
        small_faces: look a second time for small faces, from an 80th of the picture's longer side, which takes five
            times as long to find faces; of the default detector.
        largest: take each picture's most prominent face alone: the largest, unless the detector is less sure of it.
        min_confidence: 0 to 1; a face whose best probability is lower is labelled "uncertain".
        batch_size: faces that go through the network at once.

    Attributes:
        labels: those of the models, merged, in order.
        label_of: label of the models -> label here.

    Raises UserError: a model that cannot be opened, models with different labels, a number out of range, a prior or
    merged labels that the models do not know, small faces of another detector.
    """

    def __init__(
        self,
        models: Sequence[str | Path] = (PUBLISHED,),
        *,
        detector: Detector | Literal["default"] | None = "default",
        min_score: float = YuNet.MIN_SCORE,
        small_faces: bool = False,
        prior: str | Mapping[str, float] = TRAINING,
        merge: Mapping[str, Sequence[str]] | None = None,
        largest: bool = False,
        min_confidence: float = 0.0,
        batch_size: int = 32,
    ) -> None:
        if not 0.0 <= min_confidence <= 1.0:
            raise UserError(f"min_confidence is {min_confidence}; it must be a probability, 0 to 1")
        self.models = [open_model(Path(model)) for model in models]
        known = _common_labels(self.models, models)
        self._merging = Merging(known, merge or {})
        self.labels, self.label_of = self._merging.labels, self._merging.group_of
        if small_faces and detector != "default":
            raise UserError("small_faces is how the default detector looks; leave it out, or `detector`")
        found_by = YuNet(min_score=min_score, small_faces=small_faces) if detector == "default" else detector
        self.detector = FirstOnly(found_by) if largest and found_by is not None else found_by
        self.prior = parse_prior(prior)
        for model in self.models:  # what cannot be applied is said before any picture is read
            self.prior.apply(np.full((1, len(known)), 1 / len(known)), model.about)
        self.min_confidence = min_confidence
        self._batch_size = batch_size

    def with_detector(self, detector: Detector | None) -> "Predictor":
        """The same models with another detector."""
        other = copy.copy(self)
        other.detector = detector
        return other

    def for_video(self) -> "Predictor":
        """The same, with a faster look for faces where the detector is the default one."""
        detector = self.detector
        return self.with_detector(detector.for_video()) if isinstance(detector, YuNet | FirstOnly) else self

    def predict(
        self, picture: Picture, *, boxes: Boxes | None = None, channel_order: ChannelOrder = "rgb"
    ) -> Prediction:
        """Predict one picture.

        Args:
            picture: a path, an image file's bytes, or uint8 [height, width] or [height, width, 3], 0-255.
            boxes: where the faces are: (left, top, width, height) of each, in pixels of the picture turned upright; no
                detector looks then, and there is a face for each box, in this order. At least half of a box must lie in
                the picture; beyond the edge, its pixels repeat. The network sees the square of its middle and area.
            channel_order: of an array with three channels; "bgr" for OpenCV's.

        Raises ImageError: the picture cannot be used; the message says why.
        Raises BoxError: what is given is no box, or no part of the picture.
        """
        return self._predict_images([_read(picture, boxes, channel_order)])[0]

    def predict_many(
        self,
        pictures: Iterable[Picture],
        *,
        boxes: Iterable[Boxes | None] | None = None,
        channel_order: ChannelOrder = "rgb",
    ) -> Iterator[Prediction]:
        """Predict pictures in order, batch by batch, some at a time in memory.

        Args:
            pictures: as for `predict`; one that cannot be used gives a Prediction with `error`.
            boxes: the boxes of each picture, as for `predict`, as many as pictures; None in their place has its faces
                found.
            channel_order: of arrays with three channels; "bgr" for OpenCV's.

        Raises ValueError: there are more or fewer `boxes` than pictures.
        """
        pairs = ((picture, None) for picture in pictures) if boxes is None else zip(pictures, boxes, strict=True)
        group: list[_Read] = []
        for picture, given in pairs:
            group.append(_read_or_reason(picture, given, channel_order))
            if len(group) == self._batch_size or sum(read.pixels for read in group) >= _GROUP_PIXELS:
                yield from self._predict_images(group)
                group = []
        yield from self._predict_images(group)

    def probabilities(self, faces: Sequence[np.ndarray]) -> np.ndarray:
        """Average of the models over face crops, uint8 [height, width(, 3)] each: float64 [n, labels], merged."""
        return self._probabilities([self._seen(face) for face in faces])

    def _probabilities(self, faces: Sequence[_Seen]) -> np.ndarray:
        starts = range(0, len(faces), self._batch_size)
        chunks = [self._average(faces[start : start + self._batch_size]) for start in starts]
        return np.concatenate([np.empty((0, len(self.labels))), *chunks])

    def _predict_images(self, pictures: Sequence["_Read"]) -> list[Prediction]:
        found = [self._find(picture) for picture in pictures]
        rows = iter(self._probabilities([seen for faces in found for seen, _, _ in faces]))
        predictions = []
        for (source, image, _), faces in zip(pictures, found, strict=True):
            if isinstance(image, str):
                predictions.append(Prediction(source, 0, 0, (), error=image, prior=self.prior.name))
                continue
            labelled = tuple(self.face(box, score, next(rows)) for _, box, score in faces)
            predictions.append(Prediction(source, image.shape[1], image.shape[0], labelled, prior=self.prior.name))
        return predictions

    def _find(self, picture: "_Read") -> list[tuple[_Seen, Box | None, float | None]]:
        """Each face as soon as it is cut as small as the models see it: many large ones don't fit into memory."""
        image = picture.image
        if isinstance(image, str):
            return []
        if picture.boxes is not None:
            return [(self._seen(crop_face(image, squared(box))), box, None) for box in picture.boxes]
        if self.detector is None:
            return [(self._seen(image), None, None)]
        found = self.detector.find(image)
        return [(self._seen(crop_face(image, face.box, face.roll_deg)), face.box, face.score) for face in found]

    def _seen(self, face: np.ndarray) -> _Seen:
        forms = {_form(model) for model in self.models}
        return {
            (size_px, channels): resize_face(face, size_px=size_px, channels=channels) for size_px, channels in forms
        }

    def _average(self, faces: Sequence[_Seen]) -> np.ndarray:
        stacked = ((model, np.stack([face[_form(model)] for face in faces])) for model in self.models)
        answers = [self.prior.apply(model.probabilities(stack), model.about) for model, stack in stacked]
        return self._merging.apply(np.mean(answers, axis=0))

    def face(self, box: Box | None, score: float | None, row: np.ndarray) -> FacePrediction:
        """Name the probabilities [labels] of one face."""
        best = int(row.argmax())
        label = self.labels[best] if row[best] >= self.min_confidence else UNCERTAIN
        probabilities = {name: float(value) for name, value in zip(self.labels, row, strict=True)}
        return FacePrediction(box, score, label, float(row[best]), probabilities)


def predict_emotion(picture: Picture, *, channel_order: ChannelOrder = "rgb") -> Prediction:
    """Find the faces in one picture and recognise their emotion with the model that ships with the package.

    Args:
        picture: a path, an image file's bytes, or uint8 [height, width] or [height, width, 3], 0-255.
        channel_order: of an array with three channels; "bgr" for OpenCV's.

    Raises ImageError: the picture cannot be used; the message says why.
    """
    return _published().predict(picture, channel_order=channel_order)


def read_picture(picture: Picture, *, channel_order: ChannelOrder = "rgb") -> np.ndarray:
    """A path, an image file's bytes or an array -> uint8 [height, width] or [height, width, 3] RGB.

    Raises ImageError: missing, a folder, not a picture; or an array of another type or shape.
    """
    if channel_order not in ("rgb", "bgr"):
        raise UserError(f"channel_order is {channel_order!r}; it must be 'rgb' or 'bgr'")
    if isinstance(picture, np.ndarray):
        return _checked_array(picture, channel_order)
    if isinstance(picture, bytes | bytearray | memoryview):
        return decode_image(bytes(picture))
    if not isinstance(picture, str | Path):
        raise ImageError(f"a picture is a path, bytes or a NumPy array; got {type(picture).__name__}")
    return decode_image(_read_file(Path(picture)))


def source_name(picture: Picture) -> str:
    """What to call a picture: its path, "array" or "bytes"."""
    if isinstance(picture, np.ndarray):
        return "array"
    return str(picture) if isinstance(picture, str | Path) else "bytes"


@lru_cache(maxsize=1)
def _published() -> Predictor:
    return Predictor()


class _Read(NamedTuple):
    """A picture that was read, with its given boxes; a string in place of its pixels says why it could not be."""

    source: str
    image: np.ndarray | str
    boxes: list[Box] | None = None

    @property
    def pixels(self) -> int:
        return 0 if isinstance(self.image, str) else self.image.shape[0] * self.image.shape[1]


def _read(picture: Picture, boxes: Boxes | None, channel_order: ChannelOrder) -> _Read:
    image = read_picture(picture, channel_order=channel_order)
    given = None if boxes is None else [as_box(box) for box in boxes]
    check_inside(given or [], width=image.shape[1], height=image.shape[0])
    return _Read(source_name(picture), image, given)


def _read_or_reason(picture: Picture, boxes: Boxes | None, channel_order: ChannelOrder) -> _Read:
    try:
        return _read(picture, boxes, channel_order)
    except (ImageError, BoxError) as error:
        return _Read(source_name(picture), str(error))


def _read_file(path: Path) -> bytes:
    try:
        if path.is_dir():
            os.scandir(path).close()  # raises where it can't be listed
            raise ImageError("a folder, not a picture")
        if path.exists() and not path.is_file():
            raise ImageError("not a regular file")
        if (size_bytes := path.stat().st_size) > MAX_PICTURE_BYTES:
            raise ImageError(f"{size_bytes / 1e6:,.0f} MB large, more than any picture")
        return path.read_bytes()
    except FileNotFoundError:
        raise ImageError("a broken link" if path.is_symlink() else "no such file") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise ImageError(f"cannot be read ({getattr(error, 'strerror', None) or error})") from None


def _checked_array(image: np.ndarray, channel_order: ChannelOrder) -> np.ndarray:
    expected = "uint8 [height, width] or [height, width, 3], 0-255"
    if image.size == 0:
        raise ImageError(f"an empty array of shape {image.shape}; expected {expected}")
    if np.issubdtype(image.dtype, np.floating) and np.isnan(image).any():
        raise ImageError(f"an array with NaN pixels; expected {expected}")
    if image.dtype != np.uint8:
        raise ImageError(
            f"an array of {image.dtype}; expected {expected}: scale it to 0-255, then .astype(numpy.uint8)"
        )
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[:, :, 0]
    if image.ndim != 2 and not (image.ndim == 3 and image.shape[2] == 3):
        raise ImageError(f"an array of shape {image.shape}; expected {expected}")
    if image.shape[0] * image.shape[1] > MAX_PIXELS:
        raise ImageError(f"{image.shape[1]}x{image.shape[0]} pixels, more than {MAX_PIXELS:,}")
    backwards = image.ndim == 3 and channel_order == "bgr"
    return np.ascontiguousarray(image[:, :, ::-1] if backwards else image)


def _form(model: FaceModel) -> tuple[int, int]:
    return model.about.size_px, model.about.channels


def _common_labels(models: Sequence[FaceModel], names: Sequence[str | Path]) -> list[str]:
    if not models:
        raise UserError("no model given; leave `models` out for the shipped one")
    first = models[0].about.labels
    for model, name in zip(models, names, strict=True):
        if model.about.labels != first:
            raise UserError(
                f"models to be averaged must have the same labels in the same order: "
                f"{names[0]} has {', '.join(first)}; {name} has {', '.join(model.about.labels)}"
            )
    return list(first)
