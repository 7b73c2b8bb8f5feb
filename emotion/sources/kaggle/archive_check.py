"""The check of a downloaded zip: nothing that it says about itself is believed."""

import re
import stat
import struct
import zipfile
import zlib
from pathlib import Path

from emotion.dataset.archive.faces import DatasetError

_CHUNK_BYTES = 1 << 18
MAX_BYTES = 32 << 30  # of a download, and of what it unpacks to
_MAX_RATIO = 50  # of unpacked to packed bytes, where there are more unpacked bytes than:
_RATIO_FREE_BYTES = 256 << 20


def check_archive(path: Path) -> None:
    """Read every byte of a downloaded zip. Raises DatasetError when it is damaged or holds what no dataset needs.

    Refused are wrong CRCs, members outside the archive's root, links, doubles, encryption, and more unpacked bytes than
    32 GiB or 50 times the packed ones.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            _check_members(members, path)
            for member in members:
                with archive.open(member) as content:
                    while content.read(_CHUNK_BYTES):  # compares the CRC at the end
                        pass
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, ValueError, OSError) as error:
        with path.open("rb") as file:
            start = file.read(16)
        raise DatasetError(f"it is no intact zip ({error}; it begins with {start!r})") from None


def _check_members(members: list[zipfile.ZipInfo], path: Path) -> None:
    declared = _declared_members(path)
    if declared not in (len(members), 0xFFFF):  # the latter: too many to be counted there
        raise DatasetError(f"it lists {len(members):,} members, but says that it has {declared:,}")
    if len({member.filename for member in members}) < len(members):
        raise DatasetError("it has two members of one name")
    for member in members:
        if problem := _member_problem(member):
            raise DatasetError(f"its member {member.orig_filename!r} {problem}")
    packed, unpacked = path.stat().st_size, sum(member.file_size for member in members)
    if unpacked > min(MAX_BYTES, max(_RATIO_FREE_BYTES, _MAX_RATIO * packed)):
        raise DatasetError(f"its {packed:,} bytes would unpack to {unpacked:,}: no pictures do that")


def _declared_members(path: Path) -> int:
    """The number of members in the zip's end record, which zipfile does not compare."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 0x10000 - 22))
        tail = file.read()
    record = tail[tail.rfind(b"PK\5\6") :]
    return int.from_bytes(record[10:12], "little")


def _member_problem(member: zipfile.ZipInfo) -> str | None:
    """What makes the member unacceptable, if anything."""
    name, mode = member.orig_filename, member.external_attr >> 16
    if name.startswith("/") or re.match("[A-Za-z]:", name) or ".." in name.split("/") or re.search(r"[\\\0]", name):
        return "lies outside the archive's root"
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a device, not a file"
    if member.flag_bits & 1:
        return "is encrypted"
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return f"is compressed by method {member.compress_type}; only stored and deflated are read"
    return None
