"""The one kind of error meant for the person who runs the project, and the suggestions in its message."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Something the user can fix; the message says what happened, what was expected and how to fix it."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` when `word` is close to a known one, else nothing."""
    close = difflib.get_close_matches(str(word), list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
