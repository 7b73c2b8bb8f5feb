"""Videos, cameras and streams: label their frames, write them; what is written is whole or not there."""

import csv
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TextIO

import cv2
import numpy as np

from emotion.foundation.errors import UserError, shown
from emotion.foundation.files import written_whole
from emotion.inference.annotation import annotate
from emotion.inference.frames import FrameSource, count_frames, refuse_odd_name
from emotion.inference.predictor import FacePrediction, Prediction, Predictor
from emotion.inference.tracking import FaceTracker, Track
from emotion.inference.writers import written_text
from emotion.runtime.quiet import quietly

_CODECS = {".mp4": "mp4v", ".m4v": "mp4v", ".mov": "mp4v", ".avi": "MJPG", ".mkv": "mp4v"}
_ROOM_EVERY = 100  # frames between two looks at the room on the disk
_LEAST_ROOM = 100_000  # bytes


@dataclass(frozen=True)
class Summary:
    """What was done with a video.

    Attributes:
        frames: that were read.
        looked_at: frames in which faces were looked for.
        faces: that were followed.
        stopped: by Ctrl-C.
        unread: frames that the file should have but that could not be read.
    """

    frames: int
    looked_at: int
    faces: int
    stopped: bool
    unread: int = 0


class VideoFile:
    """Writes frames; the size is the first frame's. Close it, or the file has no index.

    Args:
        path: to write to.
        name: as which errors know it; its ending decides the format.
        rate: frames per second.

    Raises UserError: a name with another ending, no such folder.
    """

    def __init__(self, path: Path, name: Path, rate: float) -> None:
        self._path, self._name, self._rate, self._written = path, name, rate, 0
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)

    def write(self, frame: np.ndarray, seconds: float) -> None:
        """Append a frame, uint8 [height, width, 3] RGB, as often as the rate requires since the last one.

        A frame of another size than the first is scaled to it. Raises UserError when the file cannot be written.
        """
        if self._writer is None:
            self._size = (frame.shape[1], frame.shape[0])
            code = cv2.VideoWriter.fourcc(*_CODECS[self._name.suffix.lower()])
            with quietly():
                self._writer = cv2.VideoWriter(str(self._path), code, self._rate, self._size)
            if not self._writer.isOpened():
                raise UserError(self._unopened())
        if (frame.shape[1], frame.shape[0]) != self._size:
            frame = cv2.resize(frame, self._size, interpolation=cv2.INTER_AREA)
        while self._written < round(seconds * self._rate) + 1:
            if self._written % _ROOM_EVERY == 0 and shutil.disk_usage(self._path.parent).free < _LEAST_ROOM:
                raise UserError(f"{self._name} cannot be written: the disk is full; make room on it")
            self._writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
            self._written += 1

    def _unopened(self) -> str:
        """Why the file can't be opened; MPEG-4 takes no frames that are very small, large or narrow."""
        width, height = self._size
        sizes = "" if self._name.suffix.lower() == ".avi" else " name an .avi, which takes frames of more sizes;"
        return (
            f"{self._name} cannot be written as a video of {width}x{height} pixels;{sizes} "
            "is the folder writable, the disk full?"
        )

    def close(self) -> None:
        """Finish the file."""
        if self._writer is not None:
            self._writer.release()

    def verify(self) -> None:
        """Read the closed file back, as OpenCV doesn't say what it could not write. Raises UserError."""
        readable = count_frames(self._path) if self._written else 0
        if readable < self._written:
            raise UserError(
                f"{self._name} was not written: of {self._written} frames only {readable} can be read back; is the "
                "disk full, or does a quota or limit (ulimit -f) forbid files of that size?"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def written_video(path: Path, rate: float) -> Iterator[VideoFile]:
    """A video to write frames to, which appears at `path` once all of them have been read back.

    Raises UserError: a name that is no video's, no such folder, a full disk; then nothing is left.
    """
    if path.suffix.lower() not in _CODECS:
        raise UserError(f"{path}: a video's name must end in {', '.join(_CODECS)}")
    if not path.parent.is_dir():
        raise UserError(f"{path}: the folder {path.parent} does not exist")
    refuse_odd_name(path)
    with written_whole(path) as part:
        with VideoFile(part, path, rate) as video:
            yield video
        video.verify()
        if not part.exists():
            raise UserError(f"{path} was not written, as there was no frame to write")


@contextmanager
def written_table(path: Path) -> Iterator[TextIO]:
    """What `written_text` gives for a file in a folder that exists. Raises UserError for any other."""
    if not path.parent.is_dir():
        raise UserError(f"{path} cannot be written: the folder {path.parent} does not exist")
    with written_text(path) as file:
        yield file


class FrameTable:
    """The CSV: one row for each face of each frame that was looked at; a pipe gets every row once it is written.

    It names the prior in each row, as predict's does.
    """

    def __init__(self, file: TextIO, predictor: Predictor) -> None:
        self._file, self._labels, self._prior = file, predictor.labels, shown(predictor.prior.name)
        self._writer = csv.writer(file, lineterminator="\n")
        box = ["left", "top", "width", "height"]
        self._writer.writerow(["frame", "seconds", "face", *box, "label", "confidence", *self._labels, "prior"])

    def write(self, frame: int, seconds: float, track: Track, face: FacePrediction) -> None:
        """Append one row."""
        values = [f"{face.probabilities[label]:.6f}" for label in self._labels]
        where = [frame, f"{seconds:.3f}", track.number, *track.box.rounded()]
        self._writer.writerow([*where, face.label, f"{face.confidence:.6f}", *values, self._prior])
        self._file.flush()


def label_video(
    source: FrameSource,
    tracker: FaceTracker,
    *,
    output: Path | None,
    table: Path | None,
    every: int,
    progress: Callable[[int], None] = lambda frame: None,
) -> Summary:
    """Label a video until it ends or Ctrl-C is pressed; what was written by then appears whole, or else nothing does.

    Args:
        output: annotated video to write; with every > 1 it still has all frames.
        table: CSV of probabilities to write.
        every: look for faces in each `every`-th frame; the frames between show what was found before.
        progress: called after each frame with its number, from 0.

    Raises UserError: nothing could be read, or an output cannot be written. Raises KeyboardInterrupt: Ctrl-C before
    the first frame.
    """
    frame_number, looked_at, stopped = -1, 0, False
    numbers: set[int] = set()
    prior = tracker.predictor.prior.name
    with ExitStack() as stack:
        stack.callback(source.close)
        rows = FrameTable(stack.enter_context(written_table(table)), tracker.predictor) if table else None
        # Last, so that it is verified first: without the video, no table appears.
        video = stack.enter_context(written_video(output, source.rate)) if output else None
        faces: tuple[FacePrediction, ...] = ()
        tracks: list[Track] = []
        try:
            for frame_number, frame in enumerate(source):
                seconds = source.seconds(frame_number)
                if frame_number % every == 0:
                    tracks = tracker.update(frame, seconds)
                    faces = tuple(tracker.describe(track) for track in tracks)
                    looked_at += 1
                    numbers |= {track.number for track in tracks}
                    for track, face in zip(tracks, faces, strict=True):
                        if rows:
                            rows.write(frame_number, seconds, track, face)
                if video:
                    video.write(annotate_frame(frame, faces, [track.number for track in tracks], prior), seconds)
                progress(frame_number)
        except KeyboardInterrupt:
            stopped = True
        if frame_number < 0:
            raise KeyboardInterrupt if stopped else UserError("the video has no readable frame")
        unread = 0 if stopped else source.unread(frame_number + 1)
    return Summary(frame_number + 1, looked_at, len(numbers), stopped, unread)


def annotate_frame(frame: np.ndarray, faces: tuple[FacePrediction, ...], numbers: list[int], prior: str) -> np.ndarray:
    """Draw the faces, with the numbers that they have in the table, and the prior over a frame of the same size."""
    if not faces:
        return frame
    prediction = Prediction("frame", frame.shape[1], frame.shape[0], faces, prior=prior)
    return annotate(frame, prediction, keep_size=True, numbers=numbers)
