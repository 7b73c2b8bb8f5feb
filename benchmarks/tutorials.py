"""The tutorials' way against this project: input, training, and minutes to an accuracy, on the same faces and machine.

    python -m benchmarks.tutorials fer2013.zip [--params PARAMS.yaml] [--precision float32 bfloat16] [--minutes-a 60]
        [--keep-curves]

Writes benchmarks/results/tutorials.json and the learning curves beside it, of which `python -m tools.docs.performance`
makes a table and a picture. (a) is the tutorials' way: ImageDataGenerator from folders of files, a stacked CNN, Adam;
(b) is this project, in each precision; bfloat16 is left out by default on a processor that has no instructions for it.
All see the training and validation faces that `split` makes of the zip, have the same threads, and take turns, each
time in a new process. Then each trains, (a) for --minutes-a at most. With --keep-curves, what has a curve already,
which was measured on the same type of machine, is not trained again.

Source of (a): the widely copied FER2013 notebooks (convolutions 32-64-128-128, 1024 dense units, dropout 0.25 and 0.5,
batches of 64, Adam at 1e-4). Network and settings are as they stand there; only TensorFlow's threads are those of (b).
"""

import csv
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.steps import PRECISIONS, measure_round, usual_precisions
from benchmarks.support.processes import (
    PARAMS,
    RESULTS,
    begin,
    editable_params,
    figures_of,
    medians,
    parser_of,
    run_data_stages,
    run_train,
    spreads,
    write_params,
)
from benchmarks.support.step_works import repeated
from emotion.dataset.archive.faces import read_faces
from emotion.foundation.files import write_file, write_json
from emotion.runtime.quiet import import_tensorflow

if TYPE_CHECKING:
    import keras

CURVE = RESULTS / "tutorials_curve.csv"
TARGETS = (0.60, 0.65, 0.67)  # of the validation accuracy; (a) stops at the last
RATES = ("input_images_per_second", "training_images_per_second")
SHARE = "input_share_of_a_step"
BATCH_SIZE = 64
SIZE_PX = 48
MANY_EPOCHS = 100_000


def project_curve(precision: str, results: Path = RESULTS) -> Path:
    """Where the curve of this project in a precision lies."""
    return results / f"tutorials_{precision}_curve.csv"


class Point(NamedTuple):
    """After so many minutes of training and validating, this validation accuracy (a fraction)."""

    minutes: float
    val_accuracy: float


def read_curve(history: Path, timings: Path) -> list[Point]:
    """Curve of a training by the train stage.

    Args:
        history: metrics/history/<member>.csv.
        timings: .cache/train/<member>/timings.csv: lines of key, epoch, seconds. The last line's key is the training's;
            an epoch that was run twice under it counts as it was run last.

    Raises ValueError when an epoch of the history has no seconds.
    """
    rows = [line.split(",") for line in timings.read_text().split()]
    seconds = {int(epoch): float(took) for key, epoch, took in rows if key == rows[-1][0]}
    with history.open(newline="") as file:
        accuracies = {int(row["epoch"]): float(row["val_accuracy"]) for row in csv.DictReader(file)}
    missing = sorted(accuracies.keys() - seconds.keys())
    if missing:
        raise ValueError(f"{timings} has no seconds of epochs {missing} of {history}; give those of one training")
    return [
        Point(sum(seconds[before] for before in range(1, epoch + 1)) / 60, accuracy)
        for epoch, accuracy in accuracies.items()
    ]


def write_points(points: Sequence[Point], path: Path) -> None:
    """Write a curve as CSV, complete or not at all."""
    rows = "".join(f"{point.minutes:.3f},{point.val_accuracy:.6f}\n" for point in points)
    write_file(path, "minutes,val_accuracy\n" + rows)


def read_points(path: Path) -> list[Point]:
    """Read what `write_points` wrote."""
    with path.open(newline="") as file:
        return [Point(float(row["minutes"]), float(row["val_accuracy"])) for row in csv.DictReader(file)]


def minutes_to(target: float, curve: Sequence[Point]) -> float | None:
    """Minutes until the validation accuracy first reached the target; None if it never did."""
    return next((point.minutes for point in curve if point.val_accuracy >= target), None)


def best(curve: Sequence[Point]) -> Point:
    """The first point with the highest accuracy."""
    return max(curve, key=lambda point: point.val_accuracy)


