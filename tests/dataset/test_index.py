"""An index read again: what it lists, and what each face is to be answered with."""

from pathlib import Path

import pytest

from emotion.dataset import index
from emotion.dataset.index import read_targets, summarize

PLAIN = "path,label,label_index,subset\ntrain/sad/1.png,sad,1,\ntrain/nan/2.png,nan,0,\ntrain/sad/3.png,sad,1,\n"
VOTED = (
    "path,label,label_index,subset,crowd,votes_bored,votes_sad\n"
    "train/sad/1.png,sad,1,,sad,1,8\ntrain/nan/2.png,nan,0,,,0,0\ntrain/sad/3.png,sad,1,,bored,9,0\n"
)


@pytest.fixture(params=[1, 8192], ids=["row by row", "at once"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(index, "_AT_ONCE", request.param)
    (tmp_path / "plain.csv").write_text(PLAIN)
    (tmp_path / "voted.csv").write_text(VOTED)
    return tmp_path


def test_a_summary_has_the_labels_in_their_order_and_those_that_people_could_vote_for(folder: Path) -> None:
    assert summarize(folder / "plain.csv") == (3, ["nan", "sad"], [])
    assert summarize(folder / "voted.csv") == (3, ["nan", "sad"], ["bored", "sad"])


def test_targets_are_the_label_and_where_there_are_votes_what_the_crowd_said(folder: Path) -> None:
    paths = ["train/sad/1.png", "train/nan/2.png", "train/sad/3.png"]
    assert list(read_targets(folder / "plain.csv")) == list(zip(paths, [(1,), (0,), (1,)], strict=True))
    answers = [(1, 1, [1, 8]), (0, -1, [0, 0]), (1, 0, [9, 0])]
    assert list(read_targets(folder / "voted.csv")) == list(zip(paths, answers, strict=True))
