"""Where a training step's time goes, how near it is to the machine's matrix products, and a real epoch's memory.

    python -m benchmarks.steps fer2013.zip [--params FILE] [--precision float32 bfloat16]

Writes benchmarks/results/steps.json. bfloat16 is left out by default on a processor that has no instructions for it,
where a step takes many times as long. The parts of a step are measured in one process, in rounds in which they take
turns, so that noise meets all alike; figures are medians over the rounds.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.support.processes import (
    PARAMS,
    RESULTS,
    begin,
    editable_params,
    figures_of,
    first_epoch_seconds,
    medians,
    parser_of,
    run_data_stages,
    run_train,
    significant,
    spreads,
    write_params,
)
from benchmarks.support.step_works import Training, Works, make_works
from emotion.foundation.files import write_json
from emotion.runtime import processor
from emotion.runtime.pins import pin
from emotion.training.recipe import Recipe

INPUT_LEAD = 20  # times as many steps of the input alone, which is faster, or it would be over too soon to be timed
PRECISIONS = {"float32": "float32", "bfloat16": "mixed_bfloat16"}
MATRIX_SIDE = 3072
PRODUCTS = 4  # matrix products at a time
# Each is what the work of its name in `make_works` takes beyond the one before it; they add up to a step.
PARTS = {
    "convolutions and dense layers": "convolutions",
    "ReLU, pooling, loss": "without_batch_norm_and_dropout",
    "dropout": "without_batch_norm",
    "batch normalisation": "gradients",
    "optimizer, averages, metrics, Keras' loop": "constant_batch",
    "input": "whole",
}


def usual_precisions() -> list[str]:
    """The precisions worth measuring on this processor."""
    return list(PRECISIONS) if "avx512f" in processor.features() else ["float32"]


def seconds_of(work: Callable[[], object]) -> float:
    """Wall-clock seconds of a call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def take(reader: Any, steps: int) -> None:
    """Read so many batches and drop them; a reader of files begins again where it ends."""
    for _ in range(steps):
        next(reader)


def measure_round(
    fit: Callable[[Any], None], batches: Any, constant: Any, *, batch_size: int, steps: int, input_steps: int
) -> dict[str, float]:
    """One round of all three; `fit` trains for `steps` steps on batches or on the constant batch."""
    reader, images = iter(batches), steps * batch_size
    next(reader)
    rates = {
        "input_images_per_second": input_steps * batch_size / seconds_of(lambda: take(reader, input_steps)),
        "training_images_per_second": images / seconds_of(lambda: fit(batches)),
        "training_on_a_constant_batch_images_per_second": images / seconds_of(lambda: fit(constant)),
    }
    read, trained, trained_on_constant = rates.values()
    return {**rates, "input_lead": read / trained, "input_share_of_a_step": trained_on_constant / trained - 1}


def pinned_training(records: str, params: str) -> Training:
    """Pin this process as the train stage does, and make a training on a folder of TFRecords."""
    document = editable_params(params)
    pin(**Recipe.model_validate(document["train"]).pins(), seed=0)
    from emotion.dataset.records.tfrecords import open_records

    return Training(open_records(Path(records)), document)


def rates(records: str, params: str, *, steps: int, rounds: int) -> dict[str, float]:
    """Images a second of the augmented input alone, of training on it, and of training on one constant batch."""
    training = pinned_training(records, params)
    fit = training.fitting(steps)
    fit(training.constant)  # traces the step
    sizes = {"batch_size": training.recipe.batch_size, "steps": steps, "input_steps": INPUT_LEAD * steps}
    measured = [measure_round(fit, training.batches, training.constant, **sizes) for _ in range(rounds)]
    return {**medians(measured), **training.about}


def matrix_product(precision: str) -> Callable[[], object]:
    """PRODUCTS products of two square matrices, one after another."""
    import tensorflow as tf

    values = tf.random.stateless_normal([2, MATRIX_SIDE, MATRIX_SIDE], seed=[0, 0])
    left, right = tf.unstack(tf.cast(values, precision))
    product = tf.function(lambda: tf.matmul(left, right))
    return lambda: [product() for _ in range(PRODUCTS)]


def gflops(seconds: float) -> float:
    """GFLOP/s of PRODUCTS matrix products in so many seconds."""
    return PRODUCTS * 2 * MATRIX_SIDE**3 / seconds / 1e9


