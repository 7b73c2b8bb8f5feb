"""Files: those that appear complete or not at all, JSON, zip entries whose bytes depend on their content alone.

And small files that a person gives, and the numbers in them: read strictly, and never without end.
"""

import errno
import json
import os
import re
import stat
import threading
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from math import isfinite
from pathlib import Path
from typing import Any

from emotion.foundation.errors import UserError, reason, shown
from emotion.foundation.part_folders import part_beside, remove

_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can hold
_UNIX = 3
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
_OPENED = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield a path to write a file or a folder to, of the same name; at the end it takes the place of `path`.

    If writing fails, `path` stays as it was, and nothing is left beside it; the OSError names `path`. Afterwards it
    lies on the disk: a power cut loses nothing. Nothing that is not ours is removed (emotion/foundation/part_folders).

    Raises UserError where a pipe or a device has the name: a file would take its place.
    """
    part = path
    try:
        if _is_stream(path):
            raise UserError(f"{path} cannot be written: it is a pipe or a device, not a file; name another file")
        path.parent.mkdir(parents=True, exist_ok=True)
        with part_beside(path) as part:
            yield part
            _sync_whole(part)
            if part.is_dir():
                remove(path)  # a folder cannot be renamed onto one that is not empty
            replace_safely(part, path)
    except OSError as error:
        if error.errno is not None:
            name = str(path) if error.filename is None else os.fsdecode(error.filename)  # an open file's has none
            error.filename = str(path) + name[len(str(part)) :] if name.startswith(str(part)) else name
        raise


def _is_stream(path: Path) -> bool:
    """Whether a pipe or a device has the name, or a link to an open file, such as /dev/stdout."""
    is_link_to_open = path.is_symlink() and os.readlink(path).startswith("/proc/")  # noqa: PTH115 (not normalised)
    return is_link_to_open or (path.exists() and not (path.is_file() or path.is_dir()))


def replace_safely(source: Path, target: Path) -> None:
    """Rename within a folder, and return when that lies on the disk: the new name is the folder's content."""
    source.replace(target)
    _sync(target.parent)


def write_file(path: Path, content: str | bytes | Iterable[str]) -> None:
    """Write a file so that it appears complete or not at all; text, in parts or not, in UTF-8, line ends unchanged."""
    with written_whole(path) as part:
        if isinstance(content, bytes):
            part.write_bytes(content)
            return
        with part.open("w", encoding="utf-8", newline="") as file:
            file.writelines([content] if isinstance(content, str) else content)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON, floats to six decimals, so that it appears complete or not at all."""
    write_file(path, json.dumps(_rounded(content), indent=2) + "\n")


def write_entry(archive: zipfile.ZipFile, name: str, content: bytes | str) -> None:
    """Add a zip entry that says neither when nor on which operating system it was written."""
    info = zipfile.ZipInfo(name, _TIME)
    info.create_system = _UNIX
    archive.writestr(info, content)


def open_regular(path: Path) -> int:
    """Open a file to read it by its descriptor.

    Raises UserError for a folder, a pipe, which would be waited for without end, and a device; OSError as `open` does.
    """
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        raise UserError(f"{path} is {'a folder' if stat.S_ISDIR(mode) else 'a pipe or a device'}; name a file")
    return os.open(path, _OPENED)


def read_small(path: Path, most_bytes: int) -> bytes:
    """Read a file that a person gives, of at most `most_bytes`; no more is ever read.

    Raises UserError that begins with its name: missing, a folder, a pipe or a device, too large, not readable.
    """
    try:
        with open(open_regular(path), "rb") as file:
            content = file.read(most_bytes + 1)
    except FileNotFoundError:
        raise UserError(f"{shown(path)}: no such file") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise UserError(f"{shown(path)} cannot be read ({reason(error)})") from None
    if len(content) > most_bytes:
        raise UserError(f"{shown(path)} is larger than {most_bytes / 1e6:g} MB, which no such file needs; name another")
    return content


def number(text: str) -> float:
    """A finite number in ASCII digits. Raises ValueError for what `float` takes beyond that: `1_0`, `١`, `nan`."""
    value = float(text) if _NUMBER.fullmatch(text.strip(" \t\r\n")) else float("nan")
    if not isfinite(value):
        raise ValueError(f"{text[:50]!r} is no number")
    return value


def integer(text: str) -> int:
    """A whole number in ASCII digits. Raises ValueError for anything else, `1_0` and `١` among it."""
    if not _INTEGER.fullmatch(text.strip(" \t\r\n")):
        raise ValueError(f"{text[:50]!r} is no whole number")
    return int(text)


def is_same(one: Path, other: Path) -> bool:
    """Whether two paths lead to the same file, or would if there were one."""
    try:
        return one.samefile(other)
    except (OSError, ValueError):
        return os.path.realpath(one) == os.path.realpath(other)  # Path.resolve raises where links lead in a circle


def read_at(file: int, count: int, offset: int) -> bytes:
    """Read from an open file, by its descriptor, `count` bytes at `offset`, or fewer at its end; any threads may."""
    content = _pread(file, count, offset)
    while 0 < len(content) < count and (more := _pread(file, count - len(content), offset + len(content))):
        content += more  # 2 GB at most are read at once
    return content


def _seek_and_read(file: int, count: int, offset: int) -> bytes:
    with _one_at_a_time:
        os.lseek(file, offset, os.SEEK_SET)
        return os.read(file, count)


_one_at_a_time = threading.Lock()
_pread = getattr(os, "pread", _seek_and_read)  # Windows has none


def _sync_whole(path: Path) -> None:
    """Wait until a file, or a folder with all that is in it, lies on the disk."""
    for inner in path.rglob("*") if path.is_dir() else ():
        _sync(inner)
    _sync(path)


def _sync(path: Path) -> None:
    if path.is_dir() and os.name == "nt":  # where a folder cannot be opened, and NTFS keeps a journal
        return
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # what network and shared folders say that sync files only
            raise
    finally:
        os.close(descriptor)


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _rounded(item) for key, item in value.items()}
    return round(float(value), 6) if isinstance(value, float) else value
