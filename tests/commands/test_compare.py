import json
import os
import subprocess
from argparse import ArgumentParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emotion import cli
from emotion.commands.compare import add_arguments, compare, run
from emotion.commands.compared_runs import draw_curves, load_curves, load_predictions, read_curves
from emotion.evaluation.predictions import Predictions, rounded
from emotion.foundation.errors import UserError

NAMES = ["happy", "sad"]
ROOT = Path(__file__).parents[2]
RUNS = {"a": [True, False, False, False], "b": [True, True, False, False], "c": [True] * 4}


def predictions(right: list[bool], *, labels: list[str] | None = None, first: int = 0) -> Predictions:
    """Predictions of 80 % confidence, right where asked for; labels alternate."""
    labels = labels or [NAMES[n % 2] for n in range(len(right))]
    said = [NAMES.index(label) ^ (not hit) for label, hit in zip(labels, right, strict=True)]
    probabilities = rounded(np.where(np.eye(2)[said] > 0, 0.8, 0.2))
    paths = [f"test/{label}/{first + n}.png" for n, label in enumerate(labels)]
    blank = [""] * len(right)
    return Predictions(paths, labels, blank, blank, NAMES, probabilities)


def test_mcnemar_by_hand() -> None:
    # Of 20 faces 10 are right in both, 8 in B alone, 2 in A alone: p = 2 P(X <= 2), X ~ Binomial(10, 1/2).
    found = compare(predictions([True] * 12 + [False] * 8), predictions([True] * 10 + [False] * 2 + [True] * 8))
    assert (found.faces, found.a_alone, found.b_alone) == (20, 2, 8)
    assert found.p_value == pytest.approx(2 * (1 + 10 + 45) / 2**10)
    assert (found.accuracy.a, found.accuracy.b) == (0.6, 0.9)
    assert found.accuracy.interval is not None
    assert found.accuracy.difference == pytest.approx(0.3)
    assert found.accuracy.interval.low < 0.3 < found.accuracy.interval.high
    assert "not larger than chance" in found.verdict


def test_interval_of_the_difference_is_paired() -> None:
    # B repairs exactly 30 of 300: unpaired, the interval would be more than twice as wide.
    a = predictions([True] * 150 + [False] * 150)
    found = compare(a, predictions([True] * 180 + [False] * 120))
    assert found.accuracy.interval is not None
    width = found.accuracy.interval.high - found.accuracy.interval.low
    assert width == pytest.approx(2 * 1.96 * np.sqrt(0.1 * 0.9 / 300), rel=0.1)
    assert found.verdict.startswith("B is better")
    assert compare(predictions([True] * 180 + [False] * 120), a).verdict.startswith("A is better")


def test_the_same_predictions_do_not_differ() -> None:
    a = predictions([True, False, True])
    found = compare(a, a)
    assert found.p_value == 1 and found.accuracy.interval == (0, 0)


def test_faces_are_matched_by_path_and_labels_by_name() -> None:
    a, b = predictions([True] * 6), predictions([True] * 6, first=2)
    swapped = Predictions(b.paths, b.labels, b.subsets, b.copies, NAMES[::-1], b.probabilities[:, ::-1])
    found = compare(a, swapped)
    assert (found.faces, found.only_a, found.only_b, found.accuracy.b) == (4, 2, 2, 1.0)
    assert "not compared: 2 only in A, 2 only in B" in found.to_table()


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (predictions([True] * 3, first=50), "share no face"),
        (Predictions(["test/happy/0.png"], ["x"], [""], [""], ["x", "y"], np.full((1, 2), 0.5)), "different labels"),
        (Predictions(["test/happy/0.png"], ["sad"], [""], [""], NAMES, np.full((1, 2), 0.5)), "different true labels"),
    ],
)
def test_what_cannot_be_compared_is_refused(other: Predictions, message: str) -> None:
    with pytest.raises(UserError, match=message):
        compare(predictions([True] * 3), other)


