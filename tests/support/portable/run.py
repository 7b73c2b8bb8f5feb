"""Trainings of a few steps and an evaluation of each, as digests: `python -m tests.support.portable.run CASES` (JSON).

Run on several processors, real or emulated, it prints the same where every bit is the same.
"""

from stages._entry.start import START  # pins the numerical libraries, as in a stage

import hashlib
import importlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from emotion.runtime.pins import pin
from emotion.training.recipe import Recipe
from tests.support.tiny_training import RECIPE

FACES, LABELS = 48, 7
SIDE_PX = 24  # unless the case says otherwise
NETWORKS: dict[str, dict[str, Any]] = {
    "vgg": {
        "width": 8,
        "blocks": 3,
        "convolutions": 2,
        "dense_units": 32,
        "block_dropout": 0.2,
        "dense_dropout": 0.3,
    },
    "stacked_cnn": {"filters": 4, "dense_units": 16, "dropout": 0.2},
    "resnet": {"width": 8, "stages": 3, "blocks": 1, "attention": "none", "dropout": 0.2},
    "mini_xception": {"width": 8, "modules": 2, "dropout": 0.2},
}
COMMON = {"portable": True, "intra_op_threads": 2, "inter_op_threads": 2, "epochs": 1, "batch_size": 16, "keep": "best"}


def main() -> None:
    """Print what NumPy says of the processor, then a digest of everything that each case comes to."""
    assert START.code
    cases: dict[str, dict[str, Any]] = json.loads(sys.argv[1])
    recipes = {
        name: Recipe.model_validate(
            {**RECIPE, **COMMON, **{key: value for key, value in case.items() if key in RECIPE}}
        )
        for name, case in cases.items()
    }
    pin(**next(iter(recipes.values())).pins(), seed=0)
    digests = {name: digest(cases[name], recipe) for name, recipe in recipes.items()}
    print(json.dumps({"features": numpy_features(), "numpy": numpy_digest(), **digests}))


def load_network(name: str, **changes: Any) -> Any:
    """The tiny network of that name, with changed parameters."""
    return importlib.import_module(f"emotion.networks.{name}").Network(**(NETWORKS.get(name, {}) | changes))


def numpy_features() -> list[str]:
    """The kernels that NumPy chooses among here, sorted."""
    found = np._core._multiarray_umath.__cpu_features__  # type: ignore[attr-defined]
    return sorted(name for name, is_there in found.items() if is_there)


def numpy_digest() -> str:
    """Of what NumPy, SciPy and OpenCV make of the same numbers."""
    import cv2
    from scipy.special import log_softmax

    rng = np.random.default_rng(0)
    numbers = rng.standard_normal((300, 7))
    picture = rng.integers(0, 256, (48, 48)).astype(np.uint8)
    results = [
        change(values) for values in (numbers, numbers.astype(np.float32)) for change in (np.exp, np.sin, np.tanh)
    ]
    results += [numbers @ numbers.T, numbers.mean(axis=0), np.log(np.abs(numbers)), log_softmax(numbers, axis=1)]
    results += [np.linalg.inv(numbers[:7]), np.einsum("np,np->n", numbers, numbers)]
    results += [cv2.GaussianBlur(picture, (0, 0), 1.7), cv2.resize(picture, (31, 31), interpolation=cv2.INTER_AREA)]
    results += [cv2.resize(picture, (96, 96), interpolation=cv2.INTER_CUBIC)]
    results += [cv2.warpAffine(picture, cv2.getRotationMatrix2D((23, 23), 13.0, 1.0), (48, 48))]
    results += [cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 30])[1]]
    return _md5(*results)


def digest(case: dict[str, Any], recipe: Recipe) -> dict[str, str]:
    """Train, calibrate, save, evaluate and explain; what each step came to."""
    import keras

    from emotion.dataset.examples import labelled
    from emotion.dataset.records.tfrecords import Faces
    from emotion.evaluation.members import load_member
    from emotion.evaluation.saliency import evidence_maps
    from emotion.model.batch_norm import with_fused_batch_norm
    from emotion.model.batched import predict_in_batches
    from emotion.model.calibration import fit_temperature
    from emotion.model.file import ModelAbout, save_model
    from emotion.training.augment import Augmentation
    from emotion.training.loop import Task, train_network
    from emotion.training.network import build_model, with_probabilities
    from emotion.training.state import StateFile

    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    labels = rng.integers(0, LABELS, FACES)
    side_px = case.get("side_px", SIDE_PX)
    images = (rng.integers(0, 60, (FACES, side_px, side_px, 1)) + labels[:, None, None, None] * 25).astype(np.uint8)
    network = load_network(case["network"], **case.get("block", {}))
    augment = Augmentation(
        shift=0.1, scale=0.15, rotation_deg=12, flip=True, brightness=0.1, contrast=0.2, erase=0.5, erase_area=0.2
    )
    faces = labelled(Faces(images, labels, None), [f"label {number}" for number in range(LABELS)])
    with tempfile.TemporaryDirectory() as folder:
        trained = train_network(
            Task(network, faces, faces, recipe, augment, network_name=case["network"], seed=0),
            state_file=StateFile(Path(folder), key="key"),
            history_path=Path(folder) / "history.csv",
        )
        logits = build_model(network, images.shape[1:], LABELS, for_training=False)
        logits.set_weights(trained.weights)
        temperature = fit_temperature(faces.targets, predict_in_batches(with_fused_batch_norm(logits), images))
        path = Path(folder) / "0.keras"
        save_model(
            with_probabilities(logits, temperature),
            path,
            ModelAbout([f"label {number}" for number in range(LABELS)], side_px, 1, temperature),
        )
        member = load_member(path)
        return {
            "history": _md5((Path(folder) / "history.csv").read_bytes()),
            "weights": _md5(*trained.weights),
            "model": _md5(path.read_bytes()),
            "logits": _md5(member.logits(images)),
            "saliency": _md5(evidence_maps(member, images[:8], labels[:8])),
        }


def _md5(*contents: np.ndarray | bytes) -> str:
    digest = hashlib.md5()
    for content in contents:
        digest.update(content if isinstance(content, bytes) else np.ascontiguousarray(content).tobytes())
    return digest.hexdigest()


if __name__ == "__main__":
    main()
