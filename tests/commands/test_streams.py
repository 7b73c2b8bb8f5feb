"""Standard streams that are closed, full or cut, and file names that they cannot show."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.sample_pictures import png

ROOT = Path(__file__).parents[2]
GREY = png(np.full((40, 40), 90, np.uint8))
ODD = [b"bad\xff.png", b"line\nbreak.png", b"return\r.png", b"clear\x1b[2J.png"]


def run(words: str, folder: Path, **changes: str) -> subprocess.CompletedProcess[bytes]:
    """`python -m emotion.cli` with words of the shell: redirections and pipes."""
    command = f"set -o pipefail; {sys.executable} -m emotion.cli {words}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "", **changes}
    return subprocess.run(["bash", "-c", command], cwd=folder, env=environment, capture_output=True, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.png").write_bytes(GREY)
    return tmp_path


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    ("words", "status", "lines"),
    [
        ("predict a.png >&-", 0, 0),
        ("predict a.png 2>&-", 0, 0),
        ("predict a.png >&- 2>&- <&-", 0, 0),
        ("predict gone.png >&-", 2, 1),
        ("predict gone.png >&- 2>&-", 2, 0),
        ("predict a.png >/dev/full", 2, 1),
        ("predict gone.png a.png 2>/dev/full | grep a.png", 2, 0),
        ("predict gone.png --model gone.tflite 2>/dev/full", 2, 0),
        ("predict --no-such-option 2>/dev/full", 2, 0),
        ("predict 2>/dev/full", 2, 0),
        ("predict gone.png >/dev/full 2>/dev/full", 2, 0),
        ("--help >/dev/full", 2, 1),
        ("predict a.png --output /dev/full", 2, 1),
        ("predict a.png --output /dev/stdout | grep a.png", 0, 0),
        ("predict a.png | head -0", 0, 0),
        ("about | head -1", 0, 0),
    ],
)
def test_streams_that_are_gone_make_no_noise(
    words: str, status: int, lines: int, unbuffered: str, folder: Path
) -> None:
    done = run(words, folder, PYTHONUNBUFFERED=unbuffered)
    assert (done.returncode, done.stderr.count(b"\n")) == (status, lines), done.stderr
    assert lines == 0 or done.stderr.startswith(b"emotion: ")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_odd_names_are_shown_with_escapes_and_stop_no_other(folder: Path) -> None:
    for name in ODD:
        (Path(os.fsdecode(os.fsencode(folder) + b"/" + name))).write_bytes(GREY)
    table = run("predict . --no-detect", folder)
    assert table.returncode == 0 and table.stderr == b""
    lines = table.stdout.decode().splitlines()
    assert [line.rsplit("  ", 1)[1] for line in lines[1:]] == [
        "a.png", r"bad\xff.png", r"clear\x1b[2J.png", r"line\nbreak.png", r"return\r.png",
    ]  # fmt: skip
    rows = list(csv.DictReader(run("predict . --csv --no-detect", folder).stdout.decode().splitlines(keepends=True)))
    assert [row["path"] for row in rows] == [
        "a.png", r"bad\xff.png", r"clear\x1b[2J.png", r"line\nbreak.png", r"return\r.png",
    ]  # fmt: skip
    for name in ODD:
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_bytes(b"junk")
    failed = run("predict .", folder)
    assert (failed.returncode, failed.stderr.count(b"\n")) == (2, len(ODD))
    assert {byte for byte in failed.stderr if byte < 32} == {ord("\n")}


def test_a_picture_of_nothing_but_nan_is_unusable_without_a_warning(folder: Path) -> None:
    Image.fromarray(np.full((40, 40), np.nan, np.float32)).save(folder / "nan.tif")
    done = run("predict nan.tif", folder)
    assert (done.returncode, done.stderr) == (2, b"emotion: nan.tif: a picture with NaN pixels\n")


@pytest.mark.parametrize("kind", ["link", "itself"])
def test_an_output_that_is_stdout_goes_there_and_replaces_nothing(kind: str, folder: Path) -> None:
    """As /dev/stdout is, which is such a link; the file behind it stays the one that the shell has opened."""
    name = "stdout" if kind == "link" else "all.log"
    if kind == "link":
        (folder / name).symlink_to("/proc/self/fd/1")
    (folder / "all.log").write_text("before\n")
    done = run(f"predict a.png --output {name} >>all.log; echo after >>all.log", folder)
    assert (done.returncode, done.stderr) == (0, b"")
    before, header, _, after = (folder / "all.log").read_text().splitlines()
    assert (before, header.split()[0], after) == ("before", "label", "after")
    assert (folder / "stdout").is_symlink() == (kind == "link")
