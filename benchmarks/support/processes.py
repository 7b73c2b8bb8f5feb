"""What the benchmarks share: an idle machine to begin on, and processes whose seconds and memory are measured.

    python -m benchmarks.support.processes MODULE FUNCTION '{"argument": "value"}'

calls one function of a benchmark and prints what it returns as JSON; `figures_of` starts it.
"""

import argparse
import csv
import importlib
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from ruamel.yaml import YAML

from emotion.foundation.params import read_params
from emotion.runtime import processor

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results"
PARAMS = ROOT / "params.yaml"
IDLE_LOAD = 0.3  # the highest load of a machine that counts as idle


class Cost(NamedTuple):
    """What a process took from start to end: wall-clock seconds, cores used on average, peak resident memory in MB.

    `read_mb` is what it read from the disk, as the operating system did not have it in memory.
    """

    seconds: float
    cores_used: float
    peak_memory_mb: int
    read_mb: int


class Finished(NamedTuple):
    """A process that has ended well: what it took and what it wrote to stdout."""

    cost: Cost
    output: str


def run(command: list[str], folder: Path) -> Finished:
    """Run a command in a folder, the project importable; its stderr shows.

    The memory is that of this one process, but never below what the parent has in use when it starts it (Linux counts
    so): keep the parent small. Raises subprocess.CalledProcessError.
    """
    began, env = time.perf_counter(), {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - began
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, output)
    cores, read_mb = (usage.ru_utime + usage.ru_stime) / seconds, usage.ru_inblock * 512 >> 20
    return Finished(Cost(round(seconds, 2), round(cores, 2), round(usage.ru_maxrss / 1024), read_mb), output)


def run_module(module: str, *arguments: object, folder: Path = ROOT) -> Finished:
    """Run `python -m module` with arguments, in a folder."""
    return run([sys.executable, "-m", module, *map(str, arguments)], folder)


def run_stage(name: str, folder: Path, **paths: object) -> Cost:
    """Run a stage as DVC does, in `folder`, which holds its params.yaml; `paths` are its options."""
    return run_module(f"stages.{name}", *(f"--{option}={path}" for option, path in paths.items()), folder=folder).cost


def run_train(folder: Path, records: Path | None = None, *, member: int = 0) -> Cost:
    """Run the train stage in `folder`, on train/ and val/ of `records` (the folder itself without it).

    Leaves state/, 0.keras, history.csv and train.json in the folder, whichever the member.
    """
    inputs = {split: (records or Path()) / split for split in ("train", "val")}
    outputs = {"state": "state", "model": "0.keras", "history": "history.csv", "report": "train.json"}
    return run_stage("train", folder, member=member, **inputs, **outputs)


def first_epoch_seconds(folder: Path) -> float:
    """Seconds of the first epoch of the training that `run_train` left in a folder."""
    with (folder / "state" / "timings.csv").open() as file:
        return float(next(csv.reader(file))[2])


def run_data_stages(zip_file: Path, folder: Path, params: Path = PARAMS) -> dict[str, Cost]:
    """Run each data stage on a zip, in a folder: leaves faces.zip, the indexes, and records in train/ and val/.

    `params` is the parameter file; whatever source it names, the zip is used.
    """
    document = editable_params(params)
    document["data"]["source"] = "local"
    (folder / "local").mkdir()
    (folder / "local" / zip_file.name).symlink_to(zip_file.resolve())
    return run_data_stages_of(document, folder)


def run_data_stages_of(params: dict[str, Any], folder: Path) -> dict[str, Cost]:
    """Run each data stage on the source that the parameters name; leaves the same, and params.yaml."""
    write_params(params, folder)
    indexes = {name: f"{name}.csv" for name in ("train", "val", "test", "copies")}
    source = folder / params["data"]["source"]
    source.mkdir(exist_ok=True)
    raw = {"input-dir": source.name, "cache-dir": "cache"}
    costs = {
        "download": run_stage("download", folder, **raw, archive="faces.zip", facts="facts.csv", report="data.json"),
        "split": run_stage("split", folder, archive="faces.zip", facts="facts.csv", **indexes, report="split.json"),
    }
    for split, name in (("train", "preprocess"), ("val", "preprocess_val")):
        paths = {"index": f"{split}.csv", "records": split, "report": f"{split}.json"}
        costs[name] = run_stage("preprocess", folder, archive="faces.zip", **paths)
    return costs


def figures_of(module: str, function: str, **arguments: object) -> dict[str, Any]:
    """What a function of a benchmark returns in a process of its own, and the `peak_memory_mb` of that process.

    The arguments travel as JSON; paths arrive as strings.
    """
    finished = run_module("benchmarks.support.processes", module, function, json.dumps(arguments, default=str))
    return {**json.loads(finished.output.splitlines()[-1]), "peak_memory_mb": finished.cost.peak_memory_mb}


def editable_params(path: Path | str) -> dict[str, Any]:
    """The parameters in a file, for a benchmark to change some."""
    return dict(read_params(Path(path)))


def write_params(params: dict[str, Any], folder: Path) -> None:
    """Write the parameter file of a folder in which stages will run."""
    YAML(typ="safe").dump(params, folder / "params.yaml")


def parser_of(description: str) -> argparse.ArgumentParser:
    """A parser whose help is a benchmark's docstring."""
    return argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)


def begin(parser: argparse.ArgumentParser) -> tuple[argparse.Namespace, dict[str, Any]]:
    """Parse the command line of a benchmark that measures time: its arguments, and what its numbers hold for.

    On a busy machine the program ends here, unless it was given --busy.
    """
    parser.add_argument("--busy", action="store_true", help=f"measure even at a load above {IDLE_LOAD}")
    arguments, here = parser.parse_args(), machine()
    if here["load"] > IDLE_LOAD and not arguments.busy:
        raise SystemExit(
            f"error: this machine's load over the last minute is {here['load']}, and times are measured at "
            f"{IDLE_LOAD} or less: wait until it is idle, or add --busy (the result records the load)"
        )
    return arguments, here


def machine() -> dict[str, Any]:
    """What the numbers hold for: the processor, the cores this process may use, and their load so far.

    `load` is how many processes were running or waiting for a core in the last minute: ask before
    measuring; an idle machine has none.
    """
    return {
        "processor": processor.name(),
        "cores": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 2),
    }


def medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    """The median of each figure over several rounds; those that are no whole numbers to four significant digits."""
    middle = {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}
    return {name: value if isinstance(value, int) else significant(value) for name, value in middle.items()}


def significant(value: float) -> float:
    """A number to four significant digits, which is more than a noisy machine gives."""
    return float(f"{value:.4g}")


def spreads(rounds: list[dict[str, float]]) -> dict[str, float]:
    """The standard deviation of each figure over several rounds; 0 of a single one."""
    return {
        name: significant(statistics.stdev(one[name] for one in rounds)) if len(rounds) > 1 else 0.0
        for name in rounds[0]
    }


def main() -> None:
    """Call a function, print what it returns."""
    module, function, arguments = sys.argv[1:]
    print(json.dumps(getattr(importlib.import_module(module), function)(**json.loads(arguments))))


if __name__ == "__main__":
    main()