def measure_parts(records: str, params: str, *, precisions: Sequence[str], steps: int, rounds: int) -> dict[str, Any]:
    """GFLOP/s of a matrix product and milliseconds of ever larger stretches of a step, in each precision.

    Also `<precision>_spread_ms`: how much what a stretch takes beyond the one before it differs between rounds.
    """
    training = pinned_training(records, params)
    import keras
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")  # or it warns that many functions are traced, as they must be
    works: dict[str, Works] = {}
    for precision in precisions:
        keras.config.set_dtype_policy(PRECISIONS[precision])
        works[precision] = {"matrix_product": matrix_product(precision), **make_works(training, steps)}
        for work in works[precision].values():
            work()  # traces
    measured: dict[str, list[dict[str, float]]] = {precision: [] for precision in works}
    for _ in range(rounds):
        for precision, ones in works.items():
            measured[precision].append(one_round(ones, steps))
    spread = {f"{name}_spread_ms": spreads([parts_ms(one) for one in ones]) for name, ones in measured.items()}
    return {**training.about, **{name: medians(ones) for name, ones in measured.items()}, **spread}


def one_round(works: Works, steps: int) -> dict[str, float]:
    """What `measure_parts` measures of one precision, once."""
    seconds = {name: seconds_of(work) for name, work in works.items()}
    product = seconds.pop("matrix_product")
    return {"matmul_gflops": gflops(product), **{name: 1e3 * took / steps for name, took in seconds.items()}}


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
    measured: dict[str, float], spread_ms: dict[str, float], *, multiply_adds: int, batch_size: int
) -> dict[str, Any]:
    """What one precision reaches; shares are of its own matrix products' GFLOP/s."""
    rate = batch_size / measured["whole"] * 1e3
    reached = rate * training_gflop(multiply_adds)
    alone = batch_size / measured["convolutions"] * 1e3 * training_gflop(multiply_adds)
    return {
        "images_per_second": significant(rate),
        "gflops": significant(reached),
        "share_of_own_peak": significant(reached / measured["matmul_gflops"]),
        "convolutions_share_of_own_peak": significant(alone / measured["matmul_gflops"]),
        "parts_ms": parts_ms(measured),
        "parts_spread_ms": spread_ms,
        "measured": measured,
    }


def one_epoch(folder: Path, params: dict[str, Any]) -> dict[str, Any]:
    """Cost of the train stage for one epoch on the records in `folder`, validation and saving included."""
    only_one = {"epochs": 1, "warmup_epochs": 0.0}
    write_params({**params, "train": {**params["train"], **only_one}}, folder)
    cost = run_train(folder)
    return {
        "epoch_seconds": first_epoch_seconds(folder),
        "process_seconds": cost.seconds,
        "peak_memory_mb": cost.peak_memory_mb,
    }


def main() -> None:
    """Measure, write, print."""
    parser = parser_of(__doc__)
    parser.add_argument("zip_file", type=Path)
    parser.add_argument("--params", type=Path, default=PARAMS, help="parameter file (default: the project's)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds, of which the median counts (default 5)")
    parser.add_argument("--steps", type=int, default=20, help="steps a round (default 20)")
    usual = usual_precisions()
    parser.add_argument(
        "--precision", nargs="+", choices=PRECISIONS, default=usual, help=f"(default {' '.join(usual)})"
    )
    arguments, here = begin(parser)
    params = editable_params(arguments.params)
    if params["train"]["precision"] not in arguments.precision:
        params["train"]["precision"] = arguments.precision[0]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run_data_stages(arguments.zip_file, folder, arguments.params)
        write_params(params, folder)
        options = {"precisions": arguments.precision, "steps": arguments.steps, "rounds": arguments.rounds}
        records, used = folder / "train", folder / "params.yaml"
        found = figures_of("benchmarks.steps", "measure_parts", records=records, params=used, **options)
        epoch = one_epoch(folder, params)
    train = params["train"]
    sizes = {"multiply_adds": found["multiply_adds"], "batch_size": train["batch_size"]}
    figures = {
        **here,
        "threads": train["intra_op_threads"],
        "portable": train["portable"],
        "network": params["model"]["network"],
        **sizes,
        "training_gflop_a_picture": training_gflop(found["multiply_adds"]),
        "precisions": {
            name: precision_figures(found[name], found[f"{name}_spread_ms"], **sizes) for name in arguments.precision
        },
        "epoch": {"precision": train["precision"], "images": found["images"], **epoch},
    }
    write_json(RESULTS / "steps.json", figures)
    print((RESULTS / "steps.json").read_text())


if __name__ == "__main__":
    main()
