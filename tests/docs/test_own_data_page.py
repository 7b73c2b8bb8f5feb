"""docs/own-data.md: its example cuts the faces out of photographs, so that they can be learnt from."""

import json
import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from emotion.dataset.images import decode_image
from emotion.foundation.params import read_params
from emotion.inference.detector import YuNet, crop_face
from emotion.training.recipe import Recipe
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
    for name in ("download", "split", "preprocess@train", "train@0", "evaluate"):
        once, most = (sizes[size]["stages"][name]["peak_memory_mb"] for size in ("1", "25"))
        assert f"from {once:,} to {most:,} MB in `{name.partition('@')[0]}`" in page


def test_pictures_are_read_as_fast_as_was_measured() -> None:
    page = " ".join((ROOT / "docs/own-data.md").read_text(encoding="utf-8").split())
    rates = json.loads((ROOT / "benchmarks/results/reading.json").read_text())
    assert f"{rates['in_memory']:,} pictures of 48 px a second where the operating system still holds the files" in page
    assert f"in memory, {rates['from_disk']:,} from the disk" in page


def test_data_of_twice_the_memory_trains_as_was_measured() -> None:
    page = " ".join((ROOT / "docs/own-data.md").read_text(encoding="utf-8").split())
    measured = json.loads((ROOT / "benchmarks/results/reading.json").read_text())["twice"]
    assert measured["records_mb"] > 2 * measured["limit_mb"]
    assert (
        f"{measured['images']:,} colour pictures of {measured['side_px']} px make {measured['records_mb']:,} MB" in page
    )
    for memory, key in (("as much as there is", "enough"), (f"{measured['limit_mb']:,} MB", "limited")):
        found = measured[key]
        cells = (memory, f"{found['epoch_seconds']:.0f}", f"{found['peak_memory_mb']:,}", f"{found['read_mb']:,}")
        assert f"| {' | '.join(cells)} |" in page
    seconds = [measured[key]["epoch_seconds"] for key in ("enough", "limited")]
    assert max(seconds) < 1.1 * min(seconds), "the page says that the disk kept up"


def test_what_well_known_data_sets_need_is_reckoned_from_the_benchmark() -> None:
    page = (ROOT / "docs/own-data.md").read_text(encoding="utf-8")
    sizes = json.loads((ROOT / "benchmarks/results/growth.json").read_text())
    rows = re.findall(r"\|\s*([\d,]+) \|.*\| (\d+) px, (grey|colour) \| ([\d,]+) \| ([\d,]+) \| ([\d.]+) \|\n", page)
    assert len(rows) == 4
    for faces, side_px, kind, *told in rows:
        measured, channels = (sizes["1"], 1) if kind == "grey" else (sizes["colour"], 3)
        training, face = measured["stages"]["train@0"], int(side_px) ** 2 * channels
        share = face / (measured["side_px"] ** 2 * channels) * int(faces.replace(",", "")) / measured["images"]
        disk_mb, minutes = int(faces.replace(",", "")) * face / 2**20, share * training["seconds"] / 60
        assert told == [f"{disk_mb:,.0f}", f"{training['peak_memory_mb']:,}", f"{minutes:.1f}"]


@pytest.mark.parametrize(
    ("pictures", "warned_of"),
    [(376, []), (370, ["ema_decay"]), (252, ["ema_decay"]), (248, ["batch_size", "ema_decay"])],
)
def test_small_data_is_warned_of_where_the_page_says(pictures: int, warned_of: list[str]) -> None:
    assert doubted(pictures, sections=["## Hundreds of pictures"]) == warned_of


def test_the_settings_for_fewer_pictures_suffice_where_the_page_says() -> None:
    assert doubted(126, sections=["## Hundreds of pictures", "For both, add"]) == []
    assert doubted(124, sections=["## Hundreds of pictures", "For both, add"]) == ["batch_size"]


def doubted(pictures: int, *, sections: list[str]) -> list[str]:
    """What `train` warns of with so many pictures, 0.64 of which are learnt from, and the settings that follow."""
    page = (ROOT / "docs/own-data.md").read_text(encoding="utf-8")
    settings = dict(read_params(ROOT / "params.yaml")["train"])
    for section in sections:
        command = page[page.index(section) :].partition("\n\n" if section[0] != "#" else "```\n\n")[0]
        for key, value in re.findall(r"-S train\.(\w+)=([\w.]*\w)", command):
            settings[key] = YAML(typ="safe").load(value)
    recipe = Recipe.model_validate(settings)
    images = int(0.64 * pictures)
    doubts = recipe.doubts(images, max(1, images // recipe.batch_size))
    return [doubt.partition(":")[0].removeprefix("train.") for doubt in doubts]
