"""Patience with a network: how long to wait, how often to try again, when to give up.

Environment variables set it. They are not parameters: they do not change the result, and a changed parameter would run
the stage again.

    EMOTION_KAGGLE_TIMEOUT_SECONDS  30  wait for an answer; and the time in which 4 KiB/s must arrive on average
    EMOTION_KAGGLE_RETRIES           5  attempts in a row that may fail; one that brought 1 MiB does not count
    EMOTION_KAGGLE_BACKOFF_SECONDS   2  wait after the first failure; doubled after each, up to 60
"""

import math
import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TypeVar

from emotion.foundation.errors import UserError

T = TypeVar("T")
_PROGRESS_BYTES = 1 << 20
_LONGEST_BACKOFF_S = 60
_LONGEST_RETRY_AFTER_S = 120


@dataclass(frozen=True)
class Patience:
    """How long to wait and how often to try; set by the environment variables of the module's description."""

    timeout_s: float = 30
    retries: int = 5
    backoff_s: float = 2

    @classmethod
    def from_environment(cls) -> "Patience":
        """Read the environment. Raises UserError when a variable is no number of its range."""
        return cls(
            _number("EMOTION_KAGGLE_TIMEOUT_SECONDS", cls.timeout_s, low=0.1),
            int(_number("EMOTION_KAGGLE_RETRIES", cls.retries, low=0)),
            _number("EMOTION_KAGGLE_BACKOFF_SECONDS", cls.backoff_s, low=0),
        )

    def wait_s(self, failures: int) -> float:
        """Seconds to wait after so many failures in a row."""
        return min(self.backoff_s * 2.0 ** max(failures - 1, 0), _LONGEST_BACKOFF_S)


class PassingError(Exception):
    """A failure that may pass. Its text is safe to show: no address, no token."""

    def __init__(self, reason: str, retry_after_s: float = 0, gained_bytes: int = 0):
        super().__init__(reason)
        self.retry_after_s, self.gained_bytes = retry_after_s, gained_bytes


def within(seconds: float, action: Callable[[], T]) -> T:
    """Call `action` and return its result; raises TimeoutError after so many seconds.

    In a thread, because nothing else bounds a name look-up, headers that drip, and a client that sets no time-out. A
    thread that is late is left behind and ends with the process.
    """
    outcome: Future[T] = Future()

    def act() -> None:
        try:
            outcome.set_result(action())
        except BaseException as error:
            outcome.set_exception(error)

    threading.Thread(target=act, daemon=True).start()
    return outcome.result(timeout=seconds)


def patiently(attempt: Callable[[], T], patience: Patience) -> T:
    """Repeat `attempt` after a PassingError, with growing waits. Raises UserError when it is time to give up."""
    failures = 0
    while True:
        try:
            return attempt()
        except PassingError as error:
            failures = failures + 1 if error.gained_bytes < _PROGRESS_BYTES else 0
            if failures > patience.retries:
                problem = f"gave up after {failures} attempts in a row"
            elif error.retry_after_s > _LONGEST_RETRY_AFTER_S:
                problem = f"the server asks to come back in {error.retry_after_s:.0f} s"
            else:
                wait_s = max(error.retry_after_s, patience.wait_s(failures))
                say(f"{error}; trying again in {wait_s:.1f} s (retry {max(failures, 1)} of {patience.retries})")
                time.sleep(wait_s)
                continue
            raise UserError(
                f"{error}; {problem}. What has arrived is kept: run the stage again later to go on from there; "
                "without a network, data.source=synthetic works"
            ) from None


def say(line: str) -> None:
    """Tell the person at the terminal, on stderr."""
    print(f"kaggle: {line}", file=sys.stderr, flush=True)


def _number(variable: str, default: float, *, low: float) -> float:
    """A number from the environment. Raises UserError when it is none, or below `low`."""
    text = os.environ.get(variable, "")
    try:
        value = float(text) if text else default
    except ValueError:
        value = math.nan
    if not low <= value < math.inf:
        raise UserError(
            f"the environment variable {variable} is {text!r}; expected a number from {low} up, or unset it"
        )
    return value
