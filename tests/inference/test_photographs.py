"""Faces in photographs: found where there are some, none where there is none.

The photographs are scikit-learn's (a temple, a flower) and matplotlib's (Grace Hopper, public domain). With
PHOTOS_DIR=/path/to/a/set (files.csv, boxes.csv, score.py and the pictures) the whole set is scored.
"""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from sklearn.datasets import load_sample_image

from benchmarks.support.photographs import Photographs
from emotion.dataset.images import decode_image
from emotion.inference.detector import YuNet, overlap
from tests.support.sample_pictures import portrait, small_portrait

LOWEST = 0.5  # far below the default, so that a ghost that comes nearer is seen


def lettering() -> np.ndarray:
    """Lines of large letters, as on signs and shirts."""
    page = np.full((480, 640, 3), 240, np.uint8)
    for row, text in enumerate(("SALE 50% OFF", "OPEN 8-18 O'CLOCK", "oo OO 00 88 @@ %%", "(o_o) :-) ;-) :D")):
        cv2.putText(page, text, (20, 100 + 110 * row), cv2.FONT_HERSHEY_DUPLEX, 2.0, (20, 20, 20), 4)
    return page


def eyes() -> np.ndarray:
    """An eye of each of several sizes, as seen when half a face is looked at."""
    picture = np.full((480, 640, 3), (224, 186, 160), np.uint8)
    for x, y, size in ((90, 100, 60), (320, 140, 110), (520, 380, 90), (150, 370, 40)):
        cv2.ellipse(picture, (x, y), (size, size // 2), 0, 0, 360, (250, 250, 250), -1)
        cv2.circle(picture, (x, y), size // 2, (90, 60, 30), -1)
        cv2.circle(picture, (x, y), size // 4, (10, 10, 10), -1)
    return picture


def cloth() -> np.ndarray:
    """A plaid with folds."""
    y, x = np.mgrid[:480, :640]
    stripes = 60 * ((x // 24) % 2) + 60 * ((y // 24) % 2) + 50 * np.sin((x + y) / 37) + 60
    return np.repeat(np.clip(stripes, 0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


def noise() -> np.ndarray:
    """Spots at random, of every size."""
    rng, picture = np.random.default_rng(0), np.zeros((480, 640, 3), np.float64)
    for cell in (4, 16, 60):
        spots = rng.uniform(0, 85, (480 // cell, 640 // cell, 3))
        picture += cv2.resize(spots, (640, 480), interpolation=cv2.INTER_CUBIC)
    return np.clip(picture, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def careless() -> YuNet:
    return YuNet(min_score=LOWEST)


@pytest.fixture(scope="module")
def closest() -> YuNet:
    """Also looks for small faces, and is content with as little."""
    detector = YuNet(min_score=LOWEST, small_faces=True)
    detector.SMALL_SCORE = LOWEST
    return detector


@pytest.mark.parametrize("draw", [lettering, eyes, cloth, noise])
def test_no_face_in_a_drawn_scene_without_one(careless, draw):
    assert careless.find(draw()) == []


@pytest.mark.parametrize("draw", [lettering, eyes, cloth, noise])
@pytest.mark.parametrize("times", [(1, 2), (2, 1), (2, 2)])
def test_a_second_look_sees_no_face_in_a_drawn_scene_without_one(closest, draw, times):
    tiles = np.tile(draw(), (*times, 1))
    assert closest.find(cv2.resize(tiles, (1280, 960))) == []


@pytest.mark.parametrize("name", ["china.jpg", "flower.jpg"])
@pytest.mark.parametrize("scale", [1.5, 2.0, 4.0])
def test_a_second_look_sees_no_face_in_a_photograph_without_one(closest, name, scale):
    assert closest.find(cv2.resize(load_sample_image(name), None, fx=scale, fy=scale)) == []


@pytest.mark.parametrize("scale", [1.5, 3.0])
def test_a_second_look_sees_no_face_in_a_portraits_parts(closest, careless, scale):
    picture = cv2.resize(portrait(), None, fx=scale, fy=scale)
    assert closest.find(picture) == careless.find(picture) != []


@pytest.mark.parametrize("name", ["china.jpg", "flower.jpg"])
@pytest.mark.parametrize("scale", [0.25, 1.0, 2.0])
def test_no_face_in_a_photograph_without_one(careless, name, scale):
    assert careless.find(cv2.resize(load_sample_image(name), None, fx=scale, fy=scale)) == []


@pytest.mark.parametrize("scale", [0.125, 0.5, 1.0, 3.0])
def test_one_face_in_a_portrait_of_any_size(careless, scale):
    (face,) = careless.find(cv2.resize(portrait(), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
    middle_x, middle_y = face.box.left + face.box.width / 2, face.box.top + face.box.height / 2
    assert (middle_x / scale, middle_y / scale) == pytest.approx((267, 227), abs=15)
    assert face.score > YuNet.MIN_SCORE + 0.1


@pytest.mark.parametrize("face_px", [32, 48])
def test_small_faces_are_found_in_a_large_picture(face_px):
    wall = cv2.resize(load_sample_image("china.jpg"), (1280, 854))
    scale = face_px / 150  # of the portrait's face
    small = cv2.resize(portrait()[100:380, 120:420], None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    places = [(100, 100), (700, 300), (1000, 600)]
    for left, top in places:
        wall[top : top + small.shape[0], left : left + small.shape[1]] = small
    assert sorted((round(face.box.left, -2), round(face.box.top, -2)) for face in YuNet().find(wall)) == places


@pytest.mark.parametrize("face_px", [20, 24])
def test_smaller_faces_are_found_by_a_second_look_only(face_px):
    picture, middle = small_portrait(face_px)
    assert YuNet().find(picture) == []
    (face,) = YuNet(small_faces=True).find(picture)
    found = face.box.left + face.box.width / 2, face.box.top + face.box.height / 2
    assert found == pytest.approx(middle, abs=face_px / 5)
    assert face.score > YuNet.SMALL_SCORE + 0.05


def test_boxes_hold_the_same_face_whichever_way_the_colours_are(careless):
    (face,), (grey,) = careless.find(portrait()), careless.find(cv2.cvtColor(portrait(), cv2.COLOR_RGB2GRAY))
    assert overlap(face.box, grey.box) > 0.7


@pytest.fixture(scope="module")
def photographs() -> Photographs:
    path = os.environ.get("PHOTOS_DIR")
    if not path:
        pytest.skip("PHOTOS_DIR names no set of photographs with boxes (files.csv, boxes.csv, score.py)")
    return Photographs(Path(path))


def test_photographs_have_few_mistakes_at_the_threshold_and_around_it(photographs, careless):
    found = {path.name: careless.find(decode_image(path.read_bytes())) for path in photographs.paths}
    for min_score in (YuNet.MIN_SCORE - 0.05, YuNet.MIN_SCORE, YuNet.MIN_SCORE + 0.05):
        summary = photographs.summary(found, min_score)
        assert summary["false"] <= 2 and summary["missed"] <= 6, (min_score, summary)


def test_a_second_look_adds_no_false_face_to_photographs(photographs):
    pictures = {path.name: decode_image(path.read_bytes()) for path in photographs.paths}
    once, twice = YuNet(), YuNet(small_faces=True)
    found = {name: (once.find(picture), twice.find(picture)) for name, picture in pictures.items()}
    before, after = (photographs.summary({name: both[turn] for name, both in found.items()}, 0.0) for turn in (0, 1))
    assert after["false"] == before["false"] <= 2 and after["missed"] <= before["missed"] <= 6
