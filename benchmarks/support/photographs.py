"""Photographs with boxes, and FER2013's pictures."""

import csv
import importlib.util
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from emotion.inference.detector import Found


class Photographs:
    """A set of photographs with boxes, and the scorer that it brings."""

    def __init__(self, folder: Path) -> None:
        specification = importlib.util.spec_from_file_location("photographs_score", folder / "score.py")
        assert specification is not None
        assert specification.loader is not None
        self._score = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(self._score)
        self._boxes: dict[str, dict[str, list[list[float]]]] = defaultdict(lambda: {"face": [], "ignore": []})
        for row in _rows(folder / "boxes.csv"):
            self._boxes[row["file"]][row["kind"]].append([float(row[key]) for key in "xywh"])
        self.paths = [folder / row["file"] for row in _rows(folder / "files.csv")]

    def faces(self, file: str) -> list[list[float]]:
        """Left, top, width and height of each face that a photograph has."""
        return self._boxes[file]["face"]

    def mistakes(self, found: dict[str, list[Found]], min_score: float) -> dict[str, tuple[int, int]]:
        """File -> missed faces, false faces: of all files."""
        counts = {}
        for path in self.paths:
            boxes = [face.box for face in found[path.name] if face.score >= min_score]
            truth = self._boxes[path.name]
            _, missed, false = self._score.match(boxes, truth["face"], truth["ignore"])
            counts[path.name] = (len(missed), len(false))
        return counts

    def summary(self, found: dict[str, list[Found]], min_score: float) -> dict[str, int]:
        """Counts over all photographs."""
        mistakes = self.mistakes(found, min_score).values()
        missed, false = (sum(column) for column in zip(*mistakes, strict=True))
        faces = sum(len(self._boxes[path.name]["face"]) for path in self.paths)
        clean = sum(not any(both) for both in mistakes)
        return {"found": faces - missed, "missed": missed, "false": false, "clean_pictures": clean}


def fer2013_faces(path: Path, count: int, subset: str) -> Iterator[tuple[np.ndarray, str]]:
    """Pictures of a subset, spread evenly, with their labels."""
    with zipfile.ZipFile(path) as archive:
        names = sorted(name for name in archive.namelist() if subset in name)
        for index in np.linspace(0, len(names) - 1, min(count, len(names))).astype(int):
            name = names[index]
            image = cv2.imdecode(np.frombuffer(archive.read(name), np.uint8), cv2.IMREAD_GRAYSCALE)
            assert image is not None, f"{name} of {path} is no picture"
            yield image, name.split("/")[-2]


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(newline="") as file:
        yield from csv.DictReader(file)
