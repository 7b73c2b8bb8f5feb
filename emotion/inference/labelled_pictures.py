"""Score a predictor on labelled pictures with NumPy alone: the plain install has neither SciPy nor scikit-learn."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emotion.dataset.labels import OTHER_NAMES
from emotion.dataset.picture_files import pictures_below
from emotion.foundation.errors import UserError, did_you_mean
from emotion.inference.predictor import Predictor


@dataclass(frozen=True)
class Scored:
    """The result of scoring.

    Attributes:
        labels: the model's, in its order.
        confusion: int [labels, labels]; rows are true labels, columns predicted ones.
        log_loss: mean, in nats; NaN where nothing was scored.
        without_face: pictures in which no face was found.
        errors: (path, reason) of files that could not be used.
        prior: how frequent the labels were taken to be.
    """

    labels: list[str]
    confusion: np.ndarray
    log_loss: float
    without_face: int
    errors: list[tuple[str, str]]
    prior: str = "training"

    @property
    def right(self) -> int:
        """Pictures whose most probable label is the true one."""
        return int(np.trace(self.confusion))

    @property
    def total(self) -> int:
        """Pictures scored."""
        return int(self.confusion.sum())

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        low, high = wilson_interval(self.right, self.total)
        present = [index for index in range(len(self.labels)) if self.confusion[index].sum()]
        return {
            "accuracy": round(self.right / self.total, 6),
            "interval": {"low": round(low, 6), "high": round(high, 6), "level": 0.95},
            "prior": self.prior,
            "scored": self.total,
            "without_face": self.without_face,
            "unusable": len(self.errors),
            "log_loss": round(self.log_loss, 6),
            "recall": {self.labels[index]: round(self._recall(index), 6) for index in present},
            "confusion": {
                self.labels[index]: dict(zip(self.labels, map(int, self.confusion[index]), strict=True))
                for index in present
            },
        }

    def lines(self) -> list[str]:
        """For people."""
        low, high = wilson_interval(self.right, self.total)
        lines = [
            f"accuracy {self.right / self.total:.2%} (95 % interval {low:.2%} to {high:.2%}), {self.total} pictures, "
            f"log loss {self.log_loss:.3f}, prior {self.prior}"
        ]
        if self.without_face:
            found = self.total / (self.total + self.without_face)
            lines.append(f"no face found in {self.without_face} pictures, which are not scored (found in {found:.2%})")
        width = max(9, *(len(label) + 2 for label in self.labels))
        lines += [
            "",
            f"{'true':<{width}}{'recall':>8}  predicted " + "".join(f"{label:>{width}}" for label in self.labels),
        ]
        for index, label in enumerate(self.labels):
            if self.confusion[index].sum():
                counts = "".join(f"{count:>{width}}" for count in self.confusion[index])
                lines.append(f"{label:<{width}}{self._recall(index):>8.2%}  {'':<10}{counts}")
        return lines

    def _recall(self, index: int) -> float:
        return float(self.confusion[index, index] / self.confusion[index].sum())


def labelled_pictures(
    folder: Path, label_of: Mapping[str, str], names: Mapping[str, str | None] | None = None
) -> list[tuple[Path, str]]:
    """List (picture, label) of a folder with a subfolder for each label, sorted.

    Args:
        label_of: label of the models -> what it was merged into, or itself (`Predictor.label_of`); subfolders bear
            either.
        names: subfolder -> label, as the pipeline's `data.labels` has it; None leaves its pictures out.

    Raises UserError: no folder, no picture, a subfolder that is not one of the labels, or a name for none of them.
    """
    names, merged = names or {}, {label: label for label in label_of.values()} | dict(label_of)
    labels = list(merged)
    if unknown := sorted({label for label in names.values() if label is not None} - set(labels)):
        raise UserError(
            f"--labels renames to {unknown[0]!r}, which the model does not know{did_you_mean(unknown[0], labels)}; its "
            f"labels are {', '.join(labels)}"
        )
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder; give one with a subfolder for each label: {', '.join(labels)}")
    by_name = {other: merged[label] for other, label in OTHER_NAMES.items() if label in merged}
    by_name |= {label.lower(): merged[label] for label in labels}
    found, strange = [], []
    for subfolder in _subfolders(folder):
        pictures = pictures_below(subfolder)
        if subfolder.name in names:
            label = names[subfolder.name]
            found += [(picture, merged[label]) for picture in pictures if label is not None]
        elif subfolder.name.lower() in by_name:
            found += [(picture, by_name[subfolder.name.lower()]) for picture in pictures]
        elif pictures:
            strange.append(subfolder.name)
    expected = f"the model's labels are {', '.join(labels)}"
    if strange:
        raise UserError(
            f"{folder}: not a label of the model: {', '.join(strange)}; {expected}. Say with --labels what they "
            f"are, as in --labels calm=neutral, or leave one out: --labels {strange[0]}="
        )
    if not found:
        raise UserError(f"{folder} has no pictures in a subfolder named after a label; {expected}")
    return found


def _subfolders(folder: Path) -> list[Path]:
    """Sorted, without hidden ones. Raises UserError where a folder can't be listed, or is a broken link."""
    try:
        entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        raise UserError(f"{folder} cannot be read ({error.strerror}); change its permissions") from None
    for entry in entries:
        if entry.is_symlink() and not entry.exists():
            raise UserError(f"{entry} is a broken link; link it again, or remove it")
    return [entry for entry in entries if entry.is_dir()]


def score(
    predictor: Predictor, pictures: Sequence[tuple[Path, str]], *, progress: Callable[[], object] = lambda: None
) -> Scored:
    """Predict labelled pictures and count; `progress` is called after each.

    Raises UserError when no picture could be scored.
    """
    labels = predictor.labels
    confusion = np.zeros((len(labels), len(labels)), np.int64)
    losses: list[float] = []
    errors: list[tuple[str, str]] = []
    without_face = 0
    predictions = predictor.predict_many(path for path, _ in pictures)
    for prediction, (_, label) in zip(predictions, pictures, strict=True):
        if prediction.error is not None:
            errors.append((prediction.source, prediction.error))
        elif not prediction.faces:
            without_face += 1
        else:
            probabilities = prediction.probabilities
            predicted = max(probabilities, key=lambda name: probabilities[name])
            confusion[labels.index(label), labels.index(predicted)] += 1
            losses.append(-math.log(max(probabilities[label], 1e-7)))
        progress()
    if not losses:
        raise UserError(
            f"no picture could be scored: {len(errors)} unusable, {without_face} without a face; "
            "pictures that already are face crops need --no-detect"
        )
    return Scored(labels, confusion, float(np.mean(losses)), without_face, errors, predictor.prior.name)


def wilson_interval(right: int, total: int, z: float = 1.96) -> tuple[float, float]:
    """95 % interval of a fraction (Wilson 1927, https://doi.org/10.1080/01621459.1927.10502953)."""
    share = right / total
    middle = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total)) / (1 + z * z / total)
    return max(0.0, middle - half), min(1.0, middle + half)
