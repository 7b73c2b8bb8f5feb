"""The source `local`: the one zip, folder or CSV of the person's own."""

from pathlib import Path

import pytest

from emotion.dataset.archive.faces import DatasetError, write_archive
from emotion.sources.local.source import Source
from tests.support.pictures import csv_rows, noise, write_folder, write_zip


@pytest.fixture
def input_dir(tmp_path: Path) -> Path:
    """`data/local` as it is in Git, with the litter of two operating systems and of DVC."""
    litter = (".gitignore", ".DS_Store", "Thumbs.db", "__MACOSX/x", "set.zip.dvc", "set.zip.part", "desktop.ini")
    return write_folder(tmp_path / "local", dict.fromkeys(litter, b""))


def keys(input_dir: Path) -> list[str]:
    return sorted(Source().dataset(input_dir, Path("unused")).keys)


@pytest.mark.parametrize("kind", ["zip", "folder", "link to a zip"])
def test_zip_folder_and_linked_zip_give_the_same_archive(
    tmp_path: Path, input_dir: Path, tiny_zip: Path, tiny_files: dict[str, bytes], tiny_archive: Path, kind: str
) -> None:
    if kind == "zip":
        write_zip(input_dir / "SET.ZIP", tiny_files)
    elif kind == "folder":
        write_folder(input_dir / "set", tiny_files)
    else:
        (input_dir / "set.zip").symlink_to(tiny_zip)
    write_archive(Source().dataset(input_dir, tmp_path), tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == tiny_archive.read_bytes()


def test_a_csv_is_read(input_dir: Path) -> None:
    write_folder(input_dir, {"fer2013.CSV": csv_rows([(3, noise(0, 48, 48), "Training")])})
    assert keys(input_dir) == ["train/happy/Training_0.png"]


@pytest.mark.parametrize(
    ("entries", "found"),
    [((), "nothing"), (("a.zip", "b/x.jpg"), "a.zip, b"), (("train/happy/1.jpg", "test/happy/1.jpg"), "test, train")],
)
def test_none_and_several_candidates_are_listed(input_dir: Path, entries: tuple[str, ...], found: str) -> None:
    write_folder(input_dir, dict.fromkeys(entries, b""))
    with pytest.raises(
        DatasetError, match=rf"exactly one zip, one folder or one CSV; found {found}\. Put the data set"
    ):
        keys(input_dir)


def test_a_missing_folder_holds_nothing(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="found nothing"):
        keys(tmp_path / "missing")


def test_other_files_are_refused(input_dir: Path) -> None:
    write_folder(input_dir, {"fer2013.tar.gz": b""})
    with pytest.raises(DatasetError, match=r"fer2013\.tar\.gz is neither a zip, nor a folder, nor a CSV"):
        keys(input_dir)


def test_a_link_to_a_folder_is_refused_because_dvc_would_not_see_a_change(tmp_path: Path, input_dir: Path) -> None:
    (input_dir / "set").symlink_to(write_folder(tmp_path / "elsewhere", {"happy/1.jpg": b""}))
    with pytest.raises(DatasetError, match="set is a link to a folder; DVC does not look into it"):
        keys(input_dir)


def test_a_link_to_nothing_is_named(input_dir: Path) -> None:
    (input_dir / "set.zip").symlink_to(input_dir / "gone.zip")
    with pytest.raises(DatasetError, match=r"set\.zip is a link to .*gone\.zip, which does not exist"):
        keys(input_dir)
