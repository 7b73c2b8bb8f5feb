"""What votes become: the label that is agreed on, the votes that are learnt from, merged labels."""

from pathlib import Path

import numpy as np
import pytest

from emotion.dataset.archive.faces import Votes
from emotion.dataset.votes import (
    agreed_labels,
    facts_table,
    read_rows,
    read_votes,
    rename_votes,
    vote_counts,
    voted_labels,
    votes_report,
    votes_to_learn,
    whole_votes,
    without_outliers,
)
from emotion.foundation.errors import UserError

# Two labels, then unknown and not_a_face.
CLEAR, HALF, TIE, UNKNOWN, NO_FACE, NOBODY = (
    [8, 2, 0, 0],
    [5, 2, 3, 0],
    [5, 5, 0, 0],
    [2, 1, 7, 0],
    [0, 0, 0, 10],
    [0] * 4,
)
ALL = np.array([CLEAR, HALF, TIE, UNKNOWN, NO_FACE, NOBODY])


def test_a_majority_is_more_than_half_and_a_plurality_more_than_any_other() -> None:
    assert agreed_labels(ALL, agreement="majority").tolist() == [0, -1, -1, -1, -1, -1]
    assert agreed_labels(ALL, agreement="plurality").tolist() == [0, 0, -1, -1, -1, -1]


def test_without_the_single_votes_a_half_is_a_majority() -> None:
    """As in FER+'s own program: 5 of 10 is none, 5 of the 9 that are left is one."""
    counts = np.array([[5, 4, 1, 0]])
    assert agreed_labels(counts, agreement="majority").tolist() == [-1]
    kept = without_outliers(counts, outlier_votes=1)
    assert kept.tolist() == [[5, 4, 0, 0]]
    assert agreed_labels(kept, agreement="majority").tolist() == [0]
    assert without_outliers(counts, outlier_votes=0).tolist() == counts.tolist()


def test_a_picture_in_which_most_see_no_emotion_is_not_learnt_from() -> None:
    assert votes_to_learn(ALL).tolist() == [[8, 2], [5, 2], [5, 5], [0, 0], [0, 0], [0, 0]]


def test_no_pictures_give_no_labels() -> None:
    empty = np.empty((0, 4), np.int64)
    assert agreed_labels(empty, agreement="majority").tolist() == []


def test_merged_labels_add_their_votes_and_dropped_ones_lose_them() -> None:
    votes = Votes(("happy", "glad", "odd"), {"train/glad/1.png": (1, 2, 3, 4, 5)})
    renamed = rename_votes(votes, {"glad": "happy", "odd": None}, {"train/glad/1.png": "train/happy/1_glad.png"})
    assert renamed == Votes(("happy",), {"train/happy/1_glad.png": (3, 4, 5)})


def test_the_table_of_facts_reads_back(tmp_path: Path) -> None:
    votes = Votes(("b", "a"), {"p": (1, 2, 3, 4)})
    (tmp_path / "facts.csv").write_text(facts_table(votes, {}, ["o", "p"]).to_csv(index=False))
    table = read_votes(tmp_path / "facts.csv")
    assert voted_labels(table.columns) == ["b", "a"]
    assert table["path"].tolist() == ["p"]
    assert vote_counts(table, ["a", "b"]).tolist() == [[2, 1, 3, 4]]
    assert vote_counts(table, ["a"], with_no_label=False).tolist() == [[2]]


def test_where_nobody_was_asked_the_table_is_its_header(tmp_path: Path) -> None:
    assert facts_table(None, {}, ["p"]).to_csv(index=False) == "path\n"
    (tmp_path / "facts.csv").write_text("path\n")
    assert voted_labels(read_votes(tmp_path / "facts.csv").columns) == []


@pytest.mark.parametrize("text", ["1_0", "٣", "-1", "1.5", "", "9999999"])
def test_votes_are_ascii_digits(text: str) -> None:
    with pytest.raises(UserError, match="line 2: .* is not a number of votes"):
        whole_votes(["3", text], where="votes.csv, line 2")


def test_a_row_that_is_cut_off_is_named(tmp_path: Path) -> None:
    (tmp_path / "votes.csv").write_text("path,a,b\nx,1,2\ny,1\n")
    with pytest.raises(UserError, match=r"votes\.csv, line 3: 2 fields, but the header has 3"):
        list(read_rows(tmp_path / "votes.csv", pictures=9)[1])


@pytest.mark.parametrize("name", ["unknown", "not_a_face"])
def test_no_label_is_renamed_to_what_is_none(name: str) -> None:
    with pytest.raises(UserError, match=f"data.labels: '{name}' is what people vote where they see no label"):
        rename_votes(Votes(("happy", "sad"), {"train/sad/1.png": (1, 2, 0, 0)}), {"happy": name}, {})


def test_the_report_counts_pictures_and_votes() -> None:
    votes = Votes(("happy", "sad"), {"a": (8, 2, 0, 0), "b": (1, 0, 4, 5)})
    assert votes_report(votes, 5) == {
        "votes": {"pictures": 2, "pictures_without": 3, "happy": 9, "sad": 2, "unknown": 4, "not_a_face": 5}
    }
    assert votes_report(None, 5) == {}
