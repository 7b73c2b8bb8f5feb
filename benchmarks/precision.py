"""What equal bits cost, and which precision is faster: images a second of training FER2013's network in four ways.

    python -m benchmarks.precision

Writes benchmarks/results/precision.json. The network is that of results/fer2013/params.yaml, and the pictures are
noise. Each way is measured in a process of its own, in turns; the figures are medians over the turns, and the ratios
medians of each turn's own. Where bfloat16 is slow it gets fewer steps, so that all take about as long.
"""

import os
from statistics import median
from typing import Any

import numpy as np

from benchmarks.steps import seconds_of
from benchmarks.support.processes import RESULTS, ROOT, begin, editable_params, figures_of, parser_of, significant
from benchmarks.support.step_works import Training
from emotion.foundation.files import write_json
from emotion.runtime.pins import pin
from emotion.training.bfloat16 import slowdown
from emotion.training.recipe import Recipe

TURNS = 3
STEPS = 30
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


def noise() -> Any:
    """Faces of noise, as `open_records` would return them; import it after `pin`."""
    from emotion.dataset.records.tfrecords import Faces, RecordsAbout

    rng = np.random.default_rng(0)
    about = RecordsAbout(4096, 48, 1, ["angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"])
    images = rng.integers(0, 256, (about.images, about.size_px, about.size_px, about.channels), np.uint8)
    return Faces(images, rng.integers(0, len(about.labels), about.images), about)


def training_rate(variant: str, *, steps: int) -> dict[str, float]:
    """Images a second of this process, which is pinned (or not) for the variant."""
    params = editable_params(ROOT / "results/fer2013/params.yaml")
    params["train"] |= VARIANTS[variant]
    if variant == "unpinned":
        os.environ.update(KERAS_BACKEND="tensorflow", TF_CPP_MIN_LOG_LEVEL="3")
    else:
        pin(**Recipe.model_validate(params["train"]).pins(), seed=0)
    training = Training(noise(), params)
    fit = training.fitting(steps)
    fit(training.batches)  # traces the step, warms up
    images = steps * training.recipe.batch_size
    return {"images_per_second": round(images / seconds_of(lambda: fit(training.batches)), 1)}


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
    """Measure, print, write."""
    _, here = begin(parser_of(__doc__))
    times = slowdown()
    steps = dict.fromkeys(VARIANTS, STEPS) | {"bfloat16": max(3, round(STEPS / max(times, 1.0)))}
    turns = []
    for number in range(TURNS):
        turn = {}
        for variant in VARIANTS if number % 2 == 0 else reversed(VARIANTS):
            figures = figures_of("benchmarks.precision", "training_rate", variant=variant, steps=steps[variant])
            turn[variant] = figures["images_per_second"]
        turns.append(turn)
        print(turn, flush=True)
    table = RESULTS / "precision.json"
    write_json(table, {**here, "turns": TURNS, "gradient_slowdown": significant(times), **summary(turns)})
    print(table.read_text())


if __name__ == "__main__":
    main()
