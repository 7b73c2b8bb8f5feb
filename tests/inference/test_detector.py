"""Finding faces: where they are, how they are framed, and what is no face."""

import os
import zipfile

import cv2
import numpy as np
import pytest

from emotion.inference.detector import BlazeFace, Box, crop_face, overlap
from tests.support.sample_pictures import canvas_with, drawn_face


@pytest.fixture(scope="module")
def detector() -> BlazeFace:
    return BlazeFace()


@pytest.mark.parametrize("side", [48, 96, 200])
def test_a_face_is_found_where_it_is(detector, side):
    (face,) = detector.find(canvas_with([(60, 20, side)]))
    assert overlap(face.box, Box(60, 20, side, side)) > 0.6
    assert face.score >= detector.MIN_SCORE


def test_every_face_is_found_the_largest_first(detector):
    places = [(10, 10, 60), (100, 30, 140), (250, 150, 60)]
    found = detector.find(canvas_with(places))
    assert len(found) == 3
    assert overlap(found[0].box, Box(*places[1][:2], 140, 140)) > 0.6
    assert [face.box.width for face in found] == sorted((face.box.width for face in found), reverse=True)


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (48, 48), (480, 640), (3000, 100)])
def test_no_face_in_a_plain_picture(detector, size):
    assert detector.find(np.full(size, 128, np.uint8)) == []


def test_a_face_that_fills_the_picture_is_found(detector):
    (face,) = detector.find(drawn_face(0, 48))
    assert overlap(face.box, Box(0, 0, 48, 48)) > 0.6


def test_boxes_of_a_large_picture_are_in_its_own_pixels(detector):
    large = cv2.resize(canvas_with([(60, 20, 96)]), None, fx=10, fy=10, interpolation=cv2.INTER_NEAREST)
    (face,) = detector.find(large)
    assert overlap(face.box, Box(600, 200, 960, 960)) > 0.6


def test_grey_and_rgb_give_the_same_boxes(detector):
    picture = canvas_with([(60, 20, 96)])
    assert detector.find(picture) == detector.find(picture[:, :, 0])


def test_following_finds_a_face_that_moved_a_little_and_no_face_that_left(detector):
    (face,) = detector.find(canvas_with([(60, 20, 120)]))
    (moved,) = detector.follow(canvas_with([(72, 26, 120)]), [face.box])
    assert overlap(moved.box, Box(72, 26, 120, 120)) > 0.6
    assert detector.follow(np.full((240, 320, 3), 190, np.uint8), [face.box]) == []


def test_overlap_by_hand():
    assert overlap(Box(0, 0, 2, 2), Box(1, 0, 2, 2)) == pytest.approx(2 / 6)
    assert overlap(Box(0, 0, 2, 2), Box(5, 5, 2, 2)) == 0


def test_a_crop_beyond_the_edge_repeats_the_edge():
    picture = np.arange(16, dtype=np.uint8).reshape(4, 4)
    crop = crop_face(picture, Box(-2, -1, 4, 4))
    assert crop.tolist() == [[0, 0, 0, 1], [0, 0, 0, 1], [4, 4, 4, 5], [8, 8, 8, 9]]


def test_fer2013_faces_are_found_and_framed_as_they_were(detector):
    path = os.environ.get("FER2013_ZIP")
    if not path:
        pytest.skip("FER2013_ZIP is not set")
    hits, ratios = 0, []
    with zipfile.ZipFile(path) as archive:
        names = sorted(name for name in archive.namelist() if "PrivateTest" in name)[::120]
        for name in names:
            canvas = np.full((240, 320), 128, np.uint8)
            face = cv2.imdecode(np.frombuffer(archive.read(name), np.uint8), cv2.IMREAD_GRAYSCALE)
            canvas[60:156, 100:196] = cv2.resize(face, (96, 96), interpolation=cv2.INTER_CUBIC)
            found = [face for face in detector.find(canvas) if overlap(face.box, Box(100, 60, 96, 96)) > 0.4]
            hits += bool(found)
            ratios += [face.box.width / 96 for face in found[:1]]
    assert hits / len(names) >= 0.9
    assert 0.93 <= np.mean(ratios) <= 1.07
