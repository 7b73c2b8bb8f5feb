"""The split stage: indexes that hold each face once, copies on one side, and a report of what was found."""

from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from emotion.dataset.archive.faces import Dataset, DatasetError, list_faces, read_faces, write_archive
from emotion.dataset.layouts import read_csv, relabel
from stages.split import SplitParams
from tests.support.pictures import encoded, noise, numbered, write_folder
from tests.support.split_run import VALUES, run, run_on


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


# --- votes ------------------------------------------------------------------------------------------------------------


def single(*paths: str) -> dict[str, bytes]:
    """One picture at each path, no two alike."""
    return {path: encoded(noise(number)) for number, path in enumerate(paths)}


VOTES = "path,votes_b,votes_a,votes_unknown,votes_not_a_face\n"


def test_the_indexes_carry_what_the_crowd_said_and_the_report_counts_it(tmp_path: Path) -> None:
    files = single("train/a/1.png", "train/a/2.png", "train/b/3.png", "test/a/4.png", "test/b/5.png")
    (tmp_path / "facts.csv").write_text(
        VOTES + "train/a/1.png,7,2,1,0\ntrain/b/3.png,4,5,0,1\ntest/a/4.png,1,0,9,0\ntest/b/5.png,6,0,2,2\n"
    )
    outcome = run_on(files, tmp_path, val_fraction=0.0)
    assert outcome.train[["path", "label", "crowd", "votes_a", "votes_b"]].to_numpy().tolist() == [
        ["train/a/1.png", "a", "b", 2, 7],
        ["train/a/2.png", "a", "", 0, 0],
        ["train/b/3.png", "b", "a", 5, 4],
    ]
    assert outcome.test[["crowd", "votes_a", "votes_b"]].to_numpy().tolist() == [["", 0, 0], ["b", 0, 6]]
    assert outcome.report["crowd"]["train"] == {"learnable": 2, "agreed": 2, "a": 1, "b": 1}
    assert outcome.report["crowd"]["test"] == {"learnable": 1, "agreed": 1, "b": 1}


def test_where_nobody_voted_the_indexes_say_nothing_of_a_crowd(tiny_archive: Path, tmp_path: Path) -> None:
    outcome = run(tiny_archive, tmp_path)
    assert list(outcome.train.columns) == ["path", "label", "label_index", "subset"]
    assert "crowd" not in outcome.report


def test_the_public_test_images_can_be_the_validation_set(tmp_path: Path) -> None:
    names = ("train/a/Training_1.png", "train/a/Training_2.png", "test/a/PublicTest_3.png", "test/a/PrivateTest_4.png")
    outcome = run_on(single(*names), tmp_path, validation="public")
    assert [list(part["path"]) for part in (outcome.train, outcome.val, outcome.test)] == [
        sorted(names[:2]),
        [names[2]],
        [names[3]],
    ]


def test_a_data_set_without_public_test_images_has_no_such_validation_set(tiny_archive: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"split\.validation is `public`, but the data set has no test image named"):
        run(tiny_archive, tmp_path, validation="public")
