"""Training in phases, from earlier weights, on several devices, on JAX."""

import hashlib
import importlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

RESNET = {"width": 4, "stages": 2, "blocks": 1, "attention": "none", "dropout": 0.0}
TRANSFER = {
    "backbone": "MobileNet",
    "resize_px": 48,
    "weights": "none",
    "weights_sha256": "",
    "frozen_epochs": 2,
    "unfreeze": 8,
    "finetune_learning_rate": 0.01,
    "dense_units": 4,
    "dropout": 0.2,
}


def started(jobs: list[dict], **environment: str) -> subprocess.Popen:
    """Run trainings one after another in a process of their own: precision and devices are set once per process."""
    command = [sys.executable, "-m", "tests.support.tiny_training", json.dumps(jobs)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **environment}
    )


def finished(process: subprocess.Popen) -> str:
    output = process.communicate(timeout=900)[0]
    assert process.returncode == 0, output
    return output


def weights(folder: Path) -> list[np.ndarray]:
    with np.load(folder / "weights.npz") as saved:
        return [saved[name] for name in saved.files]


def job(folder: Path, network: str, block: dict, **changes: object) -> dict:
    return {"folder": str(folder), "network": network, "block": block, **changes}


@pytest.mark.slow
def test_two_phases_resume_bit_for_bit_wherever_they_are_interrupted(tmp_path: Path) -> None:
    jobs = [job(tmp_path / "whole", "transfer", TRANSFER)]
    for epoch in (2, 3):
        jobs += [job(tmp_path / str(epoch), "transfer", TRANSFER, stop_after=epoch)]
        jobs += [job(tmp_path / str(epoch), "transfer", TRANSFER)]
    finished(started(jobs))
    whole = weights(tmp_path / "whole")
    for epoch in (2, 3):
        assert all(map(np.array_equal, whole, weights(tmp_path / str(epoch)))), f"interrupted after epoch {epoch}"
        assert (tmp_path / str(epoch) / "history.csv").read_text() == (tmp_path / "whole" / "history.csv").read_text()


@pytest.mark.slow
def test_each_phase_trains_what_it_names_and_no_batch_norm_of_the_backbone(tmp_path: Path) -> None:
    before = job(tmp_path / "first", "transfer", TRANSFER | {"frozen_epochs": 4})
    after = job(tmp_path / "both", "transfer", TRANSFER)
    output = finished(started([before, after]))
    names = json.loads(output.splitlines()[-1])
    fresh, first, both = (weights(tmp_path / folder) for folder in ("both/fresh", "first", "both"))
    changed_first = {n for n, a, b in zip(names, fresh, first, strict=True) if not np.array_equal(a, b)}
    changed_both = {n for n, a, b in zip(names, fresh, both, strict=True) if not np.array_equal(a, b)}
    assert changed_first == {"transfer_dense", "logits"}
    assert changed_both == {"transfer_dense", "logits", "conv_dw_13", "conv_pw_13"}


@pytest.mark.slow
def test_two_devices_train_as_one_does(tmp_path: Path) -> None:
    one = started([job(tmp_path / "one", "resnet", RESNET)])
    two = started([job(tmp_path / "two", "resnet", RESNET, devices=2)])
    finished(one), finished(two)
    for a, b in zip(weights(tmp_path / "one"), weights(tmp_path / "two"), strict=True):
        np.testing.assert_allclose(a, b, atol=0.02)


@pytest.mark.slow
def test_jax_trains_resumes_and_its_model_scores_the_same_under_tensorflow(tmp_path: Path) -> None:
    whole = job(tmp_path / "whole", "resnet", RESNET, backend="jax")
    parts = [job(tmp_path / "parts", "resnet", RESNET, backend="jax", **stop) for stop in ({"stop_after": 2}, {})]
    output = finished(started([whole, *parts]))
    assert all(map(np.array_equal, weights(tmp_path / "whole"), weights(tmp_path / "parts")))
    import keras

    assert keras.backend.backend() == "tensorflow", output
    with np.load(tmp_path / "whole" / "case.npz") as case:
        logits = keras.models.load_model(tmp_path / "whole" / "model.keras")(case["pixels"])
        np.testing.assert_allclose(logits, case["logits"], atol=1e-4)


