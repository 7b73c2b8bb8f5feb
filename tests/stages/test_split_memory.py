"""What the split stage keeps of a picture: so few bytes that a memory holds millions of pictures."""

import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

import emotion.dataset.split
import stages.split
from emotion.dataset import copies, split_tables
from emotion.dataset.archive.faces import Face, parse_path
from emotion.dataset.copies import Fingerprints, Thumbnails
from stages.split import SplitParams, split

PARAMS = YAML(typ="safe").load(Path(__file__).parents[2] / "params.yaml")["split"]
OUTPUTS = ("train.csv", "val.csv", "test.csv", "copies.csv", "split.json")
FEW, MANY = 4_000, 12_000  # pictures
AN_ENTRY_BYTES = 8  # of the archive, measured in test_zip_entries.py
MOST_BYTES = 100  # a picture: 3.6 MB for as many as FER2013 has


class Numbered(Sequence[Face]):
    """Faces as an archive has them: each is made when it is asked for."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, row: int) -> Face:  # type: ignore[override]
        if not 0 <= row < self._count:
            raise IndexError
        return parse_path(f"{'test' if row % 5 == 0 else 'train'}/{('angry', 'happy', 'sad')[row % 3]}/{row:07d}.jpg")


class OnePicture(Thumbnails):
    """Thumbnails that are all the same."""

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        return np.tile(np.arange(1024).astype(np.uint8), (len(rows), 1))


def prints_of(count: int) -> Fingerprints:
    """Fingerprints of which a tenth is an exact copy of another, and a tenth a near one."""
    rng = np.random.default_rng(0)
    exact, perceptual = rng.bytes(16 * count), rng.integers(0, 2**64, count, dtype=np.uint64)
    prints = Fingerprints(np.frombuffer(exact, "S16").copy(), perceptual, np.ones(count, bool), OnePicture())
    prints.exact[7::10] = prints.exact[3::10]
    prints.perceptual[8::10] = prints.perceptual[2::10]
    return prints


def peak_bytes(count: int, folder: Path, monkeypatch: pytest.MonkeyPatch, **choices: object) -> int:
    """The most memory that the stage has in use at once, the archive's own left out."""
    monkeypatch.setattr(stages.split, "list_faces", lambda archive: Numbered(count))
    monkeypatch.setattr(emotion.dataset.split, "read_faces", lambda archive, members: ())
    monkeypatch.setattr(emotion.dataset.split, "fingerprint", lambda contents, count, folder: prints_of(count))
    (folder / "facts.csv").write_text("path\n")
    paths = [folder / name for name in OUTPUTS]
    near = {"max_hash_distance": 4, "min_correlation": 0.95}  # the search for what is farther apart takes long
    params = SplitParams.model_validate({**PARAMS, "near": near, **choices})
    tracemalloc.start()
    try:
        split(folder, folder / "facts.csv", *paths, params)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def work_on_little_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that what grows with the pictures shows."""
    for name in ("_SEARCHED_AT_ONCE", "_CANDIDATES"):
        monkeypatch.setattr(copies, name, 1024)
    monkeypatch.setattr(copies, "_TILE", (16, 512))
    monkeypatch.setattr(copies, "_CORRELATED_AT_ONCE", 8)
    monkeypatch.setattr(split_tables, "_AT_ONCE", 256)


@pytest.mark.parametrize("by_bands", [True, False])  # bands take a megabyte that hides what others take
def test_a_picture_costs_split_less_than_a_hundred_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_bands: bool
) -> None:
    work_on_little_at_once(monkeypatch)
    monkeypatch.setattr(copies, "_MANY", 0 if by_bands else MANY + 1)
    few, many = (peak_bytes(count, tmp_path, monkeypatch) for count in (FEW, MANY))
    kinds = pd.read_csv(tmp_path / "copies.csv")["kind"].value_counts()
    assert kinds["exact"] == MANY / 10 and kinds["near"] >= MANY / 10
    assert (many - few) / (MANY - FEW) + AN_ENTRY_BYTES < MOST_BYTES
