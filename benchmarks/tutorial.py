"""The tutorials' way against this project: input, training, and minutes to an accuracy, on the same faces and machine.

    python -m benchmarks.tutorial fer2013.zip [--history HISTORY.csv --timings TIMINGS.csv] [--minutes-a 60]

Writes benchmarks/results/tutorial.json. (a) is benchmarks/tutorial_way.py, (b) benchmarks/input_lead.py; both see the
training and validation faces that `split` makes of the zip, have the same threads, and take turns, each time in a new
process. Then both train, (a) for --minutes-a at most. What has been trained need not be trained again: (a) leaves its
curve in benchmarks/results/tutorial_curve.csv, to be given with --curve-a; (b)'s is read from the history and the
timings of a training that has been (metrics/history/<member>.csv, .cache/train/<member>/timings.csv; --params then
names its parameters).
"""

import argparse
import csv
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.curve import Point, compare, read_curve, read_points, summary
from benchmarks.pipeline import run_data_stages
from benchmarks.processes import PARAMS, RESULTS, figures_of, machine, medians, read_params, run_module, run_train
from emotion.dataset.archive import read_faces
from emotion.files import write_json

CURVE = RESULTS / "tutorial_curve.csv"
TARGET = 0.67
RATES = ("input_images_per_second", "training_images_per_second")


def unpack(archive: Path, index: Path, folder: Path) -> int:
    """Write the faces of an index as files folder/<label>/<name>, as the tutorials have them; returns how many."""
    with index.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row, content in zip(rows, read_faces(archive, [row["path"] for row in rows]), strict=True):
        path = folder / row["label"] / row["path"].rpartition("/")[2]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return len(rows)


def measure_in_turns(files: Path, records: Path, params: Path, *, rounds: int, steps: int) -> dict[str, Any]:
    """Rates and peak memory of both, medians over processes that take turns."""
    ways: dict[str, tuple[str, Path]] = {
        "tutorial": ("benchmarks.tutorial_way", files),
        "project": ("benchmarks.input_lead", records),
    }
    options = (f"--params={params.resolve()}", f"--steps={steps}", "--rounds=2")
    measured: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, (module, folder) in ways.items():
            measured[name].append(figures_of(module, folder, *options))
            print(name, measured[name][-1], flush=True)
    pairs = zip(measured["tutorial"], measured["project"], strict=True)
    ratio = medians([{rate: b[rate] / a[rate] for rate in RATES} for a, b in pairs])
    return {**{name: medians(figures) for name, figures in measured.items()}, "ratio": ratio}


def train_tutorial(files: Path, params: Path, *, minutes: float) -> list[Point]:
    """Train (a) to the target or for so many minutes."""
    options = (f"--params={params.resolve()}", f"--curve={CURVE}", f"--minutes={minutes}", f"--target={TARGET}")
    run_module("benchmarks.tutorial_way", files, *options)
    return read_points(CURVE)


def train_project(folder: Path) -> list[Point]:
    """Train (b) by the train stage, in the folder where the data stages ran."""
    run_train(folder)
    return read_curve(folder / "history.csv", folder / "state" / "timings.csv")


def main() -> None:
    """Measure, train, write, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("zip_file", type=Path)
    parser.add_argument("--params", type=Path, default=PARAMS, help="parameter file of (b) (default: the project's)")
    parser.add_argument("--minutes-a", type=float, default=60, help="how long (a) may train (default 60)")
    parser.add_argument("--curve-a", type=Path, help="of a training of (a) that has been")
    parser.add_argument("--history", type=Path, help="of a training of (b) that has been")
    parser.add_argument("--timings", type=Path, help="of the same training")
    parser.add_argument("--rounds", type=int, default=3, help="processes of each (default 3)")
    parser.add_argument("--steps", type=int, default=60, help="training steps a measurement (default 60)")
    arguments, measured_on = parser.parse_args(), machine()
    if bool(arguments.history) != bool(arguments.timings):
        parser.error("--history and --timings go together")
    project = read_curve(arguments.history, arguments.timings) if arguments.history else []
    tutorial = read_points(arguments.curve_a) if arguments.curve_a else []
    with tempfile.TemporaryDirectory() as name:
        folder, params = Path(name), arguments.params
        run_data_stages(arguments.zip_file, folder, params)
        faces = {
            split: unpack(folder / "faces.zip", folder / f"{split}.csv", folder / "files" / split)
            for split in ("train", "val")
        }
        figures = measure_in_turns(
            folder / "files", folder / "train", params, rounds=arguments.rounds, steps=arguments.steps
        )
        project = project or train_project(folder)
        tutorial = tutorial or train_tutorial(folder / "files", params, minutes=arguments.minutes_a)
    curves = {
        "target_val_accuracy": TARGET,
        "tutorial": summary(TARGET, tutorial),
        "project": summary(TARGET, project),
        "times_fewer": compare(TARGET, tutorial, project),
    }
    document = read_params(params)
    project_is = {"network": document["model"]["network"], "precision": document["train"]["precision"]}
    write_json(RESULTS / "tutorial.json", {**measured_on, **project_is, "faces": faces, **figures, "minutes": curves})
    print((RESULTS / "tutorial.json").read_text())


if __name__ == "__main__":
    main()
