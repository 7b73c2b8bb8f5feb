"""What docs/using.md says of a folder of pictures is what the benchmark wrote."""

import json

from tests.support.evaluated import ROOT


def test_the_folders_figures_are_those_of_the_committed_file() -> None:
    page = (ROOT / "docs/using.md").read_text(encoding="utf-8")
    results = json.loads((ROOT / "benchmarks/results/folder.json").read_text())["pictures"]
    for pictures, found in results.items():
        rate, core_ms = found["pictures_per_second"], found["core_ms_per_picture"]
        assert f"| {int(pictures):,} | {rate:.0f} | {core_ms:.0f} | {found['resident_mb']} |" in page
    assert results["10000"]["resident_mb"] - results["1000"]["resident_mb"] < 50
