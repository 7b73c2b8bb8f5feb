"""docs/own-data.md: its example cuts the faces out of photographs, so that they can be learnt from."""

import json
import re
from pathlib import Path

import pytest

from emotion.dataset.images import decode_image
from emotion.inference.detector import YuNet, crop_face
from tests.support.evaluated import ROOT
from tests.support.sample_pictures import write_examples


def test_the_example_cuts_the_most_prominent_face(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/own-data.md").read_text(), flags=re.DOTALL)
    photos = tmp_path / "photos/calm"
    write_examples(photos)
    (photos / "notes.jpg").unlink()  # no picture, though it is called one
    monkeypatch.chdir(tmp_path)
    exec(example, {})
    cut = tmp_path / "data/local/faces/calm/sheet.png.png"
    assert [path for path in (tmp_path / "data").rglob("*") if path.is_file()] == [cut]  # the wall shows nobody
    sheet = decode_image((photos / "sheet.png").read_bytes())
    first = YuNet().find(sheet)[0]
    assert (decode_image(cut.read_bytes()) == crop_face(sheet, first.box, first.roll_deg)).all()


def test_the_memory_of_many_pictures_is_that_of_the_benchmark() -> None:
    page = " ".join((ROOT / "docs/own-data.md").read_text(encoding="utf-8").split())
    sizes = json.loads((ROOT / "benchmarks/results/growth.json").read_text())
    assert f"from {sizes['1']['images']:,} to {sizes['25']['images']:,} pictures" in page
    for name in ("split", "preprocess@train", "train@0", "evaluate"):
        once, most = (sizes[size]["stages"][name]["peak_memory_mb"] for size in ("1", "25"))
        assert f"from {once:,} to {most:,} MB in `{name.partition('@')[0]}`" in page
