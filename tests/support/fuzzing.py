"""What the fuzz tests share: strategies for foreign bytes and values, and what may come of them."""

import warnings
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from emotion.foundation.errors import UserError

thorough = settings(
    max_examples=1500, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)

nasty = [0, -1, 2**31, 2**63, 2**64, 1e308, "1_0", "٣", "\udcff", "\x00", "a" * 1000, "../..", "${data.source}"]
scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(nasty)
)  # fmt: skip
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
)


def mutated(content: bytes) -> st.SearchStrategy[bytes]:
    """The content cut, with bytes overwritten, doubled in part, or with bytes put in."""

    def change(changes: list[tuple[int, bytes, int]]) -> bytes:
        result = content
        for place, new, how in changes:
            place %= len(result) + 1
            middle = {0: new + result[place + len(new) :], 1: new + result[place:], 2: b"", 3: result[place // 2 :]}[
                how
            ]
            result = result[:place] + middle
        return result

    places = st.integers(0, len(content)) | st.integers(-70, -1)  # near the end lies a zip's directory
    change_of = st.tuples(places, st.binary(min_size=1, max_size=4), st.sampled_from([0, 0, 0, 1, 2, 3]))
    return st.lists(change_of, max_size=4).map(change)


def one_line(call: Callable[[], Any], *, lines: bool = False) -> None:
    """Succeed, or raise a UserError of one line (or of several, where all problems are listed); no warning either."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            call()
        except UserError as error:
            message = str(error)
            assert message and len(message) < 20_000
            assert lines or "\n" not in message, message


texts = st.text(max_size=20) | st.sampled_from([str(value) for value in nasty if value != "\udcff"])
tables = st.lists(
    st.lists(
        texts | st.sampled_from(["train/glad/1.png", "train/sad/1.png", "test/sad/2.png", "path", "glad", "sad"]),
        max_size=4,
    ),
    max_size=4,
)
joined = tables.map(lambda rows: "\n".join(map(",".join, rows)).encode())


def with_field(table: bytes) -> st.SearchStrategy[bytes]:
    """The table with one of its fields replaced."""
    fields = [part for line in table.split(b"\n") for part in line.split(b",")]
    return st.tuples(st.sampled_from(sorted(set(fields) - {b""})), texts).map(
        lambda change: table.replace(change[0], change[1].encode())
    )