def test_table_and_json_say_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, table in (("a", predictions([True, False] * 20)), ("b", predictions([True] * 40))):
        (tmp_path / f"{name}.csv").write_text(table.to_csv())
    parser = ArgumentParser()
    add_arguments(parser)
    run(parser.parse_args([str(tmp_path / "a.csv"), str(tmp_path / "b.csv")]))
    table = capsys.readouterr().out
    run(parser.parse_args([str(tmp_path / "a.csv"), str(tmp_path / "b.csv"), "--json"]))
    content = json.loads(capsys.readouterr().out)
    assert content["verdict"] in table and "+0.5000" in table
    assert content["accuracy"]["difference"] == 0.5 and content["log_loss"]["interval"] is None
    assert content["accuracy"]["interval"]["low"] < 0.5 < content["accuracy"]["interval"]["high"]


def test_revisions_are_read_through_dvc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def sh(command: str) -> None:
        subprocess.run(command, shell=True, check=True, capture_output=True)

    sh("git init -q . && git config user.email t@example.org && git config user.name t && dvc init -q")
    sh("git commit -qm 'no run' && git tag empty")
    (tmp_path / "data").mkdir()
    tables = {"v1": predictions([True, False]), "v2": predictions([True, True])}
    for tag, table in tables.items():
        (tmp_path / "data/predictions.csv").write_text(table.to_csv())
        sh(f"dvc add -q data/predictions.csv && git add . && git commit -qm {tag} && git tag {tag}")
    for tag, table in tables.items():
        assert load_predictions(tag).to_csv() == table.to_csv()
    with pytest.raises(UserError, match="'nowhere' is neither a CSV file, nor a folder with one, nor a Git revision"):
        load_predictions("nowhere")
    with pytest.raises(UserError, match="'empty' has no data/predictions.csv: .* run `dvc repro`"):
        load_predictions("empty")


def write_run(folder: Path, right: list[bool]) -> Path:
    """A folder as results/fer2013 is: predictions.csv, and the learning curves of one member."""
    (folder / "metrics/history").mkdir(parents=True)
    (folder / "predictions.csv").write_text(predictions(right).to_csv())
    curve = "epoch,accuracy,loss,val_accuracy,val_loss\n1,0.2,2.0,0.3,1.9\n2,0.4,1.5,0.5,1.4\n"
    (folder / "metrics/history/0.csv").write_text(curve)
    return folder


def test_a_published_result_is_named_by_its_folder(tmp_path: Path) -> None:
    published = write_run(tmp_path / "results/mine", [True, False])
    assert load_predictions(str(published)).to_csv() == predictions([True, False]).to_csv()
    assert len(load_predictions(str(ROOT / "results/fer2013")).paths) == 7178
    with pytest.raises(UserError, match=r"holds neither predictions\.csv nor data/predictions\.csv"):
        load_predictions(str(tmp_path))


def test_predictions_that_are_not_in_the_cache_say_how_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lock = "schema: '2.0'\nstages:\n  a:\n    cmd: a\n    outs:\n    - path: data/predictions.csv\n"
    (tmp_path / "dvc.lock").write_text(f"{lock}      hash: md5\n      md5: {'0' * 32}\n      size: 1\n")
    (tmp_path / "dvc.yaml").write_text("stages:\n  a:\n    cmd: a\n    outs: [data/predictions.csv]\n")
    git = "git -c user.email=t@example.org -c user.name=t"
    command = f"git init -q -b main . && dvc init -q && git add . && {git} commit -qm run"
    subprocess.run(command, shell=True, check=True, capture_output=True)
    with pytest.raises(UserError, match=r"of 'main' are not in this clone's cache; .*results/fer2013"):
        load_predictions("main")


