"""Every shape of dataset that is read, and what is said of those that are not."""

import re
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest

from emotion.dataset.archive.faces import Dataset, DatasetError
from emotion.dataset.layouts import check_labels, read_csv, read_folder, read_zip, relabel
from tests.support.pictures import csv_rows, noise, write_folder, write_zip

Read = Callable[[Mapping[str, bytes]], Dataset]

SPLIT = ("train/happy/1.jpg", "train/sad/2.PNG", "test/happy/3.bmp", "test/sad/4.webp")


@pytest.fixture(params=["folder", "zip"])
def read(request: pytest.FixtureRequest, tmp_path: Path) -> Read:
    """Read files as a folder and as a zip: both tolerate and refuse the same."""

    def as_folder(files: Mapping[str, bytes]) -> Dataset:
        return read_folder(write_folder(tmp_path / "set", files))

    def as_zip(files: Mapping[str, bytes]) -> Dataset:
        return read_zip(write_zip(tmp_path / "set.zip", files))

    return as_folder if request.param == "folder" else as_zip


def files(*paths: str) -> dict[str, bytes]:
    """Each path with content of its own; nothing is decoded here."""
    return {path: path.encode() for path in paths}


def content(dataset: Dataset) -> dict[str, bytes]:
    return {path: dataset.read(key) for path, key in sorted(dataset.keys.items())}


def test_split_folders_are_read_with_any_image_suffix(read: Read) -> None:
    assert content(read(files(*SPLIT))) == dict(sorted(files(*SPLIT).items()))


@pytest.mark.parametrize("folder", ["val", "validation", "Validation", "VAL"])
def test_a_validation_folder_is_val_however_it_is_spelt(read: Read, folder: str) -> None:
    dataset = read(files("Train/happy/1.jpg", f"{folder}/happy/2.jpg", "TEST/Happy/3.jpg"))
    assert sorted(dataset.keys) == ["test/Happy/3.jpg", "train/happy/1.jpg", "val/happy/2.jpg"]


def test_files_that_are_no_pictures_are_counted(read: Read, capsys: pytest.CaptureFixture[str]) -> None:
    paths = ("happy/1.jpg", "sad/1.TIFF", "sad/2.gif", "happy/1.heic", "happy/2.heic", "readme.txt")
    assert len(read(files(*paths)).keys) == 3
    assert "left out 2 .heic, 1 .txt (pictures end in .bmp, " in capsys.readouterr().out


def test_label_folders_alone_are_all_for_training(read: Read) -> None:
    assert sorted(read(files("happy/1.jpg", "7/2.jpg", "so so/3.jpg")).keys) == [
        "train/7/2.jpg", "train/happy/1.jpg", "train/so so/3.jpg",
    ]  # fmt: skip


@pytest.mark.parametrize("wrap", ["fer2013/", "a/b/c/", "images of faces/"])
@pytest.mark.parametrize("layout", [SPLIT, ("happy/1.jpg", "sad/2.jpg"), ("train/happy/1.jpg", "train/sad/1.jpg")])
def test_wrapping_folders_are_taken_off(read: Read, wrap: str, layout: tuple[str, ...]) -> None:
    wrapped = read(files(*(wrap + path for path in layout)))
    assert {path.removeprefix("train/").removeprefix("test/") for path in wrapped.keys} == {
        path.removeprefix("train/").removeprefix("test/") for path in layout
    }
    assert {path.split("/")[0] for path in wrapped.keys} <= {"train", "test"}


