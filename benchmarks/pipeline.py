"""Whole-process seconds of the data stages on FER2013, of `dvc repro` with nothing to do, and the input's lead.

    FER2013_ZIP=fer2013.zip python -m benchmarks.pipeline

Writes benchmarks/results/pipeline.json. Run it on an idle machine; the last figure is a ratio measured in one process.
"""

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from benchmarks.processes import PARAMS, RESULTS, ROOT, Cost, figures_of, read_params, run, run_stage
from emotion.files import write_json


def run_data_stages(zip_file: Path, folder: Path, params: Path = PARAMS) -> dict[str, Cost]:
    """Run each data stage on a zip, in a folder: leaves faces.zip, the indexes, and records in train/ and val/.

    `params` is the parameter file; whatever source it names, the zip is used.
    """
    document = read_params(params)
    document["data"]["source"] = "local"
    (folder / "local").mkdir()
    (folder / "local" / zip_file.name).symlink_to(zip_file.resolve())
    return run_data_stages_of(document, folder)


def run_data_stages_of(params: dict[str, Any], folder: Path) -> dict[str, Cost]:
    """Run each data stage on the source that the parameters name; leaves the same, and params.yaml."""
    YAML(typ="safe").dump(params, folder / "params.yaml")
    indexes = {name: f"{name}.csv" for name in ("train", "val", "test", "copies")}
    source = folder / params["data"]["source"]
    source.mkdir(exist_ok=True)
    raw = {"input-dir": source.name, "cache-dir": "cache"}
    costs = {
        "download": run_stage("download", folder, **raw, archive="faces.zip", report="data.json"),
        "split": run_stage("split", folder, archive="faces.zip", **indexes, report="split.json"),
    }
    for split, name in (("train", "preprocess"), ("val", "preprocess_val")):
        paths = {"index": f"{split}.csv", "records": split, "report": f"{split}.json"}
        costs[name] = run_stage("preprocess", folder, archive="faces.zip", **paths)
    return costs


def main() -> None:
    """Measure, print, write."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        costs = run_data_stages(Path(os.environ["FER2013_ZIP"]), folder)
        seconds = {name: costs[name].seconds for name in ("download", "split", "preprocess")}
        figures: dict[str, object] = {
            "seconds": seconds,
            "input": figures_of("benchmarks.input_lead", folder / "train"),
        }
    repro = [sys.executable, "-m", "dvc", "repro"]
    run(repro, ROOT)
    figures["dvc_repro_nothing_to_do_seconds"] = run(repro, ROOT).cost.seconds
    write_json(RESULTS / "pipeline.json", figures)
    print((RESULTS / "pipeline.json").read_text())


if __name__ == "__main__":
    main()