def test_several_runs_are_compared_with_the_first_and_drawn_in_one_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b, c = (str(write_run(tmp_path / name, right)) for name, right in RUNS.items())
    parser = ArgumentParser()
    add_arguments(parser)
    run(parser.parse_args([a, b, c, "--plot", str(tmp_path / "curves.png")]))
    assert capsys.readouterr().out.count(f"A: {a}, B: ") == 2
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.size == (1430, 572)
    run(parser.parse_args([a, b, c, "--json"]))
    assert [each["accuracy"]["b"] for each in json.loads(capsys.readouterr().out)] == [0.5, 1.0]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "has no column `epoch`"),
        (b"\n\n", "has no column `epoch`"),
        (b"accuracy,val_accuracy,val_loss\n0.1,0.1,1\n", "has no column `epoch`"),
        (b"epoch,val_loss,val_loss,val_accuracy\n1,1,1,1\n", "or a column twice"),
        (b"epoch,val_accuracy,val_loss\n1,0.5,1,7\n", "a row has fewer or more fields"),
        (b"epoch,val_accuracy,val_loss\n1,0.5\n", "a row has fewer or more fields"),
        (b"epoch,val_accuracy,val_loss\n1,good,1\n", "row 1: 'good' is no number"),
        (b"epoch,val_accuracy,val_loss\n1,1_0,1\n", "row 1: '1_0' is no number"),
        (b"epoch,val_accuracy,val_loss\n,0.5,1\n", "an epoch without a number"),
        (b'epoch,val_accuracy,val_loss\n"1,0.5,1\n', "is not a table"),
        (b"epoch,val_accuracy,val_loss\n\xff,0.5,1\n", "is not text in UTF-8"),
        (b"epoch,val_accuracy,val_loss\n" + bytes(10_000_000), "is larger than 10 MB"),
    ],
)
def test_a_damaged_history_is_one_line_and_no_picture(
    content: bytes, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = (str(write_run(tmp_path / name, [True])) for name in "ab")
    (tmp_path / "b/metrics/history/0.csv").write_bytes(content)
    assert cli.main(["compare", a, b, "--plot", str(tmp_path / "x.png")]) == 2
    out, err = capsys.readouterr()
    assert says in err and "0.csv" in err and err.count("\n") == 1 and out == ""
    assert not (tmp_path / "x.png").exists()


def test_a_training_that_diverged_is_drawn(tmp_path: Path) -> None:
    (table,) = [read_curves("x", b"epoch,val_accuracy,val_loss\n1,0.5,nan\n2,,inf\n")]
    assert table["epoch"].tolist() == [1, 2] and table["val_loss"].isna().tolist() == [True, False]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no named pipes")
@pytest.mark.parametrize(
    ("plot", "says"),
    [
        ("a/predictions.csv", "give it a name that ends in .png"),
        ("table.png", "is one of the files to compare; name another"),
        ("curve.png", "is one of the files to compare; name another"),
        ("pipe.png", "it is a pipe or a device"),
        ("folder.png", "it is a folder; name a file in it"),
    ],
)
def test_a_plot_replaces_nothing_that_is_read(
    plot: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = (str(write_run(tmp_path / name, [True])) for name in "ab")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "table.png").hardlink_to(tmp_path / "b/predictions.csv")
    (tmp_path / "curve.png").symlink_to("a/metrics/history/0.csv")
    assert cli.main(["compare", a, b, "--plot", str(tmp_path / plot)]) == 2
    out, err = capsys.readouterr()
    assert says in err and err.count("\n") == 1 and out == ""
    assert (tmp_path / "pipe.png").is_fifo() and (tmp_path / "curve.png").is_symlink()
    assert load_predictions(a).paths == load_predictions(str(tmp_path / "table.png")).paths


def test_a_picture_of_more_runs_has_more_lines(tmp_path: Path) -> None:
    curves = load_curves(str(write_run(tmp_path / "a", [True])))
    one, two = draw_curves({"a": curves}), draw_curves({"a": curves, "b": {"0": curves["0"] + 0.1}})
    assert one.startswith(b"\x89PNG") and one != two
    (tmp_path / "a/metrics/history/0.csv").write_text("epoch,accuracy,loss\n1,0.2,2.0\n")
    with pytest.raises(UserError, match=r"no validation curves in metrics/history"):
        load_curves(str(tmp_path / "a/predictions.csv"))
