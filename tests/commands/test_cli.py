"""The `emotion` command: what it prints, and its exit status."""

import csv
import io
import json
import signal
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emotion import cli
from emotion.dataset.labels import EMOTIONS
from emotion.inference.writers import CsvWriter
from tests.support.sample_pictures import canvas_with, drawn_face, png, small_portrait


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    (folder / "sub").mkdir(parents=True)
    (folder / "b.png").write_bytes(png(canvas_with([(10, 30, 120), (180, 60, 100)])))
    (folder / "a.png").write_bytes(png(np.full((60, 60), 90, np.uint8)))
    (folder / "sub" / "c.png").write_bytes(png(drawn_face(3)))
    (folder / "notes.txt").write_text("no picture")
    return folder


def emotion(*arguments: object) -> int:
    return cli.main([str(argument) for argument in arguments])


def test_a_folder_gives_a_row_for_each_face_in_order(pictures, capsys):
    assert emotion("predict", pictures, "--csv") == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    names = [(Path(row["path"]).name, row["face"]) for row in rows]
    assert names == [("a.png", ""), ("b.png", "1"), ("b.png", "2"), ("c.png", "1")]
    for row in rows[1:]:
        assert sum(float(row[label]) for label in EMOTIONS) == pytest.approx(1, abs=1e-3)


def test_the_table_says_where_no_face_is(pictures, capsys):
    assert emotion("predict", pictures) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("no face") and lines[1].endswith("a.png") and len(lines) == 5


def test_json_is_one_list_and_holds_errors(pictures, capsys):
    assert emotion("predict", pictures / "b.png", "gone.png", "--json") == 2
    out, err = capsys.readouterr()
    good, bad = json.loads(out)
    assert [set(face["probabilities"]) == set(EMOTIONS) for face in good["faces"]] == [True, True]
    assert bad == {"path": "gone.png", "error": "no such file"}
    assert err == "emotion: gone.png: no such file\n"


def test_a_bad_file_among_good_ones_is_skipped_and_the_status_says_so(pictures, capsys):
    (pictures / "ab.jpg").write_bytes(b"junk")
    assert emotion("predict", pictures, "--csv") == 2
    out, err = capsys.readouterr()
    assert err == f"emotion: {pictures / 'ab.jpg'}: not an image\n"
    assert [Path(row["path"]).name for row in csv.DictReader(io.StringIO(out))] == [
        "a.png",
        "ab.jpg",
        "b.png",
        "b.png",
        "c.png",
    ]


def test_globs_are_expanded_also_when_quoted(pictures, capsys):
    assert emotion("predict", pictures / "*.png", "--json") == 0
    assert [Path(item["path"]).name for item in json.loads(capsys.readouterr().out)] == ["a.png", "b.png"]


def test_a_folder_without_pictures_is_bad_input(tmp_path, capsys):
    assert emotion("predict", tmp_path) == 2
    assert capsys.readouterr().err.startswith(f"emotion: {tmp_path}: a folder without pictures")


def test_annotated_copies_have_names_of_their_own(pictures, tmp_path, capsys):
    for name in ("b.gif", "b.jpg"):
        (pictures / "sub" / name).write_bytes((pictures / "b.png").read_bytes())
    assert emotion("predict", pictures, "--annotate", tmp_path / "out") == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "b-2.png", "b.jpg", "b.png", "c.png"]
    drawn = np.asarray(Image.open(tmp_path / "out" / "b.png").resize((320, 240)))
    assert (drawn != canvas_with([(10, 30, 120), (180, 60, 100)])).any()


def test_an_annotated_copy_never_replaces_a_picture_it_is_of(pictures, capsys):
    before = {path: path.read_bytes() for path in pictures.rglob("*.png")}
    assert emotion("predict", pictures / "a.png", pictures / "b.png", "--annotate", pictures) == 0
    assert {path: path.read_bytes() for path in before} == before
    assert {path.name for path in pictures.glob("*.png")} == {"a.png", "a-2.png", "b.png", "b-2.png"}


