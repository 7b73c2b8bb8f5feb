"""From a folder of colour pictures with labels of one's own to a model that knows them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML

from tests.support.own_pictures import LABELS, write_own_data

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("emotion", "stages"):
        shutil.copytree(PROJECT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("dvc.yaml", "requirements.lock"):
        shutil.copyfile(PROJECT / name, tmp_path / name)
    (tmp_path / "data" / "local").mkdir(parents=True)
    parameters = YAML(typ="safe").load(PROJECT / "params.yaml")
    parameters["data"].update(source="local", labels=LABELS)
    parameters["preprocess"].update(size_px=96, channels=3)
    parameters["model"].update(network="mini_xception")
    parameters["model"]["mini_xception"].update(width=4, modules=3)
    parameters["train"].update(precision="float32", epochs=15, batch_size=8, ema_decay=0.0, class_weights="balanced")
    parameters["train"].update(learning_rate=0.02)
    parameters["augment"].update(erase=0.0)
    YAML(typ="safe").dump(parameters, tmp_path / "params.yaml")
    return tmp_path


def run_stage(project: Path, name: str, **paths: str) -> None:
    arguments = [f"--{key.replace('_', '-')}={value}" for key, value in paths.items()]
    command = [sys.executable, "-m", f"stages.{name}", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(project)}
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("folders", [["train/", "test/"], [""]], ids=["with test folder", "label folders only"])
def test_own_colour_pictures_become_a_model_with_their_labels(project: Path, folders: list[str]) -> None:
    write_own_data(project / "data" / "local" / "own.zip", folders, images=60)
    raw = {"archive": "faces.zip", "facts": "facts.csv"}
    run_stage(project, "download", input_dir="data/local", cache_dir=".cache/local", **raw, report="data.json")
    indexes = {name: f"{name}.csv" for name in ("train", "val", "test", "copies")}
    run_stage(project, "split", **raw, **indexes, report="split.json")
    for name in ("train", "val", "test"):
        run_stage(project, "preprocess", archive="faces.zip", index=f"{name}.csv", records=name, report=f"{name}.json")
    outputs = {"model": "models/0.keras", "history": "history.csv", "report": "train_0.json"}
    run_stage(project, "train", member="0", train="train", val="val", state="state", **outputs)

    from emotion.dataset.records.tfrecords import open_records
    from emotion.model.file import load_model

    model, about = load_model(project / "models" / "0.keras")
    assert (about.labels, about.size_px, about.channels) == (["amazed", "cross", "relaxed"], 96, 3)
    test = open_records(project / "test")
    assert len(test.images) >= 20
    predicted = np.asarray(model(test.images[:].astype(np.float32))).argmax(axis=1)
    assert (predicted == test.label_indexes).mean() >= 0.9
