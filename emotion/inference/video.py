"""Videos, cameras and streams: read frames, label them, write them."""

import csv
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TextIO
from urllib.parse import urlsplit

os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # silences FFmpeg; our errors say it in one line

import cv2
import numpy as np

from emotion.foundation.errors import UserError
from emotion.inference.annotation import annotate
from emotion.inference.predictor import FacePrediction, Prediction
from emotion.inference.tracking import FaceTracker, Track
from emotion.runtime.quiet import quietly

_CODECS = {".mp4": "mp4v", ".m4v": "mp4v", ".mov": "mp4v", ".avi": "MJPG", ".mkv": "mp4v"}
_USUAL_RATE = 30.0  # frames per second, where the source does not say


@dataclass(frozen=True)
class Summary:
    """What was done with a video: frames read, frames looked at, faces followed, and whether it was stopped."""

    frames: int
    looked_at: int
    faces: int
    stopped: bool


class FrameSource:
    """Frames of a file, a camera index or a stream's address, as uint8 [height, width, 3] RGB."""

    def __init__(self, source: str) -> None:
        """Open it. Raises UserError when that fails."""
        self.is_live = source.isdecimal() or urlsplit(source).scheme in ("rtsp", "rtmp", "udp", "http", "https")
        if not self.is_live and not Path(source).is_file():
            raise UserError(
                f"video {source} does not exist; give a file, a camera index such as 0, or a stream's address"
            )
        with quietly():
            self._capture = cv2.VideoCapture(int(source) if source.isdecimal() else source)
        if not self._capture.isOpened():
            kind = "camera" if source.isdecimal() else "video"
            raise UserError(f"{kind} {source} cannot be opened; is it there, and in a format that OpenCV reads?")
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.rate = rate if 0.1 < rate <= 1000 else _USUAL_RATE
        self._first_s: float | None = None  # clock time at which a live source's first frame was read
        self.expected = max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))  # 0: unknown

    def __iter__(self) -> Iterator[np.ndarray]:
        while True:
            with_frame, frame = self._capture.read()
            if not with_frame:
                return
            yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)

    def seconds(self, frame_number: int) -> float:
        """Time of the frame just read, in seconds since the first: by its number in a file, else by the clock."""
        if not self.is_live:
            return frame_number / self.rate
        now = time.monotonic()
        self._first_s = now if self._first_s is None else self._first_s
        return now - self._first_s

    def close(self) -> None:
        """Release the file or camera."""
        self._capture.release()


class VideoFile:
    """Writes frames; the size is the first frame's. Close it, or the file has no index."""

    def __init__(self, path: Path, rate: float) -> None:
        if path.suffix.lower() not in _CODECS:
            raise UserError(f"{path}: a video's name must end in {', '.join(_CODECS)}")
        if not path.parent.is_dir():
            raise UserError(f"{path}: the folder {path.parent} does not exist")
        self._path, self._rate, self._written = path, rate, 0
        self._writer: cv2.VideoWriter | None = None

    def write(self, frame: np.ndarray, seconds: float) -> None:
        """Append a frame, uint8 [height, width, 3] RGB, as often as the rate requires since the last one.

        Raises UserError when the file cannot be written.
        """
        if self._writer is None:
            code = cv2.VideoWriter.fourcc(*_CODECS[self._path.suffix.lower()])
            with quietly():
                self._writer = cv2.VideoWriter(str(self._path), code, self._rate, (frame.shape[1], frame.shape[0]))
            if not self._writer.isOpened():
                raise UserError(f"{self._path} cannot be written as a video; is the folder writable?")
        while self._written < round(seconds * self._rate) + 1:
            self._writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
            self._written += 1

    def close(self) -> None:
        """Finish the file."""
        if self._writer is not None:
            self._writer.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class FrameTable:
    """The CSV: one row for each face of each frame that was looked at; every row is flushed once written."""

    def __init__(self, file: TextIO, labels: list[str]) -> None:
        self._file, self._labels = file, labels
        self._writer = csv.writer(file, lineterminator="\n")
        box = ["left", "top", "width", "height"]
        self._writer.writerow(["frame", "seconds", "face", *box, "label", "confidence", *labels])

    def write(self, frame: int, seconds: float, track: Track, face: FacePrediction) -> None:
        """Append one row."""
        values = [f"{face.probabilities[label]:.6f}" for label in self._labels]
        self._writer.writerow(
            [frame, f"{seconds:.3f}", track.number, *track.box.rounded(), face.label, f"{face.confidence:.6f}", *values]
        )
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
    """Label a video until it ends or Ctrl-C is pressed; what was written by then is complete.

    Args:
        output: annotated video to write; with every > 1 it still has all frames.
        table: CSV of probabilities to write.
        every: look for faces in each `every`-th frame; the frames between show what was found before.
        progress: called after each frame with its number, from 0.

    Raises UserError: nothing could be read, or an output cannot be written.
    """
    frame_number, looked_at, stopped = -1, 0, False
    numbers: set[int] = set()
    with ExitStack() as stack:
        stack.callback(source.close)
        video = stack.enter_context(VideoFile(output, source.rate)) if output else None
        rows = FrameTable(stack.enter_context(_opened(table)), tracker.predictor.labels) if table else None
        faces: tuple[FacePrediction, ...] = ()
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
                    video.write(annotate_frame(frame, faces), seconds)
                progress(frame_number)
        except KeyboardInterrupt:
            stopped = True
    if frame_number < 0 and not stopped:
        raise UserError("the video has no readable frame")
    return Summary(frame_number + 1, looked_at, len(numbers), stopped)


def annotate_frame(frame: np.ndarray, faces: tuple[FacePrediction, ...]) -> np.ndarray:
    """Draw the faces over a frame of the same size."""
    if not faces:
        return frame
    return annotate(frame, Prediction("frame", frame.shape[1], frame.shape[0], faces), zoom=1)


def _opened(path: Path) -> TextIO:
    try:
        return path.open("w", newline="")
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror})") from None
