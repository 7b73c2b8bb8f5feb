"""Drawn faces, so that the pipeline runs without an account and without a network."""

from pathlib import Path

import cv2
import numpy as np
from pydantic import Field

from emotion.archive import Dataset
from emotion.labels import EMOTIONS
from emotion.params import Params


class Source(Params):
    """Parameters of `data.synthetic`."""

    seed: int = Field(ge=0)
    train_images: int = Field(ge=14)
    test_images: int = Field(ge=7)

    def dataset(self, input_dir: Path, cache_dir: Path) -> Dataset:
        """Return the drawn faces; neither folder is used."""
        keys = {}
        for split, count in (("train", self.train_images), ("test", self.test_images)):
            for number in range(count):
                label = number % len(EMOTIONS)
                keys[f"{split}/{EMOTIONS[label]}/{split}_{number:06d}.png"] = (label, split == "test", number)
        return Dataset(keys, self._draw)

    def _draw(self, key: tuple[int, bool, int]) -> bytes:
        rng = np.random.default_rng([self.seed, *map(int, key)])
        face = rng.integers(0, 255, (48, 48), dtype=np.uint8)
        cv2.circle(face, (24, 24), 3 + 3 * key[0], (255,), -1)
        return cv2.imencode(".png", face)[1].tobytes()
