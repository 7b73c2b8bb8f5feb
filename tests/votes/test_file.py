"""`data.votes: file`: votes.csv beside one's own pictures."""

from pathlib import Path

import pytest

from emotion.dataset.archive.faces import Dataset, Votes
from emotion.foundation.errors import UserError
from emotion.votes.file.source import VoteSource

FACES = Dataset(dict.fromkeys(["train/glad/1.png", "train/sad/1.png", "test/sad/2.png"]), bytes)
GOOD = "path,sad,glad,unknown\nglad/1.png,1,2,0\ntest/sad/2.png,4,0,1\n"


def votes(folder: Path, text: str) -> Votes:
    (folder / "votes.csv").write_text(text)
    return VoteSource().votes(FACES, folder, folder / "cache")


def test_votes_are_joined_by_path_and_missing_columns_are_no_votes(tmp_path: Path) -> None:
    assert votes(tmp_path, GOOD) == Votes(
        ("sad", "glad"), {"train/glad/1.png": (1, 2, 0, 0), "test/sad/2.png": (4, 0, 1, 0)}
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "its first line is ''; expected the column `path`"),
        ("file,sad,glad\n", "expected the column `path`"),
        ("path,unknown\n", "expected the column `path` and one for each label"),
        ("path,sad,sad,glad\n", "each name once"),
        ("path,sad\n", r"has no column for \['glad'\]"),
        (GOOD + "glad/9.png,1,1,0\n", "line 4: the data set has no picture 'glad/9.png'; expected paths such as"),
        (GOOD + "train/glad/1.png,1,1,0\n", "line 4: train/glad/1.png has votes on an earlier line too"),
        (GOOD.replace("4,0,1", "4,x,1"), "line 3: 'x' is not a number of votes"),
        (GOOD.replace("4,0,1", "4,0"), "line 3: 3 fields, but the header has 4"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=says) as caught:
        votes(tmp_path, text)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data\.votes is `file`, but there is no .*votes\.csv; put it there"):
        VoteSource().votes(FACES, tmp_path, tmp_path)
