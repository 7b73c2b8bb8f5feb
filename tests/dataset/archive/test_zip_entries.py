"""What is read of a zip is what `zipfile` reads, in little memory; what is damaged is an error."""

import random
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotion.dataset.archive.zip_entries import ZipEntries

NAMES = [f"train/happy/{number:03d}.jpg" for number in range(40)]


def write(path: Path, contents: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return path


@settings(max_examples=40)
@given(
    contents=st.dictionaries(
        st.text(st.characters(exclude_characters="/\\", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=300),
        st.binary(max_size=50),
    ),
    comment=st.binary(max_size=40).filter(lambda comment: b"PK" not in comment),
)
def test_any_names_and_contents_are_read_as_zipfile_reads_them(
    tmp_path_factory: pytest.TempPathFactory, contents: dict[str, bytes], comment: bytes
) -> None:
    path = write(tmp_path_factory.mktemp("any") / "a.zip", contents)
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = comment
    entries = ZipEntries(path)
    assert list(entries) == sorted(contents) == entries[:] == [entries[row] for row in range(len(contents))]
    assert {name: entries.read(entries.find(name)) for name in contents} == contents


@pytest.mark.parametrize("order", ["rising", "falling", "random"])
def test_names_are_found_in_whatever_order_they_are_asked_for(tmp_path: Path, order: str) -> None:
    names = {"rising": NAMES, "falling": NAMES[::-1], "random": random.Random(0).sample(NAMES, len(NAMES))}[order]
    entries = ZipEntries(write(tmp_path / "a.zip", {name: name.encode() for name in names}))
    assert [entries.read(entries.find(name)) for name in names] == [name.encode() for name in names]
    for missing in ("", "train/happy/0005.jpg", "z"):
        with pytest.raises(KeyError, match="no item named"):
            entries.find(missing)


def test_a_zip_of_more_than_65535_entries_and_one_with_64_bit_offsets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = ZipEntries(write(tmp_path / "many.zip", {f"{number:05d}": b"" for number in range(65_600)}))
    assert len(many) == 65_600 and many[65_599] == "65599"
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 100)
    far = ZipEntries(write(tmp_path / "far.zip", {name: name.encode() * 9 for name in NAMES}))
    assert [far.read(row) for row in range(len(far))] == [name.encode() * 9 for name in NAMES]


def test_an_entry_costs_eight_bytes_of_memory(tmp_path: Path) -> None:
    path = write(tmp_path / "a.zip", {f"train/happy/{number:05d}.jpg": b"" for number in range(5_000)})
    tracemalloc.start()
    try:
        entries = ZipEntries(path)
        taken, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(entries) == 5_000 and taken < 10 * 5_000 and most < 20 * 5_000


def test_compressed_entries_are_refused(tmp_path: Path) -> None:
    entries = ZipEntries(write(tmp_path / "a.zip", {"a": b"a" * 100}, zipfile.ZIP_DEFLATED))
    with pytest.raises(zipfile.BadZipFile, match="compressed"):
        entries.read(0)


def test_whatever_byte_is_damaged_no_other_content_comes_back(tmp_path: Path) -> None:
    path = write(tmp_path / "a.zip", contents := {name: name.encode() for name in NAMES[:3]})
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            entries = ZipEntries(path)
            for name, content in contents.items():
                assert entries.read(entries.find(name)) == content
        except (zipfile.BadZipFile, KeyError, UnicodeDecodeError, OSError, OverflowError):
            continue
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(zipfile.BadZipFile):
            ZipEntries(path)
