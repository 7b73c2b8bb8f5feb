"""The folder of --annotate: nothing that lies there is replaced, and running again adds nothing."""

import time
from pathlib import Path

import pytest

from emotion import cli
from emotion.commands.annotated_folder import NumberedNames
from tests.support.sample_pictures import drawn_face, png


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    for number, name in enumerate(["a.png", "b.png", "sub/a.png"]):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(png(drawn_face(number)))
    return tmp_path / "in"


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_running_again_leaves_the_same_copies(pictures: Path, tmp_path: Path) -> None:
    command = ["predict", str(pictures), "--annotate", str(tmp_path / "out")]
    assert cli.main(command) == 0
    before = content(tmp_path / "out")
    assert set(before) == {"a.png", "a-2.png", "b.png"}
    assert cli.main(command) == 0
    assert content(tmp_path / "out") == before
    assert cli.main([*command, "--merge", "bad=angry,disgust,fear,sad,neutral"]) == 0
    after = content(tmp_path / "out")
    assert set(after) == {"a.png", "a-2.png", "a-3.png", "a-4.png", "b.png", "b-2.png"}
    assert {name: after[name] for name in before} == before


def test_a_file_that_is_not_ours_stays(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "out" / "b.png").mkdir(parents=True)
    (tmp_path / "out" / "a.png").write_text("mine")
    (tmp_path / "out" / "A-2.PNG").symlink_to("gone")
    for _ in range(2):
        assert cli.main(["predict", str(pictures), "--annotate", str(tmp_path / "out")]) == 0
        assert (tmp_path / "out" / "a.png").read_text() == "mine" and (tmp_path / "out" / "b.png").is_dir()
        names = {path.name for path in (tmp_path / "out").iterdir()}
        assert names == {"a.png", "A-2.PNG", "a-3.png", "a-4.png", "b.png", "b-2.png"}


def test_many_names_alike_take_no_time() -> None:
    names, began = NumberedNames(["a-3.png"]), time.monotonic()
    given = [names.name("a.png" if number % 2 else "A.png") for number in range(30_000)]
    assert given[:3] == ["A.png", "a-2.png", "A-4.png"] and len(set(given)) == 30_000
    assert time.monotonic() - began < 20  # searched from 1 each time it takes minutes
