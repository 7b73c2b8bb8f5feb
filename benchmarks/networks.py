"""Every network by the same pipeline: validation accuracy at equal epochs on drawn faces, and one epoch of FER2013.

    python -m benchmarks.networks [fer2013.zip] [--epochs 20] [--networks vgg resnet ...]

Adds to benchmarks/results/networks.json and prints the rows of docs/networks.md. Each network has its parameters from
params.yaml, but `vgg` those of results/fer2013/params.yaml, and `transfer` is a MobileNet with the weights of
benchmarks/pretrained.py, as ImageNet's cannot be had offline, and learns by Adam. `train` is that of params.yaml, but
precision and warm-up are as published. Seconds are those of the whole process, without the pretraining, on the
processor that stands beside them.
"""

import argparse
import csv
import json
import tempfile
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from benchmarks.pipeline import run_data_stages, run_data_stages_of
from benchmarks.pretrained import pretrain, settings
from benchmarks.processes import PARAMS, RESULTS, ROOT, machine, read_params, run_train
from emotion.files import write_json
from emotion.report.page import percent

NETWORKS = ("stacked_cnn", "vgg", "resnet", "mini_xception", "transfer")
AS_PUBLISHED = {"precision": "bfloat16", "portable": False, "warmup_epochs": 1.0}
FROZEN_EPOCHS = 2
FINE_TUNED = {"unfreeze": "all", "finetune_learning_rate": 0.0005}
BY_ADAM = {"optimizer": "adam", "weight_decay": 0.0, "learning_rate": 0.001}


def train(network: str, records: Path, *, epochs: int, backbone: dict[str, Any]) -> dict[str, Any]:
    """Train one network on train/ and val/ of a folder: its validation accuracy and the process' seconds.

    `backbone` is what `model.transfer` says of a pretrained one.
    """
    params = read_params(PARAMS)
    params["model"]["network"] = network
    params["model"]["vgg"] = read_params(ROOT / "results/fer2013/params.yaml")["model"]["vgg"]
    if network == "transfer":
        frozen_epochs = FROZEN_EPOCHS if epochs > 2 * FROZEN_EPOCHS else 0
        params["model"]["transfer"].update(backbone | FINE_TUNED | {"frozen_epochs": frozen_epochs})
        params["train"].update(BY_ADAM)
    params["train"].update(AS_PUBLISHED | {"epochs": epochs})
    params["train"]["warmup_epochs"] = min(params["train"]["warmup_epochs"], epochs / 2)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        YAML(typ="safe").dump(params, folder / "params.yaml")
        cost = run_train(folder, records)
        report = json.loads((folder / "train.json").read_text())
        last = list(csv.DictReader((folder / "history.csv").read_text().splitlines()))[-1]
    return {
        "epochs": epochs,
        "val_accuracy": report["val"]["accuracy"],
        "train_loss": float(last["loss"]),
        "parameters": report["parameters"],
        "seconds": cost.seconds,
    }


def table(results: dict[str, Any]) -> str:
    """The rows of docs/networks.md: each network's validation accuracy on drawn faces and on FER2013."""
    rows = []
    for name in NETWORKS:
        found = (results[data].get(name) for data in ("drawn", "fer2013"))
        cells = [percent(one["val_accuracy"]) if one else "–" for one in found]
        rows.append(f"| `{name}` | {' | '.join(cells)} |\n")
    return "".join(rows)


def main() -> None:
    """Train, write after each network, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("zip_file", type=Path, nargs="?", help="FER2013; without it drawn faces only")
    parser.add_argument("--epochs", type=int, default=20, help="on drawn faces (default 20)")
    parser.add_argument("--networks", nargs="+", default=NETWORKS, choices=NETWORKS)
    parser.add_argument("--weights", type=Path, help="of benchmarks.pretrained; without it they are learnt first")
    arguments = parser.parse_args()
    kept = RESULTS / "networks.json"
    results = json.loads(kept.read_text()) if kept.exists() else {"drawn": {}, "fer2013": {}}
    here = machine()
    with tempfile.TemporaryDirectory() as name:
        folders = {data: Path(name, data) for data in ("drawn", "fer2013")}
        for folder in folders.values():
            folder.mkdir()
        params = read_params(PARAMS)
        params["data"]["source"] = "synthetic"
        run_data_stages_of(params, folders["drawn"])
        places = [("drawn", folders["drawn"], arguments.epochs)]
        if arguments.zip_file:
            run_data_stages(arguments.zip_file, folders["fer2013"])
            places.append(("fer2013", folders["fer2013"], 1))
        backbone: dict[str, Any] = {}
        if "transfer" in arguments.networks:
            weights = arguments.weights
            backbone = settings(weights.resolve()) if weights else pretrain(Path(name) / "backbone.weights.h5")
        for network in arguments.networks:
            for data, records, epochs in places:
                results[data][network] = {**train(network, records, epochs=epochs, backbone=backbone), **here}
                print(data, network, results[data][network], flush=True)
                write_json(kept, results)
    print(table(results))


if __name__ == "__main__":
    main()
