import numpy as np
import pytest

from emotion.evaluation import corruptions
from emotion.evaluation.corruptions import KINDS, SEVERITIES, corrupt


def changed_by(images: np.ndarray, kind: str, severity: int, *, seed: int) -> np.ndarray:
    return np.concatenate(list(corrupt(images, kind, severity, seed=seed)))


def faces(channels: int = 1, count: int = 12) -> np.ndarray:
    """Smooth blobs, as even as faces are."""
    rows, columns = np.mgrid[0:48, 0:48] / 48
    rng = np.random.default_rng(0)
    waves = [np.sin(5 * (rows * a + columns * b)) for a, b in rng.uniform(0.5, 2, (count * channels, 2))]
    return (127 + 100 * np.array(waves)).astype(np.uint8).reshape(count, channels, 48, 48).transpose(0, 2, 3, 1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("channels", [1, 3])
def test_corrupted_images_keep_their_form_and_the_originals(kind: str, channels: int) -> None:
    images = faces(channels)
    before = images.copy()
    changed = changed_by(images, kind, 2, seed=0)
    assert changed.shape == images.shape and changed.dtype == np.uint8
    assert not np.array_equal(changed, images)
    np.testing.assert_array_equal(images, before)


@pytest.mark.parametrize("kind", KINDS)
def test_higher_severity_changes_more(kind: str) -> None:
    images = faces()
    distances = [np.abs(changed_by(images, kind, level, seed=0) - images.astype(float)).mean() for level in SEVERITIES]
    assert 0 < distances[0] < distances[1] < distances[2]


@pytest.mark.parametrize("kind", KINDS)
def test_the_seed_alone_decides(kind: str) -> None:
    images = faces()
    first, again, other = (changed_by(images, kind, 3, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    random = kind in {"noise", "low_light", "shift", "rotation"}
    assert np.array_equal(first, other) != random


@pytest.mark.parametrize("kind", KINDS)
def test_how_many_are_corrupted_at_once_changes_nothing(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    images = faces()
    images.setflags(write=False)  # as those are that lie in files
    together = changed_by(images, kind, 2, seed=0)
    monkeypatch.setattr(corruptions, "AT_ONCE", 5)
    np.testing.assert_array_equal(changed_by(images, kind, 2, seed=0), together)


def test_bars_cover_eyes_and_mouth_alone() -> None:
    images = faces()
    for kind, row, spared in (("covered_eyes", 19, 38), ("covered_mouth", 38, 19)):
        covered = changed_by(images, kind, 1, seed=0)
        assert np.all(covered[:, row] == 32)
        np.testing.assert_array_equal(covered[:, spared], images[:, spared])
