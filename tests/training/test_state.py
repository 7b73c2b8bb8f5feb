"""Wherever a save is cut off, whatever bit is flipped, a training goes on from one of its last two states."""

import errno
import os
import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from emotion.foundation.errors import UserError
from emotion.training.state import StateFile, TrainingState
from tests.support.failing_disk import Disk, Killed

NEWEST, BEFORE, PART = "state.npz", "state.before.npz", "state.npz.part"
GOING_ON = "going on from the state before it, which costs one epoch\n"
FROM_THE_BEGINNING = "; starting from the beginning\n"
OTHER_KEY = "belongs to other parameters, data or code; starting from the beginning\n"


def state(epoch: int) -> TrainingState:
    return TrainingState({"model/0000": np.full(3, epoch, np.float32)}, {"epoch": epoch})


def saved(folder: Path, *epochs: int, key: str = "key") -> StateFile:
    file = StateFile(folder, key=key)
    for epoch in epochs:
        file.save(state(epoch))
    return file


def loaded(folder: Path, *, key: str = "key") -> int | None:
    """The epoch of the state that a process which begins anew finds, all of it; None where it finds none."""
    found = StateFile(folder, key=key).load()
    if found is None:
        return None
    assert found.arrays["model/0000"].tolist() == [found.facts["epoch"]] * 3
    return int(found.facts["epoch"])


