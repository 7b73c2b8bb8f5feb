"""The split stage and `split.group_by`: groups and their copies stay on one side, and leaks are told."""

import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from emotion.dataset.archive.faces import DatasetError
from stages.split import SplitParams
from tests.support.pictures import encoded, noise, smooth
from tests.support.split_run import VALUES, Outcome, run_on

PERSON = r"subject(\d+)"


def posed(persons: int, *, each: int = 6, split: str = "train", first: int = 0) -> dict[str, bytes]:
    """So many persons with so many pictures each, half of them happy, half sad; no two pictures are alike."""
    return {
        f"{split}/{'happy' if n % 2 else 'sad'}/subject{person:02}_take{n // 4}_{n:04}.png": encoded(
            noise(1000 * person + n + (500 if split == "test" else 0))
        )
        for person in range(first, first + persons)
        for n in range(each)
    }


def persons_of(table: Outcome | object, name: str) -> set[str]:
    return {re.search(PERSON, path)[1] for path in getattr(table, name)["path"]}  # type: ignore[index]


def test_without_grouping_persons_lie_on_both_sides_and_the_names_are_noticed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = run_on(posed(10), tmp_path)
    assert persons_of(outcome, "test") & persons_of(outcome, "train")
    [line] = capsys.readouterr().err.splitlines()
    assert "begin with one of 10 names, such as 'subject00'" in line
    assert line.endswith(r"set split.group_by: '([^/_]+)_[^/]*$'")
    assert "groups" not in outcome.report


@pytest.mark.parametrize("group_by", [PERSON, "([^/_]+)_[^/]*$", "subject"])
def test_persons_stay_on_one_side(tmp_path: Path, group_by: str, capsys: pytest.CaptureFixture[str]) -> None:
    files = posed(10)
    lines = (f"{path},{re.search(PERSON, path)[1]}" for path in files)  # type: ignore[index]
    (tmp_path / "facts.csv").write_text("\n".join(["path,group_subject", *lines]) + "\n")
    outcome = run_on(files, tmp_path, group_by=group_by)
    parts = [persons_of(outcome, name) for name in ("train", "val", "test")]
    assert [len(part) for part in parts] == [6, 2, 2]
    assert len(set.union(*parts)) == 10
    assert Counter(outcome.test["label"]) == {"happy": 6, "sad": 6}
    assert capsys.readouterr().err == ""
    assert outcome.report["groups"] == {
        "groups": 10,
        "images_in_largest": 6,
        "test_images_with_group_in_train_or_val": 0,
        "val_images_with_group_in_train": 0,
    }


@example(seed=20, sizes=[1, 2, 4, 5])  # the small persons go to test; of the two left, neither is a fifth
@given(seed=st.integers(0, 1000), sizes=st.lists(st.integers(1, 9), min_size=4, max_size=12))
@settings(max_examples=8, deadline=None)
def test_no_group_crosses_whatever_the_seed_and_sizes(
    tmp_path_factory: pytest.TempPathFactory, seed: int, sizes: list[int]
) -> None:
    files = posed(2, each=2, first=90)
    for person, size in enumerate(sizes):
        files |= posed(1, each=size, first=person)
    try:
        outcome = run_on(files, tmp_path_factory.mktemp("any"), group_by=PERSON, seed=seed, test_fraction=0.4)
    except DatasetError as refusal:
        said = re.search(r"_fraction is (0\.\d+), but .* of (\d+) pictures the smallest has (\d+);", str(refusal))
        assert said and int(said[3]) > float(said[1]) * int(said[2]), "refused only where each person is too large"
        return
    assert sorted(outcome.places()) == sorted(files)
    parts = [persons_of(outcome, name) for name in ("train", "val", "test")]
    assert sum(map(len, parts)) == len(sizes) + 2
    assert persons_of(outcome, "train") and persons_of(outcome, "test")