def test_min_score_decides_what_is_a_face(tmp_path, capsys):
    (tmp_path / "two.png").write_bytes(png(canvas_with([(10, 10, 60), (100, 30, 140)])))
    scores = []
    for options in ((), ("--min-score", "0.999")):
        assert emotion("predict", tmp_path / "two.png", *options, "--json") == 0
        scores.append([face["score"] for face in json.loads(capsys.readouterr().out)[0]["faces"]])
    assert len(scores[0]) == 2 and min(scores[0]) > 0.7 and scores[1] == []


def test_min_confidence_gives_uncertain(pictures, capsys):
    assert emotion("predict", pictures / "sub", "--no-detect", "--min-confidence", 1, "--json") == 0
    (picture,) = json.loads(capsys.readouterr().out)
    assert picture["faces"][0]["label"] == "uncertain" and picture["faces"][0]["box"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predict", "a.png", "--min-confidence", "2"], "0 to 1"),
        (["predict", "a.png", "--min-score", "2"], "--min-score is 2.0; it must be more than 0, and at most 1"),
        (["video", "0", "--csv", "a.csv", "--min-score", "x"], "argument --min-score: invalid number value"),
        (["predict", "a.png", "--min-confidence", "nan"], "argument --min-confidence: invalid number value: 'nan'"),
        (["predict", "a.png", "--model", "gone.tflite"], "gone.tflite does not exist"),
        (
            ["predict", "a.png", "--csv", "new.csv"],
            "new.csv is not a picture; to write the result there, use --output new",
        ),
        (["predict", "a.png", "--output", "tests"], "tests cannot be written: it is a folder; name a file in it"),
        (["predict", "a.png", "--largest", "--no-detect"], "leave one out"),
        (["predict", "a.png", "--boxes", "gone.csv"], "--boxes gone.csv: no such file"),
        (["predict", "a.png", "--boxes", "a.txt"], "expected a .csv or .json file"),
        (["predict", "a.png", "--boxes", "a.csv", "--no-detect"], "leave one out"),
        (["predict", "a.png", "--boxes", "a.csv", "--largest"], "leave one out"),
        (["predict", "a.png", "--boxes", "a.csv", "--small-faces"], "--boxes says where they are; leave one out"),
        (["predict", "a.png", "--no-detect", "--small-faces"], "--no-detect for none; leave one out"),
        (["predict", "a.png", "--merge", "bad"], "--merge bad: expected NAME=label,label,…"),
        (
            ["predict", "a.png", "--merge", "bad=angri,sad"],
            "names 'angri', which the model does not know; did you mean",
        ),
        (["predict", "a.png", "--merge", "a=sad", "--merge", "b=sad,fear"], "'sad' is in 'a' too; name it once"),
        (["score", "tests", "--merge", "bad=joy"], "'joy', which the model does not know; it knows angry, disgust,"),
        (["video", "gone.mp4", "--csv", "x.csv", "--merge", "=sad"], "does not exist"),
        (["predict", "a.png", "--json", "--csv"], "not allowed with"),
        (["predict", "a.png", "--prior", "happy=1_0"], "the share of 'happy' is '1_0'"),
        (["video", "gone.mp4", "--csv", "x.csv", "--every", "1_0"], "--every: invalid integer value: '1_0'"),
        (["app", "--port", "٣"], "--port: invalid integer value"),
        (["predict", "a.png", "--annotate", "pyproject.toml"], "cannot be created: it is a file"),
        (["score", "gone"], "is not a folder"),
        (["video", "gone.mp4", "--csv", "x.csv"], "does not exist"),
        (["video", "gone.mp4"], "nothing to write"),
        (["video", "gone.mp4", "--csv", "x.csv", "--every", "0"], "1 or more"),
        (["export", "gone.keras", "x.tflite", "--format", "litert"], "does not exist"),
        (["export", "gone.keras", "x.onnx", "--format", "litert"], "must end in .tflite"),
        (["export", "gone.keras", "x.tflite", "--format", "litert", "--max-difference", "nan"], "invalid number value"),
        (["export", "gone.keras", "x.onnx", "--format", "onnx", "--int8"], "for --format litert"),
        (["export", "gone.tflite", "x.onnx", "--format", "onnx"], "not a .keras"),
        (["app", "--port", "99999"], "0 to 65535"),
        (["app", "--host", "no.such.host.invalid"], "give --host an address or name of this machine"),
        (["app", "--host", "x" * 70], "(no host has such a name); give --host an address"),
        (["app", "--host", "a..b"], "(no host has such a name); give --host an address"),
        (["app", "--host", "\udcff"], "give --host an address"),
        (["app", "--host", "192.0.2.1", "--port", "0"], "give --host an address or name of this machine"),
        (["app", "--max-upload-mb", "0"], "more than 0"),
        (["networks", "--size-px", "0"], "--size-px is 0; it must be 8 to 1024"),
        (["networks", "--size-px", "1000000000"], "--size-px is 1000000000; it must be 8 to 1024"),
        (["networks", "--labels", "0"], "--labels is 0; it must be 2 to 1000"),
        (["networks", "--labels", "100000000000"], "--labels is 100000000000; it must be 2 to 1000"),
        (["networks", "--params", "gone.yaml"], "gone.yaml does not exist"),
        (["networks", "--params", "dvc.yaml"], "has no `model` section"),
        (["search", "gone.yaml", "--trials", "1"], "gone.yaml does not exist"),
        (["compare", "emotion/published/model.tflite", "HEAD"], "not text in UTF-8"),
        (["compare", "README.md", "HEAD"], "README.md: not a table of predictions"),
        (["nonsense"], "invalid choice"),
    ],
)
def test_bad_input_is_one_line_and_status_2(arguments, message, capsys):
    assert emotion(*arguments) == 2
    out, err = capsys.readouterr()
    assert message in err and err.count("\n") == 1 and out == ""


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (MemoryError(), "the memory is full; close other programs"),
        (RecursionError(), "nests too deeply"),
        (FileExistsError(17, "File exists", "a.jpg"), "a.jpg: File exists; a file is where a folder should be"),
        (OSError(36, "File name too long", "a.jpg"), "a.jpg: File name too long; give it a shorter name"),
    ],
)
def test_what_the_machine_refuses_is_one_line(error, says, capsys, monkeypatch):
    def fail(path):
        raise error

    monkeypatch.setattr("emotion.commands.about.open_model", fail)
    assert emotion("about") == 2
    err = capsys.readouterr().err
    assert says in err and err.count("\n") == 1


