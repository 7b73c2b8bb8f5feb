"""Where a training step's time goes, how near it is to the machine's matrix products, and a real epoch's memory.

    python -m benchmarks.profile_training fer2013.zip [--params FILE]

Writes benchmarks/results/profile.json.
"""

import argparse
import csv
import tempfile
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from benchmarks.pipeline import run_data_stages
from benchmarks.processes import PARAMS, RESULTS, figures_of, machine, read_params, run_train, significant
from emotion.files import write_json

# Each is what the work of its name in benchmarks/step_parts.py takes beyond the one before it; they add up to a step.
PARTS = {
    "convolutions and dense layers": "convolutions",
    "ReLU, pooling, loss": "without_batch_norm_and_dropout",
    "dropout": "without_batch_norm",
    "batch normalisation": "gradients",
    "optimizer, averages, metrics, Keras' loop": "constant_batch",
    "input": "whole",
}


def parts_ms(step_ms: dict[str, float]) -> dict[str, float]:
    """Milliseconds of each part, from the milliseconds of ever larger stretches of a step."""
    stretches = [0.0, *(step_ms[work] for work in PARTS.values())]
    return {
        part: round(larger - smaller, 2)
        for part, smaller, larger in zip(PARTS, stretches[:-1], stretches[1:], strict=True)
    }


def training_gflop(multiply_adds: int) -> float:
    """GFLOP of one picture in training: two a multiply-add, and backward costs twice what forward does."""
    return 3 * 2 * multiply_adds / 1e9


def precision_figures(
    measured: dict[str, float], *, multiply_adds: int, batch_size: int, float32_peak: float
) -> dict[str, Any]:
    """What one precision reaches; `share_of_float32_peak` is the issue's measure, whatever the precision."""
    rate = batch_size / measured["whole"] * 1e3
    reached = rate * training_gflop(multiply_adds)
    alone = batch_size / measured["convolutions"] * 1e3 * training_gflop(multiply_adds)
    return {
        "images_per_second": significant(rate),
        "gflops": significant(reached),
        "share_of_own_peak": significant(reached / measured["matmul_gflops"]),
        "share_of_float32_peak": significant(reached / float32_peak),
        "convolutions_share_of_own_peak": significant(alone / measured["matmul_gflops"]),
        "input_share_of_a_step": significant(measured["whole"] / measured["constant_batch"] - 1),
        "parts_ms": parts_ms(measured),
        "measured": measured,
    }


def one_epoch(folder: Path, params: dict[str, Any]) -> dict[str, Any]:
    """Cost of the train stage for one epoch on the records in `folder`, validation and saving included."""
    only_one = {"epochs": 1, "warmup_epochs": 0.0}
    YAML(typ="safe").dump({**params, "train": {**params["train"], **only_one}}, folder / "params.yaml")
    cost = run_train(folder)
    with (folder / "state" / "timings.csv").open() as file:
        seconds = float(next(csv.reader(file))[2])
    return {"epoch_seconds": seconds, "process_seconds": cost.seconds, "peak_memory_mb": cost.peak_memory_mb}


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("zip_file", type=Path)
    parser.add_argument("--params", type=Path, default=PARAMS, help="parameter file (default: the project's)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds, of which the median counts (default 5)")
    parser.add_argument("--steps", type=int, default=20, help="steps a round (default 20)")
    arguments, measured_on = parser.parse_args(), machine()
    params = read_params(arguments.params)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run_data_stages(arguments.zip_file, folder, arguments.params)
        options = (
            f"--params={arguments.params.resolve()}",
            f"--rounds={arguments.rounds}",
            f"--steps={arguments.steps}",
        )
        found = figures_of("benchmarks.step_parts", folder / "train", *options)
        epoch = one_epoch(folder, params)
    train = params["train"]
    sizes = {
        "multiply_adds": found["multiply_adds"],
        "batch_size": train["batch_size"],
        "float32_peak": found["float32"]["matmul_gflops"],
    }
    write_json(
        RESULTS / "profile.json",
        {
            **measured_on,
            "threads": train["intra_op_threads"],
            "network": params["model"]["network"],
            "multiply_adds": found["multiply_adds"],
            "batch_size": train["batch_size"],
            "training_gflop_a_picture": training_gflop(found["multiply_adds"]),
            "precisions": {name: precision_figures(found[name], **sizes) for name in ("float32", "bfloat16")},
            "epoch": {"precision": train["precision"], "images": found["images"], **epoch},
        },
    )
    print((RESULTS / "profile.json").read_text())


if __name__ == "__main__":
    main()
