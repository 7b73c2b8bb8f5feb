"""How far a long command is: a bar on stderr, on a terminal only; nothing in a pipe, a file or a log."""

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

_AFTER_S = 1.0  # what is over by then needs no bar


class Progress:
    """Counts what is done. `bar` is tqdm's, None where none is shown."""

    def __init__(self, bar: Any = None) -> None:
        self._bar = bar

    def __call__(self, count: int = 1) -> None:
        """That much more is done."""
        if self._bar is not None:
            self._bar.update(count)

    def aside(self) -> AbstractContextManager[object]:
        """Within it lines may be printed to the terminal: they come above the bar, which is drawn anew."""
        is_drawn = self._bar is not None and self._bar.last_print_n > 0
        return self._bar.external_write_mode() if is_drawn else nullcontext()


@contextmanager
def progress(total: int | None, unit: str, *, hidden: bool = False) -> Iterator[Progress]:
    """Show a bar while something is done `total` times (None: not known how often).

    Args:
        total: how many there are, or None.
        unit: what is counted, such as "pictures".
        hidden: show none, even on a terminal.
    """
    if hidden or not sys.stderr.isatty() or total == 1:
        yield Progress()
        return
    from tqdm import tqdm  # only where it is seen

    with tqdm(total=total, unit=f" {unit}", file=sys.stderr, leave=False, delay=_AFTER_S, dynamic_ncols=True) as bar:
        yield Progress(bar)
