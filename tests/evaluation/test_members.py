from pathlib import Path

import numpy as np
import pytest

from emotion.model.file import ModelAbout, save_model
from emotion.runtime.quiet import import_tensorflow

import_tensorflow()
import keras  # noqa: E402
from keras import layers  # noqa: E402

from emotion.evaluation.members import load_member  # noqa: E402


@pytest.mark.parametrize("settings", [{}, {"scale": False}, {"center": False}, {"axis": 1}], ids=str)
def test_a_members_logits_are_those_of_its_file(settings: dict[str, object], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    inputs = keras.Input((12, 12, 1))
    x = layers.Conv2D(4, 3, use_bias=False)(inputs)
    x = layers.BatchNormalization(**settings)(x)
    x = layers.Flatten()(layers.ReLU()(x))
    x = layers.BatchNormalization()(layers.Dense(5)(x))
    model = keras.Model(inputs, layers.Softmax()(layers.Dense(2)(x)))
    model.set_weights([rng.uniform(0.2, 1.5, weight.shape) * 0.1 + 0.5 for weight in model.get_weights()])
    save_model(model, tmp_path / "0.keras", ModelAbout(["a", "b"], 12, 1, None, {}))
    images = rng.integers(0, 256, (6, 12, 12, 1)).astype(np.uint8)
    expected = keras.Model(inputs, model.layers[-2].output).predict_on_batch(images.astype(np.float32))
    assert np.ptp(expected) > 1
    np.testing.assert_allclose(load_member(tmp_path / "0.keras").logits(images), expected, rtol=1e-5)
