"""The split stage: indexes that hold each face once, copies on one side, and a report of what was found."""

import json
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from emotion.dataset.archive import Dataset, DatasetError, list_faces, read_faces, write_archive
from emotion.dataset.layouts import read_csv, relabel
from stages.split import SplitParams, split
from tests.support.pictures import encoded, noise, numbered, smooth, write_folder

VALUES: dict[str, Any] = {
    "val_fraction": 0.2,
    "test_fraction": 0.2,
    "seed": 0,
    "group_duplicates": "near",
    "drop_train_copies_of_test": False,
    "near": {"max_hash_distance": 10, "min_correlation": 0.95},
}


class Outcome(NamedTuple):
    """What the stage writes."""

    train: pd.DataFrame
    val: pd.DataFrame
    test: pd.DataFrame
    copies: pd.DataFrame
    report: dict[str, Any]

    def places(self) -> dict[str, str]:
        """Path -> the split it lies in; raises where a path lies in two."""
        rows = [(path, name) for name in ("train", "val", "test") for path in getattr(self, name)["path"]]
        assert len(rows) == len(dict(rows))
        return dict(rows)


def run(archive: Path, folder: Path, **changes: Any) -> Outcome:
    names = ("train", "val", "test", "copies")
    paths = {name: folder / "out" / f"{name}.csv" for name in names}
    split(
        archive, **paths, report=folder / "out" / "split.json", params=SplitParams.model_validate({**VALUES, **changes})
    )
    tables = [pd.read_csv(path, dtype={"label": str}, keep_default_na=False) for path in paths.values()]
    return Outcome(*tables, json.loads((folder / "out" / "split.json").read_text()))


def run_on(files: dict[str, bytes], folder: Path, **changes: Any) -> Outcome:
    write_archive(Dataset(files, bytes), folder / "faces.zip")
    return run(folder / "faces.zip", folder, **changes)


def test_every_face_is_in_exactly_one_index_with_its_label(tiny_archive: Path, tmp_path: Path) -> None:
    outcome = run(tiny_archive, tmp_path)
    assert sorted(outcome.places()) == [face.path for face in list_faces(tiny_archive)]
    for table in (outcome.train, outcome.val, outcome.test):
        assert [path.split("/")[1] for path in table["path"]] == table["label"].tolist()
        assert [("angry", "happy", "sad").index(label) for label in table["label"]] == table["label_index"].tolist()


def test_validation_takes_its_fraction_of_each_training_label_and_none_of_the_test(
    tiny_archive: Path, tmp_path: Path
) -> None:
    outcome = run(tiny_archive, tmp_path, val_fraction=0.3)
    assert Counter(outcome.val["label"]) == {"angry": 3, "happy": 3, "sad": 3}
    assert Counter(outcome.train["label"]) == {"angry": 7, "happy": 7, "sad": 7}
    assert Counter(outcome.test["label"]) == {"angry": 4, "happy": 4, "sad": 4}
    assert outcome.val["path"].str.startswith("train/").all()
    assert outcome.test["path"].str.startswith("test/").all()


labelled = st.dictionaries(st.sampled_from("abc"), st.integers(2, 12), min_size=1)


@given(train=labelled, val_fraction=st.floats(0, 0.5), test_fraction=st.floats(0.3, 0.5), own=st.booleans())
@settings(max_examples=15, deadline=None)
def test_counts_are_within_one_image_of_the_fractions(
    tmp_path_factory: pytest.TempPathFactory,
    train: dict[str, int],
    val_fraction: float,
    test_fraction: float,
    own: bool,
) -> None:
    files = {
        path: content
        for label, count in train.items()
        for path, content in numbered(f"train/{label}", images=count).items()
    }
    files |= numbered(*(f"test/{label}" for label in train), images=2) if own else {}
    outcome = run_on(
        files,
        tmp_path_factory.mktemp("any"),
        val_fraction=val_fraction,
        test_fraction=test_fraction,
        group_duplicates="none",
    )
    assert sorted(outcome.places()) == sorted(files)
    for label, count in train.items():
        tested = 0 if own else (outcome.test["label"] == label).sum()
        assert own or abs(tested - test_fraction * count) <= 0.5
        assert abs((outcome.val["label"] == label).sum() - val_fraction * (count - tested)) <= 0.5


