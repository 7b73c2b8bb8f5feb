"""Files appear complete or not at all; the ground floor's JSON and suggestions."""

import json
import os
from pathlib import Path

import pytest

from emotion.foundation.errors import UserError, did_you_mean, reason, shown
from emotion.foundation.files import integer, is_same, number, read_small, write_file, write_json, written_whole


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
    for name in ("1", "2"):
        with written_whole(folder) as part:
            part.mkdir()
            (part / name).touch()
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


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no named pipes")
@pytest.mark.parametrize("name", ["pipe", "to_pipe"])
def test_a_pipe_is_never_replaced_by_a_file(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "to_pipe").symlink_to("pipe")
    with pytest.raises(UserError, match="it is a pipe or a device, not a file; name another"):
        write_file(tmp_path / name, "text")
    assert (tmp_path / "pipe").is_fifo() and (tmp_path / "to_pipe").is_symlink()
    assert {path.name for path in tmp_path.iterdir()} == {"pipe", "to_pipe"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no named pipes")
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("gone", "gone: no such file"),
        ("folder", "is a folder; name a file"),
        ("pipe", "is a pipe or a device; name a file"),
        ("zero", "is a pipe or a device; name a file"),
        ("sparse", "sparse is larger than 0.001 MB"),
        ("loop", "loop cannot be read"),
        ("x" * 300, "cannot be read"),
        ("a\0", "cannot be read"),
    ],
)
def test_only_small_files_are_read(name: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "loop").symlink_to("loop")
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(5_000_000_000)
    with pytest.raises(UserError, match=says) as caught:
        read_small(tmp_path / name, 1000)
    assert "\n" not in str(caught.value) and "Errno" not in str(caught.value)
    (tmp_path / "small").write_bytes(bytes(1000))
    assert read_small(tmp_path / "small", 1000) == bytes(1000)


@pytest.mark.parametrize(
    ("text", "value"), [("1", 1), ("-0.5", -0.5), (".5", 0.5), ("5.", 5), ("2e-7", 2e-7), (" 3\n", 3)]
)
def test_numbers_are_read(text: str, value: float) -> None:
    assert number(text) == value


ODD = ["1_0", "１", "٣", "0.٨", "1_0e-2", "nan", "inf", "1e999", "", "x", "0x1", "1\u00a0", "9" * 5000 + "x"]


@pytest.mark.parametrize("text", ODD)
def test_what_is_no_plain_number_is_refused(text: str) -> None:
    for read in (number, integer):
        with pytest.raises(ValueError):
            read(text)


def test_whole_numbers_are_read() -> None:
    assert (integer("-12"), integer(" 7")) == (-12, 7)
    with pytest.raises(ValueError):
        integer("1.0")


def test_paths_are_the_same_wherever_links_lead(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "a").touch()
    (tmp_path / "hard").hardlink_to(tmp_path / "a")
    (tmp_path / "soft").symlink_to("new")
    assert is_same(tmp_path / "a", tmp_path / "hard") and is_same(tmp_path / "soft", tmp_path / "new")
    assert is_same(tmp_path / "loop", tmp_path / "loop") and not is_same(tmp_path / "loop", tmp_path / "a")


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (FileNotFoundError(2, "No such file or directory", "x.zip"), "No such file or directory"),
        (RecursionError("maximum recursion depth exceeded"), "it nests too deeply"),
        (ValueError("too many digits; use sys.set_int_max_str_digits() to increase"), "too many digits"),
        (ValueError("two\nlines"), "two lines"),
        (KeyError(), "KeyError"),
    ],
)
def test_a_reason_is_for_people(error: Exception, says: str) -> None:
    assert reason(error) == says


def test_a_link_to_an_open_file_is_not_replaced(tmp_path: Path) -> None:
    """As /dev/stdout is one, whatever stdout leads to."""
    (tmp_path / "stdout").symlink_to("/proc/self/fd/1")
    with pytest.raises(UserError, match="stdout cannot be written: it is a pipe or a device"):
        write_file(tmp_path / "stdout", "text")
    assert (tmp_path / "stdout").is_symlink() and len(list(tmp_path.iterdir())) == 1
