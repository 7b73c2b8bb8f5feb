"""Drawing over pictures."""

import numpy as np
import pytest

from emotion.inference.annotation import annotate
from emotion.inference.detector import Box
from emotion.inference.predictor import UNCERTAIN, FacePrediction, Prediction

FIRST, SECOND, GREY = (0, 114, 178), (230, 159, 0), (150, 150, 150)


def one_face(box: Box | None, label: str = "a", size: tuple[int, int] = (400, 300)) -> Prediction:
    return Prediction("x", *size, (FacePrediction(box, 0.9, label, 0.7, {"a": 0.7, "b": 0.2, "c": 0.1}),))


def test_the_box_is_drawn_where_the_face_is_in_the_labels_colour():
    image = np.full((300, 400), 100, np.uint8)
    drawn = annotate(image, one_face(Box(50, 60, 120, 120)), zoom=1)
    assert drawn.shape == (300, 400, 3) and (image == 100).all()
    assert tuple(drawn[120, 50]) == tuple(drawn[120, 169]) == tuple(drawn[179, 110]) == FIRST
    assert (drawn[65:175, 55:165] == 100).all()
    assert tuple(annotate(image, one_face(Box(50, 60, 120, 120), UNCERTAIN), zoom=1)[120, 50]) == GREY


def test_longer_bars_for_more_probable_labels():
    drawn = annotate(np.full((300, 400), 100, np.uint8), one_face(Box(50, 30, 120, 120)), zoom=1)
    below = drawn[155:190].astype(int)
    lengths = [int((np.abs(below - colour).sum(axis=2) == 0).sum(axis=1).max()) for colour in (FIRST, SECOND)]
    assert lengths[0] > 2 * lengths[1] > 0


@pytest.mark.parametrize("box", [None, Box(-30, -30, 500, 500), Box(390, 290, 50, 50), Box(0, 0, 1, 1)])
def test_boxes_of_any_place_and_size_can_be_drawn(box):
    assert annotate(np.zeros((300, 400, 3), np.uint8), one_face(box), zoom=1).shape == (300, 400, 3)


def test_small_pictures_are_enlarged_and_get_room_for_their_bars():
    height, width, _ = annotate(np.zeros((48, 48), np.uint8), one_face(None, size=(48, 48))).shape
    assert width == 240 and height > 240
