"""Every network by the same pipeline: validation accuracy at equal epochs on drawn faces, and one epoch of FER2013.

    python -m benchmarks.networks [fer2013.zip] [--epochs 20] [--networks vgg resnet ...] [--weights NAME.weights.h5]

Adds to benchmarks/results/networks.json and prints the rows of docs/networks.md. Each network has its parameters from
params.yaml, but `vgg` those of results/fer2013/params.yaml. `train` is that of params.yaml, but precision and warm-up
are as published. Seconds are those of the whole process, without the pretraining, on the processor and at the load
that stand beside them.

`transfer` is a MobileNet that has learnt from other drawn faces, as ImageNet's weights cannot be had offline, and
learns by Adam. Its weights are those of --weights; where that file is missing they are learnt first and kept there:
two trainings of the `transfer` network, the first from random weights, the second from the first's.
"""

import argparse
import csv
import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.support.processes import (
    PARAMS,
    RESULTS,
    ROOT,
    begin,
    editable_params,
    parser_of,
    run_data_stages,
    run_data_stages_of,
    run_train,
    write_params,
)
from emotion.foundation.files import write_json
from emotion.report.page import percent

NETWORKS = ("stacked_cnn", "vgg", "resnet", "mini_xception", "transfer")
AS_PUBLISHED = {"precision": "bfloat16", "portable": False, "warmup_epochs": 1.0}
FROZEN_EPOCHS = 2
FINE_TUNED = {"unfreeze": "all", "finetune_learning_rate": 0.0005}
BY_ADAM = {"optimizer": "adam", "weight_decay": 0.0, "learning_rate": 0.001}
BACKBONE: dict[str, Any] = {"backbone": "MobileNet", "resize_px": 48}
# Other faces than those of params.yaml, more of them, with plainer expressions.
FACES = {"seed": 1, "train_images": 16_800, "test_images": 14, "min_intensity": 0.4}
FROM_RANDOM = {
    "weights": "none",
    "frozen_epochs": 0,
    "unfreeze": "all",
    "finetune_learning_rate": 0.001,
    "dropout": 0.0,
}
PRETRAINED_BY = {
    "precision": "bfloat16",
    "optimizer": "adam",
    "weight_decay": 0.0,
    "batch_size": 32,
    "warmup_epochs": 1.0,
}
# First hardly changed faces: from random weights, this backbone learns nothing in three epochs of those of params.yaml.
EASY = {
    **{"shift": 0.05, "scale": 0.1, "rotation_deg": 0.0, "flip": True},
    **{"brightness": 0.1, "contrast": 0.2, "erase": 0.0, "erase_area": 0.0},
}
EASY_EPOCHS, HARD_EPOCHS = 8, 10


def pretraining(*, train: dict[str, Any], augment: dict[str, Any]) -> dict[str, Any]:
    """The parameters of one of the trainings; `train` and `augment` take precedence over params.yaml."""
    params = editable_params(PARAMS)
    params["data"]["source"] = "synthetic"
    params["data"]["synthetic"].update(FACES)
    params["split"]["val_fraction"] = 0.05
    params["model"]["network"] = "transfer"
    params["model"]["transfer"].update(BACKBONE | FROM_RANDOM)
    params["augment"].update(augment)
    params["train"].update(PRETRAINED_BY | train)
    return params


def pretrain(weights: Path) -> dict[str, Any]:
    """Train twice, keep the backbone's weights in a file, and return the block of `model.transfer` that names it."""
    with tempfile.TemporaryDirectory() as name:
        easy, hard = Path(name) / "easy", Path(name) / "hard"
        easy.mkdir()
        run_data_stages_of(pretraining(train={"epochs": EASY_EPOCHS}, augment=EASY), easy)
        run_train(easy)
        first = easy / "0.keras"
        going_on = {"epochs": HARD_EPOCHS, "init": {"path": str(first), "sha256": sha256(first)}}
        hard.mkdir()
        write_params(pretraining(train=going_on, augment={}), hard)
        run_train(hard, records=easy)
        save_backbone(hard / "0.keras", weights)
    return settings(weights)


def settings(weights: Path) -> dict[str, Any]:
    """The parameters of `model.transfer` that name a file of `pretrain`."""
    return BACKBONE | {"weights": str(weights), "weights_sha256": sha256(weights)}


