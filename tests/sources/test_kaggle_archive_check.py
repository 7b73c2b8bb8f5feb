"""The check of a downloaded zip."""

import io
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotion.dataset.archive.faces import DatasetError
from emotion.sources.kaggle.archive_check import check_archive
from tests.support.kaggle.project import CHARACTER_DEVICE, FACES, HALF, LINK, flipped, with_member


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (with_member("train/happy/../../../evil.png"), "lies outside the archive's root"),
        (with_member("/etc/passwd"), "'/etc/passwd' lies outside"),
        (with_member("C:/evil.png"), "lies outside"),
        (with_member("train\\evil.png"), "lies outside"),
        (with_member("train/happy/a.png", attributes=LINK), "is a link or a device"),
        (with_member("train/happy/a.png", attributes=CHARACTER_DEVICE), "is a link or a device"),
        (with_member("train/happy/Training_0.png"), "two members of one name"),
        (with_member("train/happy/a.png", flag_bits=1), "is encrypted"),
        (with_member("train/happy/a.png", compress_type=zipfile.ZIP_LZMA), "is compressed by method 14"),
        (with_member("train/happy/a.png", b"123", file_size=2), "no intact zip"),
        (with_member("train/happy/a.png", file_size=300 << 20), "would unpack to 314,"),
        (FACES[:-1], "no intact zip"),
        (FACES[HALF:], "no intact zip"),
    ],
)
def test_bad_archive_is_refused(content: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / "bad.zip").write_bytes(content)
    with pytest.raises(DatasetError, match=says):
        check_archive(tmp_path / "bad.zip")


@settings(max_examples=300, deadline=None, derandomize=True)
@given(position=st.integers(0, len(FACES) - 1), mask=st.integers(1, 255))
def test_no_flipped_byte_changes_what_is_read(
    position: int, mask: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "flipped.zip"
    path.write_bytes(flipped(FACES, position, mask))
    try:
        check_archive(path)
    except DatasetError:
        return
    assert contents(path) == contents_of(FACES)


def contents(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def contents_of(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_flipped_bit_that_hides_a_member_is_noticed(tmp_path: Path) -> None:
    # An entry of the directory is 46 bytes and its name; as the comment of the entry before it, it is not seen.
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name in ("train/happy/aaa.png", "train/happy/1234567"[:18], "train/sad/b.png"):
            archive.writestr(name, b"x")
    content = target.getvalue()
    comment_length = content.index(b"PK\1\2") + 32
    path = tmp_path / "hidden.zip"
    path.write_bytes(flipped(content, comment_length, 64))
    with zipfile.ZipFile(path) as archive:
        assert len(archive.namelist()) == 2  # zipfile itself sees no fault
    with pytest.raises(DatasetError, match="it lists 2 members, but says that it has 3"):
        check_archive(path)


def test_more_members_than_the_end_record_can_count_are_fine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 2)  # makes zipfile write what it writes for more than 65,535
    path = tmp_path / "many.zip"
    path.write_bytes(with_member("train/happy/a.png"))
    content = bytearray(path.read_bytes())
    count = content.rindex(b"PK\5\6") + 8
    content[count : count + 4] = b"\xff" * 4
    path.write_bytes(content)
    assert b"PK\6\6" in content
    check_archive(path)
