"""Train one member: a network, from TFRecords to a self-contained model file."""

from stages._entry.start import START

from contextlib import nullcontext
from functools import partial
from pathlib import Path

import numpy as np

from emotion.model.calibration import accuracy, fit_temperature, log_loss, probabilities_from
from emotion.runtime.pins import pin
from emotion.runtime.processes import check_backend, process_index
from emotion.training.bfloat16 import slowdown, warn_if_slow
from emotion.training.recipe import Recipe
from stages._entry.environment import versions
from stages._entry.stage import Block, Choice, Later, Reads, Section, parse_params, run_stage, write_json
from stages._entry.unchanged import declared_code

READS: Reads = {
    "network": Choice("model.network", "emotion.networks", "Network"),
    "recipe": Section("train", Recipe),
    "augment": Later("augment", "emotion.training.augment", "Augmentation"),
}


def train(
    member: int,
    train: Path,
    val: Path,
    state: Path,
    model: Path,
    history: Path,
    report: Path,
    network: Block,
    recipe: Recipe,
    augment: Block,
) -> None:
    """Train the member whose seed is `member` on the records `train`, choosing on `val`, and save it as `model`."""
    check_backend(recipe.backend)
    pin(**recipe.pins(), seed=member)
    from emotion.dataset.records import load_records
    from emotion.model.batch_norm import (
        with_fused_batch_norm,  # the backend and its pins are set; now Keras may be imported
    )
    from emotion.model.file import ModelAbout, save_model
    from emotion.training.loop import Task, train_network
    from emotion.training.network import build_model, predict_logits, with_probabilities
    from emotion.training.pretrained import checked_file, start_from
    from emotion.training.state import StateFile, state_key

    if (recipe.backend, recipe.precision) == ("tensorflow", "bfloat16"):
        warn_if_slow(slowdown())
    made_with = {
        "network": {"name": network.reading.module.rpartition(".")[2], **network.load().model_dump()},
        "train": recipe.model_dump(),
        "augment": augment.load().model_dump(),
        "seed": member,
        "versions": versions(*(("jax", "jaxlib") if recipe.backend == "jax" else ())),
        "lock": START.code.get("requirements.lock"),
    }
    code = declared_code(START, "train", parse_params(START.params))
    state_file = StateFile(state, key=state_key({"made_with": made_with, "code": code}, [train, val]))
    train_faces, val_faces = load_records(train), load_records(val)
    about = train_faces.about
    init = recipe.init
    start = init.path and partial(
        start_from, path=checked_file(init.path, init.sha256, key="train.init.sha256"), labels=about.labels
    )
    with state_file.held() if process_index() == 0 else nullcontext():
        trained = train_network(
            Task(network.load(), train_faces, val_faces, len(about.labels), recipe, augment.load(), seed=member),
            state_file=state_file,
            history_path=history,
            start=start or None,
        )
        if process_index() > 0:
            return
        shape = train_faces.images.shape[1:]
        logits = build_model(network.load(), shape, len(about.labels), for_training=False)
        logits.set_weights(trained.weights)
        val_logits = predict_logits(with_fused_batch_norm(logits), val_faces.images)
        temperature, val_report = calibrate(val_faces.label_indexes, val_logits)
        finished = with_probabilities(logits, temperature or 1.0)
        save_model(finished, model, ModelAbout(about.labels, about.size_px, about.channels, temperature, made_with))
        state_file.note_model(model)
        last = {name: value for name, value in trained.history[-1].items() if name in ("loss", "accuracy")}
        epochs = {"epochs": len(trained.history), "kept_epoch": trained.kept_epoch}
        write_json(report, {**epochs, "parameters": finished.count_params(), "train": last, **val_report})


def calibrate(labels: np.ndarray, logits: np.ndarray) -> tuple[float | None, dict[str, dict[str, float]]]:
    """Fit the temperature on the validation logits and score them; nothing where there is no validation set."""
    if not len(labels):
        return None, {}
    temperature = fit_temperature(labels, logits)
    scores = {
        "accuracy": accuracy(labels, logits),
        "log_loss": log_loss(labels, probabilities_from(logits, temperature)),
        "log_loss_uncalibrated": log_loss(labels, probabilities_from(logits)),
        "temperature": temperature,
    }
    return temperature, {"val": scores}


if __name__ == "__main__":
    run_stage(train, READS, START)
