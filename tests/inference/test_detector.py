"""Finding faces: where they are, how they are framed, and what is no face."""

import hashlib
import os
import zipfile
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest

import emotion.published
from emotion.foundation.errors import UserError
from emotion.inference.detector import Box, Found, YuNet, crop_face, overlap
from tests.support.sample_pictures import canvas_with, drawn_face

PUBLISHED = Path(emotion.published.__file__).parent


@pytest.fixture(scope="module")
def detector() -> YuNet:
    return YuNet()


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


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (48, 48), (480, 640), (3000, 100), (100, 3000)])
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


def test_a_larger_false_face_does_not_come_before_a_surer_real_one():
    logo, face = Found(Box(0, 0, 120, 120), 0.74), Found(Box(0, 0, 80, 80), 0.92)
    assert face.prominence > logo.prominence
    near, far = Found(Box(0, 0, 120, 120), 0.90), Found(Box(0, 0, 80, 80), 0.93)
    assert near.prominence > far.prominence


def test_the_most_prominent_face_comes_first(detector):
    found = detector.find(canvas_with([(10, 10, 60), (100, 30, 140), (250, 150, 60)]))
    assert [face.prominence for face in found] == sorted((face.prominence for face in found), reverse=True)


def test_min_score_leaves_out_what_is_less_sure(detector):
    picture = canvas_with([(10, 10, 60), (100, 30, 140), (250, 150, 60)])
    scores = sorted(face.score for face in detector.find(picture))
    assert len(YuNet(min_score=(scores[-2] + scores[-1]) / 2).find(picture)) == 1


@pytest.mark.parametrize("min_score", [0.0, -1.0, 1.01, float("nan")])
def test_a_min_score_out_of_range_is_an_error(min_score):
    with pytest.raises(UserError, match="^min_score is .*; it must be more than 0, and at most 1$"):
        YuNet(min_score=min_score)


def test_the_second_look_adds_what_is_small_and_sure_and_not_within_a_face(monkeypatch):
    large, unsure = Found(Box(100, 100, 300, 300), 0.95), Found(Box(600, 100, 40, 40), 0.71)
    small = Found(Box(900, 300, 24, 24), 0.81)
    seen = {
        640: [large, unsure],
        1280: [
            Found(Box(180, 180, 40, 40), 0.9),  # an eye
            Found(Box(602, 98, 41, 41), 0.9),  # found before
            small,
            Found(Box(900, 500, 24, 24), 0.79),  # too unsure
            Found(Box(1000, 500, 54, 54), 0.9),  # the first look would have found it
        ],
    }
    monkeypatch.setattr(YuNet, "_look", lambda self, image, longest_px: list(seen[longest_px]))
    picture = np.zeros((720, 1280), np.uint8)
    assert YuNet(small_faces=True).find(picture) == [large, small, unsure]
    assert YuNet().find(picture) == [large, unsure]


@pytest.mark.parametrize(("width", "looks"), [(640, [640]), (800, [640, 800]), (4000, [640, 1280])])
def test_the_second_look_never_enlarges(monkeypatch, width, looks):
    seen = []
    monkeypatch.setattr(YuNet, "_look", lambda self, image, longest_px: seen.append(longest_px) or [])
    assert YuNet(small_faces=True).find(np.zeros((9, width), np.uint8)) == []
    assert seen == looks


def test_small_faces_are_looked_for_in_videos_too(monkeypatch):
    seen = []
    monkeypatch.setattr(YuNet, "_look", lambda self, image, longest_px: seen.append(longest_px) or [])
    for detector in (YuNet(), YuNet(small_faces=True)):
        detector.for_video().find(np.zeros((720, 1280), np.uint8))
    assert seen == [480, 480, 1280]


def test_a_crop_is_turned_counter_clockwise_about_the_middle_of_its_box():
    picture = np.zeros((9, 9), np.uint8)
    picture[4, 6] = 200  # on the right of the middle; a quarter turn brings it to the top
    crop = crop_face(picture, Box(2, 2, 5, 5), 90.0)
    assert crop.shape == (5, 5) and np.argwhere(crop > 50).tolist() == [[0, 2]]


def test_a_turned_crop_beyond_the_edge_repeats_the_edge():
    crop = crop_face(np.full((50, 50, 3), 9, np.uint8), Box(-10, -10, 30, 30), 30.0)
    assert crop.shape == (30, 30, 3) and (crop == 9).all()


@pytest.mark.parametrize("size", [(64, 64), (64, 640), (640, 64), (448, 640)])
def test_opencv_computes_what_the_network_is(size):
    """OpenCV 4.14 does not, where a layer has a single row: the detector never gives it such a picture."""
    content = onnx.load(PUBLISHED / "yunet.onnx")
    for dimension, name in zip(content.graph.input[0].type.tensor_type.shape.dim[2:], "hw", strict=True):
        dimension.dim_param = name  # the file states 640 x 640
    reference = onnxruntime.InferenceSession(content.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [output.name for output in reference.get_outputs()]
    pixels = np.random.default_rng(0).uniform(0, 255, (1, 3, *size)).astype(np.float32)
    network = cv2.dnn.readNetFromONNX(str(PUBLISHED / "yunet.onnx"))
    network.setInput(pixels)
    for mine, theirs in zip(network.forward(names), reference.run(names, {"input": pixels}), strict=True):
        np.testing.assert_allclose(mine.reshape(theirs.shape), theirs, atol=1e-4)


def test_the_smallest_pictures_are_padded_for_opencv(detector, monkeypatch):
    sizes = []
    network = detector._network

    class Spy:
        def setInputSize(self, size):  # noqa: N802
            sizes.append(size)
            network.setInputSize(size)

        def detect(self, image):
            return network.detect(image)

    monkeypatch.setattr(detector, "_network", Spy())
    for shape in ((1, 1), (1, 640), (640, 3)):
        detector.find(np.zeros(shape, np.uint8))
    assert sizes == [(64, 64), (640, 64), (64, 640)]


def test_the_networks_file_is_the_one_that_its_readme_names():
    checksum = hashlib.sha256((PUBLISHED / "yunet.onnx").read_bytes()).hexdigest()
    assert f"{checksum[:8]}…{checksum[-4:]}" in (PUBLISHED / "README.md").read_text()
