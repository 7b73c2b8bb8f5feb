"""`emotion score`: accuracy on a folder, names of labels, and what it refuses."""

import json

import numpy as np
import pytest

from emotion import cli
from emotion.dataset.labels import EMOTIONS
from emotion.inference.labelled_pictures import wilson_interval
from tests.support.sample_pictures import drawn_face, png


def emotion(*arguments: object) -> int:
    return cli.main([str(argument) for argument in arguments])


def test_score_counts_a_merged_label_whatever_the_folders_are_called(tmp_path, capsys):
    for number, folder in enumerate(["angry", "negative", "happy", "sadness"]):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.png").write_bytes(png(drawn_face(number)))
    assert emotion("score", tmp_path, "--no-detect", "--json", "--merge", "negative=angry,sad") == 0
    report = json.loads(capsys.readouterr().out)
    assert {label: sum(row.values()) for label, row in report["confusion"].items()} == {"negative": 3, "happy": 1}


def test_score_counts_by_label(tmp_path, capsys):
    for number in range(14):
        folder = tmp_path / EMOTIONS[number % 7].capitalize()
        folder.mkdir(exist_ok=True)
        (folder / f"{number}.png").write_bytes(png(drawn_face(number)))
    assert emotion("score", tmp_path, "--no-detect", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["scored"] == 14
    right = sum(report["confusion"][label][label] for label in EMOTIONS)
    assert report["accuracy"] == pytest.approx(right / 14, abs=1e-6)
    assert report["interval"]["low"] <= report["accuracy"] <= report["interval"]["high"]
    assert emotion("score", tmp_path, "--no-detect") == 0
    assert "accuracy" in capsys.readouterr().out


def test_score_leaves_pictures_without_a_face_out_and_says_so(tmp_path, capsys):
    (tmp_path / "happy").mkdir()
    (tmp_path / "happy" / "a.png").write_bytes(png(drawn_face(3)))
    (tmp_path / "happy" / "b.png").write_bytes(png(np.full((60, 60), 90, np.uint8)))
    (tmp_path / "happy" / "c.png").write_bytes(b"junk")
    assert emotion("score", tmp_path, "--json") == 2
    out, err = capsys.readouterr()
    report = json.loads(out)
    assert (report["scored"], report["without_face"], report["unusable"]) == (1, 1, 1)
    assert err.endswith("c.png: not an image\n")


@pytest.mark.parametrize(("folder", "message"), [("joy", "not a label of the model: joy;"), (None, "no picture")])
def test_score_explains_wrong_folders(tmp_path, capsys, folder, message):
    if folder:
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.png").write_bytes(png(drawn_face(3)))
    assert emotion("score", tmp_path) == 2
    assert message in capsys.readouterr().err


NAMES = {"joyous": "happy", "glad": "happy", "grim": "sad", "odd": None}


@pytest.mark.parametrize("given", ["file", "written out", "longer than a file's name can be"])
def test_score_takes_other_names_of_labels(tmp_path, capsys, given):
    for number, name in enumerate([*NAMES, "Surprise"]):
        (tmp_path / "faces" / name).mkdir(parents=True)
        (tmp_path / "faces" / name / "a.png").write_bytes(png(drawn_face(number)))
    names = "joyous=happy, glad=happy,grim=sad,odd="
    if given.startswith("longer"):
        names += "".join(f",there_is_no_folder_{number}=" for number in range(300))
    if given == "file":
        names = tmp_path / "params.yaml"
        names.write_text("data:\n  labels: {joyous: happy, glad: happy, grim: sad, odd: null}\n")
    assert emotion("score", tmp_path / "faces", "--no-detect", "--json", "--labels", names) == 0
    report = json.loads(capsys.readouterr().out)
    counts = {label: sum(row.values()) for label, row in report["confusion"].items()}
    assert counts == {"happy": 2, "sad": 1, "surprise": 1}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("", "there is no file"),
        ("x" * 400, "there is no file xxx"),
        ("gone.yaml", "there is no file gone.yaml; expected a params.yaml, or old=new"),
        ("joyous=joy", "renames to 'joy', which the model does not know; its labels are angry"),
        ("joyous=hapy", "did you mean 'happy'?"),
        ("a=happy,a=sad", "'a' is there twice; name each subfolder once"),
        ("=happy", "'=happy' is not old=new"),
        ("=", "'=' is not old=new; expected"),
        ("a=happy,b", "'b' is not old=new"),
        ("list.yaml", "has no data.labels that map old names to new ones"),
        ("numbers.yaml", "has no data.labels that map old names to new ones"),
        ("empty.yaml", "must hold sections"),
        ("joyous=happy", "not a label of the model: grim;"),
    ],
)
def test_score_explains_wrong_names_in_one_line(tmp_path, capsys, monkeypatch, names, message):
    monkeypatch.chdir(tmp_path)
    for name in ("joyous", "grim"):
        (tmp_path / "faces" / name).mkdir(parents=True)
        (tmp_path / "faces" / name / "a.png").write_bytes(png(drawn_face(3)))
    for name, text in (("list", "data: [a]"), ("numbers", "data: {labels: {a: 1}}"), ("empty", "")):
        (tmp_path / f"{name}.yaml").write_text(text)
    assert emotion("score", "faces", "--no-detect", "--labels", names) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1


def test_wilson_interval_by_hand():
    low, high = wilson_interval(8, 10)
    assert (low, high) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson_interval(0, 10)[0] == 0 and wilson_interval(10, 10)[1] == 1