def test_indexes_depend_on_the_seed_alone(tiny_archive: Path, tmp_path: Path) -> None:
    runs = [run(tiny_archive, tmp_path / str(number), seed=seed) for number, seed in enumerate((0, 0, 1))]
    for file in ("train.csv", "val.csv", "test.csv", "copies.csv", "split.json"):
        assert (tmp_path / "0" / "out" / file).read_bytes() == (tmp_path / "1" / "out" / file).read_bytes()
    assert set(runs[0].val["path"]) != set(runs[2].val["path"])
    assert runs[0].test.equals(runs[2].test)


def test_indexes_have_the_same_bytes_everywhere(tiny_archive: Path, tmp_path: Path) -> None:
    run(tiny_archive, tmp_path)
    head = (tmp_path / "out" / "test.csv").read_bytes().split(b"\n")[:2]
    assert head == [b"path,label,label_index,subset,copy", b"test/angry/11.png,angry,0,,"]
    assert (tmp_path / "out" / "train.csv").read_bytes().startswith(b"path,label,label_index,subset\n")


# --- what the data set brings -----------------------------------------------------------------------------------------


def test_a_data_set_keeps_its_own_validation_images(tmp_path: Path) -> None:
    files = numbered("train/a", "train/b", "val/a", "val/b", "test/a", "test/b")
    places = run_on(files, tmp_path, val_fraction=0.5).places()
    assert all(path.split("/")[0] == place for path, place in places.items())


def test_without_test_images_some_are_taken_from_train_first(tmp_path: Path) -> None:
    files = numbered("train/a", "train/b", images=20) | numbered("val/a", images=3)
    outcome = run_on(files, tmp_path, test_fraction=0.25)
    assert Counter(outcome.test["label"]) == {"a": 5, "b": 5}
    assert Counter(outcome.train["label"]) == {"a": 15, "b": 15}
    assert set(outcome.val["path"]) == {path for path in files if path.startswith("val/")}


def test_label_folders_alone_give_test_then_validation(tmp_path: Path) -> None:
    outcome = run_on(numbered("train/a", "train/b", images=50), tmp_path)
    assert outcome.report["images"] == {
        "train": {"total": 64, "a": 32, "b": 32},  # 100 less a fifth, less a fifth
        "val": {"total": 16, "a": 8, "b": 8},
        "test": {"total": 20, "a": 10, "b": 10},
    }


def test_a_fraction_of_zero_gives_an_empty_validation_index_with_its_header(tiny_archive: Path, tmp_path: Path) -> None:
    outcome = run(tiny_archive, tmp_path, val_fraction=0)
    assert (tmp_path / "out" / "val.csv").read_text() == "path,label,label_index,subset\n"
    assert len(outcome.train) == 30
    assert outcome.report["images"]["val"] == {"total": 0}


def test_labels_called_like_numbers_stay_text_in_order_of_value(tmp_path: Path) -> None:
    outcome = run_on(numbered("train/10", "train/9", "train/NA", "test/10", "test/9", "test/NA"), tmp_path)
    assert outcome.test.drop_duplicates("label")[["label", "label_index"]].values.tolist() == [
        ["10", 1],
        ["9", 0],
        ["NA", 2],
    ]


def test_file_names_of_fer2013_give_the_subset(tmp_path: Path) -> None:
    test = ("PublicTest_1.png", "PrivateTest_2.png", "PublicTester_3.png", "4.png")
    files = numbered("train/a", "train/b") | {f"test/a/{name}": encoded(noise(90 + i)) for i, name in enumerate(test)}
    outcome = run_on(files, tmp_path)
    assert dict(zip(outcome.test["path"], outcome.test["subset"], strict=True)) == {
        "test/a/4.png": "", "test/a/PrivateTest_2.png": "private", "test/a/PublicTest_1.png": "public",
        "test/a/PublicTester_3.png": "",
    }  # fmt: skip


