"""A training small enough for a test, run as DVC runs it: `python -m stages.train` in a folder of its own."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
OUTPUTS = ("models/0.keras", "metrics/history/0.csv", "metrics/train/0.json")

# Four steps an epoch, every kind of state in play: averaging, dropout, augmentation, a schedule.
TINY: dict[str, Any] = {
    "data.source": "synthetic",
    "data.synthetic.train_images": 80,
    "data.synthetic.test_images": 14,
    "model.network": "vgg",
    "model.vgg.width": 4,
    "model.vgg.blocks": 2,
    "model.vgg.convolutions": 1,
    "model.vgg.dense_units": 8,
    "model.transfer.backbone": "MobileNetV2",
    "model.transfer.weights": "none",
    "model.transfer.frozen_epochs": 0,
    "train.epochs": 4,
    "train.batch_size": 16,
    "train.ema_decay": 0.9,
    "train.warmup_epochs": 0.5,
}


def write_params(folder: Path, overrides: Mapping[str, Any]) -> None:
    """Write the project's params.yaml, made tiny and then overridden by dotted keys, into a folder."""
    document = YAML(typ="safe").load(ROOT / "params.yaml")
    for key, value in {**TINY, "train.portable": can_be_portable(overrides), **overrides}.items():
        *parents, last = key.split(".")
        node = document
        for parent in parents:
            node = node[parent]
        node[last] = value
    YAML(typ="safe").dump(document, folder / "params.yaml")


def can_be_portable(overrides: Mapping[str, Any]) -> bool:
    """Whether training with these parameters can keep `portable: true`, the default."""
    unportable = {"train.precision": "bfloat16", "train.backend": "jax", "model.network": "transfer"}
    return not any(overrides.get(key) == value for key, value in unportable.items())


def environment(**changes: str) -> dict[str, str]:
    """This process' environment with the project importable, and changes."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **changes}


def train_command(records: Path, *, member: int = 0) -> list[str]:
    """The train stage's command line, as in dvc.yaml, for records made elsewhere."""
    return [
        *(sys.executable, "-m", "stages.train", "--member", str(member)),
        *("--train", str(records / "train"), "--val", str(records / "val"), "--state", f".cache/train/{member}"),
        *("--model", f"models/{member}.keras", "--history", f"metrics/history/{member}.csv"),
        *("--report", f"metrics/train/{member}.json"),
    ]


def run_train(
    folder: Path, records: Path, *, prefix: tuple[str, ...] = (), **changes: str
) -> subprocess.CompletedProcess[str]:
    """Run the train stage in a folder to its end."""
    command = [*prefix, *train_command(records)]
    return subprocess.run(command, cwd=folder, env=environment(**changes), capture_output=True, text=True, check=False)


def outputs(folder: Path) -> dict[str, bytes]:
    """The bytes of what the train stage writes."""
    return {name: (folder / name).read_bytes() for name in OUTPUTS}


_HOOK = """
import importlib.abc, importlib.util, sys
class Hook(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name != {module!r}:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        execute = spec.loader.exec_module
        def changed(module):
            execute(module)
            exec({change!r}, {{"module": module}})
            print("mutated")
        spec.loader.exec_module = changed
        return spec
sys.meta_path.insert(0, Hook())
"""


def mutation(folder: Path, module: str, change: str, *, more: bool = False) -> dict[str, str]:
    """Have `change`, a program that finds it as `module`, run after a module's import; returns the environment for it.

    The process says "mutated" when it has done so. The files stay as they are, and with them the key of a saved state.
    With `more`, beside the mutations that the folder has already.
    """
    file = folder / "sitecustomize.py"
    before = file.read_text() if more else ""
    file.write_text(before + _HOOK.format(module=module, change=change))
    return {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}


def make_records(folder: Path, **overrides: Any) -> Path:
    """Make tiny records by the real stages, in a folder: returns the folder that holds train/ and val/."""
    folder.mkdir(parents=True, exist_ok=True)
    write_params(folder, overrides)

    def stage(name: str, **paths: str) -> None:
        arguments = [part for option, path in paths.items() for part in (f"--{option.replace('_', '-')}", path)]
        command = [sys.executable, "-m", f"stages.{name}", *arguments]
        subprocess.run(command, cwd=folder, env=environment(), check=True, capture_output=True)

    stage("download", input_dir=".", cache_dir=".", archive="faces.zip", facts="facts.csv", report="data.json")
    indexes = {name: f"{name}.csv" for name in ("train", "val", "test", "copies")}
    stage("split", archive="faces.zip", facts="facts.csv", report="split.json", **indexes)
    for split in ("train", "val"):
        stage("preprocess", archive="faces.zip", index=f"{split}.csv", records=f"records/{split}", report="bad.json")
    return folder / "records"
