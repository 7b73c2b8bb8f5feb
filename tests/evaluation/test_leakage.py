"""Nothing of the test split reaches the model: what training reads has the same bytes whatever the test images are."""

from pathlib import Path

import pandas as pd
import pytest

from emotion.dataset.votes import VotesParams
from stages.preprocess import PreprocessParams, preprocess
from stages.split import NearParams, SplitParams, split
from tests.support import evaluated

Found = dict[str, bytes]


def training_inputs(found: Found, folder: Path, *, drop: bool = False) -> dict[str, bytes]:
    """Run split and preprocess on images; the bytes of everything the train stage depends on, by file."""
    archive = folder / "faces.zip"
    evaluated.write_images(found, archive)
    index = {name: folder / f"{name}.csv" for name in ("train", "val", "test", "copies")}
    params = SplitParams(
        val_fraction=0.25,
        test_fraction=0.2,
        validation="train",
        votes=VotesParams(outlier_votes=1, agreement="majority"),
        seed=0,
        group_duplicates="near",
        group_by="",
        drop_train_copies_of_test=drop,
        near=NearParams(max_hash_distance=10, min_correlation=0.95),
    )
    (folder / "facts.csv").write_text("path\n")
    split(archive, folder / "facts.csv", **index, report=folder / "split.json", params=params)
    sizes = PreprocessParams(size_px=16, channels=1, max_bad_fraction=0.0)
    for name in ("train", "val"):
        preprocess(archive, index[name], folder / "records" / name, folder / "bad.json", sizes)
    files = [index["train"], index["val"], *sorted((folder / "records").rglob("*"))]
    return {str(file.relative_to(folder)): file.read_bytes() for file in files if file.is_file()}


def with_other_test_images(found: Found) -> Found:
    """The same training images; a different number of different test images, two of them copies of training images."""
    other = {path: content for path, content in evaluated.images(seed=99, test=9).items() if path.startswith("test/")}
    other["test/happy/PublicTest_0.png"] = found["train/happy/Training_5.png"]
    other["test/path/PublicTest_0.png"] = found["train/sad/Training_6.png"]
    return {path: content for path, content in found.items() if path.startswith("train/")} | other


def test_the_test_images_do_not_change_what_training_reads(tmp_path: Path) -> None:
    found = evaluated.images(seed=0)
    other = with_other_test_images(found)
    first, second = (training_inputs(each, tmp_path / name) for name, each in (("first", found), ("second", other)))
    assert (tmp_path / "first/test.csv").read_bytes() != (tmp_path / "second/test.csv").read_bytes()
    assert len(first) == 6  # two indexes, and for each split a shard and its description
    assert first == second


def test_training_depends_on_nothing_else() -> None:
    from ruamel.yaml import YAML

    deps = YAML(typ="safe").load(evaluated.ROOT / "dvc.yaml")["stages"]["train"]["deps"]
    code = ("emotion/", "stages/", "requirements.lock")
    assert [dep for dep in deps if not dep.startswith(code)] == ["data/tfrecords/train", "data/tfrecords/val"]


def test_dropping_copies_only_removes_the_matching_training_images(tmp_path: Path) -> None:
    found = evaluated.images(seed=0)
    training_inputs(found, tmp_path / "kept")
    training_inputs(found, tmp_path / "dropped", drop=True)
    copied = {"train/happy/Training_0.png", "train/path/Training_1.png"}
    for name in ("train", "val"):
        kept, dropped = (pd.read_csv(tmp_path / folder / f"{name}.csv") for folder in ("kept", "dropped"))
        expected = kept[~kept["path"].isin(copied)].reset_index(drop=True)
        pd.testing.assert_frame_equal(dropped, expected)
    lost = sum(len(pd.read_csv(tmp_path / "kept" / f"{name}.csv")) for name in ("train", "val"))
    left = sum(len(pd.read_csv(tmp_path / "dropped" / f"{name}.csv")) for name in ("train", "val"))
    assert lost - left == 2


def test_with_dropping_other_test_images_change_the_removals_alone(tmp_path: Path) -> None:
    found = evaluated.images(seed=0)
    training_inputs(found, tmp_path / "first", drop=True)
    training_inputs(with_other_test_images(found), tmp_path / "second", drop=True)
    removed = {"first": {"happy/Training_0", "path/Training_1"}, "second": {"happy/Training_5", "sad/Training_6"}}
    everything = {path for path in found if path.startswith("train/")}
    for folder, names in removed.items():
        left = {path for name in ("train", "val") for path in pd.read_csv(tmp_path / folder / f"{name}.csv")["path"]}
        assert everything - left == {f"train/{name}.png" for name in names}
    for name in ("train", "val"):
        tables = [pd.read_csv(tmp_path / folder / f"{name}.csv") for folder in removed]
        shared = set(tables[0]["path"]) & set(tables[1]["path"])
        one, two = (table[table["path"].isin(shared)].reset_index(drop=True) for table in tables)
        pd.testing.assert_frame_equal(one, two)


@pytest.mark.parametrize("name", ["train", "val"])
def test_the_indexes_of_training_say_nothing_of_test(tmp_path: Path, name: str) -> None:
    training_inputs(evaluated.images(seed=0), tmp_path)
    assert list(pd.read_csv(tmp_path / f"{name}.csv").columns) == ["path", "label", "label_index", "subset"]
