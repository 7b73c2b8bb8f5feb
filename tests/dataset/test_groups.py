"""Groups of pictures: from file names, from a column of groups.csv, and as file names suggest them."""

import random
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from emotion.dataset import groups
from emotion.dataset.archive.faces import Dataset, DatasetError, Face, parse_path
from emotion.dataset.groups import groups_report, is_column, likely_groups, number_groups, read_groups
from emotion.dataset.layouts import relabel
from emotion.dataset.votes import facts_table, read_votes
from emotion.foundation.errors import UserError

POSED = [
    f"train/{label}/subject{person:02}_take{take}_{frame:04}.png"
    for label in ("happy", "sad")
    for person in range(6)
    for take in (1, 2)
    for frame in range(5)
]


def faces(paths: Iterable[str]) -> list[Face]:
    return [parse_path(path) for path in sorted(paths)]


def numbers(paths: list[str], group_by: str, facts: Path = Path("none")) -> list[int]:
    found = number_groups(faces(paths), group_by, facts)
    assert found is not None
    return found.tolist()


@pytest.mark.parametrize(
    ("group_by", "column"),
    [("subject", True), ("the camera", True), ("a-b_c", True), (r"(\d+)", False), ("a.c", False), ("x|y", False)],
)
def test_a_plain_word_is_a_column(group_by: str, column: bool) -> None:
    assert is_column(group_by) is column


def test_without_a_setting_there_are_no_groups() -> None:
    assert number_groups(faces(POSED), "", Path("none")) is None


@pytest.mark.parametrize(
    ("group_by", "expected"),
    [
        (r"subject(\d+)", [0, 0, 1, 1]),  # the group in parentheses
        (r"subject\d+", [0, 0, 1, 1]),  # the whole match
        (r"subject(\d+)_take(\d)", [0, 0, 1, 1]),  # the first of two
        (r"subject\d+_take\d", [0, 1, 2, 2]),
        (r"(?<=/)(a|b)(?=/)", [0, 0, 1, 1]),  # a folder
    ],
)
def test_a_regular_expression_finds_groups_in_the_path(group_by: str, expected: list[int]) -> None:
    paths = ["train/a/subject7_take1.png", "train/a/subject7_take2.png", "val/b/subject8_take1.png"]
    assert numbers([*paths, "val/b/subject8_take1.x.png"], group_by) == expected


@pytest.mark.parametrize(
    ("group_by", "message"),
    [
        (r"person(\d+)", r"gives 120 of 120 pictures no group, such as train/happy/subject00_take1_0000\.png; it must"),
        (r"subject(0*)[1-9]_", "gives 20 of 120 pictures no group"),  # 00 does not match
        (r"take1_00(x?)", "gives 120 of 120 pictures no group"),  # an empty group is none
        (r"(subject)\d", r"gives all 120 pictures one group, such as 'subject'; expected several"),
        (r"[^/]+/[^/]+$", "gives each of 120 pictures a group of its own, such as 'happy/subject00_take1_0000.png'"),
    ],
)
def test_groups_that_are_none_are_refused_in_one_line(group_by: str, message: str) -> None:
    with pytest.raises(DatasetError, match=message) as caught:
        numbers(POSED, group_by)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("split.group_by: ")


def test_a_regular_expression_that_never_ends_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "_MOST_S", 0.2)
    with pytest.raises(DatasetError, match=r"takes more than 0\.2 s for one path, train/happy/subject00"):
        numbers(POSED, "(.*)*!")
    assert numbers(POSED[:2] + POSED[-2:], r"subject(\d+)") == [0, 0, 1, 1]  # and nothing is left of the alarm


