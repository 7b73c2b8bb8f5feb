"""Images a second of the augmented input alone, of training on it, and of training on one constant batch.

    python benchmarks/input_lead.py RECORDS    (a folder of TFRecords)

Prints one line of JSON. All three in one process, with the parameters of params.yaml.
"""

import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

from emotion.recipe import Recipe
from emotion.runtime import pin

if TYPE_CHECKING:  # both import TensorFlow, which pin() must come before
    import tensorflow as tf

    from emotion.records import Faces

STEPS = 60


def trainer(
    faces: "Faces", params: Mapping[str, Any], recipe: Recipe
) -> tuple["tf.data.Dataset", Callable[["tf.data.Dataset", int], object]]:
    """The augmented batches of the faces, and what trains the default network on batches for so many steps."""
    from emotion import training
    from emotion.augment import Augmentation
    from emotion.batches import training_batches
    from emotion.networks.vgg import Network

    labels = len(faces.about.labels)
    batches = training_batches(
        faces,
        label_count=labels,
        batch_size=recipe.batch_size,
        first_epoch=0,
        epochs=1000,
        seed=0,
        augment=Augmentation.model_validate(params["augment"]),
    )
    network = Network.model_validate(params["model"]["vgg"])
    model = training.build_model(network, faces.images.shape[1:], labels, for_training=True)
    model.compile(training.make_optimizer(recipe, STEPS), "categorical_crossentropy", jit_compile=False)

    def fit(data: "tf.data.Dataset", steps: int) -> object:
        return model.fit(data, steps_per_epoch=steps, epochs=1, shuffle=False, verbose=0)

    return batches, fit


def images_per_second(images: int, work: Callable[[], object]) -> float:
    """How many of its images the work gets done in a second."""
    began = time.perf_counter()
    work()
    return round(images / (time.perf_counter() - began), 1)


def main() -> None:
    """Measure and print."""
    params = YAML(typ="safe").load(Path("params.yaml"))
    recipe = Recipe.model_validate(params["train"])
    pin(recipe, seed=0)
    import tensorflow as tf

    from emotion.records import load_records

    batches, fit = trainer(load_records(Path(sys.argv[1])), params, recipe)
    constant = tf.data.Dataset.from_tensors(next(iter(batches))).cache().repeat()
    fit(constant, STEPS)  # traces the step
    reader = iter(batches.skip(STEPS))
    next(reader)
    images = STEPS * recipe.batch_size
    figures = {
        "input_images_per_second": images_per_second(images, lambda: [next(reader) for _ in range(STEPS)]),
        "training_images_per_second": images_per_second(images, lambda: fit(batches, STEPS)),
        "training_on_a_constant_batch_images_per_second": images_per_second(images, lambda: fit(constant, STEPS)),
    }
    figures["input_lead"] = round(figures["input_images_per_second"] / figures["training_images_per_second"], 2)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
