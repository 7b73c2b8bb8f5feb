"""`emotion predict --boxes`: what one run writes, the next one takes; what is wrong is said line by line."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest

from emotion import cli
from tests.support.sample_pictures import canvas_with, png

HEADER = "path,left,top,width,height\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: two faces in two.png, none in none.png, one in sub/one.png; 320x240 each."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "two.png").write_bytes(png(canvas_with([(10, 30, 120), (180, 60, 100)])))
    (tmp_path / "none.png").write_bytes(png(np.full((240, 320), 90, np.uint8)))
    (tmp_path / "sub" / "one.png").write_bytes(png(canvas_with([(40, 40, 120)])))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def predict(*arguments: object) -> int:
    return cli.main(["predict", *map(str, arguments)])


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_a_csv_that_was_written_gives_the_same_faces_again(capsys: pytest.CaptureFixture[str]) -> None:
    assert predict("two.png", "none.png", "sub", "--output", "found.csv") == 0
    assert predict("--boxes", "found.csv", "--csv") == 0
    found, again = rows_of(Path("found.csv").read_text()), rows_of(capsys.readouterr().out)
    assert [row["path"] for row in again] == ["two.png", "two.png", "none.png", "sub/one.png"]
    for one, other in zip(found, again, strict=True):
        assert {**one, "score": ""} == other


def test_json_that_was_written_gives_the_same_faces_again(capsys: pytest.CaptureFixture[str]) -> None:
    assert predict("sub/one.png", "two.png", "gone.png", "--output", "found.json") == 2
    assert predict("--boxes", "found.json", "--json") == 2
    found, again = json.loads(Path("found.json").read_text()), json.loads(capsys.readouterr().out)
    for picture in found[:2]:
        for face in picture["faces"]:
            face["score"] = None
    assert found == again and len(again) == 3


def test_faces_come_in_the_callers_order_with_the_callers_boxes(capsys: pytest.CaptureFixture[str]) -> None:
    Path("b.csv").write_text(f"{HEADER}two.png,180,60,100,100\ntwo.png,10,30,120,140\ntwo.png,0,0,1,1\n")
    assert predict("two.png", "--boxes", "b.csv", "--json") == 0
    (picture,) = json.loads(capsys.readouterr().out)
    sizes = [(face["box"]["left"], face["box"]["height"]) for face in picture["faces"]]
    assert sizes == [(180, 100), (10, 140), (0, 1)]


def test_pictures_are_known_by_any_of_their_paths_and_those_without_a_row_are_said(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("b.csv").write_text(f"{HEADER}{folder}/sub/../sub/one.png,40,40,120,120\nelsewhere.png,1,1,1,1\n")
    assert predict(".", "--boxes", "b.csv", "--csv") == 2
    out, err = capsys.readouterr()
    assert [(row["path"], row["left"], row["error"]) for row in rows_of(out)] == [
        ("none.png", "", "no row in b.csv"),
        ("sub/one.png", "40", ""),
        ("two.png", "", "no row in b.csv"),
    ]
    assert err == "emotion: none.png: no row in b.csv\nemotion: two.png: no row in b.csv\n"


def test_no_picture_with_a_row_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    Path("b.csv").write_text(f"{HEADER}elsewhere.png,1,1,1,1\n")
    assert predict(".", "--boxes", "b.csv") == 2
    out, err = capsys.readouterr()
    assert out == "" and err == (
        "emotion: --boxes b.csv has no row for any of the pictures: "
        "its first path is elsewhere.png, the first picture given none.png\n"
    )


def test_every_fault_of_a_csv_has_its_line_and_nothing_is_predicted(capsys: pytest.CaptureFixture[str]) -> None:
    faulty = ["two.png,1,1,x,5", "two.png,1,1,5", ",1,1,5,5", "two.png,1,1,0,5", "two.png,1,nan,5,5", "two.png,1,,5,5"]
    Path("b.csv").write_text(HEADER + "two.png,10,30,120,120\n" + "\n".join(faulty) + "\n")
    assert predict("two.png", "--boxes", "b.csv") == 2
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == "" and [line.split(":")[1].strip() for line in lines] == [f"b.csv, line {n}" for n in range(3, 9)]
    said = [
        "'x' is no number",
        "4 fields; expected 5",
        "no path",
        "1, 1, 0, 5: width",
        "'nan' is no",
        "'' is no number",
    ]
    assert all(words in line for words, line in zip(said, lines, strict=True))


@pytest.mark.parametrize(("faults", "says"), [(50, "30"), (999, "979"), (50_000, "many")])
def test_many_faults_are_not_all_listed(faults: int, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("b.csv").write_text(HEADER + "two.png,1,1,x,5\n" * faults)
    assert predict("two.png", "--boxes", "b.csv") == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 21 and lines[-1] == f"emotion: and {says} more like these"


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        (
            "b.csv",
            "path,left,top,widht,height\n",
            "no column 'width'; did you mean 'widht'?; expected the columns path",
        ),
        ("b.csv", "", "no column 'path'"),
        ("b.csv", HEADER, "names no picture"),
        ("b.csv", HEADER + '"two.png,1,1,1,1\n', "is not CSV"),
        ("b.csv", "path,face,left,top,width,height\ntwo.png,1,,,,\n", "line 2: a face without a box"),
        ("b.csv", b"path\xff", "cannot be read"),
        *(("b.csv", f"{HEADER}two.png,1,1,1,{text}\n", "is no number; expected left") for text in ("1_0", "٣", "１")),
        ("b.csv", f"{HEADER}two.png,1,1,1,{'9' * 400}\n", "…999999999' is no number; expected left"),
        ("b.json", '[{"path": "a", "faces": [{"box": 1' + "0" * 9999 + "}]}]", "integer string conversion: value has"),
        ("b.json", "[", "not JSON"),
        ("b.json", "{}", "expected a list"),
        ("b.json", "[" * 100_000, "not JSON"),
        ("b.json", "[3]", "picture 1: expected an object with a path and a list of faces"),
        ("b.json", '[{"path": "two.png"}]', "picture 1: expected an object"),
        ("b.json", '[{"path": "two.png", "faces": [{"box": null}]}]', "picture 1, face 1: expected a box with left"),
        (
            "b.json",
            '[{"path": "two.png", "faces": [{"box": {"left": 1, "top": true, "width": 1, "height": 1}}]}]',
            "picture 1, face 1: True is no number",
        ),
    ],
)
def test_what_is_no_file_of_boxes_is_one_line(
    name: str, content: str | bytes, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())
    assert predict("two.png", "--boxes", name) == 2
    out, err = capsys.readouterr()
    assert says in err and err.count("\n") == 1 and out == ""
    assert len(err) < 250 and "set_int" not in err


def test_a_box_outside_its_picture_spoils_that_picture_alone(capsys: pytest.CaptureFixture[str]) -> None:
    rows = "two.png,10,30,120,120\ntwo.png,200,60,300,160\nsub/one.png,-60,40,120,120\n"
    Path("b.csv").write_text(HEADER + rows)
    assert predict("--boxes", "b.csv", "--csv") == 2
    out, err = capsys.readouterr()
    assert [(row["path"], row["left"]) for row in rows_of(out)] == [("two.png", ""), ("sub/one.png", "-60")]
    assert err.startswith("emotion: two.png: box 2 (200, 60, 300, 160) lies outside the picture of 320x240 pixels")
    assert err.count("\n") == 1
