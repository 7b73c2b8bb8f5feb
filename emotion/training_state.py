"""What a training needs to go on exactly where it was: one file, written in one piece, held by one process."""

import hashlib
import io
import json
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from emotion.errors import UserError
from emotion.processes import process_index


@dataclass(frozen=True)
class TrainingState:
    """Everything that the next epoch depends on.

    Attributes:
        arrays: name -> array (weights, optimizer, averages, kept weights).
        facts: JSON-able rest (epoch, callbacks' counters, history).
    """

    arrays: dict[str, np.ndarray]
    facts: dict[str, Any]


class StateFile:
    """The state of one member's training, in a folder that is no stage's output.

    The key stands for everything the result depends on (parameters, input bytes, code, versions): a state saved under
    another key is never used, and is replaced when this training saves its first.
    """

    def __init__(self, folder: Path, *, key: str) -> None:
        self.path = folder / "state.npz"
        self.timings = folder / "timings.csv"  # key, epoch, seconds: what no result may depend on
        self.finished = folder / "finished.csv"  # key, MD5 of the model: which timings are whose
        self.key = key

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the state for this process alone. Raises UserError that names the process that holds it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        owner = self.path.with_name("pid")
        try:
            with FileLock(self.path.with_name("lock"), timeout=0):
                temporary = owner.with_name("pid.part")
                temporary.write_text(str(os.getpid()))
                temporary.replace(owner)
                yield
        except Timeout:
            process = owner.read_text() if owner.exists() else "(its number comes in a moment)"
            raise UserError(
                f"process {process} is training this member already (a killed `dvc` leaves its child "
                f"running); wait for it, or stop it with `kill {process}`, then run `dvc repro` again"
            ) from None

    def save(self, state: TrainingState) -> None:
        """Replace the saved state in one piece: a kill leaves the old one or the new one."""
        facts = json.dumps({"key": self.key, **state.facts}).encode()
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, facts=np.frombuffer(facts, np.uint8), **state.arrays)
        temporary = self.path.with_name(self.path.name + ".part")
        with temporary.open("wb") as file:
            file.write(buffer.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.path)

    def note_model(self, model: Path) -> None:
        """Note which model the training under this key ended in."""
        with self.finished.open("a") as finished:
            finished.write(f"{self.key},{hashlib.md5(model.read_bytes()).hexdigest()}\n")

    def load(self) -> TrainingState | None:
        """Return the state saved under this key, or None. A damaged file is named and set aside."""
        try:
            with np.load(self.path, allow_pickle=False) as saved:
                arrays = {name: saved[name] for name in saved.files}
        except FileNotFoundError:
            return None
        except (zipfile.BadZipFile, ValueError, EOFError, OSError, KeyError) as error:
            aside = self.path.with_name(self.path.name + ".damaged")
            if process_index() == 0:  # of several that train together, one touches files
                self.path.replace(aside)
            print(f"the saved training state was damaged ({error}); set aside as {aside}, starting from the beginning")
            return None
        facts = json.loads(arrays.pop("facts").tobytes())
        if facts.pop("key") != self.key:
            print("the saved training state belongs to other parameters, data or code; starting from the beginning")
            return None
        return TrainingState(arrays, facts)


def state_key(facts: Any, folders: list[Path], code: list[Path]) -> str:
    """Digest of what a training depends on.

    Args:
        facts: JSON-able parameters and versions.
        folders: input folders, every file of which counts by name and content.
        code: source files, which count by name and content.
    """
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    files = [(file.relative_to(folder.parent), file) for folder in folders for file in sorted(folder.iterdir())]
    for name, file in files + [(Path(file.name), file) for file in sorted(code)]:
        digest.update(f"\0{name}\0{hashlib.sha256(file.read_bytes()).hexdigest()}".encode())
    return digest.hexdigest()
