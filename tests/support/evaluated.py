"""A tiny data set and untrained networks to evaluate: run as a script in a folder of its own, it makes them there."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from ruamel.yaml import YAML

from emotion.dataset.archive.faces import Dataset, write_archive
from emotion.dataset.votes import VotesParams

ROOT = Path(__file__).parents[2]
LABELS = ("happy", "path", "sad")  # one is called like a column of the predictions
SIZE_PX = 16
TEN = {"flip": True, "shift_px": 1}
EVALUATE = {
    "seed": 3,
    "views": {"flip": False, "shift_px": 0},
    "robustness": False,
    "portable": False,
    "intra_op_threads": 1,
    "inter_op_threads": 1,
}


def face(label: str, rng: np.random.Generator) -> bytes:
    """A noisy PNG whose brightest third says its label."""
    pixels = rng.integers(0, 120, (24, 24), dtype=np.uint8)
    start = 8 * LABELS.index(label)
    pixels[start : start + 8] += np.uint8(100)
    return cv2.imencode(".png", pixels)[1].tobytes()


def images(*, seed: int, train: int = 20, test: int = 16) -> dict[str, bytes]:
    """Faces by their path, so many of each label; test names are FER2013's, two test faces are copies of train's."""
    rng = np.random.default_rng(seed)
    found = {f"train/{label}/Training_{n}.png": face(label, rng) for label in LABELS for n in range(train)}
    kinds = ("PublicTest", "PrivateTest")
    found |= {f"test/{label}/{kinds[n % 2]}_{n}.png": face(label, rng) for label in LABELS for n in range(test)}
    found["test/happy/PublicTest_0.png"] = found["train/happy/Training_0.png"]
    found["test/sad/PrivateTest_1.png"] = found["train/path/Training_1.png"]
    return found


def write_images(found: Mapping[str, bytes], archive: Path) -> None:
    write_archive(Dataset({path: path for path in found}, found.__getitem__), archive)


def make(folder: Path, *, val_fraction: float) -> None:
    """Write archive, indexes, records and the models of two members."""
    from stages.preprocess import PreprocessParams, preprocess
    from stages.split import NearParams, SplitParams, split

    found = images(seed=0)
    found["test/path/PublicTest_2.png"] = b"not a picture"
    write_images(found, folder / "faces.zip")
    index = {name: folder / f"split/{name}.csv" for name in ("train", "val", "test", "copies")}
    near = NearParams(max_hash_distance=10, min_correlation=0.95)
    params = SplitParams(
        val_fraction=val_fraction,
        test_fraction=0.2,
        validation="train",
        votes=VotesParams(outlier_votes=1, agreement="majority"),
        seed=0,
        group_duplicates="near",
        group_by="",
        drop_train_copies_of_test=False,
        near=near,
    )
    (folder / "facts.csv").write_text("path\n")
    split(folder / "faces.zip", folder / "facts.csv", **index, report=folder / "metrics/split.json", params=params)
    sizes = PreprocessParams(size_px=SIZE_PX, channels=1, max_bad_fraction=0.1)
    for name in ("train", "val", "test"):
        report = folder / f"metrics/{name}.json"
        preprocess(folder / "faces.zip", index[name], folder / f"records/{name}", report, sizes)
    for seed in (0, 1):
        _make_model(folder / f"both/{seed}.keras", seed, temperature=0.5 if val_fraction else None)
    (folder / "first").mkdir()
    (folder / "first/0.keras").write_bytes((folder / "both/0.keras").read_bytes())


def _make_model(path: Path, seed: int, *, temperature: float | None) -> None:
    import keras

    from emotion.model.file import ModelAbout, save_model
    from emotion.training.network import with_probabilities

    keras.utils.set_random_seed(seed)
    pixels = keras.Input((SIZE_PX, SIZE_PX, 1), name="pixels")
    x = keras.layers.Rescaling(1 / 128, offset=-1.0)(pixels)
    x = keras.layers.Conv2D(4, 3, padding="same", activation="relu")(x)
    logits = keras.Model(pixels, keras.layers.Dense(len(LABELS))(keras.layers.Flatten()(x)))
    about = ModelAbout(list(LABELS), SIZE_PX, 1, temperature, {})
    save_model(with_probabilities(logits, temperature or 1.0), path, about)


def make_elsewhere(folder: Path, val_fraction: str) -> Path:
    """Run `make` in a process of its own, which alone imports TensorFlow."""
    command = [sys.executable, __file__, str(folder), val_fraction]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(command, check=True, capture_output=True, env=environment)
    return folder


def run_stage(folder: Path, stage: str, members: list[int], evaluate: Mapping[str, Any], **paths: str) -> str:
    """Run a stage as DVC does, in `folder`; returns what it printed. Raises CalledProcessError when it fails."""
    document = YAML(typ="safe").load(ROOT / "params.yaml")
    document["model"]["members"] = members
    document["evaluate"] = dict(evaluate)
    document["report"] = {"title": "Tiny <faces> & more"}
    YAML(typ="safe").dump(document, folder / "params.yaml")
    options = [part for name, path in paths.items() for part in (f"--{name.replace('_', '-')}", path)]
    command = [sys.executable, "-m", f"stages.{stage}", *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(f"exit {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def run_evaluate(folder: Path, out: str, *, models: str, members: list[int], **changes: Any) -> str:
    """Evaluate the models into the folder `out`."""
    return run_stage(
        folder,
        "evaluate",
        members,
        {**EVALUATE, **changes},
        models=models,
        val="records/val",
        test="records/test",
        index="split/test.csv",
        facts="facts.csv",
        predictions=f"{out}/predictions.csv",
        variants=f"{out}/variants.csv",
        confusion=f"{out}/confusion.csv",
        saliency=f"{out}/saliency.npz",
        plots=f"{out}/plots",
        report=f"{out}/evaluate.json",
        headline=f"{out}/headline.json",
    )


def run_report(folder: Path, out: str, *, members: list[int], **changes: Any) -> str:
    """Report what `run_evaluate` wrote into `out`."""
    return run_stage(
        folder,
        "report",
        members,
        {**EVALUATE, **changes},
        archive="faces.zip",
        facts="facts.csv",
        copies="split/copies.csv",
        data_report="metrics/data.json",
        split_report="metrics/split.json",
        predictions=f"{out}/predictions.csv",
        saliency=f"{out}/saliency.npz",
        scores=f"{out}/evaluate.json",
        plots=f"{out}/plots",
        history="history",
        training="training",
        template=str(ROOT / "emotion/report/report.html.j2"),
        figures=f"{out}/figures",
        faces=f"{out}/faces",
        page=f"{out}/report.html",
    )


def write_trainings(folder: Path, members: list[int]) -> None:
    """Learning curves of three epochs, what each training says of itself, and what was downloaded."""
    for name in ("history", "training"):
        (folder / name).mkdir(exist_ok=True)
    (folder / "metrics/data.json").write_text('{"digest": "0123abcd"}')
    for member in members:
        rows = "".join(f"{epoch},{0.3 * epoch},{1 / epoch},{0.2 * epoch},{2 / epoch}\n" for epoch in (1, 2, 3))
        (folder / f"history/{member}.csv").write_text("epoch,accuracy,loss,val_accuracy,val_loss\n" + rows)
        (folder / f"training/{member}.json").write_text('{"epochs": 3, "kept_epoch": 2, "parameters": 3115}')


if __name__ == "__main__":
    make(Path(sys.argv[1]), val_fraction=float(sys.argv[2]))
