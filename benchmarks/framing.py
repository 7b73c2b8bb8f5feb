"""How well the detector finds faces and frames them as FER2013 does.

FER2013's pictures (--subset: tune on Training, report on PrivateTest) are pasted at a known scale onto larger canvases,
found again, cropped and predicted.
Reported for each canvas: hit rate, false finds a picture, box side / picture side, offset of the middles, and the
accuracy after detect-and-crop against that of the pasted picture itself, both on the faces that were found.

    python -m benchmarks.framing fer2013.zip [--faces 1000] [--subset PrivateTest] [--haar] [--model FILE]
"""

import argparse
import zipfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from emotion.inference.detector import BlazeFace, Box, Detector, Found, crop_face, overlap
from emotion.inference.models import PUBLISHED
from emotion.inference.predictor import Predictor

CANVASES = ((320, 240, 96), (640, 480, 240), (640, 480, 96), (640, 480, 64))  # width, height, side of the face; pixels


class Haar:
    """OpenCV's cascade, for comparison; it needs OpenCV < 5."""

    def __init__(self) -> None:
        self._cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_alt2.xml")

    def find(self, image: np.ndarray) -> list[Found]:
        """Faces of a uint8 picture."""
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) if image.ndim == 3 else image
        boxes = self._cascade.detectMultiScale(grey, 1.1, 3, minSize=(24, 24))
        return [Found(Box(*map(float, box)), 1.0) for box in boxes]


def read_faces(path: Path, count: int, subset: str) -> Iterator[tuple[np.ndarray, str]]:
    """Pictures of a subset, spread evenly, with their labels."""
    with zipfile.ZipFile(path) as archive:
        names = sorted(name for name in archive.namelist() if subset in name)
        for index in np.linspace(0, len(names) - 1, min(count, len(names))).astype(int):
            name = names[index]
            image = cv2.imdecode(np.frombuffer(archive.read(name), np.uint8), cv2.IMREAD_GRAYSCALE)
            yield image, name.split("/")[-2]


def pasted(face: np.ndarray, width: int, height: int, side: int, rng: np.random.Generator) -> tuple[np.ndarray, Box]:
    """The face on a blurred random background, and where it is."""
    spots = rng.integers(0, 256, (height // 40, width // 40)).astype(np.uint8)
    canvas = cv2.GaussianBlur(cv2.resize(spots, (width, height), interpolation=cv2.INTER_CUBIC), (0, 0), 12)
    left, top = int(rng.integers(0, width - side)), int(rng.integers(0, height - side))
    canvas[top : top + side, left : left + side] = cv2.resize(face, (side, side), interpolation=cv2.INTER_CUBIC)
    return canvas, Box(left, top, side, side)


def measure(
    detector: Detector, predictor: Predictor, faces: list[tuple[np.ndarray, str]], canvas: tuple[int, int, int]
) -> str:
    """One row of the table."""
    rng = np.random.default_rng(0)
    places, crops, originals, labels, strangers = [], [], [], [], 0
    for face, label in faces:
        picture, truth = pasted(face, *canvas, rng)
        found = detector.find(picture)
        hits = [one for one in found if overlap(one.box, truth) > 0.3]
        strangers += len(found) - len(hits)
        if hits:
            box = hits[0].box
            middle = (
                box.left + box.width / 2 - truth.left - truth.width / 2,
                box.top + box.height / 2 - truth.top - truth.height / 2,
            )
            places.append((box.width / truth.width, middle[0] / truth.width, middle[1] / truth.height))
            crops.append(crop_face(picture, box))
            originals.append(face)
            labels.append(predictor.labels.index(label))
    ratio, right, down = np.mean(places, axis=0)
    right_before, right_after = (predictor.probabilities(images).argmax(1) == labels for images in (originals, crops))
    gained = right_after.astype(float) - right_before
    error = gained.std() / np.sqrt(len(gained))
    return (
        f"{canvas[0]}x{canvas[1]}, face {canvas[2]:>3} | {len(places) / len(faces):.1%} | "
        f"{strangers / len(faces):.3f} | {ratio:.3f} ± {np.std(places, axis=0)[0]:.3f} | {right:+.3f}, {down:+.3f} | "
        f"{right_before.mean():.1%} | {right_after.mean():.1%} | {100 * gained.mean():+.1f} ± {100 * error:.1f}"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("fer2013", type=Path)
    parser.add_argument("--faces", type=int, default=1000)
    parser.add_argument("--subset", choices=("Training", "PublicTest", "PrivateTest"), default="PrivateTest")
    parser.add_argument("--haar", action="store_true")
    parser.add_argument("--model", type=Path, default=PUBLISHED)
    arguments = parser.parse_args()
    faces = list(read_faces(arguments.fer2013, arguments.faces, arguments.subset))
    predictor = Predictor([arguments.model], detector=None)
    print(
        "canvas | found | strangers a picture | box side / face side | offset right, down | --no-detect | detected | "
        "points"
    )
    print("--- | --- | --- | --- | --- | --- | --- | ---")
    for canvas in CANVASES:
        print(measure(Haar() if arguments.haar else BlazeFace(), predictor, faces, canvas), flush=True)


if __name__ == "__main__":
    main()
