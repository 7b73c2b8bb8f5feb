"""What may be written to: never what is read, nor a name that says it is something else."""

import os
from pathlib import Path

import pytest

from emotion import cli
from emotion.foundation.errors import UserError
from emotion.inference.models import PUBLISHED
from emotion.inference.outputs import check_output
from tests.support.sample_pictures import drawn_face, png


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: a picture, a model, links to them, boxes, a prior and a clip that is none."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.png").write_bytes(png(drawn_face(1)))
    (tmp_path / "m.tflite").write_bytes(PUBLISHED.read_bytes())
    (tmp_path / "hard.csv").hardlink_to("m.tflite")
    (tmp_path / "soft.csv").symlink_to("a.png")
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    (tmp_path / "b.csv").write_text("path,left,top,width,height\na.png,0,0,20,20\n")
    (tmp_path / "p.json").write_text('{"happy": 1}')
    (tmp_path / "c.avi").write_bytes(b"no clip")
    (tmp_path / "folder.csv").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("predict a.png --output a.png", "a.png is one of the pictures; name another"),
        ("predict . --output soft.csv", "soft.csv is one of the pictures; name another"),
        ("predict a.png --model m.tflite --output m.tflite", "m.tflite is the model; name another"),
        ("predict a.png --model m.tflite --output hard.csv", "hard.csv is the model; name another"),
        ("predict --boxes b.csv --output b.csv", "b.csv is the file of --boxes; name another"),
        ("predict a.png --prior p.json --output ./p.json", "p.json is the file of --prior; name another"),
        ("predict a.png --output new.JPG", "new.JPG ends as the name of a picture, but a table is written"),
        ("predict a.png --output new.keras", "new.keras ends as the name of a model, but a table is written"),
        ("predict a.png --output new.mp4", "new.mp4 ends as the name of a video, but a table is written"),
        ("predict a.png --output folder.csv", "it is a folder; name a file in it"),
        ("video c.avi --csv new.png", "new.png ends as the name of a picture"),
        ("video c.avi --csv c.avi", "c.avi is the video itself; name another"),
        ("video c.avi --output folder.csv", "it is a folder; name a file in it"),
        ("video c.avi --model m.tflite --csv hard.csv", "hard.csv is the model; name another"),
        ("video c.avi --output o.avi --csv ./o.avi", "o.avi is also written by --output; name another"),
        ("export m.keras m.keras --format savedmodel", "m.keras is the model itself; name another"),
        ("export m.keras a.png --format savedmodel", "a.png is there and is no folder"),
        ("export m.keras a.png --format savedmodel --faces a.png", "a.png is the file of --faces; name another"),
    ],
)
def test_nothing_is_written_over_what_is_read(
    words: str, says: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert cli.main(words.split()) == 2
    out, err = capsys.readouterr()
    assert says in err and err.count("\n") == 1 and out == ""
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


def test_links_that_lead_in_a_circle_are_followed_once(folder: Path) -> None:
    check_output(Path("loop.csv"), {"a picture": [Path("a.png")]}, is_text=True)
    with pytest.raises(UserError, match="is a picture"):
        check_output(Path("loop.csv"), {"a picture": [Path("loop.csv")]})


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no named pipes")
def test_a_video_never_takes_the_place_of_a_pipe(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(folder / "pipe.avi")
    assert cli.main(["video", "a.png", "--output", "pipe.avi"]) == 2
    assert "pipe.avi cannot be written: it is a pipe or a device" in capsys.readouterr().err
    assert (folder / "pipe.avi").is_fifo()
