"""Train one member: a network, from TFRecords to a self-contained model file."""

from stages._entry.start import PARAMS_FILE, START

from contextlib import nullcontext
from pathlib import Path

from emotion.foundation.files import write_json
from emotion.foundation.params import parse_params
from emotion.runtime.pins import pin
from emotion.runtime.processes import check_backend, process_index
from emotion.training.bfloat16 import slowdown, warn_if_slow
from emotion.training.recipe import Recipe
from stages._entry.environment import versions
from stages._entry.stage import Block, Choice, Later, Reads, Section, run_stage
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
    # The backend and its pins are set: now Keras may be imported.
    from emotion.dataset.examples import examples
    from emotion.dataset.records.tfrecords import open_records
    from emotion.training.loop import Task, train_network
    from emotion.training.network import save_calibrated
    from emotion.training.pretrained import starting_weights
    from emotion.training.state import StateFile, state_key

    if (recipe.backend, recipe.precision) == ("tensorflow", "bfloat16"):
        warn_if_slow(slowdown())
    layers, augmentation = network.load(), augment.load()
    made_with = {
        "network": {"name": network.name, **layers.model_dump()},
        "train": recipe.model_dump(),
        "augment": augmentation.model_dump(),
        "seed": member,
        "versions": versions(*(("jax", "jaxlib") if recipe.backend == "jax" else ())),
        "lock": START.code.get("requirements.lock"),
    }
    code = declared_code(START, "train", parse_params(START.params, PARAMS_FILE))
    state_file = StateFile(state, key=state_key({"made_with": made_with, "code": code}, [train, val]))
    faces = open_records(train)
    learnt = examples(faces, recipe.targets, labels=faces.about.labels)
    held_out = examples(open_records(val), recipe.targets, labels=faces.about.labels)
    task = Task(layers, learnt, held_out, recipe, augmentation, network_name=network.name, seed=member)
    start = starting_weights(recipe.init, learnt.labels)
    with state_file.held() if process_index() == 0 else nullcontext():
        trained = train_network(task, state_file=state_file, history_path=history, start=start)
        if process_index() > 0:
            return
        saved = save_calibrated(layers, trained.weights, learnt, held_out, model, recipe=recipe, made_with=made_with)
        state_file.note_model(model)
        epochs = {"epochs": len(trained.history), "kept_epoch": trained.kept_epoch}
        write_json(report, {**epochs, "parameters": saved.parameters, "train": trained.last, **saved.val})


if __name__ == "__main__":
    run_stage(train, READS, START)
