"""What a training needs to resume exactly: the last two states, each in one file, held by one process."""

import hashlib
import io
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from emotion.foundation.errors import UserError
from emotion.foundation.files import replace_safely, write_file
from emotion.runtime.processes import process_index

_DIGEST_BYTES = hashlib.sha256().digest_size


@dataclass(frozen=True)
class TrainingState:
    """Everything that the next epoch depends on.

    Attributes:
        arrays: name -> array (weights, optimizer, averages, kept weights).
        facts: the rest, JSON-able (history, kept epoch, best accuracy).
    """

    arrays: dict[str, np.ndarray]
    facts: dict[str, Any]


class StateFile:
    """The last two states of one member's training, in a folder that is not a stage's output.

    The key stands for everything the result depends on (parameters, input bytes, code, versions): a state saved under
    another key is never used, and is replaced when this training saves its first.
    """

    def __init__(self, folder: Path, *, key: str) -> None:
        self.path = folder / "state.npz"
        self.before = folder / "state.before.npz"
        self.timings = folder / "timings.csv"  # key, epoch, seconds: no result may depend on them
        self.finished = folder / "finished.csv"  # key, MD5 of the model: tells whose timings are whose
        self.key = key

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the state for this process alone. Raises UserError naming the process that already does."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        owner = self.path.with_name("pid")
        try:
            with FileLock(self.path.with_name("lock"), timeout=0):
                write_file(owner, str(os.getpid()))
                yield
        except Timeout:
            process = owner.read_text() if owner.exists() else "(number not yet known)"
            raise UserError(
                f"process {process} is training this member already (a killed `dvc` leaves its child "
                f"running); wait for it, or stop it with `kill {process}`, then run `dvc repro` again"
            ) from None

    def save(self, state: TrainingState) -> None:
        """Save a new last state; the previous one becomes the one before it.

        Interrupted at any moment, by a kill or a power cut, this leaves the last state or the new one intact. Raises
        OSError when it cannot be written, as on a full disk: both saved states then stay as they were.
        """
        facts = json.dumps({"key": self.key, **state.facts}).encode()
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, facts=np.frombuffer(facts, np.uint8), **state.arrays)
        digest = hashlib.sha256(buffer.getbuffer()).digest()
        buffer.seek(0, io.SEEK_END)
        buffer.write(digest)
        temporary = self.path.with_name(self.path.name + ".part")
        try:
            _write_safely(temporary, buffer.getbuffer())
        except OSError as error:
            error.filename = str(self.path)
            temporary.unlink(missing_ok=True)  # a full disk needs the space
            raise
        # Two renames, where `written_whole` makes one: the state that is replaced must stay whole, as the one before.
        if self.path.exists():
            replace_safely(self.path, self.before)
        replace_safely(temporary, self.path)

    def note_model(self, model: Path) -> None:
        """Note which model the training under this key produced."""
        with self.finished.open("a") as finished:
            finished.write(f"{self.key},{hashlib.md5(model.read_bytes()).hexdigest()}\n")

    def load(self) -> TrainingState | None:
        """Return the last state, or the one before it where the last is damaged or missing; None if it has another key.

        Damaged files are set aside, so that later calls find the same, and the loss is reported once.
        """
        state, problems = self._newest_whole()
        outcome = "starting from the beginning"
        if state and state.facts.pop("key") == self.key:
            outcome = "going on from the state before it, which costs one epoch"
        elif state:
            which = "the state before it" if problems else "the saved training state"
            problems.append(f"{which} belongs to other parameters, data or code")
            state = None
        if problems and process_index() == 0:
            print("; ".join([*problems, outcome]), flush=True)
        return state

    def _newest_whole(self) -> tuple[TrainingState | None, list[str]]:
        """Return the newest undamaged state, whatever its key, and a message about each damaged one."""
        problems: list[str] = []
        for path in (self.path, self.before):
            try:
                return _unpack(path.read_bytes()), problems
            except FileNotFoundError:  # the last state: interrupted between the two renames, or set aside
                continue
            except (ValueError, OSError) as error:
                problems.append(self._set_aside(path, error))
        return None, problems

    def _set_aside(self, path: Path, error: Exception) -> str:
        """Rename a damaged file, replacing one set aside earlier; return the message about it."""
        aside = path.with_name(path.name + ".damaged")
        if process_index() == 0:  # of several that train together, only one touches files
            replace_safely(path, aside)
        return f"the saved training state {path} was damaged ({error}) and is set aside as {aside}"


def _unpack(content: bytes) -> TrainingState:
    """Read what `save` wrote; the key is still among the facts. Raises ValueError when even one bit has changed."""
    packed, digest = content[:-_DIGEST_BYTES], content[-_DIGEST_BYTES:]
    if hashlib.sha256(packed).digest() != digest:
        raise ValueError("its SHA-256 does not match, or an earlier version saved it without one")
    with np.load(io.BytesIO(packed), allow_pickle=False) as saved:
        arrays = {name: saved[name] for name in saved.files}
    facts = json.loads(arrays.pop("facts").tobytes())
    return TrainingState(arrays, facts)


def _write_safely(path: Path, content: memoryview) -> None:
    """Write a file, and return once it is on the disk."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def state_key(facts: Any, folders: list[Path]) -> str:
    """Digest of what a training depends on.

    Args:
        facts: JSON-able: parameters, versions, digests of the code.
        folders: input folders, every file of which counts by name and content.
    """
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for folder in folders:
        for file in sorted(folder.iterdir()):
            name = file.relative_to(folder.parent)
            with file.open("rb") as content:  # a shard of large pictures is a gigabyte
                digest.update(f"\0{name}\0{hashlib.file_digest(content, 'sha256').hexdigest()}".encode())
    return digest.hexdigest()
