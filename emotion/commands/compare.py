"""Two revisions' predictions of the same faces: is the change larger than chance?

Sources: McNemar 1947 (exact binomial form), for classifiers Dietterich 1998 (https://doi.org/10.1162/089976698300017197);
paired bootstrap over faces, Efron & Tibshirani 1993.
"""

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binomtest

from emotion.commands.compared_runs import TRACKED, draw_curves, files_of, load_curves, load_predictions
from emotion.evaluation.intervals import Interval, accuracies, interval, macro_f1s, resample
from emotion.evaluation.predictions import Predictions
from emotion.evaluation.scores import macro_f1
from emotion.foundation.errors import UserError
from emotion.foundation.files import write_file
from emotion.inference.outputs import check_output
from emotion.model.calibration import accuracy, log_loss

_SEED = 0  # of the bootstrap: the same two tables, the same answer
_CHANCE = 0.05


@dataclass(frozen=True)
class Change:
    """A score of A and of B, and B minus A with its 95 % interval (None where none is computed)."""

    a: float
    b: float
    difference: float
    interval: Interval | None


@dataclass(frozen=True)
class Comparison:
    """How two sets of predictions compare.

    Attributes:
        faces: how many both predicted; only those are compared.
        only_a, only_b: faces that the other did not predict.
        a_alone, b_alone: faces that only it predicted right.
        p_value: McNemar's exact test: how often chance alone would split them at least this unevenly.
        accuracy, macro_f1, log_loss: each score's change.
    """

    faces: int
    only_a: int
    only_b: int
    a_alone: int
    b_alone: int
    p_value: float
    accuracy: Change
    macro_f1: Change
    log_loss: Change

    @property
    def verdict(self) -> str:
        """One sentence that answers the question."""
        if self.p_value >= _CHANCE:
            return f"The change is not larger than chance (p = {self.p_value:.2g}): no reason to prefer either."
        better = "B" if self.b_alone > self.a_alone else "A"
        return f"{better} is better by more than chance explains (p = {self.p_value:.2g})."

    def to_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        content = asdict(self)
        for score in ("accuracy", "macro_f1", "log_loss"):
            span = getattr(self, score).interval
            content[score]["interval"] = None if span is None else span._asdict()
        return {**content, "verdict": self.verdict}

    def to_table(self) -> str:
        """Everything, as a table for people."""
        rows = [("score", "A", "B", "B - A", "95 % interval of B - A")]
        for name in ("accuracy", "macro_f1", "log_loss"):
            change: Change = getattr(self, name)
            span = "" if change.interval is None else f"{change.interval.low:+.4f} to {change.interval.high:+.4f}"
            rows.append((name, f"{change.a:.4f}", f"{change.b:.4f}", f"{change.difference:+.4f}", span))
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        counts = f"{self.faces:,} faces; right in A alone: {self.a_alone}, in B alone: {self.b_alone}"
        missing = (
            f"; not compared: {self.only_a} only in A, {self.only_b} only in B" if self.only_a + self.only_b else ""
        )
        return "\n".join([*lines, "", counts + missing, self.verdict])


def compare(a: Predictions, b: Predictions) -> Comparison:
    """Compare two predictions of the same faces.

    Raises UserError when they share no face, or disagree about the labels.
    """
    rows_a, rows_b = _shared(a.paths, b.paths)
    if not len(rows_a):
        raise UserError("the two share no face: they are predictions of different test sets")
    labels = a.label_indexes[rows_a]
    probabilities = a.probabilities[rows_a], _reordered(b, a.label_names)[rows_b]
    if differing := sum(a.labels[i] != b.labels[j] for i, j in zip(rows_a, rows_b, strict=True)):
        raise UserError(f"{differing} faces have different true labels in the two; compare runs on the same labels")
    said_a, said_b = (each.argmax(axis=1) for each in probabilities)
    alone = [int(((said == labels) & (other != labels)).sum()) for said, other in ((said_a, said_b), (said_b, said_a))]
    resamples = resample(np.stack([labels, said_a, said_b], axis=1), seed=_SEED)
    return Comparison(
        faces=len(labels),
        only_a=len(a.paths) - len(labels),
        only_b=len(b.paths) - len(labels),
        a_alone=alone[0],
        b_alone=alone[1],
        p_value=float(binomtest(alone[0], sum(alone)).pvalue) if sum(alone) else 1.0,
        accuracy=_change(
            [accuracy(labels, each) for each in probabilities],
            interval(accuracies(resamples, 2) - accuracies(resamples, 1)),
        ),
        macro_f1=_change(
            [macro_f1(labels, said) for said in (said_a, said_b)],
            interval(macro_f1s(resamples, 2) - macro_f1s(resamples, 1)),
        ),
        log_loss=_change([log_loss(labels, each) for each in probabilities], None),
    )


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of `emotion compare`."""
    what = f"a Git revision (its {TRACKED}), a published result (results/fer2013), or a CSV file"
    parser.add_argument("a", metavar="A", help=f"the baseline: {what}")
    parser.add_argument("others", metavar="B", nargs="+", help="what to compare with it, one by one: likewise")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table; a list for several B")
    parser.add_argument("--plot", metavar="FILE", type=Path, help="also draw the validation curves of all, as a PNG")


def run(arguments: Namespace) -> int:
    """Print the comparison of `arguments.a` with each of `arguments.others`; returns 0. Raises UserError."""
    sources = (arguments.a, *arguments.others)
    if arguments.plot:
        _check_plot(arguments.plot, sources)
    # First: they are small, and what is wrong with them is soon found.
    curves = {source: load_curves(source) for source in sources} if arguments.plot else {}
    baseline = load_predictions(arguments.a)
    found = {source: compare(baseline, load_predictions(source)) for source in arguments.others}
    if arguments.plot:
        write_file(arguments.plot, draw_curves(curves))
    if arguments.json:
        whole = [each.to_dict() for each in found.values()]
        print(json.dumps(whole if len(whole) > 1 else whole[0], indent=2))
    elif len(found) == 1:
        print(found[arguments.others[0]].to_table())
    else:
        print("\n\n".join(f"A: {arguments.a}, B: {name}\n{each.to_table()}" for name, each in found.items()))
    return 0


def _check_plot(path: Path, sources: Sequence[str]) -> None:
    """Raise UserError for a name that is no picture's, and for a file that is read."""
    if path.suffix.lower() != ".png":
        raise UserError(f"--plot {path}: a picture is written there; give it a name that ends in .png")
    check_output(path, {"one of the files to compare": [file for source in sources for file in files_of(source)]})


def _change(scores: Sequence[float], span: Interval | None) -> Change:
    a, b = scores
    return Change(a, b, b - a, span)


def _shared(a: Sequence[str], b: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers in `a` and in `b` of the paths that both have, in the order of `a`."""
    place = {path: row for row, path in enumerate(b)}
    pairs = [(row, place[path]) for row, path in enumerate(a) if path in place]
    rows = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return rows[:, 0], rows[:, 1]


def _reordered(predictions: Predictions, names: Sequence[str]) -> np.ndarray:
    """The probabilities with their columns in the order of `names`. Raises UserError when the labels differ."""
    if sorted(predictions.label_names) != sorted(names):
        raise UserError(f"the two have different labels: {list(names)} and {predictions.label_names}")
    return predictions.probabilities[:, [predictions.label_names.index(name) for name in names]]
