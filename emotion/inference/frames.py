"""Frames of videos, cameras and streams, and how many of them could not be read."""

import os
import re
import struct
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # silences FFmpeg; our errors say it in one line

import cv2
import numpy as np

from emotion.foundation.errors import UserError
from emotion.runtime.quiet import quietly

cv2.utils.logging.setLogLevel(
    cv2.utils.logging.LOG_LEVEL_SILENT
)  # likewise: on a full disk it writes a line for each frame

MAX_FRAME_PIXELS = 35_000_000  # 8K has 33 million; FFmpeg and the annotation hold a frame several times
_USUAL_RATE = 30.0  # frames per second, where the source does not say
_COUNTED = {".mp4", ".m4v", ".mov", ".avi"}  # hold the number of their frames; others only how long they play
_SLACK_S = 1.0  # by which other files may play on after their last frame: sound is often longer
_MOST_TRACKS = 50  # with an edit list; each is looked for in the whole index
_MOST_EDITS = 10_000  # of a track
_LONGEST_BOX = 1 << 62  # bytes; what is larger is no box, and no file can be read there
_MOST_INDEX_BYTES = 100_000_000  # of an MP4; one of 24 hours has 30 million


class FrameSource:
    """Frames of a file, a camera index or a stream's address, as uint8 [height, width, 3] RGB."""

    def __init__(self, source: str) -> None:
        """Open it. Raises UserError when that fails."""
        is_camera = source.isascii() and source.isdecimal() and len(source) < 10  # OpenCV takes 32 bits
        self.is_live = is_camera or _scheme(source) in ("rtsp", "rtmp", "udp", "http", "https")
        self._path = Path(source)
        refuse_odd_name(source)
        if not self.is_live and self._path.exists() and not self._path.is_file():
            raise UserError(f"{source!r} is a folder or device, not a video; give a file")
        if not self.is_live and not self._path.is_file():
            raise UserError(
                f"video {source} does not exist; give a file, a camera index such as 0, or a stream's address"
            )
        with quietly():
            self._capture = cv2.VideoCapture(int(source) if is_camera else source)
        if not self._capture.isOpened():
            kind = "camera" if is_camera else "video"
            raise UserError(f"{kind} {source} cannot be opened; is it there, and in a format that OpenCV reads?")
        width, height = (int(self._capture.get(side)) for side in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        if width * height > MAX_FRAME_PIXELS:
            self.close()
            raise UserError(
                f"video {source} has frames of {width}x{height} pixels, more than {MAX_FRAME_PIXELS:,}; scale it down"
            )
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.rate = rate if 0.1 < rate <= 1000 else _USUAL_RATE
        self._first_s: float | None = None  # clock time at which a live source's first frame was read
        self._ended_s = 0.0  # when the last frame that was read is over, in the video's own time
        self.expected = max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))  # 0: unknown

    def __iter__(self) -> Iterator[np.ndarray]:
        while True:
            with_frame, frame = self._capture.read()
            if not with_frame:
                return
            self._ended_s = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000 + 1 / self.rate
            yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)

    def unread(self, read: int) -> int:
        """How many frames are missing at the end, after `read` of them came; 0 where that cannot be known.

        The number alone doesn't decide: of a file that plays to its end it was an estimate.
        """
        if self.is_live or not 0 < read < self.expected:
            return 0
        is_counted = self._path.suffix.lower() in _COUNTED
        slack_s = 0.5 / self.rate + seconds_cut(self._path) if is_counted else _SLACK_S
        return self.expected - read if self._ended_s + slack_s < self.expected / self.rate else 0

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


def count_frames(path: Path) -> int:
    """Frames that can be read from a video file; 0 of one that is none."""
    with quietly():
        capture, count = cv2.VideoCapture(str(path)), 0
        while capture.grab():
            count += 1
        capture.release()
    return count


def refuse_odd_name(name: str | Path) -> None:
    """Raise UserError for a name that OpenCV cannot take: one that is not UTF-8 ends the process."""
    try:
        str(name).encode()
    except UnicodeEncodeError:
        raise UserError(f"{name} is not a name in UTF-8, which OpenCV needs; rename the file") from None


def _scheme(source: str) -> str:
    """The first part of an address; empty where it is none."""
    try:
        return urlsplit(source).scheme
    except ValueError:  # http://[
        return ""


def seconds_cut(path: Path) -> float:
    """How much of the pictures in an MP4 or MOV its edit list leaves out: what was trimmed without encoding anew.

    0 for other files, and where nothing was trimmed. The number of frames counts what was trimmed.

    Source: ISO/IEC 14496-12, boxes mvhd, mdhd, elst.
    """
    with path.open("rb") as file:
        index = _index_of(file)
    try:
        return max([0.0, *_cuts(index)])
    except (struct.error, IndexError):  # damaged
        return 0.0


def _cuts(index: bytes) -> Iterator[float]:
    """Seconds that each edit list of an MP4's index leaves out."""
    film = index.find(b"mvhd")
    for edits in islice(re.finditer(b"elst", index), _MOST_TRACKS):
        media = index.find(b"mdhd", edits.end())  # of the same track, in which it comes next
        if min(film, media) >= 0:
            units_a_second, units = _times(index, media)
            yield units / units_a_second - _shown_units(index, edits.start()) / _times(index, film)[0]


def _index_of(file: BinaryIO) -> bytes:
    """The box `moov` of an MP4 or MOV; empty where there is none."""
    while len(head := file.read(8)) == 8:
        size, kind = struct.unpack(">I4s", head)
        header = 8
        if size == 1:
            size, header = struct.unpack(">Q", file.read(8).ljust(8, b"\0"))[0], 16
        if kind == b"moov":
            return file.read(min(size, _MOST_INDEX_BYTES))
        if not header <= size < _LONGEST_BOX:
            break
        file.seek(size - header, os.SEEK_CUR)
    return b""


def _times(index: bytes, at: int) -> tuple[int, int]:
    """Units a second (1 where none is given) and length in units, of the box mvhd or mdhd whose name is at `at`."""
    form, offset = (">IQ", 24) if index[at + 4] else (">II", 16)
    scale, length = struct.unpack_from(form, index, at + offset)
    return max(1, scale), length


def _shown_units(index: bytes, at: int) -> int:
    """Length of what an edit list shows, in the film's units; entries without pictures don't count."""
    form = ">QqI" if index[at + 4] else ">IiI"
    (count,) = struct.unpack_from(">I", index, at + 8)
    places = range(at + 12, at + 12 + min(count, _MOST_EDITS) * struct.calcsize(form), struct.calcsize(form))
    entries = (struct.unpack_from(form, index, place) for place in places)
    return sum(length for length, start, _ in entries if start >= 0)