def test_the_subset_survives_the_merging_of_labels(tmp_path: Path) -> None:
    files = numbered("train/a", "train/b", "train/c") | {"test/b/PrivateTest_2.png": encoded(noise(90))}
    write_archive(relabel(Dataset(files, bytes), {"b": "a"}), tmp_path / "faces.zip")
    assert run(tmp_path / "faces.zip", tmp_path).test["subset"].tolist() == ["private"]


@pytest.mark.parametrize(
    ("files", "changes", "message"),
    [
        (
            numbered("train/a", "train/b", "test/A"),
            {},
            r"\['A'\] have validation or test .* train has \['a', 'b'\].*data\.labels",
        ),
        (
            numbered("train/a", "test/a") | numbered("train/b", images=1),
            {"val_fraction": 0.6},
            r"left for \['b'\]; lower",
        ),
        (numbered("train/a", "train/b", images=2), {}, r"no test image among 4; raise split\.test_fraction"),
    ],
)
def test_what_cannot_be_trained_or_tested_is_refused(
    tmp_path: Path, files: dict[str, bytes], changes: dict[str, float], message: str
) -> None:
    with pytest.raises(DatasetError, match=message):
        run_on(files, tmp_path, **changes)
    assert not (tmp_path / "out").exists()


# --- copies -----------------------------------------------------------------------------------------------------------


def copied_faces(pictures: int = 12) -> dict[str, bytes]:
    """Each training picture three times: itself, in another format (exact), encoded with losses (near)."""
    files = {}
    for seed in range(pictures):
        label = "ab"[seed % 2]
        files[f"train/{label}/{seed}_png.png"] = encoded(smooth(seed))
        files[f"train/{label}/{seed}_bmp.bmp"] = encoded(smooth(seed), "bmp")
        files[f"train/{label}/{seed}_jpg.jpg"] = encoded(smooth(seed), "jpeg", quality=70)
    return files


def kinds_together(outcome: Outcome) -> dict[str, bool]:
    """Whether the exact copies, and the near ones, of every picture lie in one split."""
    places = outcome.places()
    pairs = {"exact": ("png.png", "bmp.bmp"), "near": ("png.png", "jpg.jpg")}
    seeds = {path.rpartition("_")[0] for path in places}
    return {
        kind: all(places[f"{seed}_{one}"] == places[f"{seed}_{other}"] for seed in seeds)
        for kind, (one, other) in pairs.items()
    }


@pytest.mark.parametrize("own_test", [True, False])
@pytest.mark.parametrize(
    ("mode", "together"),
    [
        ("none", {"exact": False, "near": False}),
        ("exact", {"exact": True, "near": False}),
        ("near", {"exact": True, "near": True}),
    ],
)
def test_copies_stay_on_one_side(tmp_path: Path, mode: str, together: dict[str, bool], own_test: bool) -> None:
    files = copied_faces()
    outcome = run_on(
        files | (numbered("test/a") if own_test else {}),
        tmp_path,
        group_duplicates=mode,
        val_fraction=0.5,
        test_fraction=0.5,
    )
    if own_test:
        outcome = outcome._replace(test=outcome.test[:0])
    assert kinds_together(outcome) == together
    assert len(outcome.val) > 0


@given(seed=st.integers(0, 1000), val_fraction=st.floats(0.1, 0.7))
@settings(max_examples=8, deadline=None)
def test_no_copy_crosses_whatever_the_seed(
    tmp_path_factory: pytest.TempPathFactory, seed: int, val_fraction: float
) -> None:
    outcome = run_on(
        copied_faces(8), tmp_path_factory.mktemp("any"), seed=seed, val_fraction=val_fraction, test_fraction=0.4
    )
    assert (outcome.copies["first_split"] == outcome.copies["second_split"]).all()
    assert len(outcome.copies) == 8 * 3


