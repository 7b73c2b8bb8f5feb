"""What `portable` refuses and warns of; what it allows holds no operation that processors compute differently."""

import json
import subprocess
import sys
from typing import Any

import pytest
import tensorflow as tf
from pydantic import ValidationError

from emotion.runtime.pins import what_limits_portable
from emotion.runtime.portable import UNPORTABLE, unportable_ops
from emotion.training.recipe import Recipe
from tests.support import tiny
from tests.support.tiny_training import RECIPE

PORTABLE = ("vgg", "stacked_cnn", "resnet", "mini_xception")


def graphs_of(*networks: str, **changes: str) -> dict[str, dict[str, Any]]:
    command = [sys.executable, "-m", "tests.support.portable.graphs", *networks]
    done = subprocess.run(
        command, cwd=tiny.ROOT, env=tiny.environment(**changes), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("network", PORTABLE)
def test_no_optimised_graph_holds_an_unportable_operation(network: str) -> None:
    cases = graphs_of(network)
    assert len(cases) == 5  # three optimizers, evaluation, HiResCAM
    for case, graphs in cases.items():
        assert graphs["looked_at"] > 100, case
        assert graphs["found"] == [], case


def test_the_look_at_the_graphs_finds_the_stock_batch_norm(tmp_path: Any) -> None:
    stock = "import keras; module.FusedBatchNormalization.call = keras.layers.BatchNormalization.call"
    cases = graphs_of("vgg", **tiny.mutation(tmp_path, "emotion.model.batch_norm", stock))
    assert all("Rsqrt" in graphs["found"] for graphs in cases.values()), cases


def nodes(function: Any, *shape: int) -> list[Any]:
    graph = tf.function(function).get_concrete_function(tf.TensorSpec(shape, tf.float32)).graph
    return list(graph.as_graph_def().node)


@pytest.mark.parametrize("function", [tf.math.rsqrt, tf.math.reciprocal], ids=["Rsqrt", "Reciprocal"])
def test_an_approximated_operation_is_named(function: Any, request: pytest.FixtureRequest) -> None:
    assert unportable_ops(nodes(function, 4)) == [request.node.callspec.id]
    assert request.node.callspec.id in UNPORTABLE


def test_a_division_by_a_root_is_named_as_tensorflow_makes_rsqrt_of_it() -> None:
    assert unportable_ops(nodes(lambda x: 3.0 / tf.sqrt(x), 4)) == ["division by Sqrt"]
    assert unportable_ops(nodes(lambda x: tf.math.divide_no_nan(3.0, tf.sqrt(x)) + 2.0 / x, 4)) == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"precision": "bfloat16"}, "precision: bfloat16"),
        ({"backend": "jax"}, "backend: jax"),
        ({"devices": 2}, "devices: 2"),
    ],
)
def test_a_recipe_that_cannot_be_portable_is_refused_with_the_reason_and_the_setting(
    changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ValidationError, match=rf"portable: true cannot hold with {reason} \(.*; set portable: false"):
        Recipe.model_validate({**RECIPE, **changes, "portable": True})
    assert not Recipe.model_validate({**RECIPE, **changes, "portable": False}).portable


def test_a_network_that_cannot_be_portable_is_refused_by_name(tmp_path: Any) -> None:
    records = tiny.make_records(tmp_path / "records")
    tiny.write_params(tmp_path, {"model.network": "transfer", "train.portable": True})
    done = tiny.run_train(tmp_path, records)
    assert done.returncode == 1
    assert done.stderr.startswith(
        "train: train.portable: true cannot hold for the network transfer: it computes with Rsqrt"
    )
    assert "set train.portable: false" in done.stderr
    assert not (tmp_path / "models").exists()


FULL = frozenset({"avx2", "fma", "sse4_2"})


@pytest.mark.parametrize(
    ("machine", "features", "gpus", "says"),
    [
        ("x86_64", FULL, 0, ""),
        ("AMD64", frozenset(), 0, ""),  # Windows does not tell
        ("x86_64", FULL - {"fma"}, 0, "this one lacks FMA"),
        ("x86_64", FULL - {"avx2", "fma"}, 0, "this one lacks AVX2 and FMA"),
        ("aarch64", frozenset({"asimd"}), 0, "this one is aarch64"),
        ("x86_64", FULL, 1, "this run uses a GPU"),
    ],
)
def test_what_limits_portable_is_said_where_something_does(
    machine: str, features: frozenset[str], gpus: int, says: str
) -> None:
    said = what_limits_portable(machine, features, gpus=gpus)
    assert says in said
    assert bool(said) == bool(says)
