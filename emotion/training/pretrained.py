"""Weights learnt elsewhere: a file pinned by its digest, and an earlier model to start from."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from emotion.foundation.errors import UserError
from emotion.model.file import load_model
from emotion.training.recipe import Init

HEAD = "logits"  # the one layer of every network whose weights depend on the labels


def checked_file(path: str, sha256: str, *, key: str) -> Path:
    """Return the file if it is the one that params.yaml pins.

    Args:
        path: relative to the project's root, or absolute.
        sha256: 64 hexadecimal digits.
        key: what the digest is called in params.yaml, for the error message.

    Raises UserError: no such file, or another digest.
    """
    file = Path(path)
    if not file.is_file():
        raise UserError(f"{file} is missing; put it there (`dvc pull` or `dvc get`), or change the path beside {key}")
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    if found != sha256.lower():
        raise UserError(
            f"{file} has sha256 {found}, but {key} says {sha256 or 'nothing'}; if the file is right, correct the key"
        )
    return file


def starting_weights(init: Init, labels: list[str]) -> Callable[[keras.Model], None] | None:
    """A function that puts the weights of `train.init` into a new model; None to start from random ones.

    Raises UserError when the file is not the pinned one.
    """
    if not init.path:
        return None
    path = checked_file(init.path, init.sha256, key="train.init.sha256")
    return lambda model: start_from(model, path, labels)


def start_from(model: keras.Model, path: Path, labels: list[str]) -> None:
    """Copy an earlier model's weights into a new one, layer by layer; the head too if the labels are the same.

    Args:
        model: pixels -> logits, not yet trained.
        path: a .keras file made by this pipeline.
        labels: the new model's, in the order of its outputs.

    Raises UserError: not such a file, or layers that differ (another network, other widths, another size or channels).
    """
    earlier, about = load_model(path)
    known = {layer.name: layer.get_weights() for layer in earlier.layers}
    wanted = [layer for layer in model.layers if layer.weights and (layer.name != HEAD or about.labels == labels)]
    problems = [problem for layer in wanted if (problem := _misfit(layer, known.get(layer.name)))]
    if problems:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise UserError(
            f"train.init.path: {path} does not fit the network: {'; '.join(problems[:3])}{more}. It was made with "
            f"{about.made_with.get('network')}, {about.size_px} px and {about.channels} channel(s): set model.network "
            "with its parameters, preprocess.size_px and preprocess.channels to the same"
        )
    for layer in wanted:
        layer.set_weights(known[layer.name])
    print(f"starting from {path}, {'with its head' if about.labels == labels else 'with a new head'}", flush=True)


def _misfit(layer: keras.Layer, values: list[np.ndarray] | None) -> str:
    shapes = [tuple(weight.shape) for weight in layer.weights]
    if values is None:
        return f"it has no layer {layer.name}"
    found = [value.shape for value in values]
    return "" if found == shapes else f"layer {layer.name} has {found} there and {shapes} here"
