"""Images a second of the augmented input alone, of training on it, and of training on one constant batch.

    python benchmarks/input_lead.py RECORDS    (a folder of TFRecords)

Prints one line of JSON. All three in one process, with the parameters of params.yaml.
"""

import json
import sys
import time
from pathlib import Path

from ruamel.yaml import YAML

from emotion.recipe import Recipe
from emotion.runtime import pin

STEPS = 60


def main() -> None:
    """Measure and print."""
    params = YAML(typ="safe").load(Path("params.yaml"))
    recipe = Recipe.model_validate(params["train"])
    pin(recipe, seed=0)
    import tensorflow as tf

    from emotion import training
    from emotion.augment import Augmentation
    from emotion.batches import training_batches
    from emotion.networks.vgg import Network
    from emotion.records import load_records

    faces = load_records(Path(sys.argv[1]))
    labels = len(faces.about.labels)
    batches = training_batches(
        *(faces,),
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
    constant = tf.data.Dataset.from_tensors(next(iter(batches))).cache().repeat()

    def rate(work: object) -> float:
        began = time.perf_counter()
        work()  # type: ignore[operator]
        return round(STEPS * recipe.batch_size / (time.perf_counter() - began), 1)

    def fit(data: tf.data.Dataset) -> None:
        model.fit(data, steps_per_epoch=STEPS, epochs=1, shuffle=False, verbose=0)

    fit(constant)  # traces the step
    reader = iter(batches.skip(STEPS))
    next(reader)
    figures = {
        "input_images_per_second": rate(lambda: [next(reader) for _ in range(STEPS)]),
        "training_images_per_second": rate(lambda: fit(batches)),
        "training_on_a_constant_batch_images_per_second": rate(lambda: fit(constant)),
    }
    figures["input_lead"] = round(figures["input_images_per_second"] / figures["training_images_per_second"], 2)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
