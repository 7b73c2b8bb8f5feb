"""Run the members over the test faces: every view, corrupted faces, saliency; no framework is imported here."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from emotion.dataset.index import read_index
from emotion.dataset.records.stored_images import Images, Rows
from emotion.evaluation.averaging import mean_probabilities
from emotion.evaluation.corruptions import Robustness, accuracy_when_corrupted
from emotion.evaluation.predictions import COLUMNS, Predictions
from emotion.evaluation.results import Results, average_all, surest
from emotion.evaluation.views import View, seen_as
from emotion.foundation.errors import UserError

if TYPE_CHECKING:
    from emotion.dataset.examples import Examples
    from emotion.dataset.records.tfrecords import Faces
    from emotion.evaluation.members import Member

_TEMPERATURE_FACES = 2000  # validation faces at most: enough to fit the average's temperature, a single number


def check_models(models: Path, members: list[int]) -> None:
    """Raise UserError when the folder holds a model that params.yaml does not name."""
    named = {f"{member}.keras" for member in members}
    if strangers := sorted(file.name for file in models.iterdir() if file.name not in named | {".gitignore"}):
        raise UserError(
            f"{models / strangers[0]} is not listed in model.members: {members}; "
            "it is left over from other parameters: `dvc checkout` removes it"
        )


def unanswered(index: Path, records: Path, faces: "Faces", label_names: list[str]) -> Predictions:
    """What is known about each face of the records, in their order, with probabilities still to be filled in.

    Args:
        index: of the test split.
        records: the folder that the faces are from.
        faces: the records' faces.
        label_names: in the order of the models' outputs.

    Raises UserError when index and records do not belong together.
    """
    table = read_index(index)
    table = table[~table["path"].isin(skipped_paths(records))]
    if table["label_index"].tolist() != faces.label_indexes.tolist():
        raise UserError(f"{records} does not hold the faces of {index}; run split and preprocess again")
    if not len(table):
        raise UserError(f"{index} lists no faces to test on; add test images, or raise split.test_fraction")
    paths, labels, subsets, copies = (table[column].tolist() for column in COLUMNS)
    if strangers := sorted(set(labels) - set(label_names)):
        raise UserError(
            f"{index} has faces labelled {strangers}, which the models do not know: {label_names}; train again"
        )
    return Predictions(paths, labels, subsets, copies, label_names, np.empty((len(table), len(label_names))))


def skipped_paths(records: Path) -> list[str]:
    """The pictures that preprocess could not use: they are in the index but not in the records."""
    file = records / "skipped.json"
    return list(json.loads(file.read_text())) if file.exists() else []


def predict(
    networks: Sequence["Member"], faces: "Faces", held_out: "Examples", ways: Sequence[View], unanswered: Predictions
) -> Results:
    """Run every network over every view of the test faces, and of the validation faces where an average needs them."""

    def logits(images: Images) -> np.ndarray:
        return np.array([[network.logits(_SeenImages(images, way)) for way in ways] for network in networks])

    averaging = len(networks) * len(ways) > 1
    rows = evenly(len(held_out), _TEMPERATURE_FACES if averaging else 0)
    test, val = logits(faces.images), logits(held_out.images[rows])
    temperatures = {network.name: network.about.temperature for network in networks}
    return average_all(test, val, held_out.targets[rows], temperatures, unanswered)


def evenly(count: int, most: int) -> np.ndarray:
    """At most `most` row numbers, evenly spaced over `count` rows: int [min(count, most)]."""
    return np.linspace(0, count - 1, min(count, most)).round().astype(np.int64)


def measure_robustness(networks: Sequence["Member"], images: Images, labels: np.ndarray, *, seed: int) -> Robustness:
    """Accuracy of the members' average, one view, on corrupted test faces.

    Args:
        images: uint8 [n, size, size, channels].
        labels: int [n], indexes into the models' labels.
    """

    def probabilities(corrupted: np.ndarray) -> np.ndarray:
        logits = np.array([[network.logits(corrupted)] for network in networks])
        return mean_probabilities(logits, [network.temperature for network in networks])

    return accuracy_when_corrupted(images, labels, probabilities, seed=seed)


def saliency_maps(networks: Sequence["Member"], faces: "Faces", predictions: Predictions) -> dict[str, np.ndarray]:
    """HiResCAM of the predicted label, mean over the networks, for the surest right and wrong face of each label."""
    from emotion.evaluation.saliency import evidence_maps

    rows = surest(predictions)
    maps = [evidence_maps(network, faces.images[rows], predictions.predicted_indexes[rows]) for network in networks]
    return dict(zip((predictions.paths[row] for row in rows), np.mean(maps, axis=0), strict=True))


class _SeenImages:
    """Images, each seen as a view says when it is asked for.

    Args:
        images: uint8 [n, height, width, channels], in memory or in files.
    """

    def __init__(self, images: Images, view: View) -> None:
        self.shape = images.shape
        self._images, self._view = images, view

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, rows: Rows, /) -> np.ndarray:
        return seen_as(self._images[rows], self._view)
