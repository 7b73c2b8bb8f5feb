"""How much the seed decides: the default training, from each of five seeds.

    python -m benchmarks.seeds

Draws the faces and trains as params.yaml says; writes benchmarks/results/seeds.json.
"""

import csv
import json
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.support.processes import (
    PARAMS,
    RESULTS,
    begin,
    editable_params,
    parser_of,
    run_data_stages_of,
    run_train,
)
from emotion.foundation.files import write_json

SEEDS = range(5)
EARLY_EPOCHS = 3


def train(folder: Path, seed: int) -> dict[str, Any]:
    """Train one seed on the records of the folder: its validation scores, early ones too, and the process' seconds."""
    cost = run_train(folder, member=seed)
    report = json.loads((folder / "train.json").read_text())
    history = list(csv.DictReader((folder / "history.csv").read_text().splitlines()))
    return {
        "early_val_accuracy": float(history[EARLY_EPOCHS - 1]["val_accuracy"]),
        "val_accuracy": report["val"]["accuracy"],
        "val_log_loss": report["val"]["log_loss"],
        "seconds": cost.seconds,
    }


def main() -> None:
    """Train, print, write."""
    _, here = begin(parser_of(__doc__))
    params = editable_params(PARAMS)
    params["data"]["source"] = "synthetic"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run_data_stages_of(params, folder)
        seeds = {}
        for seed in SEEDS:
            seeds[str(seed)] = train(folder, seed)
            print(seed, seeds[str(seed)], flush=True)
        faces = json.loads((folder / "val/about.json").read_text())["images"]
    accuracies = [row["val_accuracy"] for row in seeds.values()]
    figures = {
        **here,
        "early_epochs": EARLY_EPOCHS,
        "epochs": params["train"]["epochs"],
        "val_faces": faces,
        "lowest": min(accuracies),
        "highest": max(accuracies),
        "seeds": seeds,
    }
    write_json(RESULTS / "seeds.json", figures)


if __name__ == "__main__":
    main()