@pytest.mark.parametrize("has_alarm", [True, False])
def test_a_regular_expression_that_is_slow_on_each_path_is_stopped(
    has_alarm: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(groups, "_MOST_S", 5.0)
    monkeypatch.setattr(groups, "_MOST_ALL_S", 0.5)
    if not has_alarm:  # as on Windows
        monkeypatch.delattr(groups.signal, "setitimer")
    many, began_s = [f"train/a/{'x' * 14}{n:05}.png" for n in range(3000)], time.monotonic()
    with pytest.raises(DatasetError, match=r"takes more than 0\.5 s for all paths together: [\d,]+ of 3,000 are read"):
        numbers(many, r"(x+x+)+!")
    assert time.monotonic() - began_s < 20
    monkeypatch.undo()
    assert numbers(POSED[:2] + POSED[-2:], r"subject(\d+)") == [0, 0, 1, 1]


# --- groups.csv -------------------------------------------------------------------------------------------------------

FACES = Dataset(dict.fromkeys(["train/glad/1.png", "train/sad/1.png", "test/sad/2.png"]), bytes)
GOOD = "path,subject,the camera\nglad/1.png,007,\ntest/sad/2.png,007, front \ntrain/sad/1.png,8,\n"


def beside(folder: Path, text: str, dataset: Dataset = FACES) -> dict[str, dict[str, str]]:
    (folder / "groups.csv").write_text(text)
    return read_groups(dataset, folder)


def test_without_a_file_there_are_no_groups(tmp_path: Path) -> None:
    assert read_groups(FACES, tmp_path) == {}


def test_columns_are_read_as_text_and_empty_fields_are_no_group(tmp_path: Path) -> None:
    assert beside(tmp_path, GOOD) == {
        "subject": {"train/glad/1.png": "007", "test/sad/2.png": "007", "train/sad/1.png": "8"},
        "the camera": {"test/sad/2.png": "front"},
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "its first line is ''; expected the column `path` and one or more others"),
        ("path\n", "expected the column `path` and one or more others"),
        ("file,subject\n", "expected the column `path`"),
        ("path,subject,subject\n", "each name once"),
        ("path,who?\n", "of letters, digits"),
        (GOOD + "glad/9.png,1,\n", "line 5: the data set has no picture 'glad/9.png'; expected paths such as"),
        (GOOD.replace("front", "fr\0nt"), r"line 3: the camera fr\\x00nt holds characters that no table can"),
        (GOOD + "x" * 2_000_000, "bytes; a table of groups for 3 pictures has at most 1,007,500"),
        ("path" + ",a" * 2000 + "\n", "has 2,001 columns; a table of groups has at most 100"),
        (GOOD + "train/glad/1.png,1,\n", "line 5: train/glad/1.png is on an earlier line too"),
        (GOOD + "glad/1.png,1\n", "line 5: 2 fields, but the header has 3"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=says) as caught:
        beside(tmp_path, text)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_text_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "groups.csv").write_bytes(b"path,subject\n\xff\xfe,7\n")
    with pytest.raises(UserError, match="cannot be read as a CSV of groups"):
        read_groups(FACES, tmp_path)


def test_merged_and_dropped_labels_take_their_groups_along() -> None:
    groups = {"subject": {"train/glad/1.png": "7", "train/sad/1.png": "8"}}
    merged = relabel(Dataset(FACES.keys, bytes, groups=groups), {"glad": "sad"})
    assert merged.groups == {"subject": {"train/sad/1_glad.png": "7", "train/sad/1_sad.png": "8"}}
    assert relabel(Dataset(FACES.keys, bytes, groups=groups), {"glad": None}).groups == {
        "subject": {"train/sad/1.png": "8"}
    }


def facts(folder: Path, groups: dict[str, dict[str, str]]) -> Path:
    facts_table(None, groups, sorted(FACES.keys)).to_csv(folder / "facts.csv", index=False)
    return folder / "facts.csv"


def test_groups_go_through_the_table_of_facts(tmp_path: Path) -> None:
    table = facts(tmp_path, beside(tmp_path, GOOD))
    assert numbers(list(FACES.keys), "subject", table) == [0, 0, 1]  # in the order of the paths: test, glad, sad
    assert read_votes(table).columns.tolist() == ["path"], "groups are no votes"


