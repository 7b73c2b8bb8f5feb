"""The one kind of error meant for the person who runs the project, and how names and errors are shown to them."""

import difflib
import errno
import re
from collections.abc import Iterable

# What a terminal would act on instead of showing it, and the bytes of a file name that are not UTF-8.
_UNSHOWN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

# Errors that say something of the disk and nothing of the program: what to do about them.
_CURES = {
    errno.ENOSPC: "make room on the disk",
    errno.EDQUOT: "make room: your quota of the disk is used up",
    errno.EFBIG: "this disk, or a limit of this session (ulimit -f), allows no file of that size",
    errno.EIO: "the disk or network drive failed; check it",
    errno.EROFS: "the disk is mounted read-only",
    errno.EACCES: "change its permissions, or use another folder",
    errno.EPERM: "change its permissions, or use another folder",
}


class UserError(Exception):
    """Something the user can fix; the message says what happened, what was expected and how to fix it."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` when `word` is close to a known one, else nothing."""
    close = difflib.get_close_matches(str(word), list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def shown(name: object) -> str:
    """A file's name as it may be printed: control characters and bytes that are not UTF-8 become escapes."""
    return _UNSHOWN.sub(_escape, str(name))


def disk_problem(error: OSError) -> str | None:
    """Say which path a full, broken or forbidden disk refused, and what to do; None for any other error."""
    cure = _CURES.get(error.errno or 0)
    where = "the output" if error.filename is None else shown(error.filename)
    return f"{where}: {error.strerror}; {cure}" if cure else None


def reason(error: BaseException) -> str:
    """Why something failed, on one line, without the number and path of an OSError and without hints to programmers."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, RecursionError):
        return "it nests too deeply"
    text = str(error).partition("; use sys.set_int_max_str_digits")[0]
    return shown(" ".join(text.split())) or type(error).__name__


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    if 0xDC80 <= code <= 0xDCFF:  # how Python keeps a byte that is not UTF-8 in a file name
        return f"\\x{code - 0xDC00:02x}"
    return found[0].encode("unicode_escape").decode()
