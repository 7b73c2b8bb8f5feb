"""Where outputs are written before they get their names: nothing of the user's is removed, and no litter piles up."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emotion.foundation import part_folders
from emotion.foundation.errors import UserError
from emotion.foundation.files import write_file, written_whole
from emotion.foundation.part_folders import final_name

ROOT = Path(__file__).parents[2]


def tree(folder: Path) -> dict[str, Any]:
    """Every name below a folder, with what lies there."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def a_folder(path: Path, **files: str) -> None:
    path.mkdir()
    for name, content in files.items():
        (path / name.replace("_", ".")).write_text(content)


FOREIGN: dict[str, Callable[[Path], object]] = {
    "the old name, a file": lambda folder: (folder / "x.csv.part").write_text("mine"),
    "the old name, a folder": lambda folder: a_folder(folder / "x.csv.part", notes_txt="mine"),
    "a file": lambda folder: (folder / ".x.csv.part").write_text("mine"),
    "an empty folder": lambda folder: a_folder(folder / ".x.csv.part"),
    "a folder with the same name in it": lambda folder: a_folder(folder / ".x.csv.part", x_csv="mine"),
    "a folder with a lock and more": lambda folder: a_folder(
        folder / ".x.csv.part", _x_csv_part="", x_csv="mine", more="mine"
    ),
    "a broken link": lambda folder: (folder / ".x.csv.part").symlink_to("nowhere"),
    "a link to a folder": lambda folder: (
        a_folder(folder / "there", _x_csv_part="", x_csv="mine"),
        (folder / ".x.csv.part").symlink_to("there"),
    ),
}


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("fails", [False, True])
def test_what_lies_beside_an_output_stays(kind: str, fails: bool, tmp_path: Path) -> None:
    FOREIGN[kind](tmp_path)
    before = tree(tmp_path)
    try:
        with written_whole(tmp_path / "x.csv") as part:
            part.write_text("new")
            if fails:
                raise KeyError
    except KeyError:
        assert tree(tmp_path) == before
        return
    assert tree(tmp_path) == {**before, "x.csv": b"new"}


WRITER = """
import os, sys
from pathlib import Path
from emotion.foundation.files import written_whole
with written_whole(Path(sys.argv[1])) as part:
    part.mkdir()
    (part / "inside").touch()
    print(part.parent.name, flush=True)
    sys.stdin.readline()
"""


def writer(path: Path) -> tuple[subprocess.Popen[str], str]:
    """A process that writes a folder, and the name of the hidden one in which it has begun to."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, path],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def test_killed_processes_leave_one_folder_however_many_they_are(tmp_path: Path) -> None:
    for _ in range(3):
        process, folder = writer(tmp_path / "x")
        with process:
            process.send_signal(signal.SIGKILL if os.name != "nt" else signal.SIGTERM)
        assert folder == ".x.part" and list(tree(tmp_path))[:1] == [".x.part"]
    write_file(tmp_path / "x", "whole")
    assert list(tree(tmp_path)) == ["x"]


def test_two_processes_that_write_the_same_do_not_meet(tmp_path: Path) -> None:
    first, folder = writer(tmp_path / "x")
    second, other = writer(tmp_path / "x")
    with first, second:
        assert (folder, other) == (".x.part", ".x.2.part")
        for process in (first, second):
            process.communicate("\n", timeout=30)
    assert first.returncode == second.returncode == 0
    assert sorted(tree(tmp_path)) == ["x", "x/inside"]


def test_where_no_file_can_be_locked_what_is_old_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a_folder(tmp_path / ".x.part", _x_part="", x="perhaps another's")
    before = tree(tmp_path)

    def refuse(lock: int) -> None:
        raise OSError("no locks available")

    monkeypatch.setattr(part_folders, "_lock", refuse)
    write_file(tmp_path / "x", "new")
    assert tree(tmp_path) == {**before, "x": b"new"}


@pytest.mark.parametrize("path", [".", "..", "../there/..", "/"])
def test_a_folder_is_no_output(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a_folder(tmp_path / "there", inside="kept")
    monkeypatch.chdir(tmp_path / "there")
    with pytest.raises(UserError, match="is a folder; name a file in it"):
        write_file(Path(path), "x")
    assert tree(tmp_path) == {"there": None, "there/inside": b"kept"}


@pytest.mark.parametrize("name", ["x" * 250, "é" * 120, ".x", "x.part", ".x.part", "a b\n"])
def test_any_name_can_be_written(name: str, tmp_path: Path) -> None:
    for content in ("old", "new"):
        write_file(tmp_path / name, content)
    assert tree(tmp_path) == {name: b"new"}


def test_a_hundred_folders_in_the_way_are_one_line(tmp_path: Path) -> None:
    for number in ("", *(f".{number}" for number in range(2, 101))):
        a_folder(tmp_path / f".x{number}.part")
    with pytest.raises(UserError, match=r"x cannot be written: 100 folders such as .*/\.x\.100\.part lie beside it"):
        write_file(tmp_path / "x", "new")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_in_which_nothing_may_be_made_is_named_by_the_output(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError) as caught:
        write_file(tmp_path / "x", "new")
    tmp_path.chmod(0o700)
    assert caught.value.filename == str(tmp_path / "x")


@pytest.mark.parametrize(
    ("name", "becomes"),
    [
        ("out/.records.part/records/00000.tfrecord", "out/records/00000.tfrecord"),
        (".x.csv.2.part/x.csv", "x.csv"),
        ("out/x.part/y", "out/x.part/y"),
        ("", ""),
    ],
)
def test_the_name_that_it_gets_is_known(name: str, becomes: str) -> None:
    assert final_name(name) == becomes