def two_processes(jobs: list[dict]) -> list[subprocess.Popen]:
    """Start the same trainings in two processes that meet on a free port of this machine."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    return [
        started(jobs, JAX_COORDINATOR_ADDRESS=address, JAX_NUM_PROCESSES="2", JAX_PROCESS_ID=str(number))
        for number in range(2)
    ]


@pytest.mark.slow
def test_two_processes_train_as_one_does(tmp_path: Path) -> None:
    block = {"backend": "jax", "intra_op_threads": 4}
    finished(started([job(tmp_path / "one", "resnet", RESNET, **block)]))
    together = two_processes([job(tmp_path / "two", "resnet", RESNET, **block, devices=2)])
    first, second = (finished(process) for process in together)
    assert "epoch   4/4" in first
    assert "epoch   4/4" not in second
    for a, b in zip(weights(tmp_path / "one"), weights(tmp_path / "two"), strict=True):
        np.testing.assert_allclose(a, b, atol=0.02)


@pytest.mark.slow
def test_a_lost_process_ends_the_other_with_what_was_kept(tmp_path: Path) -> None:
    block = {"backend": "jax", "intra_op_threads": 4, "epochs": 2000}
    first, second = two_processes([job(tmp_path / "two", "resnet", RESNET, **block, devices=2)])
    try:
        said = next(line for line in first.stdout if line.startswith("epoch   2/"))
        second.kill()
        said += first.communicate(timeout=200)[0]
    finally:
        for process in (first, second):
            process.kill()
            process.communicate()
    assert first.returncode not in (0, -signal.SIGKILL), said
    state = re.escape(str(tmp_path / "two" / "state.npz"))
    assert re.search(rf"process 0 of 2 lost the others .* finished epochs are kept in {state}", said), said


NETWORKS = {
    "resnet": RESNET,
    "vgg": {"width": 2, "blocks": 2, "convolutions": 1, "dense_units": 4, "block_dropout": 0.0, "dense_dropout": 0.0},
    "stacked_cnn": {"filters": 2, "dense_units": 4, "dropout": 0.0},
    "mini_xception": {"width": 2, "modules": 2, "dropout": 0.0},
    "transfer": TRANSFER,
}


def make_earlier(name: str, path: Path) -> Path:
    """A model of this network for the labels a, b, c."""
    import keras

    from emotion.model.file import ModelAbout, save_model
    from emotion.training.network import build_model, with_probabilities

    keras.utils.set_random_seed(5)
    logits = build_model(network_of(name), (48, 48, 1), 3, for_training=False)
    save_model(with_probabilities(logits, 1.3), path, ModelAbout(["a", "b", "c"], 48, 1, 1.3, {"network": name}))
    return path


def network_of(name: str) -> Any:
    return importlib.import_module(f"emotion.networks.{name}").Network(**NETWORKS[name])


@pytest.fixture(scope="module")
def earlier_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_earlier("resnet", tmp_path_factory.mktemp("earlier") / "model.keras")


@pytest.mark.parametrize(
    ("labels", "same_head"), [(["a", "b", "c"], True), (["a", "b", "x"], False), (["a", "b"], False)]
)
@pytest.mark.parametrize("name", NETWORKS)
def test_a_model_starts_from_an_earlier_one(name: str, labels: list[str], same_head: bool, tmp_path: Path) -> None:
    import keras

    from emotion.training.network import build_model
    from emotion.training.pretrained import start_from

    earlier_model = make_earlier(name, tmp_path / "model.keras")
    model = build_model(network_of(name), (48, 48, 1), len(labels), for_training=True)
    start_from(model, earlier_model, labels)
    earlier = keras.models.load_model(earlier_model)
    for layer in model.layers:
        there = earlier.get_layer(layer.name).get_weights()
        same = all(map(np.array_equal, layer.get_weights(), there))
        assert same == (same_head or layer.name != "logits"), layer.name


def test_a_model_that_does_not_fit_is_refused_with_what_to_set(earlier_model: Path) -> None:
    from emotion.foundation.errors import UserError
    from emotion.networks import resnet
    from emotion.training.network import build_model
    from emotion.training.pretrained import start_from

    model = build_model(resnet.Network(**RESNET | {"width": 6}), (48, 48, 1), 3, for_training=True)
    with pytest.raises(UserError, match=r"layer stem has .* there and .* here.*48 px and 1 channel"):
        start_from(model, earlier_model, ["a", "b", "c"])


def test_a_file_is_used_only_if_it_is_the_pinned_one(earlier_model: Path) -> None:
    from emotion.foundation.errors import UserError
    from emotion.training.pretrained import checked_file

    digest = hashlib.sha256(earlier_model.read_bytes()).hexdigest()
    assert checked_file(str(earlier_model), digest, key="train.init.sha256") == earlier_model
    with pytest.raises(UserError, match="train.init.sha256 says 0000"):
        checked_file(str(earlier_model), "0" * 64, key="train.init.sha256")
    with pytest.raises(UserError, match="is missing"):
        checked_file("nowhere.keras", digest, key="train.init.sha256")
