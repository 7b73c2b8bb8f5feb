"""Trainings of a few seconds, in a process of their own: `python -m tests.support.tiny_training JOBS` (JSON)."""

import importlib
import json
import sys
from pathlib import Path
from typing import Any

from emotion.runtime.pins import pin
from emotion.training.recipe import Recipe

RECIPE: dict[str, Any] = {
    "backend": "tensorflow",
    "precision": "float32",
    "intra_op_threads": 1,
    "inter_op_threads": 1,
    "portable": False,
    "epochs": 4,
    "batch_size": 8,
    "devices": 1,
    "init": {"path": "", "sha256": ""},
    "optimizer": "sgd",
    "learning_rate": 0.05,
    "schedule": "cosine",
    "warmup_epochs": 0.5,
    "plateau_patience": 1,
    "plateau_factor": 0.5,
    "weight_decay": 0.005,
    "label_smoothing": 0.1,
    "ema_decay": 0.9,
    "targets": "label",
    "class_weights": "none",
    "keep": "last",
    "early_stopping_patience": 0,
}


class Interrupted(Exception):
    """Stands for a kill between two epochs."""


def main() -> None:
    """Run the jobs; print the name of each weight's layer last."""
    jobs = json.loads(sys.argv[1])
    recipes = [Recipe.model_validate(RECIPE | {key: job[key] for key in job if key in RECIPE}) for job in jobs]
    pin(**recipes[0].pins(), seed=0)
    for job, recipe in zip(jobs, recipes, strict=True):
        names = train(job, recipe)
    print(json.dumps(names))


def train(job: dict[str, Any], recipe: Recipe) -> list[str]:
    """Train on 64 pictures whose brightness tells the label."""
    import keras
    import numpy as np
    import tensorflow as tf

    from emotion.dataset.examples import labelled
    from emotion.dataset.records.tfrecords import Faces
    from emotion.runtime.processes import process_index
    from emotion.training.loop import Task, train_network
    from emotion.training.network import build_model
    from emotion.training.resume import Session
    from emotion.training.state import StateFile

    keras.utils.set_random_seed(0)
    folder = Path(job["folder"])
    (folder / "fresh").mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 64)
    images = (rng.integers(0, 60, (64, 48, 48, 1)) + labels[:, None, None, None] * 80).astype(np.uint8)
    network = importlib.import_module(f"emotion.networks.{job['network']}").Network(**job["block"])
    save_epoch = Session.on_epoch_end

    def stop_after(session: Session, epoch: int, logs: dict[str, float] | None = None) -> None:
        save_epoch(session, epoch, logs)
        if epoch + 1 == job["stop_after"]:
            raise Interrupted

    def note_fresh(model: keras.Model) -> None:
        if process_index() == 0 and not keras.distribution.distribution():
            np.savez(folder / "fresh" / "weights.npz", *model.get_weights())

    try:
        Session.on_epoch_end = stop_after if "stop_after" in job else save_epoch
        trained = train_network(
            Task(
                network,
                labelled(Faces(images, labels, None), ["a", "b", "c"]),
                labelled(Faces(images[:20], labels[:20], None), ["a", "b", "c"]),
                recipe=recipe,
                augment=lambda pictures, seed: tf.cast(pictures, tf.float32),
                network_name=job["network"],
                seed=0,
            ),
            state_file=StateFile(folder, key="key"),
            history_path=folder / "history.csv",
            start=note_fresh,
        )
    except Interrupted:
        return []
    finally:
        Session.on_epoch_end = save_epoch
    if process_index() > 0:
        return []
    model = build_model(network, (48, 48, 1), 3, for_training=False)
    model.set_weights(trained.weights)
    model.save(folder / "model.keras")
    pixels = images[:8].astype(np.float32)
    np.savez(folder / "case.npz", pixels=pixels, logits=np.asarray(keras.ops.convert_to_numpy(model(pixels))))
    np.savez(folder / "weights.npz", *trained.weights)
    return [layer.name for layer in model.layers for _ in layer.weights]


if __name__ == "__main__":
    main()
