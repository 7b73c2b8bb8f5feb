"""Score the members and their average on the test split."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from pydantic import Field

from emotion.errors import UserError
from emotion.params import Params
from stages._stage import Reads, Section, Values, run_stage, write_file, write_json

if TYPE_CHECKING:
    from emotion.records import Faces


class MembersParams(Params):
    """What evaluation reads of the `model` section."""

    members: list[int] = Field(min_length=1)


class EvaluateParams(Params):
    """The `evaluate` section."""

    seed: int = Field(ge=0)


READS: Reads = {"params": Section("evaluate", EvaluateParams), "members": Values("model", MembersParams)}


def evaluate(
    models: Path,
    val: Path,
    test: Path,
    index: Path,
    predictions: Path,
    report: Path,
    members: MembersParams,
    params: EvaluateParams,
) -> None:
    """Predict the test split with the average of the members; write the predictions and their scores."""
    check_models(models, members.members)
    from emotion import scores
    from emotion.records import load_records

    faces = load_records(test)
    probabilities = np.mean([predict(models / f"{member}.keras", faces) for member in members.members], axis=0)
    write_json(report, scores.headline(faces.label_indexes, probabilities))
    labels = faces.about.labels
    table = pd.read_csv(index, dtype={"label": str}, keep_default_na=False)[["path", "label", "subset", "copy"]]
    write_file(predictions, table.join(pd.DataFrame(probabilities, columns=labels)).to_csv(index=False))


def check_models(models: Path, members: list[int]) -> None:
    """Raise UserError when the folder holds a model that params.yaml does not name."""
    named = {f"{member}.keras" for member in members}
    if strangers := sorted(file.name for file in models.iterdir() if file.name not in named | {".gitignore"}):
        raise UserError(
            f"{models / strangers[0]} is not named by model.members: {members}; "
            "it is left from other parameters: `dvc checkout` clears it"
        )


def predict(model: Path, faces: "Faces") -> np.ndarray:
    """Probabilities of each face under one member: float [n, labels]."""
    from emotion.model_file import load_model
    from emotion.training import predict_logits

    return predict_logits(load_model(model)[0], faces.images)


if __name__ == "__main__":
    run_stage(evaluate, READS)
