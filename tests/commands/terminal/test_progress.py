"""The bar is seen on a terminal, after a second, and nowhere else."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from tests.support.sample_pictures import canvas_with

ROOT = Path(__file__).parents[3]
PROGRAM = """
import sys, time
from emotion.commands.terminal import progress
progress._AFTER_S = 0.05
with progress.progress(int(sys.argv[1]), "pictures", hidden="hidden" in sys.argv) as done:
    for number in range(int(sys.argv[1])):
        time.sleep(0.12)  # tqdm draws ten times a second
        with done.aside():
            print("row", number, flush=True)
        done()
print("tqdm" in sys.modules)
"""
VIDEO = """
import sys
from emotion import cli
from emotion.commands.terminal import progress
progress._AFTER_S = 0.0
sys.exit(cli.main(["video", sys.argv[1], "--csv", sys.argv[2]]))
"""


def run(*arguments: object, terminal: bool, program: str = PROGRAM) -> tuple[str, str]:
    """What the program writes to stdout, a pipe, and to stderr, a terminal or a pipe."""
    if terminal:
        pty, termios = pytest.importorskip("pty"), pytest.importorskip("termios")
        reader, writer = pty.openpty()
        termios.tcsetwinsize(writer, (24, 80))
    else:
        reader, writer = os.pipe()
    command = [sys.executable, "-c", program, *map(str, arguments)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=writer, text=True) as process:
        os.close(writer)
        shown = b""
        while chunk := _read(reader):
            shown += chunk
        os.close(reader)
        out = process.stdout.read()
    assert process.returncode == 0
    return out, shown.decode()


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 4096)
    except OSError:  # how Linux tells that nobody writes to a terminal any more
        return b""


ROWS = "row 0\nrow 1\nrow 2\n"


def test_a_bar_is_drawn_on_a_terminal_and_taken_away_at_the_end() -> None:
    out, shown = run(3, terminal=True)
    assert out == f"{ROWS}True\n"
    assert "3/3" in shown or "2/3" in shown
    assert " pictures" in shown and "\n" not in shown and shown.endswith("\r")


@pytest.mark.parametrize("arguments", [(3,), (3, "hidden")])
def test_nothing_is_written_into_a_pipe_or_when_hidden(arguments: tuple[object, ...]) -> None:
    out, shown = run(*arguments, terminal="hidden" in arguments)
    assert (out, shown) == (f"{ROWS}False\n", "")


def test_one_picture_needs_no_bar() -> None:
    assert run(1, terminal=True) == ("row 0\nFalse\n", "")


@pytest.mark.parametrize("terminal", [True, False])
def test_a_video_has_a_bar_of_its_frames(terminal: bool, tmp_path: Path) -> None:
    clip, table = tmp_path / "clip.avi", tmp_path / "out.csv"
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*"MJPG"), 20, (160, 120))
    for _ in range(24):
        writer.write(canvas_with([(20, 10, 90)], height=120, width=160))
    writer.release()
    out, shown = run(clip, table, terminal=terminal, program=VIDEO)
    assert out.startswith("read 24 frames") and out.count("\n") == 1
    assert ("/24 " in shown and " frames" in shown and shown.endswith("\r")) if terminal else shown == ""
