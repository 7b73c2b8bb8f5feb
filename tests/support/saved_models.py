"""Two small models that know different labels and learnt where other labels were frequent."""

from pathlib import Path

from emotion.inference.models import import_keras
from emotion.model.about import ModelAbout

LABELLED = ModelAbout(["calm", "cross", "glad"], 16, 1, 1.0, {"network": "a"}, [0.5, 0.25, 0.25])
VOTED = ModelAbout(["glad", "calm", "aloof", "cross"], 16, 1, 1.0, {"network": "b"}, [0.2, 0.4, 0.2, 0.2])


def save_network(path: Path, about: ModelAbout, seed: int) -> Path:
    """Save a network with random weights as a model of the pipeline."""
    keras = import_keras()
    from emotion.model.file import save_model

    keras.utils.set_random_seed(seed)
    pixels = keras.Input((about.size_px, about.size_px, about.channels))
    hidden = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(pixels))
    logits = keras.layers.Dense(len(about.labels), kernel_initializer="he_normal")(hidden)
    save_model(keras.Model(pixels, keras.layers.Softmax()(keras.layers.Rescaling(1.5)(logits))), path, about)
    return path
