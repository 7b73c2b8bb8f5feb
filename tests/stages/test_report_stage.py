"""The report stage on a tiny evaluation: figures, sheets and the page."""

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.support import evaluated

EMPTY = {"meta", "link", "img", "br"}  # elements without an end


class Page(HTMLParser):
    """What a page refers to, its pictures, its text; an element left open or closed twice is an error."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.pictures: list[dict[str, str | None]] = []
        self.tags: set[str] = set()
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in EMPTY:
            self.open.append(tag)
        values = dict(attrs)
        self.addresses += [values[name] or "" for name in ("src", "href", "srcset", "action") if name in values]
        if tag == "img":
            self.pictures.append(values)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def reported(project: Path) -> Path:
    evaluated.write_histories(project, [0, 1])
    one = evaluated.run_report(project, "one", members=[0])
    many = evaluated.run_report(project, "many", members=[0, 1], views=evaluated.TEN, robustness=True)
    assert (one, many) == ("", "")
    return project


@pytest.mark.parametrize("out", ["one", "many"])
def test_page_stands_alone(reported: Path, out: str) -> None:
    text = (reported / out / "report.html").read_text()
    page = Page(text)
    assert page.addresses and all(address.startswith("data:") for address in page.addresses)
    assert "script" not in page.tags
    assert "http" not in text.replace("http-equiv", "") and "url(" not in text and "@import" not in text


@pytest.mark.parametrize(("out", "pictures"), [("one", 12), ("many", 13)])
def test_every_picture_says_what_it_shows(reported: Path, out: str, pictures: int) -> None:
    page = Page((reported / out / "report.html").read_text())
    assert len(page.pictures) == pictures
    for picture in page.pictures:
        assert len(picture["alt"] or "") > 20
        assert int(picture["width"] or 0) > 300 and int(picture["height"] or 0) > 100


def test_page_shows_headline_intervals_and_parameters(reported: Path) -> None:
    text = Page((reported / "many/report.html").read_text()).text
    report = json.loads((reported / "many/evaluate.json").read_text())
    for value in (report["accuracy"], *report["intervals"]["accuracy"].values(), report["single_view"]["accuracy"]):
        assert f"{100 * value:.1f}\N{NO-BREAK SPACE}%" in text
    for key in ("data.source", "split.near.min_correlation", "evaluate.views.shift_px", "train.learning_rate"):
        assert key in text
    assert "2 have an exact one" in " ".join(text.replace("of 48", "").split()) and "in 10 views each" in text


def test_page_escapes_what_people_write(reported: Path) -> None:
    text = (reported / "one/report.html").read_text()
    assert "Tiny &lt;faces&gt; &amp; more" in text and "<faces>" not in text


def test_outputs_are_those_of_dvc_yaml(reported: Path) -> None:
    from ruamel.yaml import YAML

    plots = YAML(typ="safe").load(evaluated.ROOT / "dvc.yaml")["stages"]["report"]["plots"]
    declared = {Path(next(iter(plot)) if isinstance(plot, dict) else plot) for plot in plots}
    for out in ("one", "many"):
        assert {file.name for file in (reported / out / "figures").iterdir()} == {
            file.name for file in declared if file.parent == Path("metrics/figures")
        }
        assert {file.name for file in (reported / out / "faces").iterdir()} == {
            file.name for file in declared if file.parent == Path("data/figures")
        }


def test_a_member_that_was_removed_is_not_drawn(reported: Path) -> None:
    curve = (reported / "one/figures/training_loss.png").read_bytes()
    removed = reported / "history/1.csv"
    kept = removed.read_text()
    removed.unlink()
    try:
        evaluated.run_report(reported, "one", members=[0])
    finally:
        removed.write_text(kept)
    assert (reported / "one/figures/training_loss.png").read_bytes() == curve


def test_reporting_again_gives_the_same_bytes(reported: Path) -> None:
    before = {file: file.read_bytes() for file in (reported / "one").rglob("*.png")}
    before[reported / "one/report.html"] = (reported / "one/report.html").read_bytes()
    evaluated.run_report(reported, "one", members=[0])
    assert len(before) == 13
    assert {file: file.read_bytes() for file in before} == before
