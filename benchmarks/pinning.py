"""What equal bits cost: images a second of training the default network pinned, unpinned, and portable.

    python -m benchmarks.pinning

Writes benchmarks/results/pinning.json. Each variant is measured in a process of its own, in turns; the figures are medians
over the turns, and the ratios medians of each turn's own. Run it on an idle machine: its load before is in the file.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.processes import PARAMS, RESULTS, read_params, run_module
from emotion.recipe import Recipe
from emotion.runtime import pin
from stages._stage import write_json

if TYPE_CHECKING:  # both import TensorFlow, which pin() must come before
    import tensorflow as tf

    from emotion.records import Faces

TABLE = RESULTS / "pinning.json"
TURNS = 3
WARM_UP_STEPS, STEPS = 5, 30
# What changes in `train` of params.yaml. Unpinned: TensorFlow's own threads, no op determinism, no seed.
VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "default_unpinned": {},
    "portable": {"portable": True},
}
RATIOS = {
    "default_to_unpinned": ("default", "default_unpinned"),
    "portable_to_default": ("portable", "default"),
}


def trainer(
    faces: "Faces", params: Mapping[str, Any], recipe: Recipe
) -> tuple["tf.data.Dataset", Callable[["tf.data.Dataset", int], object]]:
    """The augmented batches of the faces, and what trains the default network on batches for so many steps."""
    from emotion.augment import Augmentation
    from emotion.batches import training_batches
    from emotion.network import build_model
    from emotion.networks.vgg import Network
    from emotion.optimizer import make_optimizer

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
    model = build_model(network, faces.images.shape[1:], labels, for_training=True)
    model.compile(make_optimizer(recipe, STEPS), "categorical_crossentropy", jit_compile=False)

    def fit(data: "tf.data.Dataset", steps: int) -> object:
        return model.fit(data, steps_per_epoch=steps, epochs=1, shuffle=False, verbose=0)

    return batches, fit


def images_per_second(images: int, work: Callable[[], object]) -> float:
    """How many of its images the work gets done in a second."""
    began = time.perf_counter()
    work()
    return round(images / (time.perf_counter() - began), 1)


def training_rate(variant: str) -> float:
    """Images a second of this process, which is pinned (or not) for the variant; the pictures are noise."""
    params = read_params(PARAMS)
    recipe = Recipe.model_validate(params["train"] | VARIANTS[variant])
    if variant == "default_unpinned":
        os.environ.update(KERAS_BACKEND="tensorflow", TF_CPP_MIN_LOG_LEVEL="3")
        import keras

        keras.config.set_dtype_policy({"float32": "float32", "bfloat16": "mixed_bfloat16"}[recipe.precision])
    else:
        pin(recipe, seed=0)
    from emotion.records import Faces, RecordsAbout

    rng = np.random.default_rng(0)
    about = RecordsAbout(4096, 48, 1, ["angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"])
    images = rng.integers(0, 256, (about.images, about.size_px, about.size_px, about.channels), np.uint8)
    faces = Faces(images, rng.integers(0, len(about.labels), about.images), about)
    batches, fit = trainer(faces, params, recipe)
    fit(batches, WARM_UP_STEPS)
    return images_per_second(STEPS * recipe.batch_size, lambda: fit(batches, STEPS))


def measured_apart(variant: str) -> float:
    """The same, in a process of its own."""
    return float(json.loads(run_module("benchmarks.pinning", variant).output.splitlines()[-1]))


def summary(turns: list[dict[str, float]]) -> dict[str, Any]:
    """Medians of the rates, and of the ratios with their lowest and highest turn."""
    ratios = {name: [turn[a] / turn[b] for turn in turns] for name, (a, b) in RATIOS.items()}
    return {
        "images_per_second": {variant: round(median(turn[variant] for turn in turns), 1) for variant in VARIANTS},
        "ratio": {
            name: {"median": round(median(r), 3), "lowest": round(min(r), 3), "highest": round(max(r), 3)}
            for name, r in ratios.items()
        },
    }


def main() -> None:
    """Measure, print, write; with a variant as the argument: measure that in this process and print."""
    if sys.argv[1:]:
        print(json.dumps(training_rate(sys.argv[1])))
        return
    conditions = {"cores": os.cpu_count(), "load_before": round(os.getloadavg()[0], 2), "turns": TURNS}
    turns = []
    for number in range(TURNS):
        order = list(VARIANTS) if number % 2 == 0 else list(reversed(VARIANTS))
        turns.append({variant: measured_apart(variant) for variant in order})
        print(turns[-1], flush=True)
    write_json(TABLE, {**conditions, **summary(turns)})
    print(TABLE.read_text())


if __name__ == "__main__":
    main()
