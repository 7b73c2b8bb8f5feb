from pathlib import Path

from stages._verify import compare, output_digests

LOCK = """schema: '2.0'
stages:
  split:
    cmd: python -m stages.split
    outs:
    - {path: data/split/train.csv, hash: md5, md5: aaa, size: 1}
    - {path: data/split/val.csv, hash: md5, md5: bbb, size: 1}
"""


def test_digests_are_those_of_the_lock(tmp_path: Path) -> None:
    (tmp_path / "dvc.lock").write_text(LOCK)
    digests = output_digests(tmp_path / "dvc.lock")
    assert digests == {("split", "data/split/train.csv"): "aaa", ("split", "data/split/val.csv"): "bbb"}


def test_compare_names_what_differs_and_what_is_missing_on_either_side() -> None:
    committed = {("split", "a"): "1", ("split", "b"): "2", ("split", "c"): "3"}
    made = {("split", "a"): "1", ("split", "b"): "x", ("train", "d"): "4"}
    assert compare(committed, made) == [
        ("equal", "split", "a"),
        ("DIFFERENT", "split", "b"),
        ("not made", "split", "c"),
        ("not committed", "train", "d"),
    ]
