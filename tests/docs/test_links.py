"""Links within the documents lead somewhere, and the programs that they name exist."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.support.evaluated import ROOT

PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in ("", "docs", "docs/experiments", "emotion/published", "results/*", "results/fer2013/models")
    for path in ROOT.glob(f"{folder}/*.md".lstrip("/"))
)
ON_THE_FORGE = "../../actions/"  # GitHub's own pages, relative to the README as it shows it


def prose(text: str) -> str:
    return re.sub(r"```.*?```", "", text, flags=re.DOTALL)


def anchors(text: str) -> set[str]:
    """What GitHub calls the headings of a page."""
    headings = re.findall(r"^#+ +(.*?) *$", prose(text), flags=re.MULTILINE)
    plain = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower() for heading in headings]
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in plain}


def dead_links(page: Path) -> list[str]:
    """The relative links of a page to no file, or to no heading of one."""
    found = []
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page.read_text())):
        if re.match(r"[a-z]+:", link) or link.startswith(ON_THE_FORGE):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in anchors(target.read_text())):
            found.append(link)
    return found


def test_every_page_is_looked_at() -> None:
    try:
        listed = subprocess.run(
            ["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout
    except (FileNotFoundError, subprocess.CalledProcessError):
        pytest.skip("no Git repository to ask")
    assert set(listed.split()) <= set(PAGES)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_links_to_what_is_there(page: str) -> None:
    assert dead_links(ROOT / page) == []


@pytest.mark.parametrize("page", PAGES)
def test_a_page_names_programs_that_exist(page: str) -> None:
    named = set(
        re.findall(r"python -m ((?:tools|tests|benchmarks|stages|emotion)(?:\.[a-z_0-9]+)+)", (ROOT / page).read_text())
    )
    assert [name for name in named if not (ROOT / f"{name.replace('.', '/')}.py").exists()] == []


def test_a_dead_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "b.md").write_text("# The `one` part\n")
    page = tmp_path / "a.md"
    page.write_text(
        "[a](b.md) [b](b.md#the-one-part) [c](b.md#two) [d](c.md) [e](https://example.org/x)\n```\n[f](d.md)\n```\n"
    )
    assert dead_links(page) == ["b.md#two", "c.md"]
