"""The table of predictions: what every figure is computed from, and can be recomputed from."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice

import numpy as np

from emotion.foundation.errors import UserError
from emotion.foundation.files import number

COLUMNS = ("path", "label", "subset", "copy")  # the first columns; one per label follows
LEAST = 2e-7  # the smallest probability written: logarithms stay finite, and no tool has to clip them

_AT_ONCE = 4096  # rows of a table


@dataclass(frozen=True)
class Predictions:
    """What was predicted for each face.

    Attributes:
        paths: the face's path in the archive [n].
        labels: the true label [n].
        subsets: the part of the test set, such as `public`, or empty [n].
        copies: the copy of the face in train or validation: `exact`, `near`, `group` (no copy, but a picture of its
            group), or empty [n].
        label_names: the labels, in the order of the probabilities' columns.
        probabilities: float64 [n, label_count], rows summing to one.
    """

    paths: list[str]
    labels: list[str]
    subsets: list[str]
    copies: list[str]
    label_names: list[str]
    probabilities: np.ndarray

    @property
    def label_indexes(self) -> np.ndarray:
        """The true labels as int [n], indexes into `label_names`."""
        place = {name: index for index, name in enumerate(self.label_names)}
        return np.array([place[label] for label in self.labels], dtype=np.int64)

    @property
    def predicted_indexes(self) -> np.ndarray:
        """The most probable labels as int [n], indexes into `label_names`."""
        return self.probabilities.argmax(axis=1)

    def with_probabilities(self, probabilities: np.ndarray) -> "Predictions":
        """The same faces with other probabilities, float [n, label_count], rounded to the table's precision."""
        return replace(self, probabilities=rounded(probabilities))

    def to_csv(self) -> str:
        """Write the table; the label columns come last, so a label may have the name of any other column."""
        return "".join(self.csv_parts())

    def csv_parts(self) -> Iterator[str]:
        """Write the table, so many rows at a time."""
        header = [*COLUMNS, *self.label_names]
        columns = zip(self.paths, self.labels, self.subsets, self.copies, self.probabilities, strict=True)
        return csv_parts(header, ([*about, *map(short, row.tolist())] for *about, row in columns))


def rounded(probabilities: np.ndarray) -> np.ndarray:
    """Give probabilities the precision of the table (twelve digits, at least LEAST), so that they read back equal."""
    kept = np.clip(probabilities, LEAST, None)
    kept = kept / kept.sum(axis=1, keepdims=True)
    texts = (short(value) for row in kept for value in row.tolist())
    return np.fromiter(map(float, texts), np.float64, kept.size).reshape(kept.shape)


def short(probability: float) -> str:
    """Format a probability for the table: twelve digits, so that a row still sums to one for scikit-learn."""
    return f"{probability:.12g}"


def read_predictions(content: str) -> Predictions:
    """Read the table that `Predictions.to_csv` writes. Raises UserError when the text is not such a table."""
    try:
        header, *rows = [row for row in csv.reader(io.StringIO(content)) if row] or [[]]
    except csv.Error as error:
        raise UserError(f"not a table of predictions ({error})") from None
    if tuple(header[: len(COLUMNS)]) != COLUMNS or len(header) < len(COLUMNS) + 1:
        raise UserError(f"not a table of predictions: it begins with {header[:6]}, not with {list(COLUMNS)}")
    if any(len(row) != len(header) for row in rows):
        raise UserError("a table of predictions is cut off: a row has fewer or more fields than the header")
    texts = [[row[column] for row in rows] for column in range(len(COLUMNS))]
    labels = header[len(COLUMNS) :]
    try:
        found = [[number(text) for text in row[len(COLUMNS) :]] for row in rows]
    except ValueError as error:
        raise UserError(f"a table of predictions has a probability that is not a number ({error})") from None
    numbers = np.array(found, dtype=np.float64).reshape(len(rows), len(labels))
    if not ((numbers >= 0) & (numbers <= 1)).all():
        raise UserError("a table of predictions has a probability that is not between 0 and 1")
    for names, what in ((texts[0], "path"), (labels, "label")):
        if len(set(names)) < len(names):
            raise UserError(f"a table of predictions has a {what} twice, so it is not clear which one counts")
    paths, true, subsets, copies = texts
    if strangers := sorted(set(true) - set(labels)):
        raise UserError(
            f"a table of predictions has the true label {strangers[0]!r}, but probabilities only for {labels}"
        )
    return Predictions(paths, true, subsets, copies, labels, numbers)


def csv_text(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Format a CSV whose lines end in a line feed alone."""
    return "".join(csv_parts(header, rows))


def csv_parts(header: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """The same text, so many rows at a time."""
    rest = chain([header], rows)
    while some := list(islice(rest, _AT_ONCE)):
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(some)
        yield text.getvalue()
