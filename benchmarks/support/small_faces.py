"""Small faces: how many are found, what is taken for one that is none, how long it takes, how well they are labelled.

Up to three faces of each photograph are shrunk to several sizes, with what is around them, and laid on canvases of
1280x720. The photographs themselves are scored as they are, and changed in ways in which photographs differ. The
milliseconds are those that one core worked, measured in turns. The results go to benchmarks/results/small_faces.json
and small_labels.json.
"""

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.support.photographs import Photographs, fer2013_faces
from benchmarks.support.processes import RESULTS
from emotion.dataset.images import decode_image
from emotion.foundation.files import write_json
from emotion.inference.detector import Box, Found, YuNet
from emotion.inference.predictor import Predictor, read_picture

FACE_PX = (20, 24, 28, 32, 40)
CANVAS = (1280, 720)  # width, height; pixels
Middle = tuple[float, float]  # x, y; pixels
CELLS = (6, 3)  # across, down; a cell has room for a face of 40 pixels and 1.5 times that around it
FACES_OF_A_PICTURE = 3
TIMES = 9
PRIVATE_TEST = 3589  # pictures


def _looks(px: int, side: float = YuNet.SMALL_SIDE, score: float = YuNet.SMALL_SCORE) -> YuNet:
    """Two looks, the second otherwise than as shipped."""
    chosen = {"SMALL_PX": px, "SMALL_SIDE": side, "SMALL_SCORE": score}
    return type("Other", (YuNet,), chosen)(small_faces=True)


WAYS: dict[str, Callable[[], YuNet]] = {
    "640 (default)": YuNet,
    "800": lambda: YuNet(longest_px=800),
    "1280": lambda: YuNet(longest_px=1280),
    "640 and 800": lambda: _looks(800),
    "640 and 960": lambda: _looks(960),
    "640 and 1280 (`--small-faces`)": lambda: YuNet(small_faces=True),
    "the same, from a score of 0.7": lambda: _looks(1280, score=0.7),
    "the same, to a 16th of the picture": lambda: _looks(1280, side=1 / 16),
}
CHANGES: dict[str, tuple[float, Callable[[np.ndarray], np.ndarray]]] = {  # by what boxes grow; a picture, changed
    "twice the size": (2, lambda picture: cv2.resize(picture, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)),
    "grey": (1, lambda picture: picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)),
    "at 0.4 of the brightness": (1, lambda picture: cv2.convertScaleAbs(picture, alpha=0.4)),
    "JPEG of quality 30": (1, lambda picture: decode_image(_jpeg(picture, 30))),
}


def shrunk_faces(
    photographs: Photographs, pictures: dict[str, np.ndarray], face_px: int
) -> Iterator[tuple[np.ndarray, Middle]]:
    """Faces with what is around them, and their middles; `face_px` is the geometric mean of a face's sides."""
    for file, picture in pictures.items():
        for left, top, width, height in photographs.faces(file)[:FACES_OF_A_PICTURE]:
            scale = face_px / (width * height) ** 0.5
            rows = [max(0, round(top - 1.5 * height)), min(picture.shape[0], round(top + 2.5 * height))]
            columns = [max(0, round(left - 1.5 * width)), min(picture.shape[1], round(left + 2.5 * width))]
            if scale <= 1:
                part = picture[slice(*rows), slice(*columns)]
                middle = (left + width / 2 - columns[0]) * scale, (top + height / 2 - rows[0]) * scale
                yield cv2.resize(part, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), middle


def sheets(faces: list[tuple[np.ndarray, Middle]]) -> Iterator[tuple[np.ndarray, list[Middle]]]:
    """Canvases with a face in each cell, whose colour is that of what is around the face; and the faces' middles.

    Where in its cell is left to chance: how well YuNet sees a small face depends on where it lies between the points
    that it looks at, every eighth pixel.
    """
    (across, down), rng = CELLS, np.random.default_rng(0)
    width, height = CANVAS[0] // across, CANVAS[1] // down
    for first in range(0, len(faces), across * down):
        canvas, middles = np.full((CANVAS[1], CANVAS[0], 3), 128, np.uint8), []
        for number, (part, (x, y)) in enumerate(faces[first : first + across * down]):
            cell_top, cell_left = number // across * height, number % across * width
            canvas[cell_top : cell_top + height, cell_left : cell_left + width] = part.mean((0, 1))
            top = cell_top + int(rng.integers(0, height - part.shape[0] + 1))
            left = cell_left + int(rng.integers(0, width - part.shape[1] + 1))
            canvas[top : top + part.shape[0], left : left + part.shape[1]] = part
            middles.append((left + x, top + y))
        yield canvas, middles


