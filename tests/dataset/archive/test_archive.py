"""The canonical archive: bytes that depend on names and images alone, and errors that say what to do."""

import hashlib
import os
import re
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotion.dataset.archive.faces import Dataset, DatasetError, Face, list_faces, parse_path, read_faces, write_archive
from emotion.foundation.errors import UserError
from tests.support.pictures import write_zip

FILES = {"train/happy/b.jpg": b"second", "train/happy/a.jpg": b"first", "test/sad/1.png": b"third"}

names = st.text(st.characters(exclude_characters="/", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8).filter(
    lambda name: name not in (".", "..")
)


def test_member_path_is_split_label_and_name() -> None:
    assert parse_path("val/happy/a b.jpg") == Face("val/happy/a b.jpg", "val", "happy", "a b.jpg")


@pytest.mark.parametrize(
    "path",
    [
        "", "happy/1.jpg", "train/happy", "train/happy/", "train//1.jpg", "Train/happy/1.jpg", "valid/happy/1.jpg",
        "train/happy/x/1.jpg", "/train/happy/1.jpg", "train/../1.jpg", "train/./1.jpg", "train/happy/..",
    ],
)  # fmt: skip
def test_other_member_paths_are_refused(path: str) -> None:
    with pytest.raises(DatasetError, match="<split>/<label>/<name>"):
        parse_path(path)


def test_a_name_longer_than_any_file_system_allows_is_refused() -> None:
    assert parse_path("train/happy/" + "n" * 1988).name == "n" * 1988
    with pytest.raises(DatasetError, match=r"train/happy/n+\.\.\. is 2,001 bytes long, over 2,000; rename it"):
        parse_path("train/happy/" + "n" * 1989)


def test_archive_is_stored_sorted_and_timeless(tmp_path: Path) -> None:
    write_archive(Dataset(FILES, bytes), tmp_path / "faces.zip")
    with zipfile.ZipFile(tmp_path / "faces.zip") as archive:
        assert archive.namelist() == ["test/sad/1.png", "train/happy/a.jpg", "train/happy/b.jpg"]
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_archive_bytes_are_the_same_in_any_order_and_on_any_day(tmp_path: Path) -> None:
    write_archive(Dataset(FILES, bytes), tmp_path / "one.zip")
    write_archive(Dataset(dict(reversed(FILES.items())), bytes, {"version": "7"}), tmp_path / "two.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    # Worked out once: another value means that every user's archive changes.
    assert hashlib.sha256((tmp_path / "one.zip").read_bytes()).hexdigest()[:16] == "e498db3b6e10d8c7"


def test_summary_counts_images_per_split_and_label(tmp_path: Path) -> None:
    summary = write_archive(Dataset(FILES, bytes), tmp_path / "faces.zip")
    assert summary.images == {"test": {"sad": 1}, "train": {"happy": 2}}
    assert summary.image_bytes == len(b"firstsecondthird")


def test_digest_is_of_sorted_names_and_contents(tmp_path: Path) -> None:
    by_hand = hashlib.sha256()
    for name, content in (
        ("test/sad/1.png", b"third"),
        ("train/happy/a.jpg", b"first"),
        ("train/happy/b.jpg", b"second"),
    ):
        by_hand.update(name.encode() + b"\0" + hashlib.sha256(content).digest())
    assert write_archive(Dataset(FILES, bytes), tmp_path / "faces.zip").digest == by_hand.hexdigest()


@pytest.mark.parametrize(
    "changed",
    [
        FILES | {"test/sad/1.png": b"thirD"},
        {"test/sad/2.png" if path == "test/sad/1.png" else path: content for path, content in FILES.items()},
        FILES | {"test/sad/2.png": b""},
    ],
)
def test_digest_changes_with_any_name_or_byte(tmp_path: Path, changed: dict[str, bytes]) -> None:
    digest = write_archive(Dataset(FILES, bytes), tmp_path / "faces.zip").digest
    assert write_archive(Dataset(changed, bytes), tmp_path / "faces.zip").digest != digest


@given(
    files=st.dictionaries(st.tuples(st.sampled_from(("train", "val", "test")), names, names), st.binary(max_size=20))
)
def test_archive_gives_back_any_names_and_bytes(tmp_path_factory: pytest.TempPathFactory, files: dict) -> None:
    path = tmp_path_factory.mktemp("any") / "faces.zip"
    dataset = Dataset({"/".join(parts): content for parts, content in files.items()}, bytes)
    if not files:
        with pytest.raises(DatasetError, match="no image"):
            write_archive(dataset, path)
        return
    write_archive(dataset, path)
    faces = list_faces(path)
    assert [(face.split, face.label, face.name) for face in faces] == [
        tuple(member.split("/")) for member in sorted(dataset.keys)
    ]
    assert list(read_faces(path, [face.path for face in faces])) == [dataset.keys[face.path] for face in faces]


def test_a_failed_write_leaves_the_old_archive_and_no_scraps(tmp_path: Path) -> None:
    def fail(key: bytes) -> bytes:
        raise DatasetError("the disk is gone")

    path = tmp_path / "raw" / "faces.zip"
    write_archive(Dataset(FILES, bytes), path)
    before = path.read_bytes()
    with pytest.raises(DatasetError, match="the disk is gone"):
        write_archive(Dataset(FILES, fail), path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_faces_are_read_in_the_order_asked_for(tmp_path: Path) -> None:
    write_archive(Dataset(FILES, bytes), tmp_path / "faces.zip")
    assert list(read_faces(tmp_path / "faces.zip", ["train/happy/b.jpg", "test/sad/1.png"])) == [b"second", b"third"]


def test_what_is_no_archive_is_named_with_the_stage_to_run(tmp_path: Path) -> None:
    (tmp_path / "text.zip").write_text("not a zip")
    for path in (tmp_path / "text.zip", tmp_path / "missing.zip"):
        with pytest.raises(DatasetError, match=rf"{path.name} cannot be read .*run the download stage"):
            list_faces(path)
    with pytest.raises(DatasetError, match=r"'README.md' is not of the form"):
        list_faces(write_zip(tmp_path / "other.zip", {"README.md": b""}))


def test_a_missing_or_damaged_member_is_named(tmp_path: Path) -> None:
    path = tmp_path / "faces.zip"
    write_archive(Dataset(FILES, bytes), path)
    with pytest.raises(DatasetError, match=r"train/happy/c.jpg cannot be read"):
        list(read_faces(path, ["train/happy/c.jpg"]))
    path.write_bytes(path.read_bytes().replace(b"first", b"fIrst"))
    with pytest.raises(DatasetError, match=r"train/happy/a.jpg cannot be read .*CRC"):
        list(read_faces(path, ["train/happy/a.jpg"]))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no named pipes")
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("pipe", "is a pipe or a device; name a file"),
        ("folder", "is a folder; name a file"),
        ("gone", "gone cannot be read (No such file or directory); run the download stage again"),
    ],
)
def test_only_a_file_is_opened_as_an_archive(name: str, says: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match=re.escape(says)) as caught:
        list_faces(tmp_path / name)
    assert str(caught.value).count(str(tmp_path)) == 1
