"""Which pictures a folder holds; what in it can't be read is said, not skipped."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from emotion.dataset.archive.faces import DatasetError
from emotion.dataset.layouts import read_folder
from emotion.dataset.picture_files import expand, pictures_below
from emotion.foundation.errors import UserError
from emotion.inference.labelled_pictures import labelled_pictures, score
from emotion.inference.predictor import Predictor
from tests.support.pictures import encoded, smooth

FILES = ("happy/1.png", "happy/below/2.JPG", "happy/.hidden/3.png", "happy/.4.png", "happy/note.txt", "sad/5.png")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in FILES:
        path = tmp_path / "set" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(smooth(0), "png"))
    return tmp_path / "set"


@pytest.fixture
def forbid(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Make a folder one that can't be listed; permissions alone don't stop root."""

    def forbidden(path: Path) -> None:
        listed = os.scandir

        def scandir(place: str | Path = ".") -> object:
            if str(place) == str(path):
                raise PermissionError(13, "Permission denied", str(place))
            return listed(place)

        monkeypatch.setattr(os, "scandir", scandir)

    return forbidden


def names(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in pictures_below(folder)]


def test_pictures_are_found_below_a_folder_without_hidden_ones(folder: Path) -> None:
    assert names(folder) == ["happy/1.png", "happy/below/2.JPG", "sad/5.png"]
    assert pictures_below(folder / "happy/1.png") == pictures_below(folder / "none") == []


def test_links_to_folders_are_not_followed_and_broken_ones_are_found(folder: Path) -> None:
    (folder / "sad/loop.png").symlink_to(folder, target_is_directory=True)
    (folder / "sad/broken.png").symlink_to("nowhere.png")
    (folder / "sad/broken.txt").symlink_to("nowhere.txt")
    assert names(folder) == ["happy/1.png", "happy/below/2.JPG", "sad/5.png", "sad/broken.png"]


def test_a_folder_that_cannot_be_listed_is_found(folder: Path, forbid: Callable[[Path], None]) -> None:
    forbid(folder / "happy/below")
    assert names(folder) == ["happy/1.png", "happy/below", "sad/5.png"]
    assert list(expand([str(folder / "happy/below")])) == [folder / "happy/below"]


def test_what_cannot_be_read_is_an_error_of_its_own(folder: Path, forbid: Callable[[Path], None]) -> None:
    (folder / "sad/broken.png").symlink_to("nowhere.png")
    forbid(folder / "happy/below")
    scored = score(Predictor(detector=None), labelled_pictures(folder, {"happy": "happy", "sad": "sad"}))
    assert scored.total == 2
    assert scored.errors == [
        (str(folder / "happy/below"), "cannot be read (Permission denied)"),
        (str(folder / "sad/broken.png"), "a broken link"),
    ]


def test_a_label_whose_folder_is_a_broken_link_is_not_left_out(folder: Path) -> None:
    (folder / "fear").symlink_to("nowhere")
    with pytest.raises(UserError, match="fear is a broken link; link it again, or remove it"):
        labelled_pictures(folder, {"happy": "happy", "sad": "sad"})


def test_a_data_set_with_a_folder_that_cannot_be_listed_is_refused(
    folder: Path, forbid: Callable[[Path], None]
) -> None:
    forbid(folder / "happy/below")
    with pytest.raises(DatasetError, match=r"happy/below: a folder that cannot be read \(Permission denied\); change"):
        read_folder(folder)