def test_clutter_is_passed_over(read: Read) -> None:
    clutter = (
        "__MACOSX/set/train/happy/._1.jpg", "set/.DS_Store", "set/train/.DS_Store", "set/train/happy/Thumbs.db",
        "set/train/happy/._1.jpg", "set/train/sad/.ipynb_checkpoints/2-checkpoint.jpg", ".git/x/y/1.png",
        "set/README.md", "set/train/happy/notes.txt", "set/labels.csv",
    )  # fmt: skip
    dataset = read(files("set/train/happy/1.jpg", "set/test/sad/2.jpg", *clutter))
    assert sorted(dataset.keys) == ["test/sad/2.jpg", "train/happy/1.jpg"]


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        ((), "no image; found nothing; expected train/<label>/<image>"),
        (
            ("README.md", "a/happy/1.heic"),
            r"no image; found README.md, a/happy/ \(1 files\); expected .*\.bmp, \.dib, \.gif",
        ),
        (("1.jpg", "2.jpg"), "2 of 2 images are not in a label folder, such as 1.jpg, 2.jpg"),
        (("train/1.jpg", "test/2.jpg"), r"2 of 2 images are not in a label folder.*found test/ \(1 files\), train/"),
        ((*SPLIT, "overview.png"), "1 of 5 images are not in a label folder, such as overview.png; found overview.png"),
        (("w/train/happy/1.jpg", "w/overview.png"), "1 of 2 images are not in a label folder, such as w/overview.png"),
        ((*SPLIT, "sad/5.jpg"), "1 of 5 images are not in a label folder, such as sad/5.jpg"),
        ((*SPLIT, "train/happy/x/5.jpg"), "1 of 5 .* such as train/happy/x/5.jpg"),
        (("one/train/happy/1.jpg", "two/train/happy/1.jpg"), "2 of 2 .* found one/train/happy/ .*two/train/happy/"),
        (("test/happy/1.jpg", "val/happy/2.jpg"), "has images for test and val but none for train"),
        (("val/a/1.jpg", "validation/a/1.jpg", "train/a/1.jpg"), "two files claim val/a/1.jpg: .*val/a/1.jpg and .*"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_listed_with_what_is_expected(read: Read, paths: tuple[str, ...], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        read(files(*paths))


def test_a_long_list_is_cut(read: Read) -> None:
    with pytest.raises(DatasetError) as caught:
        read(files(*(f"{number:02d}/x/y/1.jpg" for number in range(40))))
    assert "40 of 40 images" in str(caught.value)
    assert "09/x/y/ (1 files) and 30 more" in str(caught.value)
    assert len(str(caught.value)) < 800


# --- folders ----------------------------------------------------------------------------------------------------------


def test_a_folder_reached_by_a_link_is_refused_because_dvc_would_not_see_a_change(tmp_path: Path) -> None:
    write_folder(tmp_path / "elsewhere", files("happy/1.jpg"))
    write_folder(tmp_path / "set", files("test/happy/2.jpg"))
    (tmp_path / "set" / "train").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DatasetError, match=r"set/train: a link to a folder.*DVC does not look into linked folders"):
        read_folder(tmp_path / "set")


def test_linked_files_are_read_and_dead_links_named(tmp_path: Path) -> None:
    write_folder(tmp_path, files("elsewhere.jpg", "set/happy/1.jpg"))
    (tmp_path / "set" / "happy" / "2.jpg").symlink_to(tmp_path / "elsewhere.jpg")
    assert content(read_folder(tmp_path / "set"))["train/happy/2.jpg"] == b"elsewhere.jpg"
    (tmp_path / "elsewhere.jpg").unlink()
    with pytest.raises(DatasetError, match=r"happy/2\.jpg: a link to a folder, or a broken link"):
        read_folder(tmp_path / "set")


# --- zips -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["/", "./", "//", "/set/"])
def test_absolute_and_dotted_member_paths_are_read_from_their_first_folder(tmp_path: Path, prefix: str) -> None:
    path = write_zip(tmp_path / "set.zip", files(*(prefix + member for member in SPLIT)))
    assert sorted(read_zip(path).keys) == sorted(SPLIT)


def test_backslashes_separate_folders(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "set.zip", files("train\\happy\\1.jpg", "test\\happy\\2.jpg"))
    assert sorted(read_zip(path).keys) == ["test/happy/2.jpg", "train/happy/1.jpg"]


@pytest.mark.parametrize("member", ["../train/happy/1.jpg", "train/../../1.jpg", "train/happy/..\\1.jpg"])
def test_members_that_point_out_of_the_zip_are_refused(tmp_path: Path, member: str) -> None:
    path = write_zip(tmp_path / "set.zip", files(*SPLIT, member))
    with pytest.raises(DatasetError, match=f"{re.escape(repr(member))} points outside the zip"):
        read_zip(path)


def test_a_member_that_occurs_twice_is_named(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.writestr("train/happy/1.jpg", b"one")
        archive.writestr("train/happy/1.jpg", b"two")
    with pytest.raises(DatasetError, match=r"two files claim train/happy/1.jpg"):
        read_zip(tmp_path / "set.zip")


def test_an_unreadable_zip_is_named(tmp_path: Path) -> None:
    whole = write_zip(tmp_path / "set.zip", files(*SPLIT)).read_bytes()
    for name, damaged in (("text.zip", b"no zip"), ("cut.zip", whole[: len(whole) // 2]), ("empty.zip", b"")):
        (tmp_path / name).write_bytes(damaged)
        with pytest.raises(DatasetError, match=f"{name} cannot be read .*download or copy the zip again"):
            read_zip(tmp_path / name)


def test_a_damaged_member_is_named(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.writestr("train/happy/1.jpg", b"some pixels")
    path = tmp_path / "set.zip"
    path.write_bytes(path.read_bytes().replace(b"some", b"sOme"))
    dataset = read_zip(path)
    with pytest.raises(DatasetError, match=r"member train/happy/1\.jpg cannot be read \(Bad CRC"):
        content(dataset)


def test_a_zip_with_a_password_is_refused_by_name(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "set.zip", files("train/happy/1.jpg"))
    locked = bytearray(path.read_bytes())
    locked[6] |= 1  # the flag "encrypted" in the member's own header ...
    locked[locked.index(b"PK\x01\x02") + 8] |= 1  # ... and in the directory
    path.write_bytes(locked)
    with pytest.raises(DatasetError, match=r"member train/happy/1\.jpg cannot be read .*pack a plain one"):
        content(read_zip(path))


# --- FER2013's CSV ----------------------------------------------------------------------------------------------------

ROWS = [(0, noise(1, 48, 48), "Training"), (6, noise(2, 48, 48), "PublicTest"), (3, noise(3, 48, 48), "PrivateTest")]
ROW_PATHS = ["test/happy/PrivateTest_2.png", "test/neutral/PublicTest_1.png", "train/angry/Training_0.png"]


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "byte order mark"])
@pytest.mark.parametrize("columns", ["{0},{1},{2}", "{0}, {2},{1}", "{0}, {1},{2} ,more"])
def test_csv_rows_become_pngs_of_the_same_pixels(tmp_path: Path, columns: str, mark: bytes) -> None:
    lines = [columns.format("emotion", "pixels", "Usage")]  # icml_face_data.csv: spaces before names, its own order
    lines += [columns.format(code, " ".join(map(str, face.ravel())), usage) for code, face, usage in ROWS]
    (tmp_path / "fer2013.csv").write_bytes(mark + "\r\n".join(lines).encode())
    faces = content(read_csv(tmp_path / "fer2013.csv"))
    assert list(faces) == ROW_PATHS
    for path, png in faces.items():
        decoded = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
        assert np.array_equal(decoded, ROWS[int(Path(path).stem.partition("_")[2])][1])


def test_pixels_are_read_row_by_row(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"emotion,pixels,Usage\n3,0 1 2 253 254 255 7 8 9,Training\n")
    dataset = read_csv(tmp_path / "x.csv")
    (png,) = content(dataset).values()
    decoded = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    assert decoded.tolist() == [[0, 1, 2], [253, 254, 255], [7, 8, 9]]


def test_csv_may_be_wrapped_in_a_zip_or_a_folder_beside_other_tables(read: Read) -> None:
    dataset = read({
        "challenge/icml_face_data.csv": csv_rows(ROWS, "emotion, pixels, Usage"),
        "challenge/train.csv": b"emotion,pixels\n0,1\n",
        "challenge/fer2013.bib": b"@article",
        "__MACOSX/challenge/._icml_face_data.csv": b"\0",
    })  # fmt: skip
    assert sorted(dataset.keys) == ROW_PATHS


def test_blank_lines_and_large_pictures_are_read(tmp_path: Path) -> None:
    rows = csv_rows([(0, noise(1, 224, 224), "Training")])
    (tmp_path / "x.csv").write_bytes(rows + b"\n\n")
    assert list(read_csv(tmp_path / "x.csv").keys) == ["train/angry/Training_0.png"]


@pytest.mark.parametrize(
    "row",
    [
        "7,0 0 0 0,Training", "-1,0 0 0 0,Training", "happy,0 0 0 0,Training", "0,0 0 0 0,Train", "0,0 0 0 0",
        "0,0 0 0 256,Training", "0,0 0 0 -1,Training", "0,0 0 0,Training", "0,,Training", "0,0 0 x 0,Training",
    ],
)  # fmt: skip
def test_a_row_that_is_none_is_numbered(tmp_path: Path, row: str) -> None:
    (tmp_path / "fer2013.csv").write_text(f"emotion,pixels,Usage\n0,1 2 3 4,Training\n{row}\n")
    with pytest.raises(DatasetError, match=r"fer2013\.csv, data row 1: not a FER2013 row"):
        read_csv(tmp_path / "fer2013.csv")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (b"emotion,pixels\n", r"lacks the columns \['Usage'\]; it has emotion, pixels; expected"),
        (b"", "lacks the columns .* it has none"),
        (b"\xff\xfe\0\0", "lacks the columns"),
        (csv_rows(ROWS[1:]), "has images for test but none for train"),
    ],
)
def test_a_csv_that_is_not_fer2013s_is_described(tmp_path: Path, table: bytes, message: str) -> None:
    (tmp_path / "x.csv").write_bytes(table)
    with pytest.raises(DatasetError, match=message):
        read_csv(tmp_path / "x.csv")


def test_two_tables_or_none_that_fit_are_listed(read: Read) -> None:
    with pytest.raises(DatasetError, match=r"2 of the tables a\.csv, b\.csv are FER2013's"):
        read({"a.csv": csv_rows(ROWS), "b.csv": csv_rows(ROWS)})


def test_a_table_of_something_else_is_listed(read: Read) -> None:
    with pytest.raises(DatasetError, match=r"0 of the tables a\.csv are FER2013's; expected"):
        read({"a.csv": b"x,y\n1,2\n", "notes.txt": b""})


# --- labels -----------------------------------------------------------------------------------------------------------

FACES = Dataset(
    files("train/1/x.jpg", "train/2/x.jpg", "train/2/y.jpg", "test/1/x.jpg", "test/3/PublicTest_9.jpg"), bytes
)


def test_labels_are_left_alone_without_names() -> None:
    assert relabel(FACES, {}).keys == FACES.keys


def test_labels_can_be_renamed_swapped_and_dropped() -> None:
    assert relabel(FACES, {"1": "2", "2": "1", "3": None}).keys == {
        "train/2/x.jpg": b"train/1/x.jpg",
        "train/1/x.jpg": b"train/2/x.jpg",
        "train/1/y.jpg": b"train/2/y.jpg",
        "test/2/x.jpg": b"test/1/x.jpg",
    }


def test_merged_labels_keep_files_of_equal_name_apart_and_the_start_of_the_name() -> None:
    assert relabel(FACES, {"1": "happy", "2": "happy", "3": "happy"}).keys == {
        "train/happy/x_1.jpg": b"train/1/x.jpg",
        "train/happy/x_2.jpg": b"train/2/x.jpg",
        "train/happy/y_2.jpg": b"train/2/y.jpg",
        "test/happy/x_1.jpg": b"test/1/x.jpg",
        "test/happy/PublicTest_9_3.jpg": b"test/3/PublicTest_9.jpg",  # still a picture of the public test set
    }


def test_a_label_can_be_merged_into_one_that_stays() -> None:
    assert set(relabel(FACES, {"1": "2"}).keys) == {
        "train/2/x_1.jpg", "train/2/x_2.jpg", "train/2/y_2.jpg", "test/2/x_1.jpg", "test/3/PublicTest_9.jpg",
    }  # fmt: skip


def test_names_that_would_collide_stop_the_merge() -> None:
    faces = Dataset(files("train/a_b/1.jpg", "train/b/1_a.jpg"), bytes)
    with pytest.raises(DatasetError, match=r"two files claim train/c/1_a_b.jpg"):
        relabel(faces, {"a_b": "c", "b": "c"})


def test_unknown_labels_and_an_empty_result_are_refused() -> None:
    with pytest.raises(
        DatasetError, match=r"data\.labels names \['9'\], but the dataset's labels are \['1', '2', '3'\]"
    ):
        relabel(FACES, {"1": "x", "9": "y"})
    with pytest.raises(DatasetError, match="drops every label"):
        relabel(FACES, dict.fromkeys("123"))


def test_a_label_that_says_that_none_is_probable_is_refused() -> None:
    with pytest.raises(DatasetError, match="a label is called 'uncertain', the name for faces for which no label"):
        check_labels(Dataset(files("train/happy/1.jpg", "train/uncertain/2.jpg"), bytes))