def with_test_copies() -> dict[str, bytes]:
    """Copies: 0 exact across train and test, 1 near, 2 exact within train under two labels, 3 near within test."""
    jpeg = {seed: encoded(smooth(seed), "jpeg", quality=70) for seed in (1, 3)}
    return numbered("train/a", "train/b", images=10) | {
        "train/a/0.bmp": encoded(smooth(0), "bmp"),
        "test/a/0.png": encoded(smooth(0)),
        "train/a/1.jpg": jpeg[1],
        "test/b/1.png": encoded(smooth(1)),
        "train/a/2.bmp": encoded(smooth(2), "bmp"),
        "train/b/2.bmp": encoded(smooth(2), "bmp"),
        "test/a/3.png": encoded(smooth(3)),
        "test/a/3.jpg": jpeg[3],
    }


def test_report_counts_groups_conflicts_and_copies_of_the_test_set(tmp_path: Path) -> None:
    report = run_on(with_test_copies(), tmp_path, val_fraction=0.1).report
    assert report["copies"]["exact"] == {
        "groups": 2,
        "images_in_groups": 4,
        "groups_with_label_conflict": 1,  # 2
        "test_images_with_copy_in_train_or_val": 1,  # 0
    }
    assert report["copies"]["near"] == {
        "groups": 4,
        "images_in_groups": 8,
        "groups_with_label_conflict": 2,  # 1 and 2
        "test_images_with_copy_in_train_or_val": 2,  # 0 and 1
    }
    assert (report["dropped_from_train"], report["dropped_from_val"]) == (0, 0)


def test_table_of_copies_names_both_pictures(tmp_path: Path) -> None:
    copies = run_on(with_test_copies(), tmp_path, val_fraction=0).copies.set_index("first")
    rows = {(first, row["second"]): (row["kind"], bool(row["same_label"])) for first, row in copies.iterrows()}
    assert rows == {
        ("test/a/0.png", "train/a/0.bmp"): ("exact", True),
        ("test/b/1.png", "train/a/1.jpg"): ("near", False),
        ("train/a/2.bmp", "train/b/2.bmp"): ("exact", False),
        ("test/a/3.jpg", "test/a/3.png"): ("near", True),
    }
    assert (copies.loc["test/a/0.png", ["first_split", "second_split", "correlation"]] == ["test", "train", 1.0]).all()


def test_only_the_test_index_says_what_is_copied(tmp_path: Path) -> None:
    outcome = run_on(with_test_copies(), tmp_path)
    assert dict(zip(outcome.test["path"], outcome.test["copy"], strict=True)) == {
        "test/a/0.png": "exact", "test/b/1.png": "near", "test/a/3.png": "", "test/a/3.jpg": "",
    }  # fmt: skip
    assert "copy" not in outcome.train
    assert "copy" not in outcome.val


def test_the_test_set_has_no_say_in_the_validation_split(tmp_path: Path) -> None:
    files = {path: content for path, content in with_test_copies().items() if path.startswith("train/")}
    alone = run_on(files | {"test/a/x.png": encoded(noise(500))}, tmp_path / "one")
    copied = run_on(
        files | {"test/a/x.png": files["train/a/0.bmp"], "test/a/y.png": files["train/a/3.png"]}, tmp_path / "two"
    )
    assert alone.val.equals(copied.val)
    assert alone.train.equals(copied.train)


def test_training_copies_of_test_images_can_be_dropped(tmp_path: Path) -> None:
    kept = run_on(with_test_copies(), tmp_path / "kept")
    outcome = run_on(with_test_copies(), tmp_path / "dropped", drop_train_copies_of_test=True)
    assert set(kept.places()) - set(outcome.places()) == {"train/a/0.bmp", "train/a/1.jpg"}
    assert outcome.test.drop(columns="copy").equals(kept.test.drop(columns="copy"))
    assert (kept.test["copy"] != "").sum() == 2
    assert (outcome.test["copy"] != "").sum() == 0, "what was dropped is no copy any more: those pictures are unseen"
    report = outcome.report
    assert report["dropped_from_train"] + report["dropped_from_val"] == 2
    assert sum(report["images"][name]["total"] for name in ("train", "val")) == 24 - 2


