"""Drawn faces, so that the pipeline runs without an account and without a network.

Who is drawn (`Identity`) and what the face does (`ActionUnits`) are independent: everybody can wear every expression.
Shapes are in face coordinates: pixels of the finished picture, the origin between eyes and nose, x right, y down.
Only the right half of what is symmetric is written out.

Every picture is a function of its seed alone. Floats end where pixels begin: coordinates are rounded to 1/16 of a
subpixel and the relief's bells to 1/256, and what follows is exact, so that another processor draws the same picture.
"""

from pathlib import Path

import cv2
import numpy as np
from pydantic import Field

from emotion.dataset.archive.faces import Dataset
from emotion.dataset.labels import EMOTIONS
from emotion.foundation.params import Params
from emotion.sources.synthetic.expressions import express
from emotion.sources.synthetic.people import draw_identity
from emotion.sources.synthetic.picture import photograph, portray
from emotion.sources.synthetic.shapes import Pixels

# Every label twice in the first 14 faces; disgust is the rarest, as it is in FER2013.
_LABEL_CYCLE = EMOTIONS + EMOTIONS + tuple(label for label in EMOTIONS if label != "disgust")


class Source(Params):
    """Parameters of `data.synthetic`."""

    seed: int = Field(ge=0, lt=2**32)
    train_images: int = Field(ge=14, le=1_000_000)
    test_images: int = Field(ge=7, le=1_000_000)
    min_intensity: float = Field(ge=0, le=1)  # of an expression, as a fraction of the full one
    noise: float = Field(ge=0, le=0.5)  # the noisiest picture's standard deviation, as a fraction of the grey range

    def dataset(self, input_dir: Path, cache_dir: Path) -> Dataset:
        """Return the drawn faces; neither folder is used."""
        keys = {}
        for split, count in (("train", self.train_images), ("test", self.test_images)):
            for number in range(count):
                label = _LABEL_CYCLE[number % len(_LABEL_CYCLE)]
                keys[f"{split}/{label}/{split}_{number:06d}.png"] = (split, label, number)
        return Dataset(keys, self._png)

    def draw(self, split: str, label: str, number: int) -> Pixels:
        """Draw one face, uint8 of shape (48, 48); its random numbers are its own, whatever else is drawn."""
        rng = np.random.default_rng([self.seed, ("train", "test").index(split), number])
        who = draw_identity(rng)
        does = express(label, rng.uniform(self.min_intensity, 1.0), rng)
        return photograph(portray(who, does), self.noise * rng.random(), rng)

    def _png(self, key: tuple[str, str, int]) -> bytes:
        return cv2.imencode(".png", self.draw(*key), (cv2.IMWRITE_PNG_COMPRESSION, 1))[1].tobytes()
