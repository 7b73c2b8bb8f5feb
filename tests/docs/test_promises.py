"""docs/reproducibility.md: its figures are the measured ones, and each of its commands runs something."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from emotion.runtime import pins as runtime

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reproducibility.md").read_text()
COMMANDS = sorted(set(re.findall(r"`pytest ([^`]+)`", PAGE)))


@pytest.mark.slow
@pytest.mark.parametrize("arguments", COMMANDS)
def test_a_command_of_the_page_selects_tests(arguments: str) -> None:
    command = [sys.executable, "-m", "pytest", "--collect-only", "--quiet", *shlex.split(arguments)]
    collected = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert collected.returncode == 0, collected.stdout  # 5 when nothing is selected


def test_every_promise_names_its_command_or_that_there_is_none() -> None:
    promises = PAGE.partition("\n## ")[0]  # the table of processors, further down, is of results
    rows = [line for line in promises.splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 6
    for row in rows:
        checked_by = row.strip("|").rpartition("|")[2]
        assert re.search(r"`(pytest|make) |nothing", checked_by), row
    rules = re.findall(r"(?m)^([a-z\d-][a-z\d -]*):", (ROOT / "Makefile").read_text())
    targets = {name for names in rules for name in names.split()}
    for target in re.findall(r"`make ([^`]+)`", PAGE):
        assert target in targets, target


def test_the_page_names_every_variable_that_portable_sets() -> None:
    for name, value in runtime._PORTABLE.items():
        assert f"`{name}={value}`" in PAGE
