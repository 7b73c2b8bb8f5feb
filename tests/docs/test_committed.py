"""The README is held to the results of its own commit: another machine's run breaks no test, a wrong number does."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.committed import ROOT, committed

OTHER_DIGITS = str.maketrans("123456789", "234567891")  # 0 stays, so that a number stays one
WRITTEN_BY_A_RUN = ("dvc.lock", "metrics/**/*.json", "metrics/**/*.csv")
NEW_IN_THE_TREE = ("report.html", "data/predictions.csv", "models/0.keras")


def git(folder: Path, *arguments: str) -> None:
    names = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", *names, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone of the project, with the tests as they are here."""
    committed("README.md")  # skips where there is nothing to clone
    folder = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--no-hardlinks", str(ROOT), str(folder))
    copy_tests(folder)
    return folder


def copy_tests(folder: Path) -> None:
    """Put the tests of the README, and what they import, into a folder."""
    for name in ("tests/support/__init__.py", "tests/support/committed.py", "tests/docs/test_readme.py"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)


def run_readme_tests(folder: Path, *, ci: bool = True) -> subprocess.CompletedProcess[str]:
    """Run tests/docs/test_readme.py of a folder in a process of its own."""
    options = ("--noconftest", "-p", "no:cacheprovider", "-ra", "--tb=line")
    command = [sys.executable, "-m", "pytest", *options, "tests/docs/test_readme.py"]
    environment = {**os.environ, "PYTHONPATH": str(folder), "CI": str(ci).lower()}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def write_another_run(folder: Path) -> None:
    """Change every number that a run writes, and leave the files that DVC keeps."""
    files = [file for pattern in WRITTEN_BY_A_RUN for file in folder.glob(pattern)]
    assert len(files) > 10
    for file in files:
        file.write_text(file.read_text().translate(OTHER_DIGITS))
    for name in NEW_IN_THE_TREE:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("of another run\n")


def test_another_run_breaks_no_test_of_the_readme(clone: Path) -> None:
    write_another_run(clone)
    assert (clone / "metrics/evaluate.json").read_text() != committed("metrics/evaluate.json")
    done = run_readme_tests(clone)
    assert done.returncode == 0, done.stdout
    assert re.search(r"\d+ passed", done.stdout) and "skipped" not in done.stdout


def test_a_wrong_number_in_a_committed_readme_is_found(clone: Path) -> None:
    file = clone / "README.md"
    accuracy = f"**{100 * json.loads(committed('metrics/evaluate.json'))['accuracy']:.1f} %**"
    assert accuracy in file.read_text()
    file.write_text(file.read_text().replace(accuracy, accuracy.translate(OTHER_DIGITS)))
    git(clone, "commit", "--quiet", "--message", "a wrong number", "README.md")
    done = run_readme_tests(clone)
    assert done.returncode == 1
    assert "FAILED tests/docs/test_readme.py::test_the_default_run_is_the_committed_one" in done.stdout


def test_other_results_in_a_commit_are_found(clone: Path) -> None:
    write_another_run(clone)
    git(clone, "commit", "--quiet", "--message", "another run without its README", "metrics", "dvc.lock")
    done = run_readme_tests(clone)
    assert done.returncode == 1
    assert "FAILED tests/docs/test_readme.py::test_the_default_run_is_the_committed_one" in done.stdout


@pytest.mark.parametrize("repository", [False, True])
def test_without_a_commit_the_tests_skip_and_say_so_but_fail_in_ci(repository: bool, tmp_path: Path) -> None:
    copy_tests(tmp_path)
    if repository:
        git(tmp_path, "init", "--quiet")
    here = run_readme_tests(tmp_path, ci=False)
    assert here.returncode == 0 and re.search(r"= \d+ skipped in", here.stdout), here.stdout
    assert "README.md as committed is unknown: " in here.stdout
    in_ci = run_readme_tests(tmp_path, ci=True)
    assert in_ci.returncode == 1 and re.search(r"= \d+ errors in", in_ci.stdout), in_ci.stdout


def test_a_folder_that_its_repository_does_not_track_has_no_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unpacked copy within somebody's repository, whose README is another one."""
    (tmp_path / "README.md").write_text("of somebody else\n")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "--quiet", "--message", "x")
    (tmp_path / "copy").mkdir()
    monkeypatch.delenv("CI", raising=False)
    assert committed("README.md", tmp_path) == "of somebody else\n"
    with pytest.raises(pytest.skip.Exception, match="as committed is unknown"):
        committed("README.md", tmp_path / "copy")


def test_without_git_there_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="Git is not installed"):
        committed("README.md", tmp_path)
