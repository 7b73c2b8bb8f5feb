"""Paths, folders and globs on the command line -> picture files, in order."""

import glob
from collections.abc import Iterable, Iterator
from pathlib import Path

from emotion.foundation.errors import UserError

SUFFIXES = frozenset(  # of the formats that emotion/dataset/images.py decodes
    {
        ".bmp",
        ".dib",
        ".gif",
        ".jfif",
        ".jpe",
        ".jpeg",
        ".jpg",
        ".pbm",
        ".pgm",
        ".png",
        ".ppm",
        ".tif",
        ".tiff",
        ".webp",
    }
)


def expand(arguments: Iterable[str]) -> Iterator[Path]:
    """Yield files in the order of the arguments. Raises UserError for a folder without pictures.

    A file stands for itself; a folder for the pictures in and below it, recognised by suffix, sorted; a pattern that is
    not a file's name is expanded, sorted. What matches nothing is yielded unchanged, to be reported as missing.
    """
    for argument in arguments:
        matches = [argument]
        if glob.has_magic(argument) and not Path(argument).exists():
            matches = sorted(glob.glob(argument, recursive=True)) or [argument]  # noqa: PTH207 (absolute patterns too)
        for match in map(Path, matches):
            found = pictures_below(match)
            if match.is_dir() and not found:
                raise UserError(f"{match}: a folder without pictures ({', '.join(sorted(SUFFIXES))})")
            yield from found or [match]


def pictures_below(folder: Path) -> list[Path]:
    """The picture files in and below a folder, sorted, without hidden ones; empty if it is not a folder or has none."""
    if not folder.is_dir():
        return []
    found = (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    return sorted(path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts))
