"""The drawn faces: deterministic, each its own, people and expressions independent, expressions visible."""

import hashlib
import os
import subprocess
import sys
from dataclasses import fields, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from emotion.dataset.archive.faces import Dataset, parse_path
from emotion.dataset.labels import EMOTIONS
from emotion.sources.synthetic.expressions import EXPRESSIONS, ActionUnits, express
from emotion.sources.synthetic.eyes import brow_line, eye_opening
from emotion.sources.synthetic.head import chin_y
from emotion.sources.synthetic.mouth import mouth_edges
from emotion.sources.synthetic.people import Identity, draw_identity
from emotion.sources.synthetic.picture import photograph, portray
from emotion.sources.synthetic.shapes import Pixels
from emotion.sources.synthetic.source import Source

VALUES = {"seed": 11, "train_images": 40, "test_images": 20, "min_intensity": 0.3, "noise": 0.06}
PEOPLE = range(25)
GOLDEN = "8a4356c10f048f76"


def source(**changes: float) -> Source:
    return Source.model_validate({**VALUES, **changes})


def dataset(**changes: float) -> Dataset:
    return source(**changes).dataset(Path("unused"), Path("unused"))


def images(faces: Dataset) -> dict[str, bytes]:
    return {path: faces.read(key) for path, key in faces.keys.items()}


def decode(content: bytes) -> NDArray[Any]:
    picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    assert picture is not None
    return picture


def person(number: int) -> Identity:
    return draw_identity(np.random.default_rng([5, number]))


def full(label: str, variant: int = 0) -> ActionUnits:
    return EXPRESSIONS[label][variant]


def pixel_digest() -> str:
    """Of the pixels, not of the PNGs, of the first 14 faces."""
    drawn = dataset(train_images=14, test_images=7)
    digest = hashlib.sha256()
    for content in images(drawn).values():
        digest.update(decode(content).tobytes())
    return digest.hexdigest()[:16]


def test_same_seed_gives_same_bytes_and_another_seed_others() -> None:
    first = images(dataset())
    assert images(dataset()) == first
    other = images(dataset(seed=12))
    assert other.keys() == first.keys()
    assert all(other[path] != content for path, content in first.items())


def test_a_face_does_not_depend_on_how_many_are_drawn() -> None:
    few, many = dataset(), dataset(train_images=100, test_images=50)
    assert few.keys.keys() < many.keys.keys()
    assert all(few.read(key) == many.read(many.keys[path]) for path, key in few.keys.items())


def test_no_two_faces_are_equal() -> None:
    assert len(set(images(dataset(noise=0)).values())) == 60


def test_every_label_is_there_in_both_splits_of_the_smallest_dataset() -> None:
    faces = [parse_path(path) for path in dataset(train_images=14, test_images=7).keys]
    for split, count in (("train", 2), ("test", 1)):
        labels = [face.label for face in faces if face.split == split]
        assert sorted(labels) == sorted(EMOTIONS * count)


def test_labels_are_balanced_but_for_a_rarer_disgust() -> None:
    labels = [parse_path(path).label for path in dataset(train_images=2000, test_images=7).keys]
    counts = {label: labels.count(label) for label in EMOTIONS}
    disgust = counts.pop("disgust")
    assert disgust < 0.75 * min(counts.values())
    assert max(counts.values()) - min(counts.values()) <= 2


def test_names_say_split_label_and_number() -> None:
    assert "train/happy/train_000010.png" in dataset().keys


def test_pictures_are_grey_48_px_pngs_with_something_on_them() -> None:
    for content in images(dataset()).values():
        face = decode(content)
        assert face.shape == (48, 48)
        assert face.dtype == np.uint8
        assert face.std() > 5


def test_an_expression_moves_brows_eyes_and_mouth_and_leaves_the_rest() -> None:
    middle = np.zeros((48, 48), bool)
    middle[6:, 6:42] = True
    for number in PEOPLE:
        who = replace(person(number), tilt=0.0, shift_x=0.0, shift_y=0.0)
        happy, sad = (portray(who, full(label)).astype(int) for label in ("happy", "sad"))
        change = np.abs(happy - sad)
        assert change[~middle].max() <= 12  # the cheeks' light reaches that far
        assert change[middle].max() > 40


def test_the_same_expression_on_two_people_gives_two_pictures() -> None:
    drawn = [portray(person(number), full("fear")) for number in PEOPLE]
    apart = [np.abs(a.astype(int) - b).mean() for a, b in pairwise(drawn)]
    assert min(apart) > 5