def test_dropping_the_last_training_image_of_a_label_is_refused(tmp_path: Path) -> None:
    files = numbered("train/a", "test/a") | {"train/b/1.png": encoded(smooth(1)), "test/b/1.png": encoded(smooth(1))}
    with pytest.raises(DatasetError, match=r"left for \['b'\].*drop_train_copies_of_test: false"):
        run_on(files, tmp_path, drop_train_copies_of_test=True)


def test_broken_and_blank_pictures_are_split_like_others(tmp_path: Path) -> None:
    files = numbered("train/a", "train/b", "test/a", images=5) | {
        "train/a/broken.jpg": b"",
        "train/b/text.png": b"text",
        "train/b/blank.png": encoded(np.zeros((48, 48), np.uint8)),
        "test/a/grey.png": encoded(np.full((48, 48), 9, np.uint8)), "test/a/broken.jpg": b"",
    }  # fmt: skip
    outcome = run_on(files, tmp_path)
    assert sorted(outcome.places()) == sorted(files)
    assert outcome.copies[["first", "second"]].values.tolist() == [["test/a/broken.jpg", "train/a/broken.jpg"]]


# --- parameters -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"val_fraction": 1}, {"val_fraction": -0.1}, {"test_fraction": 0}, {"seed": -1}, {"seed": 0.5}, {"seed": True},
        {"group_duplicates": "all"}, {"near": {"max_hash_distance": 65, "min_correlation": 0.9}}, {"other": 1},
        {"near": {"max_hash_distance": 10}}, {"val_fraction": "0.2"}, {"val_fraction": float("nan")},
    ],
    ids=str,
)  # fmt: skip
def test_parameters_out_of_range_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SplitParams.model_validate({**VALUES, **changes})


# --- FER2013 ----------------------------------------------------------------------------------------------------------


def test_fer2013_is_split_as_its_literature_says(fer2013_faces: Path, tmp_path: Path) -> None:
    outcome = run(fer2013_faces, tmp_path, group_duplicates="none")
    assert {name: len(table) for name, table in outcome._asdict().items() if name in ("train", "val", "test")} == {
        "train": 22_968, "val": 5_741, "test": 7_178,
    }  # fmt: skip
    assert Counter(outcome.test["subset"]) == {"public": 3_589, "private": 3_589}
    assert outcome.report["copies"]["exact"]["test_images_with_copy_in_train_or_val"] == 568
    assert outcome.report["copies"]["exact"]["groups_with_label_conflict"] == 57
    assert (
        outcome.report["copies"]["exact"]["images_in_groups"] - outcome.report["copies"]["exact"]["groups"]
        == 35_887 - 34_034
    )


def test_a_csv_of_fer2013_is_split_as_its_zip_is(fer2013_faces: Path, tmp_path: Path) -> None:
    codes = {"angry": 0, "disgust": 1, "fear": 2, "happy": 3, "sad": 4, "surprise": 5, "neutral": 6}
    faces = [face for face in list_faces(fer2013_faces) if face.name.partition("_")[2].startswith("99")]
    contents = list(read_faces(fer2013_faces, [face.path for face in faces]))
    lines = ["emotion, Usage, pixels"]
    for face, content in zip(faces, contents, strict=True):
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED).ravel()
        lines.append(f"{codes[face.label]},{face.name.partition('_')[0]},{' '.join(map(str, pixels))}")
    folder = write_folder(tmp_path, {"icml_face_data.csv": "\n".join(lines).encode()})
    write_archive(read_csv(folder / "icml_face_data.csv"), tmp_path / "csv.zip")
    from_csv = run(tmp_path / "csv.zip", tmp_path / "csv")
    from_zip = run_on({face.path: content for face, content in zip(faces, contents, strict=True)}, tmp_path)
    assert len(faces) > 200
    assert from_csv.report == from_zip.report