def sha256(file: Path) -> str:
    """The digest of a file, as params.yaml has it."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def save_backbone(model_file: Path, weights: Path) -> None:
    """Keep the weights of a trained transfer network's backbone as keras.applications names its layers."""
    import keras

    trained, side = keras.models.load_model(model_file, compile=False), BACKBONE["resize_px"]
    make = getattr(keras.applications, BACKBONE["backbone"])
    backbone = make(include_top=False, weights=None, input_shape=(side, side, 3))
    for layer in backbone.layers:
        if layer.weights:
            layer.set_weights(trained.get_layer(layer.name).get_weights())
    backbone.save_weights(weights)


def parameters(network: str, *, epochs: int, backbone: dict[str, Any]) -> dict[str, Any]:
    """The parameters of a network's training; `backbone` is what `model.transfer` says of a pretrained one."""
    params = editable_params(PARAMS)
    params["model"]["network"] = network
    params["model"]["vgg"] = editable_params(ROOT / "results/fer2013/params.yaml")["model"]["vgg"]
    if network == "transfer":
        frozen_epochs = FROZEN_EPOCHS if epochs > 2 * FROZEN_EPOCHS else 0
        params["model"]["transfer"].update(backbone | FINE_TUNED | {"frozen_epochs": frozen_epochs})
        params["train"].update(BY_ADAM)
    params["train"].update(AS_PUBLISHED | {"epochs": epochs})
    params["train"]["warmup_epochs"] = min(params["train"]["warmup_epochs"], epochs / 2)
    return params


def train(params: dict[str, Any], records: Path) -> dict[str, Any]:
    """Train on train/ and val/ of a folder: what was reached, and the process' seconds."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_params(params, folder)
        cost = run_train(folder, records)
        report = json.loads((folder / "train.json").read_text())
        last = list(csv.DictReader((folder / "history.csv").read_text().splitlines()))[-1]
    return {
        "epochs": params["train"]["epochs"],
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


def make_records(zip_file: Path | None, folder: Path) -> dict[str, Path]:
    """Run the data stages on drawn faces and, where there is a zip, on FER2013: the folder of each one's records."""
    params = editable_params(PARAMS)
    params["data"]["source"] = "synthetic"
    places = {"drawn": folder / "drawn"}
    places["drawn"].mkdir()
    run_data_stages_of(params, places["drawn"])
    if zip_file:
        places["fer2013"] = folder / "fer2013"
        places["fer2013"].mkdir()
        run_data_stages(zip_file, places["fer2013"])
    return places


def backbone_of(weights: Path | None, folder: Path) -> dict[str, Any]:
    """The block of `model.transfer` for this file of weights, which are learnt where it is missing."""
    path = (weights or folder / "backbone.weights.h5").resolve()
    return settings(path) if path.exists() else pretrain(path)


def make_parser() -> argparse.ArgumentParser:
    """The options."""
    parser = parser_of(__doc__)
    parser.add_argument("zip_file", type=Path, nargs="?", help="FER2013; without it drawn faces only")
    parser.add_argument("--epochs", type=int, default=20, help="on drawn faces (default 20)")
    parser.add_argument("--networks", nargs="+", default=NETWORKS, choices=NETWORKS)
    parser.add_argument("--weights", type=Path, help="file of the backbone of `transfer`, ending in .weights.h5")
    return parser


def main() -> None:
    """Train, write after each network, print."""
    parser = make_parser()
    arguments, here = begin(parser)
    weights = arguments.weights
    if weights and (not weights.name.endswith(".weights.h5") or not weights.parent.is_dir()):
        parser.error(f"{weights} must end in .weights.h5, as Keras wants it, and lie in a folder that exists")
    kept = RESULTS / "networks.json"
    results = json.loads(kept.read_text()) if kept.exists() else {"drawn": {}, "fer2013": {}}
    with tempfile.TemporaryDirectory() as name:
        places = make_records(arguments.zip_file, Path(name))
        backbone = backbone_of(weights, Path(name)) if "transfer" in arguments.networks else {}
        for network in arguments.networks:
            for data, records in places.items():
                epochs = arguments.epochs if data == "drawn" else 1
                params = parameters(network, epochs=epochs, backbone=backbone)
                results[data][network] = {**train(params, records), **here}
                print(data, network, results[data][network], flush=True)
                write_json(kept, results)
    print(table(results))


if __name__ == "__main__":
    main()
