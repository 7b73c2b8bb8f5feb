"""What a training step spends its time on, in float32 and bfloat16, and how fast the machine multiplies matrices.

    python -m benchmarks.step_parts RECORDS [--params FILE]    (a folder of TFRecords)

Prints one line of JSON: GFLOP/s of a matrix product, and milliseconds of ever larger parts of a step, medians over
rounds in which they take turns. Run it by `python -m benchmarks.profile_training`.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.input_lead import Training, seconds_of
from benchmarks.processes import PARAMS, medians, read_params
from emotion.runtime.pins import pin
from emotion.training.recipe import Recipe

PRECISIONS = {"float32": "float32", "bfloat16": "mixed_bfloat16"}
MATRIX_SIDE = 3072
PRODUCTS = 4  # matrix products at a time

Works = dict[str, Callable[[], object]]


def matrix_product(precision: str) -> Callable[[], object]:
    """PRODUCTS products of two square matrices, one after another."""
    import tensorflow as tf

    values = tf.random.stateless_normal([2, MATRIX_SIDE, MATRIX_SIDE], seed=[0, 0])
    left, right = tf.unstack(tf.cast(values, precision))
    product = tf.function(lambda: tf.matmul(left, right))
    return lambda: [product() for _ in range(PRODUCTS)]


def gflops(seconds: float) -> float:
    """GFLOP/s of PRODUCTS matrix products in so many seconds."""
    return PRODUCTS * 2 * MATRIX_SIDE**3 / seconds / 1e9


def network_of(training: Training, *, batch_norm: Any, dropout: bool) -> Any:
    """The network, ready to train under the global precision, with this layer as batch normalisation."""
    import keras

    network = training.network
    if not dropout:
        network = network.model_copy(update={name: 0.0 for name in type(network).model_fields if "dropout" in name})
    pixels = keras.Input(training.shape, dtype="float32")
    return keras.Model(pixels, network.logits(pixels, label_count=training.label_count, batch_norm=batch_norm))


def convolutions_alone(training: Training) -> Callable[[], object]:
    """Every convolution and dense layer by itself, forward and backward, on inputs of its shape."""
    import keras
    import tensorflow as tf

    network = network_of(training, batch_norm=_without, dropout=False)
    layers = [layer for layer in network.layers if isinstance(layer, keras.layers.Conv2D | keras.layers.Dense)]
    steps = [_layer_step(layer, training.recipe.batch_size, is_first=layer is layers[0]) for layer in layers]
    return lambda: [tf.nest.flatten(step()) for step in steps]


def _layer_step(layer: Any, batch_size: int, *, is_first: bool) -> Callable[[], object]:
    """Outputs and gradients of a layer; the first one's input is the pictures, which need no gradient."""
    import tensorflow as tf

    random = tf.random.stateless_normal([batch_size, *layer.input.shape[1:]], seed=[0, 0])
    inputs = tf.cast(random, layer.compute_dtype)

    @tf.function
    def step() -> object:
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = layer(inputs)
        learnt = [variable.value for variable in layer.trainable_variables]
        return tape.gradient(outputs, learnt if is_first else [inputs, *learnt], output_gradients=outputs)

    return step


def forward(training: Training, network: Any) -> Callable[[], object]:
    """The network as it trains, without gradients."""
    import tensorflow as tf

    pixels, _ = next(iter(training.constant))
    return tf.function(lambda: network(pixels, training=True))


def gradients(training: Training, network: Any) -> Callable[[], object]:
    """Forward and backward; no optimizer."""
    import keras
    import tensorflow as tf

    pixels, truth = next(iter(training.constant))

    @tf.function
    def step() -> object:
        with tf.GradientTape() as tape:
            logits = network(pixels, training=True)
            loss = tf.reduce_mean(keras.losses.categorical_crossentropy(truth, logits, from_logits=True))
        return tape.gradient(loss, [variable.value for variable in network.trainable_variables])

    return step


def make_works(training: Training, steps: int) -> Works:
    """The parts of a step under the global precision, each doing `steps` steps when called."""
    import keras

    from emotion.model.batch_norm import FusedBatchNormalization

    fused, stock = FusedBatchNormalization, keras.layers.BatchNormalization
    fit = training.fitting(steps)
    singles = {
        "convolutions": convolutions_alone(training),
        "without_batch_norm_and_dropout": gradients(training, network_of(training, batch_norm=_without, dropout=False)),
        "without_batch_norm": gradients(training, network_of(training, batch_norm=_without, dropout=True)),
        "forward": forward(training, network_of(training, batch_norm=fused, dropout=True)),
        "gradients": gradients(training, network_of(training, batch_norm=fused, dropout=True)),
        "gradients_stock_batch_norm": gradients(training, network_of(training, batch_norm=stock, dropout=True)),
    }
    return {
        **{name: _times(steps, single) for name, single in singles.items()},
        "constant_batch": lambda: fit(training.constant),
        "whole": lambda: fit(training.batches),
    }


def _times(steps: int, single: Callable[[], object]) -> Callable[[], object]:
    def work() -> None:
        for _ in range(steps):
            single()

    return work


def _without(name: str, **_: Any) -> Any:
    import keras

    return keras.layers.Identity(name=name)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("records", type=Path)
    parser.add_argument("--params", type=Path, default=PARAMS, help="parameter file (default: the project's)")
    parser.add_argument("--steps", type=int, default=20, help="steps a round (default 20)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds, of which the median counts (default 5)")
    arguments = parser.parse_args()
    params = read_params(arguments.params)
    pin(**Recipe.model_validate(params["train"]).pins(), seed=0)
    import keras
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")  # or it warns that many functions are traced, as they must be
    training = Training(arguments.records, params)
    works: dict[str, Works] = {}
    for precision, policy in PRECISIONS.items():
        keras.config.set_dtype_policy(policy)
        works[precision] = {"matrix_product": matrix_product(precision), **make_works(training, arguments.steps)}
        for work in works[precision].values():
            work()  # traces
    rounds: dict[str, list[dict[str, float]]] = {precision: [] for precision in works}
    for _ in range(arguments.rounds):
        for precision, ones in works.items():
            seconds = {name: seconds_of(work) for name, work in ones.items()}
            product = seconds.pop("matrix_product")
            step_ms = {name: 1e3 * took / arguments.steps for name, took in seconds.items()}
            rounds[precision].append({"matmul_gflops": gflops(product), **step_ms})
    print(json.dumps({**training.about, **{precision: medians(ones) for precision, ones in rounds.items()}}))


if __name__ == "__main__":
    main()
