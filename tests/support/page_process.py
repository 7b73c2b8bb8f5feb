"""`emotion app` in a process of its own, whose memory and log can be looked at."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Page:
    """The running server."""

    port: int
    pid: int
    log: Path

    def kib(self, field: str) -> int:
        """VmRSS, what it takes now, or VmHWM, its peak, in KiB."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        (found,) = [int(line.split()[1]) for line in lines if line.startswith(field)]
        return found


@contextmanager
def page(folder: Path) -> Iterator[Page]:
    """Start the server on a free port; at the end it must still run, and its log must be without a traceback."""
    log = folder / "log.txt"
    command = [sys.executable, "-m", "emotion.cli", "app", "--port", "0"]
    with log.open("w") as errors:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True
        )
    assert process.stdout is not None
    try:
        address = process.stdout.readline().split()[0]
        yield Page(int(address.rpartition(":")[2]), process.pid, log)
        assert process.poll() is None, "the server has ended"
        assert log.read_text() == ""
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()
