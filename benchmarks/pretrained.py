"""A backbone that has learnt from other drawn faces: what `weights: PATH` of `transfer` gets where ImageNet's cannot be had.

    python -m benchmarks.pretrained NAME.weights.h5

The training is that of the `transfer` network from random weights; its backbone's weights are kept, without the top. It prints the block for params.yaml.
"""

import argparse
import hashlib
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.pipeline import run_data_stages_of
from benchmarks.processes import PARAMS, read_params, run_train

BACKBONE = {"backbone": "MobileNet", "resize_px": 48}
# Other faces than those of params.yaml, and more of them; changed as those are, so that what is learnt holds for them.
FACES = {"seed": 1, "train_images": 16_800, "test_images": 14}
FROM_RANDOM = {
    "weights": "none",
    "frozen_epochs": 0,
    "unfreeze": "all",
    "finetune_learning_rate": 0.03,
    "dropout": 0.0,
}
RECIPE = {"optimizer": "muon", "weight_decay": 0.02, "batch_size": 64, "epochs": 12, "ema_decay": 0.998}


def pretraining() -> dict[str, Any]:
    """The parameters of the training that makes the weights."""
    params = read_params(PARAMS)
    params["data"]["source"] = "synthetic"
    params["data"]["synthetic"].update(FACES)
    params["split"]["val_fraction"] = 0.05
    params["model"]["network"] = "transfer"
    params["model"]["transfer"].update(BACKBONE | FROM_RANDOM)
    params["train"].update(RECIPE)
    return params


def pretrain(weights: Path) -> dict[str, Any]:
    """Train, keep the backbone's weights in a file, and return the parameters of `model.transfer` that name it."""
    with tempfile.TemporaryDirectory() as name:
        run_data_stages_of(pretraining(), Path(name))
        run_train(Path(name))
        print((Path(name) / "train.json").read_text(), flush=True)
        save_backbone(Path(name) / "0.keras", weights)
    return settings(weights)


def settings(weights: Path) -> dict[str, Any]:
    """The parameters of `model.transfer` that name a file of `pretrain`."""
    return BACKBONE | {"weights": str(weights), "weights_sha256": hashlib.sha256(weights.read_bytes()).hexdigest()}


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
