"""Python on another make of processor: `qemu-x86_64`, of Debian's package qemu-user, computes every instruction.

It does not follow `exec`, so each program is started under it by itself. It has no AVX-512: what a processor with that
does differently shows only where the tests run on one.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import tiny

# Of two makers, with other instructions and caches: a second level of 4 MB or 512 kB, a third one of 16 MB or none.
PROCESSORS = ("Haswell-noTSX", "EPYC-Rome", "Skylake-Client-noTSX-IBRS,l3-cache=off")
_QEMU = shutil.which("qemu-x86_64")
needs_qemu = pytest.mark.skipif(_QEMU is None, reason="qemu-x86_64 (Debian's qemu-user) is not installed")


def command(processor: str | None) -> list[str]:
    """How Python is started on a processor; on this machine's own where that is None."""
    return [*([str(_QEMU), "-cpu", processor] if processor else []), sys.executable]


def run(
    processor: str | None, *arguments: str, cwd: Path = tiny.ROOT, **changes: str
) -> subprocess.CompletedProcess[str]:
    """Run Python to its end on a processor; what it prints is kept."""
    return subprocess.run(
        [*command(processor), *arguments],
        cwd=cwd,
        env=tiny.environment(**changes),
        capture_output=True,
        text=True,
        check=False,
    )


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    """The last line that a program printed; an assertion that shows its errors where it failed."""
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines()[-1]
