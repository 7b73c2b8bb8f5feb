"""A full, broken or forbidden disk: every stage says so in one line that names the path, and leaves nothing half."""

from stages._entry.start import PIPELINE_FILE, Start

import errno
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from emotion.foundation.files import write_file
from stages._entry.stage import run_stage
from tests.support.tiny import environment, make_records, train_command

COMMANDS = {
    "download": "--input-dir . --cache-dir . --archive out/faces.zip --facts out/facts.csv --report out/data.json",
    "split": "--archive faces.zip --facts facts.csv --train out/train.csv --val out/val.csv --test out/test.csv "
    "--copies out/copies.csv --report out/split.json",
    "preprocess": "--archive faces.zip --index train.csv --records out/records --report out/report.json",
}
REFUSED = {
    "download": "out/faces.zip",
    "split": ".",  # where the archive lies: what is kept of each picture goes into a nameless file beside it
    "preprocess": "out/records/00000.tfrecord",
    "train": ".cache/train/0/state.npz",
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("disk")
    make_records(folder, **{"train.epochs": 1})
    return folder


@pytest.mark.parametrize("stage", REFUSED)
def test_a_disk_that_takes_no_more_is_one_line_and_no_file(stage: str, tiny: Path) -> None:
    """A limit on the size of files (ulimit -f, in KiB) fails as a full disk does, with another number."""
    command = train_command(tiny / "records")[1:] if stage == "train" else ["-m", f"stages.{stage}"]
    words = [*command, *COMMANDS.get(stage, "").split()]
    before = {path for path in tiny.rglob("*") if path.is_file()}
    limited = ["bash", "-c", f'ulimit -f {50 if stage == "train" else 1} && exec python "$@"', "python", *words]
    done = subprocess.run(limited, cwd=tiny, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert [line for line in done.stderr.splitlines() if line.startswith(f"{stage}: ")] == [
        f"{stage}: {REFUSED[stage]}: File too large; this disk, or a limit of this session (ulimit -f), allows no file "
        "of that size. Nothing is half-written; what earlier stages made and a training's last state are kept. "
        "Then run `dvc repro` again"
    ]
    assert "Traceback" not in done.stderr
    left = {path.relative_to(tiny).as_posix() for path in tiny.rglob("*") if path.is_file() and path not in before}
    assert left <= {".cache/train/0/lock", ".cache/train/0/pid"}


def failing(number: int) -> Callable[[int], None]:
    def fail(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize(
    ("number", "cure"),
    [
        (errno.ENOSPC, "make room on the disk"),
        (errno.EDQUOT, "your quota"),
        (errno.EIO, "the disk or network drive failed"),
        (errno.EROFS, "mounted read-only"),
        (errno.EACCES, "change its permissions"),
    ],
)
def test_each_error_of_the_disk_has_its_line(
    number: int, cure: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stage() -> None:
        write_file(tmp_path / "made" / "x.csv", "content")

    monkeypatch.setattr("sys.argv", ["stage"])
    monkeypatch.setattr(os, "fsync", failing(number))
    with pytest.raises(SystemExit) as caught:
        run_stage(stage, {}, Start({}, b"train: {}\n", PIPELINE_FILE.read_bytes()))
    said = str(caught.value)
    assert said.startswith(f"stage: {tmp_path}/made/x.csv: {os.strerror(number)}; ") and cure in said
    assert "\n" not in said and list((tmp_path / "made").iterdir()) == []


def test_what_says_nothing_of_the_disk_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def stage() -> None:
        Path("never-made").read_bytes()

    monkeypatch.setattr("sys.argv", ["stage"])
    with pytest.raises(FileNotFoundError):
        run_stage(stage, {}, Start({}, b"train: {}\n", PIPELINE_FILE.read_bytes()))
