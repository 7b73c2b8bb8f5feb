"""Images a second of the augmented input alone, of training on it, and of training on one constant batch.

    python -m benchmarks.input_lead RECORDS [--params FILE]    (a folder of TFRecords)

Prints one line of JSON: medians over rounds in one process, so that noise meets all three alike.
"""

import argparse
import importlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.processes import PARAMS, medians, read_params, significant
from emotion.runtime.pins import pin
from emotion.training.recipe import Recipe

INPUT_LEAD = 20  # times as many steps of the input alone, which is faster, or it would be over too soon to be timed


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
    """

    def __init__(self, records: Path, params: dict[str, Any]) -> None:
        import tensorflow as tf

        from emotion.commands.networks import cost
        from emotion.dataset.records import load_records
        from emotion.training.augment import Augmentation
        from emotion.training.batches import training_batches

        name = params["model"]["network"]
        self.recipe = Recipe.model_validate(params["train"])
        self.network = importlib.import_module(f"emotion.networks.{name}").Network.model_validate(params["model"][name])
        faces = load_records(records)
        self.shape, self.label_count = faces.images.shape[1:], len(faces.about.labels)
        self.about = {
            "images": len(faces.images),
            "pixels_mb": significant(faces.images.nbytes / 2**20),
            "multiply_adds": cost(self.network, self.shape, self.label_count).multiply_adds,
        }
        self.batches = training_batches(
            faces,
            label_count=self.label_count,
            batch_size=self.recipe.batch_size,
            first_epoch=0,
            epochs=1_000_000,
            seed=0,
            augment=Augmentation.model_validate(params["augment"]),
        )
        self.constant = tf.data.Dataset.from_tensors(next(iter(self.batches))).cache().repeat()

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


def seconds_of(work: Callable[[], object]) -> float:
    """Wall-clock seconds of a call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def take(reader: Any, steps: int) -> None:
    """Read so many batches and drop them; a reader of files begins again where it ends."""
    for _ in range(steps):
        next(reader)


def measure_round(
    fit: Callable[[Any], None], batches: Any, constant: Any, *, batch_size: int, steps: int, input_steps: int
) -> dict[str, float]:
    """One round of all three; `fit` trains for `steps` steps on batches or on the constant batch."""
    reader, images = iter(batches), steps * batch_size
    next(reader)
    rates = {
        "input_images_per_second": input_steps * batch_size / seconds_of(lambda: take(reader, input_steps)),
        "training_images_per_second": images / seconds_of(lambda: fit(batches)),
        "training_on_a_constant_batch_images_per_second": images / seconds_of(lambda: fit(constant)),
    }
    read, trained, trained_on_constant = rates.values()
    return {**rates, "input_lead": read / trained, "input_share_of_a_step": trained_on_constant / trained - 1}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("records", type=Path)
    parser.add_argument("--params", type=Path, default=PARAMS, help="parameter file (default: the project's)")
    parser.add_argument("--steps", type=int, default=60, help="training steps a round (default 60)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, of which the median counts (default 3)")
    arguments = parser.parse_args()
    params = read_params(arguments.params)
    pin(**Recipe.model_validate(params["train"]).pins(), seed=0)
    training = Training(arguments.records, params)
    steps, fit = arguments.steps, training.fitting(arguments.steps)
    fit(training.constant)  # traces the step
    sizes = {"batch_size": training.recipe.batch_size, "steps": steps, "input_steps": INPUT_LEAD * steps}
    rounds = [measure_round(fit, training.batches, training.constant, **sizes) for _ in range(arguments.rounds)]
    print(json.dumps({**medians(rounds), **training.about}))


if __name__ == "__main__":
    main()
