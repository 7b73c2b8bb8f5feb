"""What TensorFlow's optimiser makes of training and evaluation: `python -m tests.support.portable.graphs NETWORK...`.

Prints JSON: for each network and optimizer the unportable operations found, and how many operations were looked at.
"""

import json
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from emotion.runtime.pins import pin
from emotion.training.recipe import Recipe
from tests.support.portable.run import COMMON, load_network
from tests.support.tiny_training import RECIPE

OPTIMIZERS = ("sgd", "adam", "adamw")
PIXELS = (np.arange(8 * 24 * 24) % 251).reshape(8, 24, 24, 1).astype(np.float32)
LABELS = np.eye(7, dtype=np.float32)[[0, 1, 2, 3, 4, 5, 6, 0]]


def main() -> None:
    """Print {case: {"found": [...], "looked_at": n}}."""
    recipe = Recipe.model_validate({**RECIPE, **COMMON})
    pin(**recipe.pins(), seed=0)
    cases: dict[str, dict[str, Any]] = {}
    for name in sys.argv[1:]:
        for optimizer in OPTIMIZERS:
            cases[f"{name} trained by {optimizer}"] = looked_at(training_step(name, recipe, optimizer))
        cases[f"{name} evaluated"] = looked_at(evaluation(name))
        cases[f"{name} explained"] = looked_at(explanation(name))
    print(json.dumps(cases))


def training_step(name: str, recipe: Recipe, optimizer: str) -> Callable[[], object]:
    """One step of `fit` and one of its validation."""
    from emotion.training.loop import _compile
    from emotion.training.network import Phase, build_model

    model = build_model(load_network(name), (24, 24, 1), 7, for_training=True)
    _compile(model, Phase(1, 0.01), recipe.model_copy(update={"optimizer": optimizer}), steps=2)
    return lambda: (model.train_on_batch(PIXELS, LABELS), model.test_on_batch(PIXELS, LABELS))


def evaluation(name: str) -> Callable[[], object]:
    """One batch as `evaluate` predicts it."""
    from emotion.model.batch_norm import with_fused_batch_norm
    from emotion.training.network import build_model

    model = with_fused_batch_norm(build_model(load_network(name), (24, 24, 1), 7, for_training=False))
    return lambda: model.predict_on_batch(PIXELS)


def explanation(name: str) -> Callable[[], object]:
    """HiResCAM, compiled as it runs."""
    from emotion.evaluation.members import Member
    from emotion.evaluation.saliency import evidence_maps
    from emotion.model.about import ModelAbout
    from emotion.model.batch_norm import with_fused_batch_norm
    from emotion.training.network import build_model

    network = with_fused_batch_norm(build_model(load_network(name), (24, 24, 1), 7, for_training=False))
    member = Member("0", ModelAbout([f"label {number}" for number in range(7)], 24, 1, None), network)
    return lambda: evidence_maps(member, PIXELS.astype(np.uint8), np.zeros(8, np.int64))


def looked_at(run: Callable[[], object]) -> dict[str, Any]:
    """Run it, and look through the graphs that TensorFlow's optimiser left."""
    from tensorflow.python.eager import context

    from emotion.runtime.portable import unportable_ops

    context.enable_run_metadata()
    run()
    graphs = [graph.post_optimization_graph for graph in context.export_run_metadata().function_graphs]
    context.disable_run_metadata()
    inside = [function for graph in graphs for function in graph.library.function]
    nodes = [list(graph.node) for graph in graphs] + [list(function.node_def) for function in inside]
    found = {op for part in nodes for op in unportable_ops(part)}
    return {"found": sorted(found), "looked_at": sum(map(len, nodes))}


if __name__ == "__main__":
    main()