@pytest.mark.parametrize(
    ("group_by", "says"),
    [
        ("subjct", r"names a column of groups\.csv, but it has \['subject', 'the camera'\]; did you mean 'subject'\?"),
        (
            "the camera",
            r"gives 2 of 3 pictures no group, such as train/glad/1\.png; fill in that column of",
        ),
    ],
)
def test_a_column_that_cannot_be_used_is_refused(group_by: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=says):
        numbers(list(FACES.keys), group_by, facts(tmp_path, beside(tmp_path, GOOD)))


def test_a_column_without_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"but no groups\.csv lies beside the pictures; .* as 'subject\(\\d\+\)'"):
        numbers(list(FACES.keys), "subject", facts(tmp_path, {}))


def test_a_missing_table_of_facts_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="run the download stage again"):
        numbers(list(FACES.keys), "subject", tmp_path / "facts.csv")


# --- what file names suggest ------------------------------------------------------------------------------------------


def named(form: str, *, persons: int, each: int, labels: tuple[str, ...] = ("happy", "sad")) -> list[str]:
    """`each` pictures of every person, shared among the labels."""
    return [
        f"train/{labels[n % len(labels)]}/" + form.format(person=person, word="abcdefghij"[person % 10] * 3, n=n)
        for person in range(persons)
        for n in range(each)
    ]


@pytest.mark.parametrize(
    ("form", "name"),
    [
        ("subject{person:02}_take2_{n:04}.png", "subject00"),
        ("S{person:03}-001-{n:08}.png", "S000"),
        ("AF{person:02}ANS{n}.JPG", "AF00"),
        ("{word}_{n}.jpg", "aaa"),
        ("{word}.AN{n}.39.tiff", "aaa"),
    ],
)
def test_names_of_persons_are_suspected_and_the_suggestion_finds_them(form: str, name: str) -> None:
    paths = named(form, persons=8, each=12)
    likely = likely_groups(faces(paths))
    assert likely is not None
    assert (likely.groups, likely.example) == (8, name)
    found = numbers(paths, likely.group_by)
    assert np.bincount(found).tolist() == [12] * 8


@pytest.mark.parametrize(
    "paths",
    [
        pytest.param([f"train/{label}/{n:04}.png" for label in "ab" for n in range(90)], id="numbers"),
        pytest.param([f"train/{label}/{label}_{n}.png" for label in "abcdef" for n in range(90)], id="labels"),
        pytest.param([f"train/{label}/{k}_{n}.png" for k, label in enumerate("ab") for n in range(90)], id="codes"),
        pytest.param([f"train/{label}/face_{n}.png" for label in "abcdef" for n in range(90)], id="one word"),
        pytest.param([f"train/{label}/im{n}.png" for label in "abcdef" for n in range(90)], id="im1, im2"),
        pytest.param([f"train/{label}/s{n}_{label}.png" for label in "abc" for n in range(90)], id="few each"),
        pytest.param(
            [
                f"{split}/{label}/{usage}_{n}.jpg"
                for split, usage in (("train", "Training"), ("test", "PublicTest"), ("test", "PrivateTest"))
                for label in "ab"
                for n in range(90)
            ],
            id="FER2013",
        ),
        pytest.param([f"train/a/{random.Random(n).randbytes(8).hex()}_x.png" for n in range(90)], id="digests"),
        pytest.param([], id="nothing"),
    ],
)
def test_other_names_are_not_suspected(paths: list[str]) -> None:
    assert likely_groups(faces(paths)) is None


def test_many_names_end_the_search_early() -> None:
    class Once(list[Face]):
        taken = 0

        def __iter__(self):  # type: ignore[no-untyped-def]
            for face in super().__iter__():
                self.taken += 1
                yield face

    many = Once(faces(f"train/a/x{n}_{n}-{n}.{n}.png" for n in range(5000)))
    assert likely_groups(many) is None
    assert many.taken < 2000


def test_the_report_counts_groups_and_pictures_without_one() -> None:
    known = {"subject": {"a": "1", "b": "1", "c": "2"}, "camera": {}}
    assert groups_report(known, 5) == {
        "groups": {
            "subject": {"groups": 2, "pictures_without": 2},
            "camera": {"groups": 0, "pictures_without": 5},
        }
    }
    assert groups_report({}, 5) == {}