@pytest.mark.parametrize("length", [300, 5000])
def test_a_name_that_no_disk_takes_stops_no_other(length, pictures, capsys):
    assert emotion("predict", "x" * length, pictures / "x*" / ("y" * length), pictures / "b.png", "--csv") == 2
    out, err = capsys.readouterr()
    assert err.count("\n") == 2 and err.count("cannot be read (File name too long)") >= 1
    assert sum("b.png" in line for line in out.splitlines()) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a process at once")
@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGHUP])
def test_what_is_half_written_goes_with_the_process(ending, pictures, tmp_path, monkeypatch):
    (tmp_path / "out").mkdir()

    def end(*arguments):
        assert [path.name for path in (tmp_path / "out").iterdir()] == [".x.csv.part"]
        signal.raise_signal(ending)

    monkeypatch.setattr(CsvWriter, "write", end)
    assert emotion("predict", pictures, "--output", tmp_path / "out" / "x.csv") == 128 + ending
    assert list((tmp_path / "out").iterdir()) == []
    assert signal.getsignal(ending) is signal.SIG_DFL


def test_help_is_for_everybody(capsys):
    assert emotion("--help") == 0
    out = capsys.readouterr().out
    assert all(name in out for name in cli.COMMANDS)
    assert emotion() == 0
    assert capsys.readouterr() == (out, "")
    for name in cli.COMMANDS:
        assert emotion(name, "--help") == 0


def test_the_version_is_the_packages(capsys):
    assert emotion("--version") == 0
    assert capsys.readouterr().out == f"emotion {metadata.version('emotion')}\n"


def test_predict_alone_shows_two_lines_that_one_can_type(capsys):
    assert emotion("predict") == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 2
    assert all(line.startswith("emotion predict ") for line in err.splitlines())


