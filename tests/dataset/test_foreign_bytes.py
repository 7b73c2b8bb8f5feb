"""Damaged, hostile and oddly named data sets: one line that names the file, or the picture is taken."""

import errno
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from emotion.dataset.archive.faces import DatasetError, content_digest, list_faces, read_faces, write_archive
from emotion.dataset.layouts import read_csv, read_folder, read_zip
from tests.support.pictures import numbered

METHODS = {
    "stored": zipfile.ZIP_STORED,
    "deflated": zipfile.ZIP_DEFLATED,
    "bz2": zipfile.ZIP_BZIP2,
    "lzma": zipfile.ZIP_LZMA,
}
FILES = numbered("train/happy", "train/sad", images=3)


def packed(path: Path, method: int) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in FILES.items():
            archive.writestr(name, content * 20)
    return path


@pytest.mark.parametrize("method", METHODS)
def test_a_damaged_member_is_named_whatever_packed_it(method: str, tmp_path: Path) -> None:
    path = packed(tmp_path / "x.zip", METHODS[method])
    whole = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        info = archive.infolist()[0]
    start = info.header_offset + 30 + len(info.filename)
    for offset in range(0, info.compress_size, max(1, info.compress_size // 40)):
        broken = bytearray(whole)
        broken[start + offset] ^= 0xFF
        path.write_bytes(broken)
        try:
            content_digest(read_zip(path))
        except DatasetError as error:
            assert "member " in str(error) and "get the zip again" in str(error) and "\n" not in str(error)


def test_every_cut_and_every_flipped_byte_is_one_line(tmp_path: Path) -> None:
    whole = packed(tmp_path / "x.zip", zipfile.ZIP_DEFLATED).read_bytes()
    path = tmp_path / "y.zip"
    for place in range(0, len(whole), 7):
        for content in (whole[:place], whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :]):
            path.write_bytes(content)
            for read in (read_as_given, read_as_archive):
                try:
                    read(path)
                except DatasetError as error:
                    assert "\n" not in str(error)


def read_as_given(path: Path) -> None:
    content_digest(read_zip(path))


def read_as_archive(path: Path) -> None:
    list(read_faces(path, [face.path for face in list_faces(path)]))


def test_a_disk_that_fails_while_a_picture_is_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    dataset = read_folder(tmp_path)

    def fail(path: Path) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

    monkeypatch.setattr(Path, "read_bytes", fail)
    with pytest.raises(DatasetError, match=r"happy/0\.png cannot be read .*Input/output error.*check the disk"):
        content_digest(dataset)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_odd_names_are_kept_with_percent_signs(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    for name in (b"bad\xff.png", b"line\nbreak.png", b"return\r.png", b"plain.png"):
        path = Path(os.fsdecode(os.fsencode(folder) + b"/happy/" + name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    write_archive(read_folder(folder), tmp_path / "faces.zip")
    assert [face.name for face in list_faces(tmp_path / "faces.zip")] == [
        "bad%FF.png", "line%0Abreak.png", "plain.png", "return%0D.png",
    ]  # fmt: skip


def test_an_archive_with_odd_names_is_refused_where_no_download_made_it(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "faces.zip", "w") as archive:
        archive.writestr("train/happy/a\r.png", b"x")
    with pytest.raises(DatasetError, match=r"train/happy/a\\r\.png holds characters"):
        list_faces(tmp_path / "faces.zip")


@pytest.mark.parametrize(
    "pixels",
    ["1_0 1 1 1", "٣ 1 1 1", "+1 1 1 1", "-0 1 1 1", "1.0 1 1 1", "256 1 1 1", "1 1 1", "", "0x1 1 1 1", "9" * 5000],
)
def test_pixels_are_whole_numbers_in_ascii_digits(pixels: str, tmp_path: Path) -> None:
    path = tmp_path / "fer2013.csv"
    path.write_text(f"emotion,pixels,Usage\n0,1 2 3 4,Training\n0,{pixels},Training\n", encoding="utf-8")
    with pytest.raises(DatasetError, match="data row 1: not a FER2013 row"):
        read_csv(path)


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
@pytest.mark.parametrize("kind", ["member", "table"])
def test_a_bomb_is_refused_in_little_memory(kind: str, tmp_path: Path) -> None:
    """Ten million bytes that unpack to two thousand million: as a picture, and as one field of a table."""
    name, head = ("train/happy/a.png", b"") if kind == "member" else ("t.csv", b"emotion,pixels,Usage\n0,")
    info = zipfile.ZipInfo(name)
    info.compress_type = zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive, archive.open(info, "w", force_zip64=True) as member:
        member.write(head)
        for _ in range(2000):
            member.write(b"1 " * 500_000)
    program = (
        "import re, sys\n"
        "from pathlib import Path\n"
        "from emotion.dataset.archive.faces import DatasetError, content_digest\n"
        "from emotion.dataset.layouts import read_zip\n"
        "try:\n    content_digest(read_zip(Path(sys.argv[1])))\n"
        "except DatasetError as error:\n"
        "    status = Path('/proc/self/status').read_text()\n"
        "    print(re.search(r'VmHWM:\\s+(\\d+)', status)[1])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "x.zip"], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 700_000, "KiB"
