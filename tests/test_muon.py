from collections.abc import Iterator

import keras
import numpy as np
import pytest

from emotion.muon import Muon

RATE = 0.1


@pytest.fixture(autouse=True)
def _forget_models() -> Iterator[None]:
    yield
    keras.utils.clear_session()


def small_network() -> keras.Model:
    layers = keras.layers
    pixels = keras.Input((6, 6, 1))
    x = layers.Conv2D(8, 3, name="first")(pixels)
    x = layers.Conv2D(12, 3, name="second")(x)
    x = layers.DepthwiseConv2D(2, name="depthwise")(x)
    x = layers.Dense(16, name="dense")(layers.Flatten()(x))
    x = layers.BatchNormalization(name="norm")(x)
    return keras.Model(pixels, layers.Dense(3, name="logits")(x))


def built(model: keras.Model, **settings: object) -> Muon:
    optimizer = Muon(learning_rate=RATE, **settings)
    optimizer.build(model.trainable_variables)
    return optimizer


def test_hidden_kernels_are_muons_and_all_else_is_adams() -> None:
    model = small_network()
    optimizer = built(model)
    by_muon = [
        variable.path
        for variable, velocity in zip(model.trainable_variables, optimizer.adam_velocities, strict=True)
        if velocity is None
    ]
    assert by_muon == ["second/kernel", "dense/kernel"]


@pytest.mark.parametrize("layer", ["second", "dense"])
def test_a_step_moves_a_kernel_by_a_nearly_orthogonal_matrix_of_known_size(layer: str) -> None:
    model = small_network()
    optimizer = built(model, weight_decay=None)
    kernel = model.get_layer(layer).kernel
    rng = np.random.default_rng(0)
    before = np.array(kernel)
    optimizer.apply([rng.normal(size=variable.shape).astype(np.float32) for variable in model.trainable_variables])
    step = (before - np.array(kernel)).reshape(-1, before.shape[-1])
    sizes = np.linalg.svd(step, compute_uv=False) / (RATE * 0.2 * np.sqrt(max(step.shape)))
    assert sizes.min() > 0.6 and sizes.max() < 1.3  # the iteration's coefficients leave 0.7 to 1.2


def test_the_first_step_goes_against_the_gradient() -> None:
    model = small_network()
    optimizer = built(model, weight_decay=None)
    before = [np.array(variable) for variable in model.trainable_variables]
    rng = np.random.default_rng(1)
    gradients = [rng.normal(size=value.shape).astype(np.float32) for value in before]
    optimizer.apply(gradients)
    for value, variable, gradient in zip(before, model.trainable_variables, gradients, strict=True):
        assert np.sum((value - np.array(variable)) * gradient) > 0, variable.path


def test_decay_shrinks_kernels_alone() -> None:
    model = small_network()
    optimizer = built(model, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    before = {variable.path: np.array(variable) for variable in model.trainable_variables}
    optimizer._apply_weight_decay(model.trainable_variables)
    shrunk = {path for path, value in before.items() if not np.array_equal(value, np.array(_named(model, path)))}
    assert shrunk == {"second/kernel", "dense/kernel"}


def _named(model: keras.Model, path: str) -> keras.Variable:
    [variable] = [variable for variable in model.trainable_variables if variable.path == path]
    return variable
