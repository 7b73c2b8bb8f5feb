"""Files appear complete or not at all; the ground floor's JSON and suggestions."""

import json
import os
from pathlib import Path

import pytest

from emotion.foundation.errors import did_you_mean, shown
from emotion.foundation.files import write_file, write_json, written_whole


def test_json_is_written_to_six_decimals_and_keeps_its_order(tmp_path: Path) -> None:
    write_json(tmp_path / "new" / "x.json", {"b": 1 / 3, "a": {"n": 2, "text": "é"}})
    assert json.loads((tmp_path / "new" / "x.json").read_text()) == {"b": 0.333333, "a": {"n": 2, "text": "é"}}
    assert (tmp_path / "new" / "x.json").read_text().index("b") < (tmp_path / "new" / "x.json").read_text().index("a")


def test_a_file_that_cannot_be_finished_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Path, target: Path) -> None:
        raise OSError("no space left")

    write_file(tmp_path / "x", "old")
    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="no space"):
        write_file(tmp_path / "x", b"new")
    assert (tmp_path / "x").read_text() == "old"


def test_a_folder_takes_the_old_ones_place_when_it_is_whole(tmp_path: Path) -> None:
    folder = tmp_path / "x"
    for number in (1, 2):
        with written_whole(folder) as part:
            part.mkdir()
            (part / str(number)).touch()
    assert [path.name for path in folder.iterdir()] == ["2"]
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_fails_midway_leaves_the_old_one_and_nothing_beside_it(kind: str, tmp_path: Path) -> None:
    write_file(tmp_path / "x", "old")
    with pytest.raises(KeyError), written_whole(tmp_path / "x") as part:
        part.mkdir() if kind == "folder" else part.write_text("half")
        raise KeyError
    assert (tmp_path / "x").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_suggestions_are_close_or_absent() -> None:
    assert did_you_mean("val_fractoin", ["seed", "val_fraction"]) == "; did you mean 'val_fraction'?"
    assert did_you_mean("zzz", ["seed", "val_fraction"]) == ""
    assert did_you_mean(7, ["seed"]) == ""  # type: ignore[arg-type]


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot sync a folder")
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_is_written_lies_on_the_disk_before_and_after_it_gets_its_name(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, os.replace

    def note_fsync(descriptor: int) -> None:
        done.append(f"sync {Path(f'/proc/self/fd/{descriptor}').resolve().name}")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(os, "replace", lambda source, target: done.append("rename") or replace(source, target))
    with written_whole(tmp_path / "x") as part:
        if kind == "folder":
            part.mkdir()
            (part / "inside").touch()
        else:
            part.touch()
    inside = ["sync inside"] if kind == "folder" else []
    assert done == [*inside, "sync x", "rename", f"sync {tmp_path.name}"]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("a b.png", "a b.png"),
        ("a\rb\n.png", r"a\rb\n.png"),
        ("a\x1b[2J", r"a\x1b[2J"),
        ("\udcff.png", r"\xff.png"),
        ("é😀", "é😀"),
        ("\u202egnp", r"\u202egnp"),
    ],
)
def test_names_are_shown_on_one_line_that_no_terminal_obeys(name: str, says: str) -> None:
    assert shown(name) == says
