"""A disk that notes each step done to it, and fails or ends the process at one of them."""

import io
import os
import stat
from pathlib import Path
from typing import Any

import pytest

PIECE_BYTES = 100  # of a state of about 600


class Killed(BaseException):
    """Stands for the end of the process: no `except Exception` may tidy up behind it."""


class Disk:
    """Notes what is done to the disk, step by step, and ends the process instead of the step of that number."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, *, steps: int | None = None, error: OSError | None = None
    ) -> None:
        self.done: list[str] = []
        self.refused = ""
        self._steps, self._error = steps, error
        fsync, replace, open_path = os.fsync, os.replace, Path.open

        def noted_fsync(descriptor: int) -> None:
            is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
            self.step("sync the folder" if is_folder else "sync the file")
            fsync(descriptor)

        def noted_replace(source: Path, target: Path) -> None:
            self.step(f"rename {Path(source).name} {Path(target).name}")
            replace(source, target)

        def noted_open(path: Path, mode: str = "r", *more: Any, **named: Any) -> Any:
            if "w" not in mode:
                return open_path(path, mode, *more, **named)
            self.step(f"empty {path.name}")
            return io.BufferedWriter(Pieces(path, self))

        monkeypatch.setattr(os, "fsync", noted_fsync)
        monkeypatch.setattr(os, "replace", noted_replace)
        monkeypatch.setattr(Path, "open", noted_open)

    def step(self, what: str) -> None:
        if len(self.done) == self._steps:
            self.refused = what
            raise self._error or Killed
        self.done.append(what)


class Pieces(io.FileIO):
    """A file that takes a piece at a time, as the operating system may, so that each can be the last."""

    def __init__(self, path: Path, disk: Disk) -> None:
        super().__init__(path, "wb")
        self._disk = disk

    def write(self, content: Any) -> int:
        self._disk.step("write a piece")
        return super().write(content[:PIECE_BYTES])
