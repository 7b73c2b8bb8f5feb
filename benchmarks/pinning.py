"""What equal bits cost, and which precision is faster: images a second of training FER2013's network in four ways.

    python -m benchmarks.pinning

Writes benchmarks/results/pinning.json. The network is that of results/fer2013/params.yaml. Each way is measured in a
process of its own, in turns; the figures are medians over the turns, and the ratios medians of each turn's own. Run
it on an idle machine: its load before is in the file. Where bfloat16 is slow it gets fewer steps, so that all take
about as long.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.processes import RESULTS, ROOT, machine, read_params, run_module, significant
from emotion.files import write_json
from emotion.runtime.pins import pin
from emotion.training.bfloat16 import slowdown
from emotion.training.recipe import Recipe

if TYPE_CHECKING:  # both import TensorFlow, which pin() must come before
    import tensorflow as tf

    from emotion.dataset.records import Faces

TABLE = RESULTS / "pinning.json"
TURNS = 3
WARM_UP_STEPS, STEPS = 5, 30
# What changes in `train` of the published parameters. Unpinned: TensorFlow's own threads, no op determinism, no seed.
VARIANTS: dict[str, dict[str, Any]] = {
    "portable": {"precision": "float32", "portable": True},
    "float32": {"precision": "float32", "portable": False},
    "bfloat16": {"precision": "bfloat16", "portable": False},
    "unpinned": {"precision": "float32", "portable": False},
}
RATIOS = {
    "portable_to_float32": ("portable", "float32"),
    "bfloat16_to_float32": ("bfloat16", "float32"),
    "float32_to_unpinned": ("float32", "unpinned"),
}


def trainer(
    faces: "Faces", params: Mapping[str, Any], recipe: Recipe
) -> tuple["tf.data.Dataset", Callable[["tf.data.Dataset", int], object]]:
    """The augmented batches of the faces, and what trains the published network on batches for so many steps."""
    from emotion.networks.vgg import Network
    from emotion.training.augment import Augmentation
    from emotion.training.batches import training_batches
    from emotion.training.network import build_model
    from emotion.training.optimizer import make_optimizer

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


def training_rate(variant: str, steps: int) -> float:
    """Images a second of this process, which is pinned (or not) for the variant; the pictures are noise."""
    params = read_params(ROOT / "results/fer2013/params.yaml")
    recipe = Recipe.model_validate(params["train"] | VARIANTS[variant])
    if variant == "unpinned":
        os.environ.update(KERAS_BACKEND="tensorflow", TF_CPP_MIN_LOG_LEVEL="3")
    else:
        pin(**recipe.pins(), seed=0)
    from emotion.dataset.records import Faces, RecordsAbout

    rng = np.random.default_rng(0)
    about = RecordsAbout(4096, 48, 1, ["angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"])
    images = rng.integers(0, 256, (about.images, about.size_px, about.size_px, about.channels), np.uint8)
    faces = Faces(images, rng.integers(0, len(about.labels), about.images), about)
    batches, fit = trainer(faces, params, recipe)
    fit(batches, min(WARM_UP_STEPS, steps))
    return images_per_second(steps * recipe.batch_size, lambda: fit(batches, steps))


def measured_apart(variant: str, steps: int) -> float:
    """The same, in a process of its own."""
    return float(json.loads(run_module("benchmarks.pinning", variant, steps).output.splitlines()[-1]))


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
    """Measure, print, write; with a variant and steps as arguments: measure that in this process and print."""
    if sys.argv[1:]:
        print(json.dumps(training_rate(sys.argv[1], int(sys.argv[2]))))
        return
    here, times = machine(), slowdown()
    steps = dict.fromkeys(VARIANTS, STEPS) | {"bfloat16": max(3, round(STEPS / max(times, 1.0)))}
    turns = []
    for number in range(TURNS):
        order = list(VARIANTS) if number % 2 == 0 else list(reversed(VARIANTS))
        turns.append({variant: measured_apart(variant, steps[variant]) for variant in order})
        print(turns[-1], flush=True)
    write_json(TABLE, {**here, "turns": TURNS, "gradient_slowdown": significant(times), **summary(turns)})
    print(TABLE.read_text())


if __name__ == "__main__":
    main()