def test_copies_join_groups_and_groups_join_copies(tmp_path: Path) -> None:
    """Persons 0 and 1 share an exact copy, 1 and 2 a near one: the three stay together."""
    files = posed(12)
    files["train/happy/subject00_x.png"] = files["train/sad/subject01_x.png"] = encoded(smooth(1))
    files["train/sad/subject01_y.png"] = encoded(smooth(2))
    files["train/sad/subject02_y.jpg"] = encoded(smooth(2), "jpeg", quality=70)
    for seed in range(4):
        places = run_on(files, tmp_path / str(seed), group_by=PERSON, seed=seed, test_fraction=0.3).places()
        joined = {place for path, place in places.items() if re.search("subject0[012]", path)}
        assert len(joined) == 1
    apart = [
        run_on(files, tmp_path / f"{seed}-none", group_by=PERSON, seed=seed, group_duplicates="none").places()
        for seed in range(4)
    ]
    assert any(len({place for path, place in each.items() if re.search("subject0[012]", path)}) > 1 for each in apart)


def test_persons_of_the_data_sets_own_test_part_stay_and_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Persons 0 and 1 are in both; of person 2, in test alone, one picture is a copy of a training picture."""
    files = posed(6) | posed(3, split="test") | posed(1, split="test", first=20)
    files = {path: content for path, content in files.items() if not re.match("train/.*/subject02", path)}
    files["test/happy/subject02_copy.png"] = files["train/sad/subject05_take0_0000.png"]
    outcome = run_on(files, tmp_path, group_by=PERSON)
    told = dict(zip(outcome.test["path"], outcome.test["copy"], strict=True))
    assert {path for path in outcome.places() if path.startswith("test/")} == set(told)
    assert {kind for path, kind in told.items() if re.search("subject0[01]", path)} == {"group"}
    assert told["test/happy/subject02_copy.png"] == "exact"
    assert {kind for path, kind in told.items() if "subject02_take" in path} == {"group"}, "joined by the copy"
    assert {kind for path, kind in told.items() if "subject20" in path} == {""}
    assert outcome.report["groups"]["test_images_with_group_in_train_or_val"] == 19
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: 19 of 25 test pictures are of a group that train or val has, too")
    assert "copy" not in outcome.train


def test_a_validation_part_of_the_data_sets_own_is_counted(tmp_path: Path) -> None:
    outcome = run_on(posed(6) | posed(2, split="val", each=4), tmp_path, group_by=PERSON, test_fraction=0.3)
    seen = {person for person in persons_of(outcome, "val") if person in persons_of(outcome, "train")}
    assert outcome.report["groups"]["val_images_with_group_in_train"] == 4 * len(seen)


def test_the_test_set_has_no_say_in_the_validation_split(tmp_path: Path) -> None:
    files = posed(8)
    alone = run_on(files | posed(1, split="test", first=50), tmp_path / "one", group_by=PERSON)
    shared = run_on(files | posed(4, split="test"), tmp_path / "two", group_by=PERSON)
    assert alone.val.equals(shared.val)
    assert alone.train.equals(shared.train)


def test_groups_too_large_to_hold_one_out_are_refused(tmp_path: Path) -> None:
    says = r"split\.test_fraction is 0\.2, but .* of 2 groups .* of 12 pictures the smallest has 6; raise"
    with pytest.raises(DatasetError, match=says) as caught:
        run_on(posed(2), tmp_path, group_by=PERSON)
    assert "\n" not in str(caught.value)
    assert len(run_on(posed(2), tmp_path / "half", group_by=PERSON, test_fraction=0.5, val_fraction=0).test) == 6


@pytest.mark.parametrize("group_by", ["(", "[z-a]", "(?P<x>a)(?P<x>b)", "*"])
def test_what_is_no_regular_expression_is_refused(group_by: str) -> None:
    with pytest.raises(ValidationError, match="is no regular expression"):
        SplitParams.model_validate({**VALUES, "group_by": group_by})
