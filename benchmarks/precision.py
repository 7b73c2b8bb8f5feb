"""Which precision is faster on this processor: images a second of training in float32 and in bfloat16.

    python -m benchmarks.precision [--steps 30] [--rounds 3]

Trains the network of params.yaml on drawn faces, each time in a new process, in turns; writes
benchmarks/results/precision.json. Where bfloat16 is slow it gets fewer steps, so that both take about as long.
"""

import argparse
import tempfile
from pathlib import Path

from ruamel.yaml import YAML

from benchmarks.pipeline import run_data_stages_of
from benchmarks.processes import PARAMS, RESULTS, figures_of, machine, medians, read_params, significant
from emotion.bfloat16 import slowdown
from stages._stage import write_json

RATE = "training_on_a_constant_batch_images_per_second"
INSTRUCTIONS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")  # as Linux names them, of those that decide


def instructions() -> list[str]:
    """Which of INSTRUCTIONS this processor has."""
    flags = {word for line in Path("/proc/cpuinfo").read_text().splitlines() for word in line.split()}
    return [name for name in INSTRUCTIONS if name in flags]


def measure(steps: dict[str, int], *, rounds: int) -> dict[str, float]:
    """Median images a second of each precision, which trains for so many steps a time."""
    params = read_params(PARAMS)
    params["data"]["source"] = "synthetic"
    turns = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run_data_stages_of(params, folder)
        for _ in range(rounds):
            turn = {}
            for precision, count in steps.items():
                params["train"]["precision"] = precision
                file = folder / f"{precision}.yaml"
                YAML(typ="safe").dump(params, file)
                options = (f"--params={file}", f"--steps={count}", "--rounds=1")
                turn[precision] = figures_of("benchmarks.input_lead", folder / "train", *options)[RATE]
            print(turn, flush=True)
            turns.append(turn)
    return medians(turns)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=30, help="training steps a process (default 30)")
    parser.add_argument("--rounds", type=int, default=3, help="processes of each precision (default 3)")
    arguments, here = parser.parse_args(), machine()
    times = slowdown()
    steps = {"float32": arguments.steps, "bfloat16": max(3, round(arguments.steps / max(times, 1.0)))}
    rates = measure(steps, rounds=arguments.rounds)
    figures = {
        **here,
        "instructions": ", ".join(instructions()),
        "steps": steps,
        "images_per_second": rates,
        "float32_to_bfloat16": significant(rates["float32"] / rates["bfloat16"]),
        "gradient_slowdown": significant(times),
    }
    write_json(RESULTS / "precision.json", figures)
    print((RESULTS / "precision.json").read_text())


if __name__ == "__main__":
    main()
