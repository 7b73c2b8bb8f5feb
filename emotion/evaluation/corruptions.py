"""What a camera and the world do to faces, and how accuracy falls with it: seeded corruptions at three severities.

Source of the idea and of most kinds: Hendrycks & Dietterich 2019 (https://arxiv.org/abs/1903.12261), at sizes that suit
small faces. Throughout: `images` is uint8 [n, size, size, channels], 0-255, and so is the result.
"""

from collections.abc import Callable, Iterator

import cv2
import numpy as np

from emotion.dataset.records.stored_images import Images
from emotion.model.calibration import accuracy

Robustness = dict[str, dict[int, float]]  # kind of corruption -> severity -> accuracy

SEVERITIES = (1, 2, 3)
AT_ONCE = 256  # images, as many as a model is given at once
_EYES, _MOUTH = 0.40, 0.80  # fractions of the height of an aligned face


def corrupt(images: Images, kind: str, severity: int, *, seed: int) -> Iterator[np.ndarray]:
    """Corrupt images, AT_ONCE of them at a time; how many does not change what comes of them.

    Args:
        kind: a key of KINDS.
        severity: one of SEVERITIES.
        seed: of everything random in it.
    """
    rng = np.random.default_rng([seed, list(KINDS).index(kind), severity])
    for start in range(0, len(images), AT_ONCE):
        yield KINDS[kind](images[start : start + AT_ONCE], severity - 1, rng)


def noise(images: np.ndarray, level: int, rng: np.random.Generator) -> np.ndarray:
    """Gaussian noise of 10, 20, 35 grey levels."""
    spread = np.float32((10, 20, 35)[level])
    return _pixels(images + spread * rng.standard_normal(images.shape, dtype=np.float32))


def blur(images: np.ndarray, level: int, rng: np.random.Generator) -> np.ndarray:
    """Gaussian blur with a radius of 2, 4, 6 % of the side."""
    sigma = (0.02, 0.04, 0.06)[level] * images.shape[1]
    return _each(images, lambda image: cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE))


def low_light(images: np.ndarray, level: int, rng: np.random.Generator) -> np.ndarray:
    """A half, a quarter, an eighth of the light, with the shot noise of so few photons (200 at white in full light)."""
    photons = images * np.float32(200 / 255 * (0.5, 0.25, 0.125)[level])
    return _pixels(rng.poisson(photons) * np.float32(255 / 200))


def jpeg(images: np.ndarray, level: int, rng: np.random.Generator) -> np.ndarray:
    """JPEG at quality 40, 20, 10."""
    quality = [cv2.IMWRITE_JPEG_QUALITY, (40, 20, 10)[level]]

    def compressed(image: np.ndarray) -> np.ndarray:
        return np.asarray(cv2.imdecode(cv2.imencode(".jpg", image, quality)[1], cv2.IMREAD_UNCHANGED))

    return _each(images, compressed)


def down_sampling(images: np.ndarray, level: int, rng: np.random.Generator) -> np.ndarray:
    """Reduced to 67, 50, 33 % of the side and enlarged again."""
    side = images.shape[1]
    small = max(1, round(side * (2 / 3, 1 / 2, 1 / 3)[level]))

    def resized(image: np.ndarray) -> np.ndarray:
        reduced = cv2.resize(image, (small, small), interpolation=cv2.INTER_AREA)
        return cv2.resize(reduced, (side, side), interpolation=cv2.INTER_LINEAR)

    return _each(images, resized)


def shift(images: np.ndarray, level: int, rng: np.random.Generator) -> np.ndarray:
    """Moved by 5, 10, 15 % of the side in a random direction."""
    angles = rng.uniform(0, 2 * np.pi, len(images))
    far = (0.05, 0.10, 0.15)[level] * images.shape[1]
    return _warped(images, [np.array([[1, 0, far * np.cos(a)], [0, 1, far * np.sin(a)]]) for a in angles])


def rotation(images: np.ndarray, level: int, rng: np.random.Generator) -> np.ndarray:
    """Turned by 10, 20, 30 degrees, left or right at random."""
    middle = (images.shape[1] - 1) / 2
    degrees = (10, 20, 30)[level] * rng.choice((-1, 1), len(images))
    return _warped(images, [cv2.getRotationMatrix2D((middle, middle), float(angle), 1.0) for angle in degrees])


def covered_eyes(images: np.ndarray, level: int, rng: np.random.Generator) -> np.ndarray:
    """A dark bar of 10, 18, 26 % of the height over the eyes."""
    return _barred(images, _EYES, (0.10, 0.18, 0.26)[level])


def covered_mouth(images: np.ndarray, level: int, rng: np.random.Generator) -> np.ndarray:
    """A dark bar of 12, 22, 32 % of the height over the mouth."""
    return _barred(images, _MOUTH, (0.12, 0.22, 0.32)[level])


KINDS: dict[str, Callable[[np.ndarray, int, np.random.Generator], np.ndarray]] = {
    corruption.__name__: corruption
    for corruption in (noise, blur, low_light, jpeg, down_sampling, shift, rotation, covered_eyes, covered_mouth)
}


def _pixels(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _each(images: np.ndarray, change: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Apply an OpenCV function, which drops a single channel's axis, to each image."""
    return np.stack([change(image).reshape(image.shape) for image in images]) if len(images) else images


def _warped(images: np.ndarray, matrices: list[np.ndarray]) -> np.ndarray:
    """Apply its 2 x 3 matrix to each image; the border is repeated."""
    size = images.shape[2], images.shape[1]
    warped = [
        cv2.warpAffine(image, matrix, size, borderMode=cv2.BORDER_REPLICATE).reshape(image.shape)
        for image, matrix in zip(images, matrices, strict=True)
    ]
    return np.stack(warped) if warped else images


def _barred(images: np.ndarray, middle: float, height: float) -> np.ndarray:
    side = images.shape[1]
    covered = images.copy()
    covered[:, max(0, round((middle - height / 2) * side)) : round((middle + height / 2) * side)] = 32
    return covered


def accuracy_when_corrupted(
    images: Images, labels: np.ndarray, predict: Callable[[np.ndarray], np.ndarray], *, seed: int
) -> Robustness:
    """Measure the accuracy under every corruption at every severity.

    Args:
        images: uint8 [n, size, size, channels].
        labels: int [n], label indexes.
        predict: images -> probabilities float [n, label_count].
        seed: of everything random in the corruptions.
    """

    def accuracy_at(kind: str, level: int) -> float:
        return accuracy(labels, np.concatenate([predict(part) for part in corrupt(images, kind, level, seed=seed)]))

    return {kind: {level: accuracy_at(kind, level) for level in SEVERITIES} for kind in KINDS}
