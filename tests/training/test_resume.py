"""A training killed at any moment and run again gives the bytes of one that was never killed."""

from stages._entry.start import START

import random
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import IO

import pytest

from emotion.foundation.params import read_params
from emotion.training.state import state_key
from stages._entry.unchanged import declared_code
from tests.support import tiny

# A rate so high that from epoch 4 on the validation loss is worse than epoch 3's: what the counters hold then matters.
PLATEAU = {
    "train.precision": "float32",
    "train.learning_rate": 1.0,
    "train.schedule": "plateau",
    "train.warmup_epochs": 0,
    "train.plateau_patience": 1,
    "train.early_stopping_patience": 3,
    "train.epochs": 6,
}


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make_records(tmp_path_factory.mktemp("records"))


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory, records: Path) -> dict[str, bytes]:
    return train_once(tmp_path_factory.mktemp("uninterrupted"), records)


@pytest.fixture(scope="module")
def uninterrupted_plateau(tmp_path_factory: pytest.TempPathFactory, records: Path) -> dict[str, bytes]:
    return train_once(tmp_path_factory.mktemp("plateau"), records, **PLATEAU)


def train_once(folder: Path, records: Path, **overrides: object) -> dict[str, bytes]:
    tiny.write_params(folder, overrides)
    done = tiny.run_train(folder, records)
    assert done.returncode == 0, done.stderr
    return tiny.outputs(folder)


def start(folder: Path, records: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        tiny.train_command(records), cwd=folder, env=tiny.environment(), stdout=subprocess.PIPE, text=True
    )


def lines(process: subprocess.Popen[str]) -> IO[str]:
    assert process.stdout is not None
    return process.stdout


def kill_at_epoch_line(folder: Path, records: Path, epoch: int, *, sent: signal.Signals = signal.SIGKILL) -> None:
    """The line is printed just before the epoch's state is written, so this kill falls into or beside the write."""
    process = start(folder, records)
    for line in lines(process):
        if line.startswith(f"epoch {epoch:3d}/"):
            process.send_signal(sent)
            break
    else:
        pytest.fail(f"no line of epoch {epoch}")
    process.wait(60)
    process.stdout.close()  # type: ignore[union-attr]


@pytest.mark.parametrize("epoch", [1, 3, 4], ids=["first epoch", "mid-training", "last epoch, before the stage's end"])
def test_killed_around_a_checkpoint_then_resumed_gives_the_same_bytes(
    epoch: int, tmp_path: Path, records: Path, uninterrupted: dict[str, bytes]
) -> None:
    tiny.write_params(tmp_path, {})
    kill_at_epoch_line(tmp_path, records, epoch)
    assert not (tmp_path / "models/0.keras").exists()
    shutil.rmtree(tmp_path / "metrics", ignore_errors=True)  # DVC deletes a stage's outputs before it runs
    resumed = tiny.run_train(tmp_path, records)
    assert resumed.returncode == 0, resumed.stderr
    assert tiny.outputs(tmp_path) == uninterrupted
    if epoch > 1:
        assert "going on after epoch" in resumed.stdout


def test_run_again_after_the_end_gives_the_same_bytes_without_training(
    tmp_path: Path, records: Path, uninterrupted: dict[str, bytes]
) -> None:
    """Killed after the stage's end but before DVC recorded it: DVC deletes the outputs and runs the stage again."""
    tiny.write_params(tmp_path, {})
    assert tiny.run_train(tmp_path, records).returncode == 0
    shutil.rmtree(tmp_path / "models")
    shutil.rmtree(tmp_path / "metrics")
    again = tiny.run_train(tmp_path, records)
    assert "epoch   1/" not in again.stdout
    assert tiny.outputs(tmp_path) == uninterrupted


def test_plateau_and_early_stopping_resume_where_they_were(
    tmp_path: Path, records: Path, uninterrupted_plateau: dict[str, bytes]
) -> None:
    tiny.write_params(tmp_path, PLATEAU)
    kill_at_epoch_line(tmp_path, records, 2)
    assert tiny.run_train(tmp_path, records).returncode == 0
    assert tiny.outputs(tmp_path) == uninterrupted_plateau


