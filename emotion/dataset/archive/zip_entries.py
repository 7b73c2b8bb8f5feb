"""The entries of an uncompressed zip of any size, in eight bytes of memory each; `zipfile` takes half a kilobyte.

Source of the format: PKWARE's APPNOTE.TXT (https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT).
"""

import os
import struct
import weakref
import zlib
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, overload
from zipfile import BadZipFile

from emotion.foundation.files import open_regular, read_at

MAX_PICTURE_BYTES = 500_000_000  # of a file; five for each pixel of the largest picture that is decoded
_END = struct.Struct("<4s4HLLH")  # of the directory: its entries, bytes and place are fields 5 to 7
_END_64_PLACE = struct.Struct("<4sLQL")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_IN_DIRECTORY = struct.Struct("<4s4B4H3L5H2L")
_IN_FRONT = struct.Struct("<4s5H3L2H")  # of the content
_LONGEST_COMMENT = 1 << 16
_AT_ONCE = 256  # bytes of the directory that mostly hold an entry
_NEAR = 8  # entries after the last one found that are tried before all are searched
_IS_UTF_8, _IS_ENCRYPTED = 0x800, 0x1
_IN_64_BITS = 0xFFFFFFFF


class Entry(NamedTuple):
    """What the directory says of a file: its content is `size` bytes, somewhat after `offset`."""

    name: str
    crc: int
    size: int
    offset: int
    is_plain: bool  # neither compressed nor encrypted


class ZipEntries(Sequence[str]):
    """The names in a zip, sorted; each is read from the file when it is asked for.

    The file stays open as long as this lives. Raises BadZipFile, here and later, where the file is damaged, and
    UserError where it is a folder, a pipe or a device.
    """

    def __init__(self, path: Path) -> None:
        self._file = open_regular(path)
        weakref.finalize(self, os.close, self._file)
        self._end = os.fstat(self._file).st_size
        self._next = 0  # where `find` looks first
        self._places = self._walk()  # of the entries in the directory

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, row: int) -> str: ...

    @overload
    def __getitem__(self, row: slice) -> list[str]: ...

    def __getitem__(self, row: int | slice) -> str | list[str]:
        if isinstance(row, slice):
            return [self._entry(place)[0].name for place in self._places[row]]
        return self._entry(self._places[row])[0].name

    def __iter__(self) -> Iterator[str]:
        return (self._entry(place)[0].name for place in self._places)

    def find(self, name: str) -> int:
        """The row of a name; quickest where names are asked for in their order. Raises KeyError."""
        near = range(self._next, min(self._next + _NEAR, len(self)))
        row = next((row for row in near if self[row] == name), -1)
        if row < 0:
            row = bisect_left(self, name)
            if row == len(self) or self[row] != name:
                raise KeyError(f"There is no item named {name!r} in the archive")
        self._next = row + 1
        return row

    def read(self, row: int) -> bytes:
        """The content of an entry, its checksum verified; nothing is read where no picture has so many bytes."""
        entry, _ = self._entry(self._places[row])
        if entry.size > MAX_PICTURE_BYTES:
            raise BadZipFile(f"it has {entry.size / 1e6:,.0f} MB, more than any picture")
        if not entry.is_plain:
            raise BadZipFile("it is compressed or encrypted")
        if entry.offset + entry.size > self._end:
            raise BadZipFile("the file is cut off")
        front = read_at(self._file, _IN_FRONT.size, entry.offset)
        if len(front) < _IN_FRONT.size or not front.startswith(b"PK\3\4"):
            raise BadZipFile("its header is damaged")
        name_bytes, extra_bytes = _IN_FRONT.unpack(front)[-2:]
        content = read_at(self._file, entry.size, entry.offset + _IN_FRONT.size + name_bytes + extra_bytes)
        if len(content) < entry.size:
            raise BadZipFile("the file is cut off")
        if zlib.crc32(content) != entry.crc:
            raise BadZipFile("Bad CRC-32")
        return content

    def _walk(self) -> "array[int]":
        """The place of each entry in the directory, in the order of their names."""
        places, names_rise, last = array("q"), True, ""
        count, place = _directory(self._file, self._end)
        for _ in range(count):
            entry, taken = self._entry(place)
            places.append(place)
            names_rise, last, place = names_rise and last <= entry.name, entry.name, place + taken
        return places if names_rise else array("q", sorted(places, key=lambda place: self._entry(place)[0].name))

    def _entry(self, place: int) -> tuple[Entry, int]:
        """The entry at this place of the directory, and how many bytes it takes there."""
        content = read_at(self._file, _AT_ONCE, place)
        if len(content) < _IN_DIRECTORY.size or not content.startswith(b"PK\1\2"):
            raise BadZipFile("its directory is damaged")
        fields = _IN_DIRECTORY.unpack_from(content)
        flags, method, crc, packed, size = fields[5], fields[6], fields[9], fields[10], fields[11]
        name_bytes, extra_bytes, comment_bytes, offset = fields[12], fields[13], fields[14], fields[18]
        extra_from, ends = _IN_DIRECTORY.size + name_bytes, _IN_DIRECTORY.size + name_bytes + extra_bytes
        if ends > len(content):
            content = read_at(self._file, ends, place)
        name = content[_IN_DIRECTORY.size : extra_from].decode("utf-8" if flags & _IS_UTF_8 else "cp437")
        if _IN_64_BITS in (size, packed, offset):
            size, packed, offset = _wide(content[extra_from:ends], size, packed, offset)
        is_plain = method == 0 and not flags & _IS_ENCRYPTED and size == packed
        return Entry(name, crc, size, offset, is_plain), ends + comment_bytes


def _directory(file: int, end: int) -> tuple[int, int]:
    """How many entries a zip of `end` bytes has, and where the directory of them begins."""
    begins = max(0, end - _LONGEST_COMMENT - _END.size)
    tail = read_at(file, end - begins, begins)
    found = tail.rfind(b"PK\5\6")
    if found < 0 or found + _END.size > len(tail):
        raise BadZipFile("File is not a zip file")
    _, _, _, _, count, _, place, _ = _END.unpack_from(tail, found)
    before = read_at(file, _END_64_PLACE.size, max(0, begins + found - _END_64_PLACE.size))
    if before.startswith(b"PK\6\7"):
        record = read_at(file, _END_64.size, _END_64_PLACE.unpack(before)[2])
        if len(record) < _END_64.size or not record.startswith(b"PK\6\6"):
            raise BadZipFile("its directory is damaged")
        *_, count, _, place = _END_64.unpack(record)
    return count, place


def _wide(extra: bytes, *values: int) -> list[int]:
    """Sizes and offset, those that do not fit into 32 bits taken from the extra field that holds them."""
    at = 0
    while at + 4 <= len(extra):
        kind, size = struct.unpack_from("<HH", extra, at)
        if kind == 1:
            wide = iter(struct.unpack_from(f"<{size // 8}Q", extra, at + 4))
            return [next(wide, value) if value == _IN_64_BITS else value for value in values]
        at += 4 + size
    return list(values)
