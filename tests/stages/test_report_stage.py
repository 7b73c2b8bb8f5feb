"""The report stage on a tiny evaluation: figures, sheets and the page."""

import json
import re
import shutil
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
        self.ids: list[str] = []
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
        self.ids += [values["id"] or ""] if "id" in values else []
        if tag == "img":
            self.pictures.append(values)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        self.text += " " if tag in {"dt", "dd", "th", "td"} else ""

    def handle_data(self, data: str) -> None:
        self.text += data if self.open[-1:] != ["style"] else ""


@pytest.fixture(scope="module")
def reported(project: Path) -> Path:
    evaluated.write_trainings(project, [0, 1])
    one = evaluated.run_report(project, "one", members=[0])
    many = evaluated.run_report(project, "many", members=[0, 1], views=evaluated.TEN, robustness=True)
    assert (one, many) == ("", "")
    return project


@pytest.mark.parametrize("out", ["one", "many"])
def test_page_stands_alone(reported: Path, out: str) -> None:
    text = (reported / out / "report.html").read_text()
    page = Page(text)
    assert page.addresses and all(address.startswith(("data:", "#")) for address in page.addresses)
    assert "script" not in page.tags
    assert "http" not in text.replace("http-equiv", "") and "url(" not in text and "@import" not in text


@pytest.mark.parametrize("out", ["one", "many"])
def test_the_contents_lead_to_every_section_and_picture(reported: Path, out: str) -> None:
    page = Page((reported / out / "report.html").read_text())
    assert len(set(page.ids)) == len(page.ids) > 15
    assert [address[1:] for address in page.addresses if address.startswith("#")] == page.ids


def test_the_page_begins_with_what_was_trained_on_what(reported: Path) -> None:
    text = " ".join(Page((reported / "one/report.html").read_text()).text.split())
    begin = text[: text.index("How far the numbers hold")]
    for words in ("3,115 parameters", "3 epochs; the weights after epoch 2 were kept", "3: happy, path, sad"):
        assert words in begin
    assert "faces that were drawn, not photographed" in begin and "Digest" in text and "0123abcd" in text
    assert "47 test faces." in begin
    assert not re.search(r"\s[.,;]", text)  # no space before a full stop


def test_figures_that_someone_added_are_on_the_page(reported: Path) -> None:
    file = reported / "one/evaluate.json"
    kept, page = file.read_text(), (reported / "one/report.html").read_bytes()
    report = json.loads(kept)
    report["per_label"]["sad"]["by_night"] = 0.123456
    file.write_text(json.dumps({**report, "cohen_kappa": 0.654321, "cameras": {"left": {"accuracy": 0.222222}}}))
    try:
        evaluated.run_report(reported, "one", members=[0])
        text = " ".join(Page((reported / "one/report.html").read_text()).text.split())
    finally:
        file.write_text(kept)
        (reported / "one/report.html").write_bytes(page)
    for words in ("Cohen kappa 0.654", "by night", "cameras.left.accuracy 0.222222", "per_label.sad.by_night 0.123456"):
        assert words in text, words


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


def test_page_shows_how_the_model_compares_with_people(reported: Path) -> None:
    """Scores as on votes, put in the place of those of a run without."""
    spans = {"low": 0.05, "high": 0.105}
    people = {key: {"accuracy": value, **spans} for key, value in (("person", 0.737), ("model_as_person", 0.81))}
    crowd = {
        **{"faces": 47, "excess_nats": 0.1875, **people, "model_minus_person": {"accuracy": 0.0735, **spans}},
        **{"plurality": {"faces": 40, "accuracy": 0.82, **spans}, "agreed": {"faces": 0}},
        "wrong_by_label": {"faces": 11, "right_by_crowd": 0.25},
    }
    changed = shutil.copytree(reported / "one", reported / "crowd")
    scores = json.loads((changed / "evaluate.json").read_text())
    (changed / "evaluate.json").write_text(json.dumps({**scores, "crowd": crowd}))
    rows = "person,all,0.7\nmodel,all,0.8\nperson,sad,0.6\nmodel,sad,0.7\n"
    (changed / "plots/crowd.csv").write_text(f"series,label,accuracy\n{rows}")
    (changed / "plots/crowd_agreement.csv").write_text("agreement,faces,accuracy\n50%-60%,15,0.625\n")
    evaluated.run_report(reported, "crowd", members=[0])
    text = " ".join(Page((changed / "report.html").read_text()).text.split())
    assert "the model minus a person 47 +7.3 points +5.0 – +10.5 " in text
    assert "by 0.188 nats a face" in text and "the label with the most votes 25.0 % of the time" in text
    assert "50–60 % 15 62.5 % " in text


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
