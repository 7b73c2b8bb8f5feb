"""The saved state of a training: cut off anywhere in a save, or with any bit flipped, one of two states is still whole."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emotion import training_state
from emotion.training_state import StateFile, TrainingState


class Cut(Exception):
    """Stands for a kill, or for the power going off."""


def state(number: int) -> TrainingState:
    return TrainingState({"model/0000": np.full(3, number, np.float32)}, {"epoch": number})


def saved(folder: Path, *numbers: int, key: str = "key") -> StateFile:
    file = StateFile(folder, key=key)
    for number in numbers:
        file.save(state(number))
    return file


def loaded(folder: Path, key: str = "key") -> int | None:
    """Which state a process that begins anew finds."""
    found = StateFile(folder, key=key).load()
    if found is None:
        return None
    assert found.arrays["model/0000"].tolist() == [found.facts["epoch"]] * 3
    return int(found.facts["epoch"])


def operations(monkeypatch: pytest.MonkeyPatch, *, cut_before: int | None = None) -> list[str]:
    """Note each operation on the disk, and stop before the one of that number."""
    noted: list[str] = []

    def watched(name: Callable[..., str], original: Callable[..., Any]) -> Callable[..., Any]:
        def operation(*arguments: Any, **more: Any) -> Any:
            if len(noted) == cut_before:
                raise Cut
            noted.append(name(*arguments))
            return original(*arguments, **more)

        return operation

    def synced(descriptor: int) -> str:
        return f"sync {os.path.basename(os.readlink(f'/proc/self/fd/{descriptor}'))}"  # noqa: PTH115, PTH119

    monkeypatch.setattr(os, "fsync", watched(synced, os.fsync))
    monkeypatch.setattr(os, "replace", watched(lambda a, b: f"rename {Path(a).name} {Path(b).name}", os.replace))
    return noted


def test_a_save_syncs_the_file_and_then_the_folder_after_each_rename(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = saved(tmp_path, 1)
    noted = operations(monkeypatch)
    file.save(state(2))
    assert noted == [
        "sync state.npz.part",
        "rename state.npz state.before.npz",
        f"sync {tmp_path.name}",
        "rename state.npz.part state.npz",
        f"sync {tmp_path.name}",
    ]


@pytest.mark.parametrize("before", [0, 1, 2, 3], ids=lambda number: f"{number} saved before")
def test_a_save_cut_off_at_any_operation_leaves_the_old_state_or_the_new(
    before: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = before or None, before + 1
    for number in range(10):
        folder = tmp_path / str(number)
        folder.mkdir()
        file = saved(folder, *range(1, before + 1))
        with monkeypatch.context() as patched:
            operations(patched, cut_before=number)
            try:
                file.save(state(new))
            except Cut:
                is_whole = False
            else:
                is_whole = True
        assert loaded(folder) in ((new,) if is_whole else (old, new))
        saved(folder, new, new + 1)  # the next process goes on
        assert loaded(folder) == new + 1
        if is_whole:
            break
    assert is_whole and number == (5 if before else 3), "every operation was cut before"


@pytest.mark.parametrize("before", [0, 1, 2])
def test_a_file_cut_off_while_it_is_written_changes_nothing(
    before: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = saved(tmp_path, *range(1, before + 1))
    write = training_state._write_safely
    for length in (0, 1, 100, 500, None):

        def cut(path: Path, content: bytes, length: int | None = length) -> None:
            write(path, content[:length])
            raise Cut

        monkeypatch.setattr(training_state, "_write_safely", cut)
        with pytest.raises(Cut):
            file.save(state(9))
        assert loaded(tmp_path) == (before or None)


def test_any_flipped_bit_of_the_last_state_costs_one_epoch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = saved(tmp_path, 1, 2)
    whole, last = file.path.read_bytes(), file.before.read_bytes()
    assert len(whole) > 500
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << position % 8
        file.path.write_bytes(damaged)
        assert loaded(tmp_path) == 1, position
        assert file.path.with_name("state.npz.damaged").read_bytes() == damaged
        said = capsys.readouterr().out
        assert said.count("was damaged") == 1 and said.endswith("going on from the state before it\n")
        assert file.before.read_bytes() == last
        assert loaded(tmp_path) == 1 and capsys.readouterr().out == "", "said once"


def test_a_last_state_of_any_other_length_costs_one_epoch(tmp_path: Path) -> None:
    file = saved(tmp_path, 1, 2)
    whole = file.path.read_bytes()
    for length in range(len(whole)):
        file.path.write_bytes(whole[:length])
        assert loaded(tmp_path) == 1, length
    file.path.write_bytes(whole + b"x")
    assert loaded(tmp_path) == 1


def test_two_damaged_states_are_both_kept_and_training_starts_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = saved(tmp_path, 1, 2)
    file.path.write_bytes(b"last")
    file.before.write_bytes(b"before")
    assert loaded(tmp_path) is None
    assert capsys.readouterr().out.splitlines()[-1].endswith("starting from the beginning")
    assert (tmp_path / "state.npz.damaged").read_bytes() == b"last"
    assert (tmp_path / "state.before.npz.damaged").read_bytes() == b"before"


def test_a_state_of_another_key_is_never_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved(tmp_path, 1, 2, key="other")
    assert loaded(tmp_path) is None
    file = saved(tmp_path, 3)  # before it now lies one of the other key
    file.path.write_bytes(b"damaged")
    assert loaded(tmp_path) is None
    assert "belongs to other parameters" in capsys.readouterr().out


def test_a_state_without_a_digest_as_earlier_versions_wrote_it_is_set_aside(tmp_path: Path) -> None:
    np.savez(tmp_path / "state.npz", facts=np.zeros(3, np.uint8))
    assert loaded(tmp_path) is None
    assert (tmp_path / "state.npz.damaged").exists()


def test_a_full_disk_leaves_both_states(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = saved(tmp_path, 1, 2)

    def full(path: Path, content: bytes) -> None:
        path.write_bytes(content[:100])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(training_state, "_write_safely", full)
        with pytest.raises(OSError, match="No space left"):
            file.save(state(3))
    assert loaded(tmp_path) == 2
    file.path.unlink()
    assert loaded(tmp_path) == 1
    saved(tmp_path, 3)
    assert loaded(tmp_path) == 3