def test_options_may_stand_between_the_pictures(pictures, capsys):
    assert emotion("predict", pictures / "a.png", "--csv", pictures / "b.png") == 0
    assert len(capsys.readouterr().out.splitlines()) == 4


@pytest.mark.parametrize("suffix", [".csv", ".json", ".txt"])
def test_an_output_is_what_would_have_been_printed(suffix, pictures, tmp_path, capsys):
    assert emotion("predict", pictures, *{".csv": ["--csv"], ".json": ["--json"]}.get(suffix, [])) == 0
    printed = capsys.readouterr().out
    assert emotion("predict", pictures, "--output", tmp_path / f"faces{suffix}") == 0
    assert (tmp_path / f"faces{suffix}").read_text() == printed and capsys.readouterr().out == ""


def test_an_output_of_before_stays_when_this_one_fails(pictures, tmp_path, capsys, monkeypatch):
    (tmp_path / "faces.csv").write_text("of before")

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(CsvWriter, "write", fail)
    assert emotion("predict", pictures, "--output", tmp_path / "faces.csv") == cli.INTERRUPTED
    assert (tmp_path / "faces.csv").read_text() == "of before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["faces.csv", "pictures"]


def test_largest_gives_one_face_a_picture(pictures, capsys):
    assert emotion("predict", pictures / "b.png", "--json") == 0
    (both,) = json.loads(capsys.readouterr().out)
    assert emotion("predict", pictures / "b.png", "--json", "--largest") == 0
    (one,) = json.loads(capsys.readouterr().out)
    assert len(both["faces"]) == 2 and one["faces"] == both["faces"][:1]
    assert one["faces"][0]["box"]["width"] > both["faces"][1]["box"]["width"]


def test_small_faces_are_found_when_asked_for(tmp_path, capsys):
    (tmp_path / "small.png").write_bytes(png(small_portrait(24)[0]))
    counts = []
    for options in ([], ["--small-faces"], ["--small-faces", "--largest"]):
        assert emotion("predict", tmp_path / "small.png", "--json", *options) == 0
        counts.append(len(json.loads(capsys.readouterr().out)[0]["faces"]))
    assert counts == [0, 1, 1]


def test_merged_labels_are_the_columns_and_their_sums(pictures, tmp_path, capsys):
    groups = ["--merge", "negative=angry,disgust,fear,sad", "--merge", "positive=happy,surprise"]
    rows = []
    for options in ([], groups):
        assert emotion("predict", pictures, "--csv", "--prior", "angry=1,happy=1,sad=2", *options) == 0
        rows.append(list(csv.DictReader(io.StringIO(capsys.readouterr().out))))
    assert list(rows[1][0])[9:-2] == ["negative", "positive", "neutral"]
    for apart, merged in zip(rows[0][1:], rows[1][1:], strict=True):
        total = sum(float(apart[label]) for label in ("angry", "disgust", "fear", "sad"))
        assert float(merged["negative"]) == pytest.approx(total, abs=5e-6)
        assert merged["label"] == max(("negative", "positive", "neutral"), key=lambda label: float(merged[label]))
    assert emotion("predict", pictures / "b.png", "--annotate", tmp_path / "out", *groups) == 0
    assert (tmp_path / "out" / "b.png").exists()


def test_about_tells_the_labels(capsys):
    assert emotion("about") == 0
    assert json.loads(capsys.readouterr().out)["labels"] == list(EMOTIONS)


def test_prediction_imports_nothing_of_the_pipeline(pictures):
    code = (
        "import sys; from emotion.cli import main; status = main(sys.argv[1:]); "
        "heavy = {'tensorflow', 'keras', 'pydantic', 'pandas', 'sklearn', 'scipy', 'stages'} & set(sys.modules); "
        "sys.exit(f'imported {heavy}' if heavy else status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "predict", str(pictures / "b.png")], capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_closed_pipe_is_no_error(pictures):
    command = f'"{sys.executable}" -m emotion.cli predict "{pictures}" --json | head -c 1'
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == ("[", "")
