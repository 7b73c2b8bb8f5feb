"""Whole-process seconds of the data stages on FER2013, of `dvc repro` with nothing to do, and the input's lead.

    FER2013_ZIP=fer2013.zip python benchmarks/pipeline.py

Writes benchmarks/results/pipeline.json. Run it on an idle machine; the last figure is a ratio measured in one process.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ruamel.yaml import YAML

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "pipeline.json"
STAGES = {
    "download": "--input-dir local --cache-dir cache --archive faces.zip --report data.json",
    "split": "--archive faces.zip --train train.csv --val val.csv --test test.csv --copies copies.csv --report s.json",
    "preprocess": "--archive faces.zip --index train.csv --records train --report p.json",
}


def seconds_of(command: list[str], folder: Path) -> float:
    """Wall-clock seconds of a process in a folder, the project importable."""
    began = time.perf_counter()
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(command, cwd=folder, env=env, check=True, stdout=subprocess.DEVNULL)
    return round(time.perf_counter() - began, 2)


def stage_seconds(zip_file: Path, folder: Path) -> dict[str, float]:
    """Seconds of each data stage on the zip, run as DVC runs them."""
    params = YAML(typ="safe").load(ROOT / "params.yaml")
    params["data"]["source"] = "local"
    YAML(typ="safe").dump(params, folder / "params.yaml")
    (folder / "local").mkdir()
    (folder / "local" / "fer2013.zip").symlink_to(zip_file.resolve())
    python = [sys.executable, "-m"]
    return {name: seconds_of([*python, f"stages.{name}", *paths.split()], folder) for name, paths in STAGES.items()}


def input_lead(records: Path) -> dict[str, float]:
    """Images a second of the augmented input alone and of training the default network, side by side."""
    script = ROOT / "benchmarks" / "input_lead.py"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, script, records], env=env, cwd=ROOT, check=True, capture_output=True, text=True
    )
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def main() -> None:
    """Measure, print, write."""
    zip_file = Path(os.environ["FER2013_ZIP"])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        figures: dict[str, object] = {"seconds": stage_seconds(zip_file, folder), "input": input_lead(folder / "train")}
    subprocess.run([sys.executable, "-m", "dvc", "repro"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    figures["dvc_repro_nothing_to_do_seconds"] = seconds_of([sys.executable, "-m", "dvc", "repro"], ROOT)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(figures, indent=2) + "\n")
    print(RESULTS.read_text())


if __name__ == "__main__":
    main()
