"""Files as the last commit has them, for the tests that hold a document to what a run has written."""

import os
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@cache
def committed(path: str, root: Path = ROOT) -> str:
    """A file's text in HEAD: documents and results of one commit agree, whatever the last run left in the tree.

    So these tests say nothing about an edit that is not committed yet, be it of a document or of a result: commit, then
    run them. Where there is no commit to ask, the test is skipped and says so; with CI=true it fails.
    """
    return committed_bytes(path, root).decode("utf-8")


@cache
def committed_bytes(path: str, root: Path = ROOT) -> bytes:
    """The same for a file that is no text."""
    if reason := _why_unknown(root):
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"{path} as committed is unknown: {reason}")
    return _git(root, "show", f"HEAD:./{path}")


def _why_unknown(root: Path) -> str:
    """What keeps Git from telling what HEAD has in this folder; empty where it can."""
    try:
        _git(root, "rev-parse", "HEAD:./")  # fails also in a folder of a repository that does not track it
    except FileNotFoundError:
        return "Git is not installed"
    except subprocess.CalledProcessError as error:
        return error.stderr.decode(errors="replace").strip()
    return ""


def _git(root: Path, *arguments: str) -> bytes:
    command = ["git", *arguments]
    return subprocess.run(command, cwd=root, check=True, capture_output=True).stdout
