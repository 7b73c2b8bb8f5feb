"""Hidden folders beside an output, in which it is written before it gets its name; only one's own are ever removed.

The folder of `x.csv` is `.x.csv.part/`. It holds `x.csv` and a file which its process has locked for as long as it
lives. A killed process leaves the folder; as nobody holds the lock then, the next one that writes `x.csv` takes the
folder over: leavings do not pile up. What is locked, as another process writes the same file, and what is no such
folder stays as it is: the next free name is taken, `.x.csv.2.part/`.
"""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from emotion.foundation.errors import UserError

_MOST = 100  # names that are tried
_LONG, _BEGIN = 200, 40  # bytes of a name that the folder's would make too long, and what is then taken of it
_A_FOLDER = re.compile(r"(^|/)\.[^/]*?\.(?:\d+\.)?part/")


@contextmanager
def part_beside(path: Path) -> Iterator[Path]:
    """Yield a path of the same name in a folder of its own beside `path`, which is removed at the end.

    Raises OSError when none can be made, and UserError when `path` names a folder (`.`, `..`) or 100 folders are there.
    """
    folder, lock = _folder_for(path)
    try:
        yield folder / path.name
    finally:
        _give_back(folder, path.name, lock)


def final_name(name: str) -> str:
    """The name that a path in such a folder gets at the end: `out/x` for `out/.x.part/x`."""
    return _A_FOLDER.sub(r"\1", name)


def remove(path: Path) -> None:
    """Remove a file, a link, or a folder with all that is in it; nothing where there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _folder_for(path: Path) -> tuple[Path, int]:
    """The first folder that can be made or taken over, and the open file in it that this process has locked."""
    if path.name in ("", ".."):
        raise UserError(f"{path} is a folder; name a file in it")
    stem = path.name if len(os.fsencode(path.name)) <= _LONG else path.name[:_BEGIN]
    for number in ("", *(f".{number}" for number in range(2, _MOST + 1))):
        folder = path.with_name(f".{stem}{number}.part")
        try:
            lock = _made(folder) if not os.path.lexists(folder) else _taken_over(folder, path.name)
        except OSError as error:
            error.filename = str(path)
            raise
        if lock is not None:
            return folder, lock
    raise UserError(f"{path} cannot be written: {_MOST} folders such as {folder} lie beside it; remove them")


def _made(folder: Path) -> int | None:
    """Make the folder and lock its file; None where another process was quicker."""
    try:
        folder.mkdir()
        lock = os.open(_lock_of(folder), os.O_RDWR | os.O_CREAT | os.O_EXCL)
    except FileExistsError:
        return None
    except OSError:
        with suppress(OSError):
            folder.rmdir()
        raise
    if _is_ours(lock, folder, is_new=True):
        return lock
    os.close(lock)
    return None


def _taken_over(folder: Path, name: str) -> int | None:
    """Lock the folder and empty it, if it is what a killed process left while it wrote `name`; else None."""
    if folder.is_symlink() or not {folder.name} <= _names_in(folder) <= {folder.name, name}:
        return None
    try:
        lock = os.open(_lock_of(folder), os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError:  # its process has just ended, or it is another person's
        return None
    if _is_ours(lock, folder, is_new=False):
        with suppress(OSError):
            remove(folder / name)
            return lock
    os.close(lock)
    return None


def _lock_of(folder: Path) -> Path:
    """The file to lock, called as the folder is: no output in it has that name, as it is shorter."""
    return folder / folder.name


def _is_ours(lock: int, folder: Path, *, is_new: bool) -> bool:
    """Lock the folder's file, and say whether this process has it and it still lies there.

    Some network disks know no locks: there what is new is ours, and what is old might be another's.
    """
    try:
        _lock(lock)
    except BlockingIOError:
        return False
    except OSError:
        return is_new
    with suppress(OSError):
        return os.path.samestat(_lock_of(folder).stat(), os.fstat(lock))
    return False


def _give_back(folder: Path, name: str, lock: int) -> None:
    """Remove the folder; what stands against that (a disk that fails) does no harm to the output."""
    with suppress(OSError):
        remove(folder / name)
    if os.name == "nt":  # which removes no open file
        os.close(lock)
    with suppress(OSError):
        _lock_of(folder).unlink()
        folder.rmdir()
    if os.name != "nt":  # only now: nobody may take the folder over while it is removed
        os.close(lock)


def _names_in(folder: Path) -> set[str]:
    try:
        return set(os.listdir(folder))  # noqa: PTH208 (names, not paths)
    except OSError:
        return set()


def _locking() -> Callable[[int], None]:
    """What locks an open file, or raises BlockingIOError at once where another process has it."""
    try:
        import fcntl
    except ImportError:
        return _lock_on_windows
    return lambda lock: fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _lock_on_windows(lock: int) -> None:
    import msvcrt

    try:
        msvcrt.locking(lock, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined, unused-ignore]
    except OSError as error:
        raise BlockingIOError(*error.args) from None


_lock = _locking()