def damage(path: Path) -> bytes:
    """Flip one bit in the middle; returns what the file then holds."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    return bytes(content)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# Cut off while it saves


def test_the_folder_is_synced_after_each_rename_and_the_file_before_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = StateFile(tmp_path, key="key")
    with monkeypatch.context() as patched:
        first = Disk(patched)
        file.save(state(1))
    with monkeypatch.context() as patched:
        second = Disk(patched)
        file.save(state(2))
    written = [f"empty {PART}", *["write a piece"] * first.done.count("write a piece"), "sync the file"]
    into_place = [f"rename {PART} {NEWEST}", "sync the folder"]
    assert first.done == [*written, *into_place]
    assert second.done == [*written, f"rename {NEWEST} {BEFORE}", "sync the folder", *into_place]
    assert len(written) > 5, "it was not written in pieces"


@pytest.mark.parametrize("saves", [1, 2, 3, 4], ids=["first save", "second", "third", "fourth"])
def test_a_save_cut_off_after_any_step_leaves_the_state_before_or_the_new_one(
    saves: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = saves - 1 or None
    found: list[int | None] = []
    for steps in range(100):
        folder = tmp_path / str(steps)
        folder.mkdir()
        file = saved(folder, *range(1, saves))
        with monkeypatch.context() as patched:
            disk = Disk(patched, steps=steps)
            try:
                file.save(state(saves))
            except Killed:
                is_cut = True
            else:
                is_cut = False
        assert len(disk.done) == steps
        found.append(loaded(folder))
        assert capsys.readouterr().out == "", "nothing is damaged"
        saved(folder, saves, saves + 1)  # the next process goes on, whatever was left lying
        assert loaded(folder) == saves + 1
        assert set(contents(folder)) == {NEWEST, BEFORE}
        if not is_cut:
            break
    assert not is_cut, "a save of how many steps?"
    placed = steps - 1  # all but the last sync of the folder
    assert found == [before] * placed + [saves, saves]


def test_a_full_disk_leaves_both_states_and_no_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = saved(tmp_path, 1, 2)
    before = contents(tmp_path)
    steps, done = 0, ["empty"]
    while done[-1] != "sync the file":  # fail instead of each step up to that one
        with monkeypatch.context() as patched:
            disk = Disk(patched, steps=steps, error=OSError(errno.ENOSPC, "No space left on device"))
            with pytest.raises(OSError, match="No space left"):
                file.save(state(3))
            done = [*disk.done, disk.refused]
        assert contents(tmp_path) == before, done
        steps += 1
    assert steps > 5
    assert loaded(tmp_path) == 2
    saved(tmp_path, 3)
    assert loaded(tmp_path) == 3


@pytest.mark.parametrize(("number", "is_raised"), [(errno.EINVAL, False), (errno.EIO, True)])
def test_a_folder_that_cannot_be_synced_is_let_be_but_a_failing_disk_is_not(
    number: int, is_raised: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync

    def failing(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", failing)
    try:
        saved(tmp_path, 1, 2)
    except OSError:
        assert is_raised
    else:
        assert not is_raised and loaded(tmp_path) == 2


# Damaged on the disk


def test_any_flipped_bit_costs_one_epoch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = saved(tmp_path, 1, 2)
    newest, before = file.path.read_bytes(), file.before.read_bytes()
    for position in range(len(newest)):
        damaged = bytearray(newest)
        damaged[position] ^= 1 << position % 8
        file.path.write_bytes(damaged)
        assert loaded(tmp_path) == 1, position
        said = capsys.readouterr().out
        assert said.startswith(f"the saved training state {file.path} was damaged") and said.endswith(GOING_ON)
        assert said.count("\n") == 1
        assert contents(tmp_path) == {f"{NEWEST}.damaged": bytes(damaged), BEFORE: before}


def test_every_bit_of_a_byte_counts(tmp_path: Path) -> None:
    file = saved(tmp_path, 1, 2)
    newest = file.path.read_bytes()
    for position in (0, 6, len(newest) // 2, len(newest) - 1):  # 6: flags of a zip's header, which NumPy passes over
        for bit in range(8):
            damaged = bytearray(newest)
            damaged[position] ^= 1 << bit
            file.path.write_bytes(damaged)
            assert loaded(tmp_path) == 1, (position, bit)


def test_any_other_length_costs_one_epoch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = saved(tmp_path, 1, 2)
    newest = file.path.read_bytes()
    others = [*(newest[:length] for length in range(len(newest))), newest + b"\0", newest * 2, bytes(len(newest))]
    for damaged in others:
        file.path.write_bytes(damaged)
        assert loaded(tmp_path) == 1, len(damaged)
        assert capsys.readouterr().out.endswith(GOING_ON)


def test_a_file_that_the_disk_cannot_read_costs_one_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = saved(tmp_path, 1, 2)
    read_bytes = Path.read_bytes

    def failing(path: Path) -> bytes:
        if path == file.path and path.exists():
            raise OSError(errno.EIO, "Input/output error")
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", failing)
    assert loaded(tmp_path) == 1
    assert "Input/output error" in capsys.readouterr().out


def test_what_was_damaged_is_said_once_and_every_load_finds_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = saved(tmp_path, 1, 2)
    damage(file.path)
    found = [file.load(), file.load(), StateFile(tmp_path, key="key").load()]
    assert [state.facts["epoch"] for state in found if state] == [1, 1, 1]
    assert capsys.readouterr().out.count("\n") == 1


def test_after_damage_the_next_saves_keep_two_states_again(tmp_path: Path) -> None:
    file = saved(tmp_path, 1, 2)
    damage(file.path)
    assert loaded(tmp_path) == 1
    file.save(state(2))
    damage(file.path)
    assert loaded(tmp_path) == 1
    file.save(state(2))
    file.save(state(3))
    damage(file.path)
    assert loaded(tmp_path) == 2


def test_two_damaged_states_are_both_set_aside(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = saved(tmp_path, 1, 2)
    newest, before = damage(file.path), damage(file.before)
    assert loaded(tmp_path) is None
    said = capsys.readouterr().out
    assert said.endswith(FROM_THE_BEGINNING) and said.count("\n") == 1
    assert said.count("was damaged") == 2 and "going on" not in said
    assert contents(tmp_path) == {f"{NEWEST}.damaged": newest, f"{BEFORE}.damaged": before}
    assert loaded(tmp_path) is None and capsys.readouterr().out == ""


def test_a_damaged_first_state_starts_from_the_beginning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damage(saved(tmp_path, 1).path)
    assert loaded(tmp_path) is None
    assert capsys.readouterr().out.endswith(FROM_THE_BEGINNING)


def test_a_missing_newest_leaves_the_one_before(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = saved(tmp_path, 1, 2)
    file.path.unlink()
    assert loaded(tmp_path) == 1 and capsys.readouterr().out == ""
    damage(file.before)
    assert loaded(tmp_path) is None
    assert capsys.readouterr().out.endswith(FROM_THE_BEGINNING)


# Of another training


def test_a_state_of_another_key_is_never_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved(tmp_path, 1, 2, key="other")
    before = contents(tmp_path)
    assert loaded(tmp_path) is None
    assert capsys.readouterr().out == f"the saved training state {OTHER_KEY}"
    assert contents(tmp_path) == before, "it may be wanted yet"


def test_a_state_of_this_key_before_one_of_another_is_not_used(tmp_path: Path) -> None:
    saved(tmp_path, 1)
    saved(tmp_path, 7, key="other")
    assert loaded(tmp_path) is None


@pytest.mark.parametrize("change", [damage, Path.unlink], ids=["damaged", "missing"])
def test_a_state_of_another_key_before_the_newest_is_not_used(
    change: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved(tmp_path, 7, key="other")
    file = saved(tmp_path, 1)
    assert loaded(tmp_path) == 1
    change(file.path)
    assert loaded(tmp_path) is None
    said = capsys.readouterr().out
    assert said.endswith(OTHER_KEY) and said.count("\n") == 1
    assert "going on" not in said
    assert ("was damaged" in said) == (change is damage)


@pytest.mark.parametrize("newest_too", [True, False])
def test_a_state_of_an_earlier_version_which_has_no_digest_is_set_aside(newest_too: bool, tmp_path: Path) -> None:
    file = saved(tmp_path, 1, 2)
    facts = np.frombuffer(b'{"key": "key", "epoch": 9}', np.uint8)
    for path in (file.path, file.before)[: 2 if newest_too else 1]:
        with path.open("wb") as plain:
            np.savez(plain, allow_pickle=False, facts=facts, **state(9).arrays)
    assert loaded(tmp_path) == (None if newest_too else 1)


# With other processes, and in a session


def test_only_the_first_of_several_processes_touches_files_and_speaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = saved(tmp_path, 1, 2)
    damage(file.path)
    before = contents(tmp_path)
    monkeypatch.setenv("JAX_PROCESS_ID", "1")
    assert loaded(tmp_path) == 1
    assert contents(tmp_path) == before and capsys.readouterr().out == ""
    monkeypatch.setenv("JAX_PROCESS_ID", "0")
    assert loaded(tmp_path) == 1 and capsys.readouterr().out
    monkeypatch.setenv("JAX_PROCESS_ID", "1")
    assert loaded(tmp_path) == 1


def session_state(epochs: int) -> TrainingState:
    """What a session needs of a state before it has a model."""
    history = [{"epoch": epoch + 1, "loss": 1 / (epoch + 1)} for epoch in range(epochs)]
    facts = {"history": history, "stopped": False, "kept_epoch": epochs, "best_accuracy": 0.5}
    return TrainingState({"kept/0000": np.full(2, epochs, np.float32)}, facts)


@pytest.fixture
def session_files(tmp_path: Path) -> StateFile:
    """Epochs 2 and 3 of a training that writes `history.csv`."""
    file = StateFile(tmp_path, key="key")
    file.save(session_state(2))
    file.save(session_state(3))
    return file


def begun(file: StateFile) -> Any:
    from emotion.training.kept_weights import KeepWeights
    from emotion.training.recipe import Recipe
    from emotion.training.resume import Session
    from tests.support.tiny_training import RECIPE

    keeper = KeepWeights(keep="best", averaged=False, ema_decay=0.0)
    return Session(Recipe.model_validate(RECIPE), file, file.path.with_name("history.csv"), keeper)


def test_a_session_goes_on_from_the_state_before_with_its_history(
    session_files: StateFile, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(session_files.path)
    session = begun(session_files)
    model = SimpleNamespace(variables=[], optimizer=SimpleNamespace(variables=[]))
    assert session.enter(model, 0, can_stop=True) == 2
    assert session.kept_weights[0].tolist() == [2, 2]
    assert session_files.path.with_name("history.csv").read_text() == "epoch,loss\n1,1.0\n2,0.5\n"
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 2 and said[1] == f"going on after epoch 2, saved in {session_files.path.parent}"


@pytest.mark.parametrize("left", [1, 0], ids=["one whole", "none whole"])
def test_a_state_damaged_while_a_session_runs_ends_it_rather_than_mix_two_epochs(
    left: int, session_files: StateFile
) -> None:
    session = begun(session_files)
    for path in (session_files.path, session_files.before)[: 2 - left]:
        damage(path)
    with pytest.raises(UserError, match="the state of epoch 3 can no longer be read .*run `dvc repro` again"):
        session.enter(SimpleNamespace(), 0, can_stop=True)
    assert len(begun(session_files).history) == 2 * left, "the next run takes what is left"