def count_found(detector: YuNet, canvases: list[tuple[np.ndarray, list[Middle]]], face_px: int) -> int:
    """Faces in whose middle a face is found, with a tolerance of 0.6 of the face."""
    count = 0
    for canvas, middles in canvases:
        found = np.array([(box.left + box.width / 2, box.top + box.height / 2) for box, *_ in detector.find(canvas)])
        for middle in middles:
            count += bool(len(found)) and bool((np.abs(found - middle).max(axis=1) < 0.6 * face_px).any())
    return count


def busy_ms(works: dict[str, Callable[[], object]]) -> dict[str, float]:
    """The least milliseconds of a core that each takes, of several turns."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(TIMES):
        for name, work in works.items():
            began = time.thread_time()
            work()
            taken[name].append(time.thread_time() - began)
    return {name: round(1e3 * min(each)) for name, each in taken.items()}


def score(
    detector: YuNet, photographs: Photographs, pictures: dict[str, np.ndarray], change: str = ""
) -> dict[str, int]:
    """Found, missed and false faces in the photographs, as they are or changed."""
    grown, changed = CHANGES[change] if change else (1, lambda picture: picture)
    found = {
        file: [Found(Box(*(value / grown for value in box)), sure) for box, sure, _ in detector.find(changed(picture))]
        for file, picture in pictures.items()
    }
    return photographs.summary(found, 0.0)


def label_shrunk(path: Path, here: dict[str, Any]) -> None:
    """Accuracy on faces that are shrunk to several sizes before the network sees them."""
    faces = list(fer2013_faces(path, PRIVATE_TEST, "PrivateTest"))
    predictor, accuracy = Predictor(detector=None), {}
    labels = np.array([predictor.labels.index(label) for _, label in faces])
    for size in (48, *reversed(FACE_PX)):
        shrunk = [cv2.resize(face, (size, size), interpolation=cv2.INTER_AREA) for face, _ in faces]
        accuracy[size] = round(float((predictor.probabilities(shrunk).argmax(1) == labels).mean()), 4)
        print(size, accuracy[size], sep=" | ", flush=True)
    write_json(RESULTS / "small_labels.json", {"machine": here, "faces": len(faces), "accuracy": accuracy})


def find_small(folder: Path, here: dict[str, Any]) -> None:
    """Faces found by each way of looking, false faces, milliseconds."""
    cv2.setNumThreads(1)
    photographs = Photographs(folder)
    pictures = {path.name: _as_rgb(read_picture(path)) for path in photographs.paths}
    laid = {size: list(sheets(list(shrunk_faces(photographs, pictures, size)))) for size in FACE_PX}
    faces = {size: sum(len(middles) for _, middles in canvases) for size, canvases in laid.items()}
    detectors = {name: make() for name, make in WAYS.items()}
    figures: dict[str, Any] = {"machine": here, "faces": faces, "ways": {}, "changed": {}}
    canvas = laid[FACE_PX[0]][0][0]
    photograph = _jpeg(cv2.resize(max(pictures.values(), key=np.size), CANVAS), 90)
    times = busy_ms({name: partial(each.find, canvas) for name, each in detectors.items()})
    figures["decoding_ms"] = busy_ms({"decoding": lambda: decode_image(photograph)})["decoding"]
    for name, detector in detectors.items():
        counts = {size: count_found(detector, canvases, size) for size, canvases in laid.items()}
        scored = score(detector, photographs, pictures)
        figures["ways"][name] = {"found_of_size": counts, **scored, "ms": times[name]}
        print(" | ".join(map(str, [name, *counts.values(), *scored.values(), times[name]])), flush=True)
    for change in CHANGES:
        for name in ("640 (default)", "640 and 1280 (`--small-faces`)"):
            scored = score(detectors[name], photographs, pictures, change)
            figures["changed"].setdefault(change, {})[name] = scored
            print(" | ".join(map(str, [change, name, *scored.values()])), flush=True)
    write_json(RESULTS / "small_faces.json", figures)


def _jpeg(picture: np.ndarray, quality: int) -> bytes:
    pixels = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def _as_rgb(picture: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB) if picture.ndim == 2 else picture
