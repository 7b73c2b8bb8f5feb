"""docs/using.md: what it says that the commands print, and what the benchmarks wrote of folders and small faces."""

import argparse
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from emotion import cli
from emotion.commands.terminal.options import add_model_options
from emotion.dataset.labels import OTHER_NAMES
from emotion.inference.models import PUBLISHED
from tests.support.evaluated import ROOT
from tests.support.sample_pictures import png, write_examples

PAGE = ROOT / "docs/using.md"


@pytest.fixture
def _in_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with the pictures and the clip of the page."""
    write_examples(tmp_path)
    monkeypatch.chdir(tmp_path)


def printed(command: str) -> list[str]:
    """The lines that the page has below a command, up to the next one or the end of the block."""
    page = PAGE.read_text(encoding="utf-8")
    after = page[page.index(f"$ {command}\n") :].partition("\n")[2]
    return re.split(r"^(?:\$|```)", after, maxsplit=1, flags=re.MULTILINE)[0].splitlines()


@pytest.mark.usefixtures("_in_examples")
def test_pictures_are_labelled_as_the_page_shows(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["predict", "sheet.png", "wall.jpg", "notes.jpg"]) == 2
    out, err = capsys.readouterr()
    assert_alike([*out.splitlines(), *err.splitlines()], printed("emotion predict sheet.png wall.jpg notes.jpg"))


@pytest.mark.usefixtures("_in_examples")
def test_a_file_of_boxes_is_read_as_the_page_shows(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["predict", "sheet.png", "wall.jpg", "--output", "faces.csv"]) == 0
    arguments = ["predict", "--boxes", "faces.csv", "--merge", "negative=angry,disgust,fear,sad"]
    assert cli.main(arguments) == 0
    assert_alike(capsys.readouterr().out.splitlines(), printed(f"emotion {' '.join(arguments)}"))


@pytest.mark.usefixtures("_in_examples")
def test_the_tables_begin_as_the_page_shows(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["predict", "sheet.png", "--csv", "--min-confidence", "0.5"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert_alike(rows[:2], printed("emotion predict sheet.png --csv --min-confidence 0.5 | head -2"))
    assert cli.main(["video", "clip.avi", "--csv", "labelled.csv"]) == 0
    told = printed("emotion video clip.avi --output labelled.mp4 --csv labelled.csv")[0]
    assert capsys.readouterr().out.partition("),")[2].strip() == told.partition("),")[2].strip()
    assert_alike(Path("labelled.csv").read_text().splitlines()[:3], printed("head -3 labelled.csv"))


def assert_alike(lines: list[str], shown: list[str]) -> None:
    """The words are those shown, the numbers nearly: another processor may round a share or a box otherwise."""
    number = r"\d+(?:\.\d+)?"
    for line, expected in zip(lines, shown, strict=True):
        assert re.sub(number, "#", " ".join(line.split())) == re.sub(number, "#", " ".join(expected.split()))
        for found, other in zip(re.findall(number, line), re.findall(number, expected), strict=True):
            assert float(found) == pytest.approx(float(other), abs=0.02 if "." in other else 2)


def test_the_options_that_commands_share_are_named() -> None:
    parser = argparse.ArgumentParser(add_help=False)
    add_model_options(parser)
    sentence = re.search(r"^`score`, `video` and `app` know (.*?) too\.", PAGE.read_text(encoding="utf-8"), re.S | re.M)
    assert sentence and sorted(re.findall(r"`(.*?)`", sentence[1])) == sorted(parser._option_string_actions)


def test_other_names_of_the_labels_are_listed_and_contempt_can_be_left_out(tmp_path: Path) -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert all(f"`{name}`" in page for name in OTHER_NAMES)
    for name in [*OTHER_NAMES, "contempt"]:
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.png").write_bytes(png(np.full((48, 48), 90, np.uint8)))
    assert "`--labels contempt=`" in page
    assert cli.main(["score", str(tmp_path), "--no-detect"]) == 2
    assert cli.main(["score", str(tmp_path), "--no-detect", "--labels", "contempt="]) == 0


def test_the_folders_figures_are_those_of_the_committed_file() -> None:
    page = PAGE.read_text(encoding="utf-8")
    results = json.loads((ROOT / "benchmarks/results/folder.json").read_text())["pictures"]
    for pictures, found in results.items():
        rate, core_ms = found["pictures_per_second"], found["core_ms_per_picture"]
        assert f"| {int(pictures):,} | {rate:.0f} | {core_ms:.0f} | {found['resident_mb']} |" in page
    assert results["10000"]["resident_mb"] - results["1000"]["resident_mb"] < 50


def test_the_figures_of_small_faces_are_those_of_the_committed_files() -> None:
    page = PAGE.read_text(encoding="utf-8")
    found, labels = (
        json.loads((ROOT / f"benchmarks/results/small_{name}.json").read_text()) for name in ("faces", "labels")
    )
    for way, counts in found["ways"].items():
        of_photographs = (counts[key] for key in ("found", "missed", "false", "clean_pictures", "ms"))
        assert f"| {' | '.join(map(str, [way, *counts['found_of_size'].values(), *of_photographs]))} |" in page
    assert f"| {' | '.join(f'{100 * share:.1f} %' for share in labels['accuracy'].values())} |" in page
    assert {*found["faces"].values()} == {93, 86} and f"took {found['decoding_ms']} ms more" in page
    for once, twice in (ways.values() for ways in found["changed"].values()):
        assert once == twice


def test_the_score_that_is_shown_is_the_shipped_models() -> None:
    shrunk = json.loads((ROOT / "benchmarks/results/small_labels.json").read_text())["accuracy"]
    shown = printed("emotion score private_test --no-detect")[0]
    assert shown.startswith(f"accuracy {100 * shrunk['48']:.2f}%")


def test_the_speeds_are_those_of_the_committed_file() -> None:
    page = PAGE.read_text(encoding="utf-8")
    result = json.loads((ROOT / "benchmarks/results/speed.json").read_text())
    for model, figures in result["models"].items():
        assert f"| {' | '.join([model, *(f'{value:g}' for value in figures.values())])} |" in page
    assert result["models"]["model.tflite"]["MB"] == pytest.approx(PUBLISHED.stat().st_size / 1e6, abs=0.01)
    finding = result["finding_ms"]
    assert f"{finding['pictures']:g} ms in a picture, {finding['videos']:g} ms in a frame" in page
    assert result["machine"]["load"] <= 0.3


def test_the_figures_of_both_priors_are_those_of_the_committed_files() -> None:
    page = (ROOT / "docs/using.md").read_text(encoding="utf-8")
    measured = json.loads((ROOT / "benchmarks/results/others.json").read_text())
    priors = measured["models"]["published"]["priors"]["PrivateTest"]
    for source, by in (("ferplus", "by the crowd"), ("fer2013", "by FER2013's labels")):
        training, even = priors[source]["training"], priors[source]["even"]
        both = f"{100 * training['accuracy']:.1f} % | {100 * training['balanced_accuracy']:.1f} %"
        assert f"| {by} | training (default) | {both} | {training['ece']:.3f} |" in page
        assert f"| {by} | even | | {100 * even['balanced_accuracy']:.1f} % | {even['ece']:.3f} |" in page


def test_what_even_costs_is_that_of_the_published_predictions() -> None:
    faces = pd.read_csv(ROOT / "results/fer2013/predictions.csv")
    counts = json.loads((ROOT / "results/fer2013/metrics/split.json").read_text())["images"]["train"]
    labels = [name for name in counts if name != "total"]
    even = faces[labels] / [counts[label] for label in labels]
    costs = " instead of ".join(
        f"{100 * (table.idxmax(axis=1) == faces['label']).mean():.1f} %" for table in (even, faces[labels])
    )
    page = " ".join((ROOT / "docs/using.md").read_text(encoding="utf-8").split())
    assert f"all {len(faces):,} test faces): {costs}." in page


def test_framing_costs_what_was_measured() -> None:
    page = (ROOT / "docs/using.md").read_text(encoding="utf-8")
    found = json.loads((ROOT / "benchmarks/results/framing.json").read_text())
    for canvas, row in found["pasted"].items():
        shares = (f"{100 * row[key]:.1f} %" for key in ("own", "not_turned", "turned"))
        points = f"{100 * row['points']:+.1f} ± {100 * row['points_error']:.1f}"
        side = f"{row['side']:.2f} ± {row['side_std']:.2f}"
        cells = (canvas, f"{100 * row['found']:.1f} %", row.get("strangers", ""), side, *shares, points)
        assert f"| {' | '.join(map(str, cells))} |" in page
    for degrees, row in found["turned"].items():
        shares = (f"{100 * row[key]:.1f} %" for key in ("found", "own", "not_turned", "turned"))
        assert f"| {degrees}° | {' | '.join(shares)} |" in page
    found = found["as_they_are"]
    cropped, whole = (f"{100 * found[key]:.1f} %" for key in ("turned", "own"))
    said = f"{found['found']:,} faces. Of these, {cropped} are labelled correctly by YuNet's square, and {whole} by the"
    assert said in " ".join(page.split())
