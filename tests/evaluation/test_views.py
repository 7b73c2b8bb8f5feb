import numpy as np

from emotion.evaluation.views import View, seen_as, views


def test_without_views_there_is_the_picture_alone() -> None:
    assert views(flip=False, shift_px=0) == [View()]


def test_flip_and_shift_make_ten_distinct_views_the_picture_first() -> None:
    ten = views(flip=True, shift_px=2)
    assert len(set(ten)) == len(ten) == 10
    assert ten[0] == View()
    assert len(views(flip=True, shift_px=0)) == 2
    assert len(views(flip=False, shift_px=2)) == 5


def test_looking_at_the_picture_itself_changes_nothing() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 5, 5, 3), np.uint8)
    np.testing.assert_array_equal(seen_as(images, View()), images)


def test_a_shift_moves_the_content_and_repeats_the_border() -> None:
    image = np.arange(9, dtype=np.uint8).reshape(1, 3, 3, 1)
    assert seen_as(image, View(down_px=1, right_px=-1))[0, ..., 0].tolist() == [[1, 2, 2], [1, 2, 2], [4, 5, 5]]
    assert seen_as(image, View(down_px=9))[0, ..., 0].tolist() == [[0, 1, 2]] * 3


def test_a_flip_mirrors_left_and_right() -> None:
    image = np.arange(4, dtype=np.uint8).reshape(1, 2, 2, 1)
    assert seen_as(image, View(flip=True))[0, ..., 0].tolist() == [[1, 0], [3, 2]]