@pytest.mark.parametrize("number", PEOPLE)
def test_action_units_move_what_they_are_named_after(number: int) -> None:
    who = person(number)
    rest = ActionUnits()

    def corner_height(does: ActionUnits) -> float:
        edges = mouth_edges(who, does)
        return float(edges.upper[7, 1] - edges.upper[-1, 1])

    def opening(does: ActionUnits) -> float:
        edges = mouth_edges(who, does)
        return float(edges.lower[7, 1] - edges.upper[7, 1])

    def brow_ends(does: ActionUnits) -> tuple[float, float]:
        brow = brow_line(who, does)
        return float(brow[0, 1]), float(brow[-1, 1])

    assert corner_height(full("happy")) > corner_height(rest) + 2 > corner_height(full("sad")) + 4
    assert opening(full("surprise")) > opening(full("fear")) > opening(full("happy")) == 0
    assert brow_ends(full("angry"))[0] > brow_ends(rest)[0] + 2 > brow_ends(full("sad"))[0] + 4
    assert brow_ends(full("surprise"))[1] < brow_ends(rest)[1] - 2
    assert eye_opening(who, full("fear")).upper > eye_opening(who, rest).upper > eye_opening(who, full("disgust")).upper
    assert chin_y(who, full("surprise")) > chin_y(who, rest) + 1


def test_at_intensity_zero_every_label_is_neutral() -> None:
    two_variants = [label for label in EMOTIONS if len(EXPRESSIONS[label]) == 2]
    assert len({express(label, 0.0, np.random.default_rng(1)) for label in two_variants}) == 1
    neutral = [express("neutral", intensity, np.random.default_rng(1)) for intensity in (0.0, 1.0)]
    assert neutral[0] == neutral[1]


def test_expressions_cover_the_labels_and_stay_in_range() -> None:
    assert tuple(EXPRESSIONS) == EMOTIONS
    for variants in EXPRESSIONS.values():
        for does in variants:
            assert all(0 <= getattr(does, unit.name) <= 1 for unit in fields(ActionUnits))


def test_intensity_makes_an_expression_stronger() -> None:
    def distance(intensity: float) -> float:
        changes = []
        for number in PEOPLE:
            does = express("surprise", intensity, np.random.default_rng(number))
            changes.append(np.abs(portray(person(number), does).astype(int) - portray(person(number), ActionUnits())))
        return float(np.mean(changes))

    assert distance(1.0) > 1.3 * distance(0.5) > 1.5 * distance(0.1)


def test_noise_is_the_standard_deviation_as_a_fraction_of_the_grey_range() -> None:
    grey: Pixels = np.full((48, 48), 118, np.uint8)
    noisy = photograph(grey, 0.1, np.random.default_rng(0))
    assert noisy.std() == pytest.approx(25.5, rel=0.05)
    assert photograph(grey, 0.0, np.random.default_rng(0)).std() == 0


@pytest.mark.parametrize("number", PEOPLE)
def test_the_strongest_expressions_can_be_drawn(number: int) -> None:
    who, units = person(number), len(fields(ActionUnits))
    assert portray(who, ActionUnits(*[1.8] * units)).std() > 5


@pytest.mark.parametrize(
    "changes",
    [{"seed": -1}, {"seed": 2**32}, {"train_images": 13}, {"test_images": 6}, {"min_intensity": 1.1},
     {"min_intensity": -0.1}, {"noise": -0.01}, {"noise": 0.6}, {"seed": 1.5}, {"blur": 1}],
)  # fmt: skip
def test_invalid_parameters_are_rejected(changes: dict[str, float]) -> None:
    with pytest.raises(ValidationError) as caught:
        source(**changes)
    assert [error["loc"] for error in caught.value.errors()] == [tuple(changes)]


def test_pixels_are_the_recorded_ones() -> None:
    """A change here redraws everybody's faces: update GOLDEN with the change that means to."""
    assert pixel_digest() == GOLDEN


def test_another_processor_draws_the_same_pixels() -> None:
    """NumPy and OpenCV without their newer instructions, in a process of its own."""
    plain = {"OPENCV_IPP": "disabled", "OPENCV_CPU_DISABLE": "AVX2", "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX2"}
    command = [sys.executable, "-c", "from tests.sources.test_synthetic import pixel_digest; print(pixel_digest())"]
    root = Path(__file__).parents[2]
    drawn = subprocess.run(
        command, cwd=root, env={**os.environ, **plain}, check=True, capture_output=True, text=True, timeout=60
    )
    assert drawn.stdout.split()[-1] == pixel_digest()
