"""The tutorials' way to train on FER2013: ImageDataGenerator from folders of files, a stacked CNN, Adam.

    python -m benchmarks.tutorial_way FOLDER [--minutes N --curve FILE]   (FOLDER holds train/<label>/ and val/<label>/)

Prints one line of JSON: the same figures as benchmarks/input_lead.py. With --minutes it trains instead, until the time
is over or the target is reached, and writes the validation accuracy after each epoch to a CSV.

Source: the widely copied FER2013 notebooks (convolutions 32-64-128-128, 1024 dense units, dropout 0.25 and 0.5, batches
of 64, Adam at 1e-4). Networks and settings are as they stand there; only TensorFlow's threads are those of params.yaml.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.curve import Point, write_points
from benchmarks.input_lead import measure_round
from benchmarks.processes import PARAMS, medians, read_params
from emotion.runtime.quiet import import_tensorflow

if TYPE_CHECKING:
    import keras

BATCH_SIZE = 64
SIZE_PX = 48
MANY_EPOCHS = 100_000


def make_network(label_count: int) -> "keras.Model":
    """Build and compile the tutorials' network: pixels 0-1 -> probabilities."""
    import keras
    from keras import layers

    network = keras.Sequential(
        [
            keras.Input((SIZE_PX, SIZE_PX, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Dropout(0.25),
            layers.Conv2D(128, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(128, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Dropout(0.25),
            layers.Flatten(),
            layers.Dense(1024, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(label_count, activation="softmax"),
        ]
    )
    network.compile(keras.optimizers.Adam(1e-4), "categorical_crossentropy", metrics=["accuracy"], jit_compile=False)
    return network


def make_generators(folder: Path) -> tuple[Any, Any]:
    """Augmented training batches and plain validation batches, read from files as they are asked for."""
    import scipy.ndimage
    from keras.src.legacy.preprocessing.image import ImageDataGenerator

    # Keras asks SciPy for it under an old name, which costs a warning a picture; the tutorials paid no such thing.
    scipy.ndimage.interpolation.affine_transform = scipy.ndimage.affine_transform
    reading = {
        "target_size": (SIZE_PX, SIZE_PX),
        "batch_size": BATCH_SIZE,
        "color_mode": "grayscale",
        "class_mode": "categorical",
    }
    augmented = ImageDataGenerator(
        rescale=1 / 255, width_shift_range=0.1, height_shift_range=0.1, zoom_range=0.1, horizontal_flip=True
    )
    plain = ImageDataGenerator(rescale=1 / 255)
    return (
        augmented.flow_from_directory(folder / "train", **reading),
        plain.flow_from_directory(folder / "val", shuffle=False, **reading),
    )


def measure(folder: Path, *, steps: int, rounds: int) -> dict[str, float]:
    """Images a second, as in benchmarks/input_lead.py, and the multiply-adds of one picture."""
    import tensorflow as tf

    from emotion.commands.networks import multiply_adds

    batches, _ = make_generators(folder)
    network = make_network(batches.num_classes)
    constant = tf.data.Dataset.from_tensors(next(batches)).cache().repeat()

    def fit(data: Any) -> None:
        network.fit(data, steps_per_epoch=steps, epochs=1, shuffle=False, verbose=0)

    fit(constant)  # traces the step
    sizes = {"batch_size": BATCH_SIZE, "steps": steps, "input_steps": steps}
    measured = [measure_round(fit, batches, constant, **sizes) for _ in range(rounds)]
    return {**medians(measured), "multiply_adds": multiply_adds(network)}


def train(folder: Path, curve: Path, *, minutes: float, target: float) -> None:
    """Train until the validation accuracy reaches the target or, at the end of an epoch, the minutes are over.

    The curve so far is in the file `curve` after each epoch.
    """
    import keras

    batches, val = make_generators(folder)
    points: list[Point] = []

    class Clock(keras.callbacks.Callback):
        def on_train_begin(self, logs: Any = None) -> None:
            self.began = time.monotonic()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            points.append(Point((time.monotonic() - self.began) / 60, logs["val_accuracy"]))
            write_points(points, curve)
            print(f"epoch {epoch + 1}: {points[-1]}", file=sys.stderr, flush=True)
            self.model.stop_training = points[-1].minutes >= minutes or points[-1].val_accuracy >= target

    make_network(batches.num_classes).fit(
        batches, validation_data=val, epochs=MANY_EPOCHS, verbose=0, callbacks=[Clock()]
    )


def main() -> None:
    """Measure or train, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--params", type=Path, default=PARAMS, help="parameter file that gives the threads")
    parser.add_argument("--steps", type=int, default=60, help="training steps a round (default 60)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, of which the median counts (default 3)")
    parser.add_argument("--minutes", type=float, default=0, help="train for so long instead")
    parser.add_argument("--curve", type=Path, default=Path("curve.csv"), help="written while training")
    parser.add_argument("--target", type=float, default=1, help="validation accuracy at which to stop")
    arguments = parser.parse_args()
    threads = read_params(arguments.params)["train"]
    tf = import_tensorflow()
    tf.config.threading.set_intra_op_parallelism_threads(threads["intra_op_threads"])
    tf.config.threading.set_inter_op_parallelism_threads(threads["inter_op_threads"])
    tf.keras.utils.set_random_seed(0)
    if arguments.minutes:
        train(arguments.folder, arguments.curve, minutes=arguments.minutes, target=arguments.target)
    else:
        print(json.dumps(measure(arguments.folder, steps=arguments.steps, rounds=arguments.rounds)))


if __name__ == "__main__":
    main()