def test_interrupted_training_says_what_is_kept_and_how_to_go_on(tmp_path: Path, records: Path) -> None:
    tiny.write_params(tmp_path, {"train.epochs": 10_000})
    process = subprocess.Popen(
        tiny.train_command(records),
        cwd=tmp_path,
        env=tiny.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in lines(process):
        if line.startswith("epoch   3/"):
            process.send_signal(signal.SIGINT)
            break
    _, errors = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "finished epochs are kept" in errors
    assert "dvc repro" in errors
    assert "Traceback" not in errors


# The training records lose their last faces while they are trained on.
CUT_OFF_AFTER_EPOCH_1 = (
    "emotion.training.state",
    """
import os
save = module.StateFile.save
def save_and_cut(file, state):
    save(file, state)
    os.truncate(os.environ["TRAINING_SHARD"], 5000)
module.StateFile.save = save_and_cut
""",
)


def test_faces_that_can_no_longer_be_read_end_the_training_with_one_line(tmp_path: Path, records: Path) -> None:
    tiny.write_params(tmp_path, {"train.epochs": 1000})
    shutil.copytree(records, own := tmp_path / "records")
    changes = {**tiny.mutation(tmp_path, *CUT_OFF_AFTER_EPOCH_1), "TRAINING_SHARD": f"{own}/train/00000.tfrecord"}
    done = tiny.run_train(tmp_path, own, **changes)
    assert done.returncode == 1
    assert "00000.tfrecord has become shorter while it was read; run preprocess again" in done.stderr
    assert "finished epochs are kept" in done.stderr and "Traceback" not in done.stderr


def test_a_second_training_of_the_same_member_stops_with_the_first_ones_id(tmp_path: Path, records: Path) -> None:
    tiny.write_params(tmp_path, {"train.epochs": 10_000})
    first = start(tmp_path, records)
    next(lines(first))
    try:
        second = tiny.run_train(tmp_path, records)
    finally:
        first.kill()
        first.wait()
        first.stdout.close()  # type: ignore[union-attr]
    assert second.returncode == 1
    assert f"process {first.pid} is training this member already" in second.stderr


def test_other_parameters_never_resume(tmp_path: Path, records: Path, uninterrupted: dict[str, bytes]) -> None:
    tiny.write_params(tmp_path, {"train.learning_rate": 0.01})
    kill_at_epoch_line(tmp_path, records, 3)
    assert train_once(tmp_path, records) == uninterrupted


def test_other_inputs_packages_or_code_have_another_key(tmp_path: Path) -> None:
    folder = tmp_path / "train"
    folder.mkdir()

    def key(version: str = "3.0", code: str = "1") -> str:
        return state_key({"keras": version, "code": {"emotion/training/augment.py": code}}, [folder])

    (folder / "00000.tfrecord").write_bytes(b"faces")
    keys = [key(), key("3.1"), key(code="2")]
    (folder / "00000.tfrecord").write_bytes(b"other")
    keys.append(key())
    (folder / "00000.tfrecord").rename(folder / "00001.tfrecord")
    keys.append(key())
    assert len(set(keys)) == len(keys)
    (folder / "00001.tfrecord").rename(folder / "00000.tfrecord")
    (folder / "00000.tfrecord").write_bytes(b"faces")
    assert key() == keys[0]


def test_the_code_that_a_training_is_made_of_is_part_of_its_key() -> None:
    params = read_params(tiny.ROOT / "params.yaml")
    code = declared_code(START, "train", params)
    assert {"stages/train.py", "emotion/training/state.py", "emotion/networks/vgg.py", "requirements.lock"} <= set(code)


def test_several_processes_without_jax_are_refused(tmp_path: Path, records: Path) -> None:
    tiny.write_params(tmp_path, {})
    refused = tiny.run_train(tmp_path, records, JAX_NUM_PROCESSES="2", JAX_PROCESS_ID="0")
    assert refused.returncode == 1 and not (tmp_path / "metrics").exists()
    assert "JAX_NUM_PROCESSES is 2, but train.backend is tensorflow" in refused.stderr
    assert "Traceback" not in refused.stderr


# Just after the third epoch is saved: a kill from outside may fall between the two renames, which leave no `state.npz`.
KILLED_AFTER_EPOCH_3 = (
    "emotion.training.state",
    """
import os, signal
save = module.StateFile.save
def save_and_die(file, state):
    save(file, state)
    if len(state.facts["history"]) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
module.StateFile.save = save_and_die
""",
)


@pytest.mark.parametrize(
    ("names", "next_epoch"), [(["state.npz"], 3), (["state.npz", "state.before.npz"], 1)], ids=["newest", "both"]
)
def test_a_killed_training_whose_state_was_damaged_ends_with_the_same_bytes(
    names: list[str], next_epoch: int, tmp_path: Path, records: Path, uninterrupted: dict[str, bytes]
) -> None:
    tiny.write_params(tmp_path, {})
    killed = tiny.run_train(tmp_path, records, **tiny.mutation(tmp_path, *KILLED_AFTER_EPOCH_3))
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    states = [tmp_path / ".cache/train/0" / name for name in names]
    damaged = {}
    for state in states:
        content = bytearray(state.read_bytes())
        content[len(content) // 2] ^= 1
        state.write_bytes(content)
        damaged[state.with_name(f"{state.name}.damaged")] = bytes(content)
    again = tiny.run_train(tmp_path, records)
    assert again.returncode == 0, again.stderr
    assert tiny.outputs(tmp_path) == uninterrupted
    assert {aside: aside.read_bytes() for aside in damaged} == damaged
    assert re.findall(r"^epoch +(\d+)/", again.stdout, re.MULTILINE) == [str(n) for n in range(next_epoch, 5)]
    said = [line for line in again.stdout.splitlines() if "was damaged" in line]
    cost = (
        "going on from the state before it, which costs one epoch" if next_epoch > 1 else "starting from the beginning"
    )
    assert len(said) == 1 and said[0].endswith(cost)


@pytest.mark.slow
@pytest.mark.parametrize("mutation", ["shuffle", "optimizer"])
def test_the_proof_notices_a_state_that_is_not_restored(
    mutation: str, tmp_path: Path, records: Path, uninterrupted_plateau: dict[str, bytes]
) -> None:
    """Switch off one part of the restore: the bytes must then differ, or the tests above prove nothing."""
    tiny.write_params(tmp_path, PLATEAU)
    kill_at_epoch_line(tmp_path, records, 5)
    mutated = tiny.run_train(tmp_path, records, **tiny.mutation(tmp_path, *MUTATIONS[mutation]))
    assert mutated.returncode == 0, mutated.stderr
    assert "mutated" in mutated.stdout
    assert tiny.outputs(tmp_path) != uninterrupted_plateau


MUTATIONS = {
    "shuffle": (
        "emotion.training.batches",
        """
original = module.training_batches
module.training_batches = lambda faces, **k: original(faces, **{**k, "first_epoch": 0, "epochs": k["epochs"]})
""",
    ),
    "optimizer": (
        "emotion.training.resume",
        """
original = module._variables
module._variables = lambda model: {
    name: variable for name, variable in original(model).items() if not name.startswith("optimizer/")
}
""",
    ),
}


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_soak_25_kills_at_random_moments(tmp_path: Path, records: Path) -> None:
    """Kill at 25 random moments of a longer training, resuming each time; the end is that of one never killed."""
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    killed.mkdir()
    longer = {**PLATEAU, "train.epochs": 60, "train.early_stopping_patience": 50}
    began = time.monotonic()
    expected = train_once(whole, records, **longer)
    seconds = time.monotonic() - began
    tiny.write_params(killed, longer)
    moments = random.Random(0)
    kills = 0
    while kills < 25:
        process = start(killed, records)
        try:
            process.wait(moments.uniform(0.2, 0.8) * seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            kills += 1
        else:
            # It got to the end before the kill: start over, the kills so far count.
            assert tiny.outputs(killed) == expected
            shutil.rmtree(killed / ".cache")
        process.stdout.close()  # type: ignore[union-attr]
    assert tiny.run_train(killed, records).returncode == 0
    assert tiny.outputs(killed) == expected
