"""Score the members and their average on the test split."""

from stages._entry.start import START

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import pandas as pd
from pydantic import Field, field_validator

from emotion.errors import UserError
from emotion.evaluation.averaging import mean_probabilities
from emotion.evaluation.heatmaps import heatmap_bytes
from emotion.evaluation.predictions import COLUMNS, Predictions
from emotion.evaluation.results import Results, average_all, evaluation_report, plot_tables, surest, variants_table
from emotion.evaluation.robustness import Robustness, accuracy_when_corrupted
from emotion.evaluation.tables import confusion_table
from emotion.evaluation.views import View, look, views
from emotion.params import Params
from emotion.runtime.pins import pin
from stages._entry.stage import Reads, Section, Values, run_stage, write_file, write_json

if TYPE_CHECKING:
    from emotion.dataset.records import Faces
    from emotion.evaluation.members import Member


_TEMPERATURE_FACES = 2000  # validation faces, at most, for the one number that is an average's temperature


class MembersParams(Params):
    """What evaluation reads of the `model` section."""

    members: list[Annotated[int, Field(ge=0)]] = Field(min_length=1)

    @field_validator("members")
    @classmethod
    def _distinct(cls, members: list[int]) -> list[int]:
        if len(set(members)) < len(members):
            raise ValueError("names a member twice; each is a seed of its own")
        return members


class ViewsParams(Params):
    """The views of each face that predictions are averaged over, beside the face itself."""

    flip: bool
    shift_px: int = Field(ge=0, le=64)


class EvaluateParams(Params):
    """The `evaluate` section."""

    seed: int = Field(ge=0)
    views: ViewsParams
    robustness: bool
    portable: bool
    intra_op_threads: int = Field(ge=1)
    inter_op_threads: int = Field(ge=1)


READS: Reads = {"params": Section("evaluate", EvaluateParams), "members": Values("model", MembersParams)}


def evaluate(
    models: Path,
    val: Path,
    test: Path,
    index: Path,
    predictions: Path,
    variants: Path,
    confusion: Path,
    saliency: Path,
    plots: Path,
    report: Path,
    members: MembersParams,
    params: EvaluateParams,
) -> None:
    """Predict the test split with the average of members and views; write predictions, scores, tables, saliency."""
    check_models(models, members.members)
    pin(**params.model_dump(include={"portable", "intra_op_threads", "inter_op_threads", "seed"}))
    from emotion.dataset.records import load_records
    from emotion.evaluation.members import check_agreement, load_member
    from emotion.runtime.portable import check_portable

    networks = [load_member(models / f"{member}.keras") for member in members.members]
    check_agreement(networks)
    if params.portable:
        for member in networks:
            check_portable(member.network, member.network_name, setting="evaluate.portable")
    faces, held_out = load_records(test), load_records(val)
    unanswered = read_index(index, test, faces, networks[0].about.labels)
    results = predict(networks, faces, held_out, views(**params.views.model_dump()), unanswered)
    robustness = measure_robustness(networks, faces, seed=params.seed) if params.robustness else {}
    write_file(predictions, results.final.to_csv())
    write_file(variants, variants_table(results))
    write_file(confusion, confusion_table(results.final))
    write_file(saliency, heatmap_bytes(saliency_maps(networks, faces, results.final)))
    for name, text in plot_tables(results, robustness, seed=params.seed).items():
        write_file(plots / f"{name}.csv", text)
    write_json(report, evaluation_report(results, robustness, seed=params.seed))


def check_models(models: Path, members: list[int]) -> None:
    """Raise UserError when the folder holds a model that params.yaml does not name."""
    named = {f"{member}.keras" for member in members}
    if strangers := sorted(file.name for file in models.iterdir() if file.name not in named | {".gitignore"}):
        raise UserError(
            f"{models / strangers[0]} is not named by model.members: {members}; "
            "it is left from other parameters: `dvc checkout` clears it"
        )


def read_index(index: Path, records: Path, faces: "Faces", label_names: list[str]) -> Predictions:
    """What is known of each face of the records, in their order, with probabilities still to be filled in.

    Raises UserError when index and records do not belong together.
    """
    table = pd.read_csv(index, dtype={"label": str}, keep_default_na=False)
    table = table[~table["path"].isin(skipped_paths(records))]
    if table["label_index"].tolist() != faces.label_indexes.tolist():
        raise UserError(f"{records} does not hold the faces of {index}; run split and preprocess again")
    if not len(table):
        raise UserError(f"{index} names no face to test on; add test images, or raise split.test_fraction")
    paths, labels, subsets, copies = (table[column].tolist() for column in COLUMNS)
    return Predictions(paths, labels, subsets, copies, label_names, np.empty((len(table), len(label_names))))


def skipped_paths(records: Path) -> list[str]:
    """The pictures that preprocess could not use: they are in the index but not in the records."""
    file = records / "skipped.json"
    return list(json.loads(file.read_text())) if file.exists() else []


def predict(
    networks: Sequence["Member"], faces: "Faces", held_out: "Faces", ways: Sequence[View], unanswered: Predictions
) -> Results:
    """Run every network over every view of the test faces, and of the validation faces where an average needs them."""

    def logits(images: np.ndarray) -> np.ndarray:
        return np.array([[network.logits(look(images, way)) for way in ways] for network in networks])

    averaging = len(networks) * len(ways) > 1
    rows = evenly(len(held_out.images), _TEMPERATURE_FACES if averaging else 0)
    test, val = logits(faces.images), logits(held_out.images[rows])
    temperatures = {network.name: network.about.temperature for network in networks}
    return average_all(test, val, held_out.label_indexes[rows], temperatures, unanswered)


def evenly(count: int, most: int) -> np.ndarray:
    """Row numbers of at most so many of `count` rows, evenly spaced: int [min(count, most)]."""
    return np.linspace(0, count - 1, min(count, most)).round().astype(np.int64)


def measure_robustness(networks: Sequence["Member"], faces: "Faces", *, seed: int) -> Robustness:
    """Accuracy of the members' average, one view, on corrupted test faces."""

    def probabilities(images: np.ndarray) -> np.ndarray:
        logits = np.array([[network.logits(images)] for network in networks])
        return mean_probabilities(logits, [network.temperature for network in networks])

    return accuracy_when_corrupted(faces.images, faces.label_indexes, probabilities, seed=seed)


def saliency_maps(networks: Sequence["Member"], faces: "Faces", predictions: Predictions) -> dict[str, np.ndarray]:
    """Grad-CAM of the predicted label, mean over the networks, for the surest right and wrong face of each label."""
    from emotion.evaluation.saliency import grad_cam

    rows = surest(predictions)
    maps = [grad_cam(network, faces.images[rows], predictions.predicted_indexes[rows]) for network in networks]
    return dict(zip((predictions.paths[row] for row in rows), np.mean(maps, axis=0), strict=True))


if __name__ == "__main__":
    run_stage(evaluate, READS, START)
