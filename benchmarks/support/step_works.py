"""A training as the train stage does it, and the ever larger parts of a step, each as a call that can be timed."""

import importlib
import math
from collections.abc import Callable
from typing import Any

from benchmarks.support.processes import significant
from emotion.training.recipe import Recipe

Works = dict[str, Callable[[], object]]


def repeated(batch: Any) -> Any:
    """A batch over and over, as a tf.data dataset that isn't tuned as it runs, as the training's isn't.

    Where it is tuned, which is TensorFlow's default, all steps of a training that reads it often run on one core.
    """
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False
    return tf.data.Dataset.from_tensors(batch).cache().repeat().prefetch(4).with_options(options)


class Training:
    """A training as the train stage does it, cut into steps; make one after `pin`.

    Attributes:
        network: what builds it.
        label_count: outputs.
        shape: of a picture.
        recipe: the `train` section.
        batches: augmented batches, without end.
        constant: the first of them, over and over.
        about: how many images, the MB of their pixels, and the multiply-adds of one.

    Args:
        faces: what `open_records` returns.
        params: a parameter file.
    """

    def __init__(self, faces: Any, params: dict[str, Any]) -> None:
        from emotion.commands.network_costs import cost
        from emotion.dataset.examples import labelled
        from emotion.training.augment import Augmentation
        from emotion.training.batches import training_batches

        name = params["model"]["network"]
        self.recipe = Recipe.model_validate(params["train"])
        self.network = importlib.import_module(f"emotion.networks.{name}").Network.model_validate(params["model"][name])
        self.shape, self.label_count = faces.images.shape[1:], len(faces.about.labels)
        self.about = {
            "images": len(faces.images),
            "pixels_mb": significant(math.prod(faces.images.shape) / 2**20),
            "multiply_adds": cost(self.network, self.shape, self.label_count).multiply_adds,
        }
        self.batches = training_batches(
            labelled(faces, faces.about.labels),
            batch_size=self.recipe.batch_size,
            first_epoch=0,
            epochs=1_000_000,
            seed=0,
            augment=Augmentation.model_validate(params["augment"]),
        )
        self.constant = repeated(next(iter(self.batches)))

    def fitting(self, steps: int) -> Callable[[Any], None]:
        """Build and compile the network under the global precision: returns what trains it for so many steps."""
        import keras

        from emotion.training.kept_weights import KeepWeights
        from emotion.training.network import build_model
        from emotion.training.optimizer import make_optimizer

        model = build_model(self.network, self.shape, self.label_count, for_training=True)
        recipe = self.recipe
        model.compile(
            make_optimizer(recipe, steps),
            keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=recipe.label_smoothing),
            metrics=["accuracy"],
            jit_compile=False,
        )
        keeper = KeepWeights(keep=recipe.keep, averaged=recipe.ema_decay > 0, ema_decay=recipe.ema_decay)

        def fit(data: Any) -> None:
            model.fit(data, steps_per_epoch=steps, epochs=1, shuffle=False, verbose=0, callbacks=[keeper])

        return fit


def network_of(training: Training, *, batch_norm: Any, dropout: bool) -> Any:
    """The network, ready to train under the global precision, with this layer as batch normalisation."""
    import keras

    network = training.network
    if not dropout:
        network = network.model_copy(update={name: 0.0 for name in type(network).model_fields if "dropout" in name})
    pixels = keras.Input(training.shape, dtype="float32")
    return keras.Model(pixels, network.logits(pixels, label_count=training.label_count, batch_norm=batch_norm))


def folded_network(training: Training) -> Any:
    """The same with 2 x 2 pixels folded into channels before the first block, which so moves half the memory.

    That block has twice the filters on a quarter of the places and no pooling: nearly the same multiply-adds. The
    blocks after it are those of the network.
    """
    import keras
    from keras import layers

    from emotion.model.batch_norm import FusedBatchNormalization

    network, (height, width, channels) = training.network, training.shape
    pixels = keras.Input(training.shape, dtype="float32")
    x = layers.Rescaling(1 / 64, offset=-2.0)(pixels)
    x = layers.Reshape((height // 2, 2, width // 2, 2, channels))(x)
    x = layers.Permute((1, 3, 2, 4, 5))(x)
    x = layers.Reshape((height // 2, width // 2, 4 * channels))(x)
    for _ in range(network.convolutions):
        x = layers.Conv2D(2 * network.width, 3, padding="same", use_bias=False)(x)
        x = layers.ReLU()(FusedBatchNormalization(momentum=0.9)(x))
    x = layers.Dropout(network.block_dropout / network.blocks)(x)
    rest = network.model_copy(update={"width": 2 * network.width, "blocks": network.blocks - 1})
    logits = rest.logits(x, label_count=training.label_count, batch_norm=FusedBatchNormalization)
    return keras.Model(pixels, logits)


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
        "gradients_folded": gradients(training, folded_network(training)),
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
