import numpy as np
import pytest
import tensorflow as tf

from emotion.training.augment import Augmentation

OFF = {
    **{"shift": 0.0, "scale": 0.0, "rotation_deg": 0.0, "flip": False},
    **{"brightness": 0.0, "contrast": 0.0, "erase": 0.0, "erase_area": 0.1},
}
ALL = {
    **{"shift": 0.1, "scale": 0.2, "rotation_deg": 15.0, "flip": True},
    **{"brightness": 0.1, "contrast": 0.2, "erase": 0.5, "erase_area": 0.2},
}


def pictures(count: int = 64, size: int = 24, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, size, size, channels), dtype=np.uint8)


def augmented(images: np.ndarray, seed: tuple[int, int] = (1, 2), **changes: object) -> np.ndarray:
    return Augmentation(**{**OFF, **changes})(tf.constant(images), tf.constant(seed, tf.int64)).numpy()


def test_everything_off_changes_nothing() -> None:
    images = pictures()
    np.testing.assert_array_equal(augmented(images), images.astype(np.float32))


@pytest.mark.parametrize("channels", [1, 3])
def test_same_seed_same_pictures_and_another_seed_others(channels: int) -> None:
    images = pictures(channels=channels)
    first = augmented(images, **ALL)
    np.testing.assert_array_equal(first, augmented(images, **ALL))
    assert not np.array_equal(first, augmented(images, (1, 3), **ALL))
    assert first.shape == images.shape
    assert first.dtype == np.float32


def test_the_same_inside_tf_data_as_eagerly() -> None:
    images = pictures(16)
    change = Augmentation(**ALL)
    seed = tf.constant((3, 4), tf.int64)
    data = tf.data.Dataset.from_tensors(tf.constant(images)).map(lambda batch: change(batch, seed))
    np.testing.assert_allclose(next(iter(data)).numpy(), change(tf.constant(images), seed).numpy(), atol=1e-3)


def test_flip_mirrors_about_half_of_the_pictures_and_leaves_the_rest() -> None:
    images = pictures(400)
    changed = augmented(images, flip=True)
    mirrored = np.isclose(changed, images[:, :, ::-1], atol=1e-3).all(axis=(1, 2, 3))
    same = np.isclose(changed, images, atol=1e-3).all(axis=(1, 2, 3))
    assert (mirrored | same).all()
    assert 0.4 < mirrored.mean() < 0.6


def test_shift_moves_a_spot_by_at_most_its_range_in_both_directions() -> None:
    images = np.zeros((200, 21, 21, 1), np.uint8)
    images[:, 10, 10] = 255
    changed = augmented(images, shift=0.2)[..., 0]
    rows, columns = np.mgrid[:21, :21]
    weight = changed.sum(axis=(1, 2))
    moved = np.stack([(changed * rows).sum((1, 2)) / weight - 10, (changed * columns).sum((1, 2)) / weight - 10])
    assert np.abs(moved).max() <= 0.2 * 21 + 0.51
    assert (moved.min(axis=1) < -3).all()
    assert (moved.max(axis=1) > 3).all()


def test_rotation_turns_about_the_centre_by_at_most_its_angle() -> None:
    images = np.zeros((200, 41, 41, 1), np.uint8)
    images[:, 20, 35] = 255
    changed = augmented(images, rotation_deg=30.0)[..., 0]
    brightest = np.array([np.unravel_index(picture.argmax(), picture.shape) for picture in changed]) - 20
    angles = np.degrees(np.arctan2(brightest[:, 0], brightest[:, 1]))
    assert 25 < np.abs(angles).max() < 33
    assert (angles < -10).any()
    assert (angles > 10).any()
    np.testing.assert_allclose(np.hypot(*brightest.T), 15, atol=1.0)


def test_scale_makes_a_square_larger_and_smaller_within_its_range() -> None:
    images = np.zeros((200, 40, 40, 1), np.uint8)
    images[:, 10:30, 10:30] = 255
    sides = np.sqrt(augmented(images, scale=0.2).sum(axis=(1, 2, 3)) / 255)
    assert 15.5 < sides.min() < 17.5
    assert 22.5 < sides.max() < 24.5


def test_light_stays_within_its_ranges_and_the_grey_scale() -> None:
    images = np.full((300, 4, 4, 1), 128, np.uint8)
    means = augmented(images, brightness=0.1).mean(axis=(1, 2, 3)) - 128
    assert 22 < np.abs(means).max() <= 25.5 + 1e-3
    changed = augmented(pictures(), brightness=1.0, contrast=0.9)
    assert changed.min() >= 0
    assert changed.max() <= 255


def test_erase_greys_one_rectangle_in_about_the_asked_fraction() -> None:
    images = np.zeros((400, 32, 32, 1), np.uint8)
    holes = augmented(images, erase=0.5, erase_area=0.25)[..., 0] == 127.5
    areas = holes.mean(axis=(1, 2))
    assert areas.max() <= 0.25 * 1.2
    assert 0.4 < (areas > 0).mean() < 0.6
    for hole in holes[areas > 0]:
        rows, columns = np.flatnonzero(hole.any(axis=1)), np.flatnonzero(hole.any(axis=0))
        assert hole[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
