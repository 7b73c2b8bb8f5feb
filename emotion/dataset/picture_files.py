"""Paths, folders and globs on the command line -> picture files, in order."""

import glob
import os
from collections.abc import Callable, Iterable, Iterator
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
    not a file's name is expanded, sorted. What matches nothing, and a name that no disk takes, is yielded unchanged, to
    be reported.
    """
    for argument in arguments:
        matches = [argument]
        if glob.has_magic(argument) and not os.path.exists(argument):  # noqa: PTH110 (Path's raises for a long name)
            matches = sorted(glob.glob(argument, recursive=True)) or [argument]  # noqa: PTH207 (absolute patterns too)
        for match in map(Path, matches):
            if not os.path.isdir(match):  # noqa: PTH112 (likewise)
                yield match
            elif found := pictures_below(match):
                yield from found
            else:
                raise UserError(f"{match}: a folder without pictures ({', '.join(sorted(SUFFIXES))})")


def pictures_below(folder: Path) -> list[Path]:
    """The picture files in and below a folder, sorted, without hidden ones; empty if it is not a folder or has none.

    What is there and can't be read is among them, to be reported: broken links with a picture's suffix, and folders
    whose content can't be listed.
    """
    unreadable: list[Path] = []
    files = (
        path
        for path, is_folder in entries_below(folder, lambda error: unreadable.append(Path(error.filename)))
        if not is_folder and path.suffix.lower() in SUFFIXES
    )
    return sorted([*files, *unreadable]) if folder.is_dir() else []


def entries_below(folder: Path, on_error: Callable[[OSError], object]) -> Iterator[tuple[Path, bool]]:
    """What lies in and below a folder, without hidden entries and what is in them, and whether it is a folder.

    Links to folders are not followed. `on_error` gets the error of each folder that can't be listed.
    """
    for place, folders, files in os.walk(folder, onerror=on_error):  # Path.rglob leaves such folders out silently
        folders[:] = [name for name in folders if not name.startswith(".")]
        for names, is_folder in ((folders, True), (files, False)):
            yield from ((Path(place, name), is_folder) for name in names if not name.startswith("."))
