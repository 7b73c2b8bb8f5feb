import subprocess
import sys
from pathlib import Path

import pytest

from emotion.runtime import processor
from tools.verify import compare, output_digests, verify

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


PIPELINE = """stages:
  one: {cmd: echo 1 > a.txt, outs: [a.txt]}
  two: {cmd: cp a.txt b.txt, deps: [a.txt], outs: [b.txt]}
"""


def run(folder: Path, *command: str) -> str:
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


def commit(folder: Path) -> str:
    names = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    run(folder, "git", "add", "--all")
    run(folder, "git", *names, "commit", "--quiet", "--message", "x")
    return run(folder, "git", "rev-parse", "HEAD").strip()


@pytest.fixture
def pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pipeline of two stages that has run; its lock is not committed yet."""
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    run(tmp_path, "git", "init", "--quiet")
    run(tmp_path, sys.executable, "-m", "dvc", "init", "--quiet")
    (tmp_path / "dvc.yaml").write_text(PIPELINE)
    run(tmp_path, sys.executable, "-m", "dvc", "repro", "--quiet")
    return tmp_path


def test_a_pipeline_that_repeats_itself_is_equal(pipeline: Path, capfd: pytest.CaptureFixture[str]) -> None:
    made = commit(pipeline)
    (pipeline / "dvc.yaml").write_text("not committed, so not run")
    assert verify(pipeline)
    lines = capfd.readouterr().out.splitlines()
    assert lines[0] == f"verify: commit {made} on {processor.name()}"
    assert [line.split() for line in lines[-4:-2]] == [["equal", "one", "a.txt"], ["equal", "two", "b.txt"]]
    assert lines[-1] == f"| {processor.name()} | {made[:12]} | 2 of 2 outputs equal |"


def test_an_output_with_other_bytes_is_named(pipeline: Path, capfd: pytest.CaptureFixture[str]) -> None:
    lock = pipeline / "dvc.lock"
    digest = output_digests(lock)["two", "b.txt"]
    start, end = lock.read_text().rsplit(digest, 1)
    lock.write_text(f"{start}{'f' * 32}{end}")
    made = commit(pipeline)
    assert not verify(pipeline)
    lines = capfd.readouterr().out.splitlines()
    assert [line.split() for line in lines[-4:-2]] == [["equal", "one", "a.txt"], ["DIFFERENT", "two", "b.txt"]]
    assert lines[-1] == f"| {processor.name()} | {made[:12]} | 1 of 2 outputs equal |"


def test_a_pipeline_that_fails_is_no_proof(pipeline: Path) -> None:
    (pipeline / "dvc.yaml").write_text(PIPELINE.replace("echo 1 > a.txt", "false"))
    commit(pipeline)
    with pytest.raises(SystemExit, match="the pipeline did not finish"):
        verify(pipeline)
