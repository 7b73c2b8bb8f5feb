"""Videos that are damaged, disks that are full, names that collide: no false success, nothing half-written."""

import os
import struct
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from emotion import cli
from emotion.foundation.errors import UserError
from emotion.inference import frames as reading
from emotion.inference import video as writing
from tests.support.sample_pictures import canvas_with

RATE = 20


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a clip of 24 frames in each format, a face in all of them."""
    folder = tmp_path_factory.mktemp("clips")
    for ending, codec in ((".avi", "MJPG"), (".mp4", "mp4v"), (".mkv", "mp4v")):
        writer = cv2.VideoWriter(str(folder / f"in{ending}"), cv2.VideoWriter.fourcc(*codec), RATE, (160, 120))
        for step in range(24):
            writer.write(canvas_with([(20 + step, 10, 90)], height=120, width=160))
        writer.release()
    return folder


@pytest.fixture
def folder(clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for clip in clips.iterdir():
        (tmp_path / clip.name).write_bytes(clip.read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"in.avi", "in.mp4", "in.mkv"}


def said_by(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    status = cli.main(["video", *arguments])
    return status, capfd.readouterr().err


@pytest.mark.parametrize(
    ("options", "limit_blocks", "said"),
    [
        (["--output", "o.mp4"], 8, "o.mp4 was not written"),
        (["--output", "o.avi"], 8, "o.avi was not written"),
        (["--output", "o.mp4", "--csv", "o.csv"], 1, "o.csv: File too large"),
        (["--csv", "o.csv"], 1, "o.csv: File too large"),
    ],
)
def test_what_finds_no_room_is_one_line_and_leaves_nothing(folder, options, limit_blocks, said):
    (folder / "o.csv").write_text("from before")
    command = f'ulimit -f {limit_blocks}; exec "$@"'  # blocks of 1,024 bytes
    begun = subprocess.run(
        ["bash", "-c", command, "bash", sys.executable, "-m", "emotion.cli", "video", "in.avi", *options],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[1])},
    )
    assert (begun.returncode, begun.stdout) == (2, "")
    assert said in begun.stderr and begun.stderr.count("\n") == 1
    assert names_in(folder) == {"o.csv"} and (folder / "o.csv").read_text() == "from before"


def test_a_full_disk_is_noticed_before_the_end(folder, capfd, monkeypatch):
    monkeypatch.setattr(writing.shutil, "disk_usage", lambda path: Full)
    assert said_by(capfd, "in.avi", "--output", "o.mp4") == (
        2,
        "emotion: o.mp4 cannot be written: the disk is full; make room on it\n",
    )
    assert names_in(folder) == set()


class Full:
    """What a full disk says of itself."""

    free = 0


def test_frames_that_are_lost_on_the_way_are_counted(folder, capfd, monkeypatch):
    monkeypatch.setattr(writing, "count_frames", lambda path: reading.count_frames(path) - 1)
    status, said = said_by(capfd, "in.avi", "--output", "o.mp4", "--csv", "o.csv")
    assert status == 2 and "of 24 frames only 23 can be read back" in said
    assert names_in(folder) == set()


def test_a_video_is_not_there_before_it_is_whole(folder, capfd, monkeypatch):
    seen = []
    monkeypatch.setattr(writing, "count_frames", lambda path: seen.append(names_in(folder)) or 24)
    (folder / "o.mp4").write_text("from before")
    assert said_by(capfd, "in.avi", "--output", "o.mp4") == (0, "")
    assert seen == [{"o.mp4", ".o.mp4.part"}] and names_in(folder) == {"o.mp4"}
    assert reading.count_frames(folder / "o.mp4") == 24


@pytest.mark.parametrize(
    ("source", "output", "table"),
    [
        ("in.avi", "o.mp4", "o.mp4"),
        ("in.avi", "o.mp4", "./o.mp4"),
        ("in.avi", "o.mp4", "link.mp4"),
        ("in.avi", "there.mp4", "hard.mp4"),
        ("in.avi", "in.avi", "o.csv"),
        ("in.avi", "o.mp4", "to_in.avi"),
    ],
)
def test_no_file_is_written_over_another(folder, capfd, source, output, table):
    (folder / "link.mp4").symlink_to("o.mp4")
    (folder / "to_in.avi").symlink_to("in.avi")
    (folder / "there.mp4").write_text("there")
    (folder / "hard.mp4").hardlink_to(folder / "there.mp4")
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.exists()}
    status, said = said_by(capfd, source, "--output", output, "--csv", table)
    assert status == 2 and "name another file to write" in said and said.count("\n") == 1
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.exists()} == before


def cut(content: bytes) -> bytes:
    return content[: len(content) * 6 // 10]


def holed(content: bytes) -> bytes:
    middle, end = len(content) // 2, content.rindex(b"moov" if b"moov" in content else b"idx1") - 4
    return content[:middle] + bytes(end - middle) + content[end:]


@pytest.mark.parametrize(("name", "damage"), [("in.avi", cut), ("in.avi", holed), ("in.mkv", cut), ("in.mp4", holed)])
def test_a_damaged_clip_says_how_much_of_it_is_missing(folder, capfd, name, damage):
    (folder / name).write_bytes(damage((folder / name).read_bytes()))
    frames = reading.count_frames(folder / name)
    assert 0 < frames < 24
    status, said = said_by(capfd, name, "--csv", "o.csv", "--every", "8")
    if name == "in.mkv":  # holds no number of frames, and 0.7 s may be sound
        assert (status, said) == (0, "") and (24 - frames) / RATE < 1
    else:
        lost = f"{24 - frames} of 24 frames could not be read"
        assert (status, said) == (2, f"emotion: {name}: {lost}; the file is damaged or cut off\n")
    assert names_in(folder) == {"o.csv"}


def trimmed(content: bytes, milliseconds: int) -> bytes:
    """An MP4 whose edit list leaves out its first part; such as phones make when a clip is trimmed."""
    edited, at, media = bytearray(content), content.index(b"elst"), content.index(b"mdhd")
    (shown,), (scale,) = (struct.unpack_from(">I", content, start) for start in (at + 12, media + 16))
    struct.pack_into(">Ii", edited, at + 12, shown - milliseconds, scale * milliseconds // 1000)
    return bytes(edited)


def test_a_trimmed_clip_is_not_called_damaged(folder, capfd):
    content = trimmed((folder / "in.mp4").read_bytes(), 500)
    (folder / "in.mp4").write_bytes(content)
    assert reading.seconds_cut(folder / "in.mp4") == pytest.approx(0.5)
    assert reading.count_frames(folder / "in.mp4") < 24
    assert said_by(capfd, "in.mp4", "--csv", "o.csv", "--every", "8") == (0, "")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"moov",
        b"\0\0\0\x10moov" + b"mvhd" + b"elst" + b"mdhd",
        b"\xff" * 90,
        b"\0\0\0\x01free" + b"\xff" * 8,
        struct.pack(">I4s", 30_000_008, b"moov") + b"elst" * 7_500_000,  # would be searched 7 million times
    ],
    ids=["empty", "short", "empty boxes", "no box", "endless box", "flood"],
)
def test_an_index_that_is_damaged_cuts_nothing(tmp_path, content):
    (tmp_path / "x.mp4").write_bytes(content)
    assert reading.seconds_cut(tmp_path / "x.mp4") == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([os.fsdecode(b"odd\xff.avi"), "--csv", "o.csv"], "odd\\xff.avi is not a name in UTF-8"),
        (["in.avi", "--output", os.fsdecode(b"odd\xff.mp4")], "odd\\xff.mp4 is not a name in UTF-8"),
        ([".", "--csv", "o.csv"], "folder"),
        (["in.avi", "--csv", "."], "it is a folder"),
        (["text.mp4", "--csv", "o.csv"], "cannot be opened"),
        (["http://[::1", "--csv", "o.csv"], "does not exist; give a file"),
        (["9" * 20, "--csv", "o.csv"], "does not exist; give a file"),
        (["large.mjpeg", "--csv", "o.csv"], "has frames of 12000x9000 pixels, more than 35,000,000; scale"),
    ],
)
def test_what_opencv_cannot_take_is_one_line(folder, capfd, arguments, said):
    (folder / "text.mp4").write_text("milk, bread")
    if "large.mjpeg" in arguments:
        (folder / "large.mjpeg").write_bytes(2 * cv2.imencode(".jpg", np.zeros((9000, 12000), np.uint8))[1].tobytes())
    status, line = said_by(capfd, *arguments)
    assert status == 2 and said in line and line.count("\n") == 1
    assert names_in(folder) <= {"text.mp4", "large.mjpeg"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no named pipes")
def test_a_pipe_gets_the_rows_and_nothing_else(folder, capfd):
    os.mkfifo(folder / "rows")
    with subprocess.Popen(["cat", "rows"], stdout=subprocess.PIPE, text=True) as reader:
        status = cli.main(["video", "in.avi", "--csv", "rows", "--every", "8"])
        rows = reader.communicate(timeout=30)[0].splitlines()
    assert status == 0 and [row.split(",")[0] for row in rows] == ["frame", "0", "8", "16"]
    assert (folder / "rows").is_fifo() and capfd.readouterr().out == ""


def test_frames_of_another_size_are_scaled_to_the_first(tmp_path):
    with writing.written_video(tmp_path / "o.avi", 10.0) as video:
        for number, side in enumerate((64, 96, 48)):
            video.write(np.full((side, side, 3), 200, np.uint8), number / 10)
    assert reading.count_frames(tmp_path / "o.avi") == 3


@pytest.mark.parametrize("size", [(1, 1), (20_000, 3)], ids=str)
def test_frames_that_a_format_does_not_take_are_named_with_their_size(tmp_path, size):
    frame = np.full((size[1], size[0], 3), 200, np.uint8)
    said = rf"o\.mp4 cannot be written as a video of {size[0]}x{size[1]} pixels; name an \.avi"
    with pytest.raises(UserError, match=said), writing.written_video(tmp_path / "o.mp4", 10.0) as video:
        video.write(frame, 0.0)
    with writing.written_video(tmp_path / "o.avi", 10.0) as video:
        video.write(frame, 0.0)
    assert [path.name for path in tmp_path.iterdir()] == ["o.avi"]
