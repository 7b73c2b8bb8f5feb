"""A backbone that has learnt from other drawn faces, for `weights: PATH` of `transfer` where ImageNet's are missing.

    python -m benchmarks.pretrained NAME.weights.h5

Two trainings of the `transfer` network, the first from random weights, the second from the first's; the backbone's
weights are kept, without the top. It prints the block for params.yaml.
"""

import argparse
import hashlib
import tempfile
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from benchmarks.pipeline import run_data_stages_of
from benchmarks.processes import PARAMS, read_params, run_train

BACKBONE = {"backbone": "MobileNet", "resize_px": 48}
# Other faces than those of params.yaml, more of them, with plainer expressions.
FACES = {"seed": 1, "train_images": 16_800, "test_images": 14, "min_intensity": 0.4}
FROM_RANDOM = {
    "weights": "none",
    "frozen_epochs": 0,
    "unfreeze": "all",
    "finetune_learning_rate": 0.001,
    "dropout": 0.0,
}
RECIPE = {"precision": "bfloat16", "optimizer": "adam", "weight_decay": 0.0, "batch_size": 32, "warmup_epochs": 1.0}
# First hardly changed faces: from random weights, this backbone learns nothing in three epochs of those of params.yaml.
EASY = {
    **{"shift": 0.05, "scale": 0.1, "rotation_deg": 0.0, "flip": True},
    **{"brightness": 0.1, "contrast": 0.2, "erase": 0.0, "erase_area": 0.0},
}
EASY_EPOCHS, HARD_EPOCHS = 8, 10


def pretraining(*, train: dict[str, Any], augment: dict[str, Any]) -> dict[str, Any]:
    """The parameters of one of the trainings; `train` and `augment` take precedence over params.yaml."""
    params = read_params(PARAMS)
    params["data"]["source"] = "synthetic"
    params["data"]["synthetic"].update(FACES)
    params["split"]["val_fraction"] = 0.05
    params["model"]["network"] = "transfer"
    params["model"]["transfer"].update(BACKBONE | FROM_RANDOM)
    params["augment"].update(augment)
    params["train"].update(RECIPE | train)
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
        YAML(typ="safe").dump(pretraining(train=going_on, augment={}), hard / "params.yaml")
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


def main() -> None:
    """Train, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path, help="file to write, ending in .weights.h5")
    weights = parser.parse_args().weights
    if not weights.name.endswith(".weights.h5") or not weights.parent.is_dir():
        parser.error(f"{weights} must end in .weights.h5, as Keras wants it, and lie in a folder that exists")
    for key, value in pretrain(weights).items():
        print(f"{key}: {value}")


if __name__ == "__main__":
    main()
