"""Processes that are measured: their seconds, the cores they used, their peak memory, and the numbers they print."""

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from ruamel.yaml import YAML

from emotion.runtime import processor

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PARAMS = ROOT / "params.yaml"


class Cost(NamedTuple):
    """What a process took from start to end: wall-clock seconds, cores used on average, peak resident memory in MB."""

    seconds: float
    cores_used: float
    peak_memory_mb: int


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
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - began
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, output)
    cores = (usage.ru_utime + usage.ru_stime) / seconds
    return Finished(Cost(round(seconds, 2), round(cores, 2), round(usage.ru_maxrss / 1024)), output)


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


def figures_of(module: str, *arguments: object) -> dict[str, Any]:
    """The numbers that a benchmark prints as JSON on its last line, and the `peak_memory_mb` of its process."""
    finished = run_module(module, *arguments)
    return {**json.loads(finished.output.splitlines()[-1]), "peak_memory_mb": finished.cost.peak_memory_mb}


def read_params(path: Path) -> dict[str, Any]:
    """Read a parameter file."""
    params: dict[str, Any] = YAML(typ="safe").load(path)
    return params


def machine() -> dict[str, Any]:
    """What the numbers hold for: the processor, the cores this process may use, and their load so far.

    `load` is how many processes wanted a core in the last minute: ask before measuring; an idle machine has none.
    """
    return {
        "processor": processor.name(),
        "cores": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 1),
    }


def medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    """The median of each figure over several rounds; those that are no whole numbers to four significant digits."""
    middle = {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}
    return {name: value if isinstance(value, int) else significant(value) for name, value in middle.items()}


def significant(value: float) -> float:
    """A number to four significant digits, which is more than a noisy machine gives."""
    return float(f"{value:.4g}")
