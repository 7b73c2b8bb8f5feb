"""Pictures for the tests of using a model, and those of docs/using.md: drawn faces on larger canvases.

`python -m tests.support.sample_pictures FOLDER` writes sheet.png, wall.jpg, notes.jpg (no picture) and clip.avi.
"""

import sys
from pathlib import Path

import cv2
import numpy as np

from emotion.dataset.images import decode_image
from emotion.dataset.labels import EMOTIONS
from emotion.sources.synthetic.source import Source

SOURCE = Source(seed=0, train_images=28, test_images=7, min_intensity=0.7, noise=0.0)


def drawn_face(number: int, side_px: int = 100) -> np.ndarray:
    """One drawn face: uint8 [side_px, side_px]."""
    face = SOURCE.draw("train", EMOTIONS[number % len(EMOTIONS)], number)
    return cv2.resize(face, (side_px, side_px), interpolation=cv2.INTER_CUBIC)


def canvas_with(faces: list[tuple[int, int, int]], height: int = 240, width: int = 320) -> np.ndarray:
    """A light canvas with faces at (left, top, side): uint8 [height, width, 3]."""
    canvas = np.full((height, width), 190, np.uint8)
    for number, (left, top, side) in enumerate(faces):
        canvas[top : top + side, left : left + side] = drawn_face(number, side)
    return cv2.cvtColor(canvas, cv2.COLOR_GRAY2RGB)


def portrait() -> np.ndarray:
    """Grace Hopper in front of a flag (matplotlib's, public domain): uint8 RGB, 512x600, the face about 150 wide."""
    import matplotlib

    return decode_image((Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg").read_bytes())


def small_portrait(face_px: int) -> tuple[np.ndarray, tuple[float, float]]:
    """That face, `face_px` wide, on a plain wall of 1280x720; and its middle."""
    wall, scale = np.full((720, 1280, 3), (150, 160, 170), np.uint8), face_px / 150
    small = cv2.resize(portrait()[100:380, 120:420], None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    wall[300 : 300 + small.shape[0], 600 : 600 + small.shape[1]] = small
    return wall, (600 + 147 * scale, 300 + 127 * scale)


def png(image: np.ndarray) -> bytes:
    """RGB or grey pixels -> PNG bytes."""
    return cv2.imencode(".png", image[:, :, ::-1] if image.ndim == 3 else image)[1].tobytes()


def write_examples(folder: Path) -> None:
    """Six faces of different emotions, a wall, a text called a picture, and four seconds of a face that moves."""
    folder.mkdir(parents=True, exist_ok=True)
    places = ((180, 44), (336, 39), (27, 34), (338, 174), (30, 176), (186, 180))
    labels = ("surprise", "angry", "happy", "neutral", "sad", "fear")
    faces = [(_face_of(label), place) for label, place in zip(labels, places, strict=True)]
    cv2.imwrite(str(folder / "sheet.png"), _pasted(faces, height=300, width=460))
    cv2.imwrite(str(folder / "wall.jpg"), _pasted([], height=300, width=460))
    (folder / "notes.jpg").write_text("milk, bread")
    video = cv2.VideoWriter(str(folder / "clip.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 25.0, (640, 480))
    for frame in range(100):
        angry, happy = (cv2.resize(_face_of(label), (200, 200)) for label in ("angry", "happy"))
        face = cv2.addWeighted(angry, 1 - frame / 99, happy, frame / 99, 0)
        video.write(_pasted([(face, (120 + 3 * frame, 160))], height=480, width=640))
    video.release()


def _face_of(label: str) -> np.ndarray:
    """A clear drawn face, uint8 [96, 96]."""
    face = SOURCE.draw("train", label, 0)
    return cv2.resize(face, (96, 96), interpolation=cv2.INTER_CUBIC)


def _pasted(faces: list[tuple[np.ndarray, tuple[int, int]]], *, height: int, width: int) -> np.ndarray:
    canvas = np.full((height, width), 190, np.uint8)
    for face, (left, top) in faces:
        canvas[top : top + face.shape[0], left : left + face.shape[1]] = face
    return cv2.cvtColor(canvas, cv2.COLOR_GRAY2BGR)


if __name__ == "__main__":
    write_examples(Path(sys.argv[1]))
