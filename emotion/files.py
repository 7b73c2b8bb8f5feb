"""Files that appear complete or not at all, JSON, and zip entries whose bytes depend on their content alone."""

import json
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can hold
_UNIX = 3


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield a name beside `path` to write a file or a folder to; at the end it takes the place of `path`.

    If writing fails, `path` stays as it was, and nothing is left beside it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    _remove(part)
    try:
        yield part
        if part.is_dir():
            _remove(path)  # a folder cannot be renamed onto one that is not empty
        part.replace(path)
    finally:
        _remove(part)


def write_file(path: Path, content: str | bytes) -> None:
    """Write a file so that it appears complete or not at all; text in UTF-8, its line ends unchanged."""
    with written_whole(path) as part:
        part.write_bytes(content.encode() if isinstance(content, str) else content)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON, floats to six decimals, so that it appears complete or not at all."""
    write_file(path, json.dumps(_rounded(content), indent=2) + "\n")


def write_entry(archive: zipfile.ZipFile, name: str, content: bytes | str) -> None:
    """Add a zip entry that says neither when nor on which operating system it was written."""
    info = zipfile.ZipInfo(name, _TIME)
    info.create_system = _UNIX
    archive.writestr(info, content)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _rounded(item) for key, item in value.items()}
    return round(float(value), 6) if isinstance(value, float) else value
