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


def test_a_member_without_a_name_is_left_out(tmp_path: Path) -> None:
    path = packed(tmp_path / "x.zip", zipfile.ZIP_STORED)
    content = path.read_bytes()
    in_directory = content.rindex(b"train/sad/")  # the name ends at the first zero byte
    path.write_bytes(content[:in_directory] + b"\0" + content[in_directory + 1 :])
    with zipfile.ZipFile(path) as archive:
        assert "" in archive.namelist()
    assert len(read_zip(path).keys) == len(FILES) - 1


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


# --- memory -----------------------------------------------------------------------------------------------------------

PROGRAM = """
import re, sys
from pathlib import Path
from emotion.dataset.archive.faces import DatasetError, content_digest, list_faces, read_faces
from emotion.dataset.layouts import read_zip
path, said = Path(sys.argv[1]), ""
try:
    if path.name == "faces.zip":
        list(read_faces(path, [face.path for face in list_faces(path)]))
    else:
        content_digest(read_zip(path))
except DatasetError as error:
    said = str(error)
print(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1], said)
"""
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")


def peak_of(path: Path) -> tuple[int, str]:
    """Peak memory of a process that reads a data set, in KiB, and what it said."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, path], capture_output=True, text=True, check=True)
    peak, _, said = done.stdout.strip().partition(" ")
    return int(peak), said


def bomb(path: Path, name: str, *, head: bytes, part: bytes, parts: int) -> Path:
    info = zipfile.ZipInfo(name)
    info.compress_type = zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(path, "w") as archive, archive.open(info, "w", force_zip64=True) as member:
        member.write(head)
        for _ in range(parts):
            member.write(part)
    return path


HEADER = b"emotion,pixels,Usage\n"
BOMBS = {
    "a picture": (("train/happy/a.png", b"", b"1 " * 500_000, 2000), "is 2,000 MB large, more than any picture"),
    "a field": (("t.csv", HEADER + b"0,", b"1 " * 500_000, 2000), "t.csv: a line of more than 16,777,216 characters"),
    "rows": (("t.csv", HEADER, b"0,1,Training\n" * 10_000, 110), "t.csv has more than 1,000,000 lines; keep so many"),
    "blank lines": (("t.csv", HEADER, b"\n" * 10_000, 110), "t.csv has more than 1,000,000 lines"),
    "lines of one field": (("t.csv", HEADER + b'0,"', b"1 " * 500_000 + b"\n", 40), "field larger than field limit"),
}


@on_linux
@pytest.mark.parametrize("kind", BOMBS)
def test_a_bomb_is_refused_in_little_memory(kind: str, tmp_path: Path) -> None:
    """A few megabytes at most, which unpack to a flood."""
    (name, head, part, parts), says = BOMBS[kind]
    peak, said = peak_of(bomb(tmp_path / "x.zip", name, head=head, part=part, parts=parts))
    assert says in said and str(tmp_path / "x.zip") in said and "\n" not in said
    assert peak < 700_000, "KiB"


@on_linux
def test_the_pixels_of_a_table_do_not_stay_in_memory(tmp_path: Path) -> None:
    row = b"0," + b"1 " * 360_000 + b",Training\n"
    peaks = []
    for rows in (5, 45):
        peak, said = peak_of(bomb(tmp_path / "x.zip", "t.csv", head=HEADER, part=row, parts=rows))
        assert said == ""
        peaks.append(peak)
    assert peaks[1] - peaks[0] < 5_000, "KiB, where 40 pictures have 14,000"


def test_a_table_larger_than_any_is_not_begun(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(HEADER)
    os.truncate(path, 11_000_000_000)
    with pytest.raises(DatasetError, match=r"x\.csv has 11\.0 GB of text, more than 10; keep so many faces"):
        read_csv(path)


def test_a_full_disk_under_the_pixels_of_a_table_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(HEADER + b"0," + b"1 " * 250_000 + b",Training\n")
    program = (
        "import sys\nfrom pathlib import Path\nfrom emotion.dataset.layouts import read_csv\n"
        "try:\n    read_csv(Path('x.csv'), scratch=Path('new/cache'))\nexcept Exception as error:\n    print(error)\n"
    )
    limited = ["bash", "-c", 'ulimit -f 100 && exec python -c "$1"', "bash", program]
    done = subprocess.run(limited, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == (
        "the pixels cannot be kept: new/cache: File too large; this disk, or a limit of this session (ulimit -f), "
        "allows no file of that size\n"
    )
    assert list((tmp_path / "new/cache").iterdir()) == []


@on_linux
@pytest.mark.parametrize("size_bytes", [500_000_001, 3_000_000_000, 2**40])
def test_a_sparse_picture_of_the_archive_is_not_read(size_bytes: int, tmp_path: Path) -> None:
    """The directory, and the file's size where that is possible, say that the picture has so many bytes."""
    path = tmp_path / "faces.zip"
    with open(path, "wb") as file, zipfile.ZipFile(file, "w") as archive:  # noqa: PTH123 (a plain file)
        info = zipfile.ZipInfo("train/happy/a.png")
        archive.writestr(info, b"")
        file.truncate(min(size_bytes, 2**33) + 1000)
        file.seek(0, os.SEEK_END)
        archive.start_dir = file.tell()
        info.file_size = info.compress_size = size_bytes
    peak, said = peak_of(path)
    assert "faces.zip: train/happy/a.png cannot be read" in said and "more than any picture" in said
    assert peak < 400_000, "KiB"