def times_fewer(target: float, slow: Sequence[Point], fast: Sequence[Point]) -> tuple[float | None, bool]:
    """How many times fewer minutes the fast training takes to a target, and whether that is a lower bound.

    It is one where the slow training never got there; then all its minutes count. None where the fast one did not.
    """
    slow_minutes, fast_minutes = minutes_to(target, slow), minutes_to(target, fast)
    if fast_minutes is None:
        return None, False
    return (slow[-1].minutes if slow_minutes is None else slow_minutes) / fast_minutes, slow_minutes is None


def make_network(label_count: int) -> "keras.Model":
    """Build and compile the tutorials' network: pixels 0-1 -> probabilities."""
    import keras
    from keras import layers

    network = keras.Sequential(
        [
            keras.Input((SIZE_PX, SIZE_PX, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Dropout(0.25),
            layers.Conv2D(128, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(128, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Dropout(0.25),
            layers.Flatten(),
            layers.Dense(1024, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(label_count, activation="softmax"),
        ]
    )
    network.compile(keras.optimizers.Adam(1e-4), "categorical_crossentropy", metrics=["accuracy"], jit_compile=False)
    return network


def make_generators(folder: Path) -> tuple[Any, Any]:
    """Augmented training batches and plain validation batches, read from files as they are asked for."""
    import scipy.ndimage
    from keras.src.legacy.preprocessing.image import ImageDataGenerator

    # Keras asks SciPy for it under an old name, which costs a warning a picture; the tutorials paid no such thing.
    scipy.ndimage.interpolation.affine_transform = scipy.ndimage.affine_transform
    reading = {
        "target_size": (SIZE_PX, SIZE_PX),
        "batch_size": BATCH_SIZE,
        "color_mode": "grayscale",
        "class_mode": "categorical",
    }
    augmented = ImageDataGenerator(
        rescale=1 / 255, width_shift_range=0.1, height_shift_range=0.1, zoom_range=0.1, horizontal_flip=True
    )
    plain = ImageDataGenerator(rescale=1 / 255)
    return (
        augmented.flow_from_directory(folder / "train", **reading),
        plain.flow_from_directory(folder / "val", shuffle=False, **reading),
    )


def begin_tensorflow(params: str) -> None:
    """TensorFlow with the threads of a parameter file and a seed, else as it sets itself up."""
    threads = editable_params(params)["train"]
    tf = import_tensorflow()
    tf.config.threading.set_intra_op_parallelism_threads(threads["intra_op_threads"])
    tf.config.threading.set_inter_op_parallelism_threads(threads["inter_op_threads"])
    tf.keras.utils.set_random_seed(0)


def tutorial_rates(folder: str, params: str, *, steps: int, rounds: int) -> dict[str, float]:
    """Images a second of (a) on train/ of a folder, as benchmarks/steps.py has them, and a picture's multiply-adds."""
    begin_tensorflow(params)
    from emotion.commands.network_costs import multiply_adds

    batches, _ = make_generators(Path(folder))
    network = make_network(batches.num_classes)
    constant = repeated(next(batches))

    def fit(data: Any) -> None:
        network.fit(data, steps_per_epoch=steps, epochs=1, shuffle=False, verbose=0)

    fit(constant)  # traces the step
    sizes = {"batch_size": BATCH_SIZE, "steps": steps, "input_steps": steps}
    measured = [measure_round(fit, batches, constant, **sizes) for _ in range(rounds)]
    return {**medians(measured), "multiply_adds": multiply_adds(network)}


def tutorial_training(folder: str, params: str, *, minutes: float) -> dict[str, float]:
    """Train (a) to the last target or, at the end of an epoch, until the minutes are over; returns its last point.

    The curve so far is in the file CURVE after each epoch.
    """
    begin_tensorflow(params)
    import keras

    batches, val = make_generators(Path(folder))
    points: list[Point] = []

    def after_epoch(epoch: int, logs: dict[str, float]) -> None:
        points.append(Point((time.monotonic() - began) / 60, logs["val_accuracy"]))
        write_points(points, CURVE)
        print(f"epoch {epoch + 1}: {points[-1]}", file=sys.stderr, flush=True)
        network.stop_training = points[-1].minutes >= minutes or points[-1].val_accuracy >= TARGETS[-1]

    network = make_network(batches.num_classes)
    clock = keras.callbacks.LambdaCallback(on_epoch_end=after_epoch)
    began = time.monotonic()
    network.fit(batches, validation_data=val, epochs=MANY_EPOCHS, verbose=0, callbacks=[clock])
    return points[-1]._asdict()


def unpack(archive: Path, index: Path, folder: Path) -> int:
    """Write the faces of an index as files folder/<label>/<name>, as the tutorials have them; returns how many."""
    with index.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row, content in zip(rows, read_faces(archive, [row["path"] for row in rows]), strict=True):
        path = folder / row["label"] / row["path"].rpartition("/")[2]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return len(rows)


def measure_in_turns(
    files: Path, records: Path, params: Mapping[str, Path], *, rounds: int, steps: int
) -> dict[str, Any]:
    """Rates and peak memory of (a), and of (b) in each precision, of which `params` has the parameter files.

    They are medians over processes that take turns; also how much the input's share differs, and (b)'s ratio to (a).
    """
    options = {"steps": steps, "rounds": 2}
    threads = next(iter(params.values()))
    measured: dict[str, list[dict[str, float]]] = {"tutorial": [], **{precision: [] for precision in params}}
    for _ in range(rounds):
        tutorial = figures_of("benchmarks.tutorials", "tutorial_rates", folder=files, params=threads, **options)
        measured["tutorial"].append(tutorial)
        for precision, path in params.items():
            project = figures_of("benchmarks.steps", "rates", records=records, params=path, **options)
            measured[precision].append(project)
        print(*(f"{name} {ones[-1]}" for name, ones in measured.items()), sep="\n", flush=True)
    figures = {name: {**medians(ones), f"{SHARE}_spread": spreads(ones)[SHARE]} for name, ones in measured.items()}
    project = {
        precision: {**figures[precision], "ratio": ratios(measured["tutorial"], measured[precision])}
        for precision in params
    }
    return {"tutorial": figures["tutorial"], "project": project}


def ratios(slow: list[dict[str, float]], fast: list[dict[str, float]]) -> dict[str, float]:
    """How many times as fast, the median over the turns."""
    return medians([{rate: b[rate] / a[rate] for rate in RATES} for a, b in zip(slow, fast, strict=True)])


def train_tutorial(files: Path, params: Path, *, minutes: float) -> None:
    """Train (a) to the last target or for so many minutes, in a process of its own, which writes its curve."""
    figures_of("benchmarks.tutorials", "tutorial_training", folder=files, params=params, minutes=minutes)


def train_project(folder: Path, records: Path) -> list[Point]:
    """Train (b) by the train stage in a folder with its params.yaml, on train/ and val/ of `records`."""
    run_train(folder, records)
    return read_curve(folder / "history.csv", folder / "state" / "timings.csv")


def main() -> None:
    """Measure, train, write, print."""
    parser = parser_of(__doc__)
    parser.add_argument("zip_file", type=Path)
    parser.add_argument("--params", type=Path, default=PARAMS, help="parameter file of (b) (default: the project's)")
    usual = usual_precisions()
    parser.add_argument(
        "--precision", nargs="+", choices=PRECISIONS, default=usual, help=f"of (b) (default {' '.join(usual)})"
    )
    parser.add_argument("--minutes-a", type=float, default=60, help="how long (a) may train (default 60)")
    parser.add_argument("--keep-curves", action="store_true", help="train only what has no curve yet")
    parser.add_argument("--rounds", type=int, default=3, help="processes of each (default 3)")
    parser.add_argument("--steps", type=int, default=60, help="training steps a measurement (default 60)")
    arguments, here = begin(parser)
    with tempfile.TemporaryDirectory() as name:
        folder, files = Path(name), Path(name) / "files"
        run_data_stages(arguments.zip_file, folder, arguments.params)
        archive = folder / "faces.zip"
        faces = {split: unpack(archive, folder / f"{split}.csv", files / split) for split in ("train", "val")}
        document, params = editable_params(arguments.params), {}
        for precision in arguments.precision:
            document["train"]["precision"] = precision
            (folder / precision).mkdir()
            write_params(document, folder / precision)
            params[precision] = folder / precision / "params.yaml"
        turns = {"rounds": arguments.rounds, "steps": arguments.steps}
        figures = measure_in_turns(files, folder / "train", params, **turns)
        for precision in params:
            if not (arguments.keep_curves and project_curve(precision).exists()):
                write_points(train_project(folder / precision, folder), project_curve(precision))
        if not (arguments.keep_curves and CURVE.exists()):
            train_tutorial(files, params[arguments.precision[0]], minutes=arguments.minutes_a)
    about = {"network": document["model"]["network"], "faces": faces}
    write_json(RESULTS / "tutorials.json", {**here, **about, **figures})
    print((RESULTS / "tutorials.json").read_text())


if __name__ == "__main__":
    main()
