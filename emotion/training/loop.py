"""Train a network: faces -> the weights to keep."""

import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from emotion.dataset.examples import Examples, class_weights
from emotion.foundation.errors import UserError
from emotion.model.batched import BATCH_SIZE
from emotion.runtime.portable import check_portable
from emotion.runtime.processes import own_rows, process_count, process_index
from emotion.training.batches import Augment, evaluation_batches, steps_per_epoch, training_batches
from emotion.training.epoch_lines import EpochLines
from emotion.training.kept_weights import KeepWeights
from emotion.training.network import FineTuned, Network, Phase, build_model
from emotion.training.optimizer import make_optimizer
from emotion.training.recipe import Recipe
from emotion.training.resume import Session
from emotion.training.state import StateFile
from emotion.training.validation import Validation


@dataclass(frozen=True)
class Task:
    """Which network learns what, and how.

    Attributes:
        network_name: what params.yaml calls the network.
        train: faces to learn from, and the answers to them.
        val: those to choose the checkpoint on; may be empty, which needs `keep: last` and no early stopping.
        augment: (uint8 [batch, size, size, channels], seed int64 [2]) -> float32 of the same shape.
        seed: of the order of the faces and of their augmentation.
    """

    network: Network
    train: Examples
    val: Examples
    recipe: Recipe
    augment: Augment
    network_name: str = field(kw_only=True)
    seed: int = field(kw_only=True)

    @property
    def steps(self) -> int:
        """Training steps in an epoch."""
        return steps_per_epoch(len(self.train), self.recipe.batch_size)

    def batches(self, first_epoch: int, epochs: int) -> tf.data.Dataset:
        """This process's rows of the training batches of epochs first_epoch ... epochs-1, counted from 0."""
        return training_batches(
            self.train,
            batch_size=min(self.recipe.batch_size, len(self.train)),
            first_epoch=first_epoch,
            epochs=epochs,
            seed=self.seed,
            augment=self.augment,
            **({"own_rows": own_rows(self.recipe.batch_size)} if process_count() > 1 else {}),
        )

    def class_weights(self) -> dict[int, float] | None:
        """The weight of each label in the loss; None if all weigh the same."""
        balanced = self.recipe.class_weights == "balanced"
        return class_weights(self.train.targets) if balanced else None

    def validation(self, keeper: KeepWeights) -> tuple[tf.data.Dataset | None, list[keras.callbacks.Callback]]:
        """The batches that `fit` validates on, or the callback that does so instead, or neither."""
        if not len(self.val):
            return None, []
        if self.recipe.backend == "jax" and self.recipe.devices > 1:
            return None, [Validation(self.network, self.val, self.recipe, keeper)]
        return evaluation_batches(self.val, batch_size=BATCH_SIZE), []


@dataclass(frozen=True)
class Trained:
    """The result of a training.

    Attributes:
        weights: the kept weights, in the order of `model.weights`.
        kept_epoch: the epoch they are from, counted from 1.
        history: one row per epoch.
    """

    weights: list[np.ndarray]
    kept_epoch: int
    history: list[dict[str, float]]

    @property
    def last(self) -> dict[str, float]:
        """Loss and accuracy on the training faces, as they were in the last epoch."""
        return {name: value for name, value in self.history[-1].items() if name in ("loss", "accuracy")}


def train_network(
    task: Task, *, state_file: StateFile, history_path: Path, start: Callable[[keras.Model], None] | None = None
) -> Trained:
    """Train a network, resuming from the state file if there is one; call it after `runtime.pins.pin`.

    Args:
        state_file: held by this process.
        history_path: CSV rewritten after each epoch.
        start: sets weights of the new model, before the first epoch and after the network's own pretrained ones.

    Raises UserError: the loss is not a number, memory runs out, or the recipe needs a validation set that is missing or
    portable bits that the network cannot give.
    """
    recipe, shape, label_count = task.recipe, task.train.faces.images.shape[1:], task.train.label_count
    _check_validation(recipe, task.val)
    scope = _devices_scope(recipe)
    model = build_model(task.network, shape, label_count, for_training=True, devices=recipe.devices, scope=scope)
    if recipe.portable:
        check_portable(model, task.network_name, setting="train.portable")
    phases = _phases(task.network, model, recipe)
    if process_index() == 0:
        for doubt in recipe.doubts(len(task.train), task.steps):
            print(f"warning: {doubt}", file=sys.stderr)
    keeper = KeepWeights(keep=recipe.keep, averaged=recipe.ema_decay > 0, ema_decay=recipe.ema_decay)
    session = Session(recipe, state_file, history_path, keeper)
    if not session.history:
        if isinstance(task.network, FineTuned):
            task.network.load_pretrained(model)
        if start:
            start(model)
    last_epoch = 0
    for phase in phases:
        first_epoch, last_epoch = last_epoch, last_epoch + phase.epochs
        if not session.stopped and len(session.history) < last_epoch:
            with scope():
                _compile(model, phase, recipe, task.steps)
                _fit(task, model, keeper, session, first_epoch, last_epoch)
    return Trained(session.kept_weights, session.kept_epoch, session.history)


def _phases(network: Network, model: keras.Model, recipe: Recipe) -> list[Phase]:
    if isinstance(network, FineTuned):
        return network.phases(model, recipe)
    return [Phase(recipe.epochs, recipe.learning_rate)]


def _fit(task: Task, model: keras.Model, keeper: KeepWeights, session: Session, first: int, last: int) -> None:
    """Train the compiled model in its phase, epochs first ... last-1, or those not yet done."""
    recipe = task.recipe
    next_epoch = session.enter(model, first, can_stop=last == recipe.epochs)
    held_out, validation = task.validation(keeper)
    lines = EpochLines(recipe.epochs, task.steps, recipe.batch_size)
    with _readable_failures(recipe, session), _readers_let_go(model):
        model.fit(
            task.batches(next_epoch, last),
            validation_data=held_out,
            initial_epoch=next_epoch,
            epochs=last,
            steps_per_epoch=task.steps,
            class_weight=task.class_weights(),
            shuffle=False,
            verbose=0,
            callbacks=[*validation, keeper, lines, session],
        )


def _check_validation(recipe: Recipe, val: Examples) -> None:
    needs = [
        name
        for name, on in (
            ("keep: best", recipe.keep == "best"),
            ("schedule: plateau", recipe.schedule == "plateau"),
            ("early_stopping_patience", recipe.early_stopping_patience > 0),
        )
        if on
    ]
    if needs and not len(val):
        raise UserError(
            f"there are no validation images, but train's {', '.join(needs)} needs some; hold some out (a larger "
            "split.val_fraction), or set train.keep: last, another schedule and train.early_stopping_patience: 0"
        )


def _devices_scope(recipe: Recipe) -> Callable[[], AbstractContextManager[Any]]:
    """The scope to build and compile a model in, so that `train.devices` devices share each batch.

    Raises UserError when JAX has too few; for TensorFlow `runtime.pins.pin` has checked already.
    """
    if recipe.devices == 1:
        return nullcontext
    if recipe.backend == "jax":
        there = keras.distribution.list_devices()
        if len(there) < recipe.devices:
            raise UserError(
                f"train.devices: {recipe.devices}, but JAX finds {len(there)} ({', '.join(there)}); lower it"
            )
        return keras.distribution.DataParallel(devices=there[: recipe.devices], auto_shard_dataset=False).scope
    kind = "GPU" if _has_gpu() else "CPU"
    return tf.distribute.MirroredStrategy([f"{kind}:{number}" for number in range(recipe.devices)]).scope


def _compile(model: keras.Model, phase: Phase, recipe: Recipe, steps: int) -> None:
    for layer in model.layers:
        layer.trainable = layer.name not in phase.frozen
    recipe = recipe.model_copy(update={"epochs": phase.epochs, "learning_rate": phase.learning_rate})
    model.compile(
        make_optimizer(recipe, steps),
        keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=recipe.label_smoothing),
        metrics=["accuracy"],
        jit_compile=recipe.backend == "jax" or _has_gpu(),  # XLA is 3.6 times slower than oneDNN on a CPU
    )
    model.optimizer.build(model.trainable_variables)


def _has_gpu() -> bool:
    return bool(tf.config.list_physical_devices("GPU"))


@contextmanager
def _readers_let_go(model: keras.Model) -> Iterator[None]:
    """Stop what reads ahead for `fit` where that fails: a thread that reads while Python ends keeps it from ending."""
    try:
        yield
    except BaseException as error:
        failure: BaseException | None = error
        while failure:
            traceback.clear_frames(failure.__traceback__)
            failure = failure.__context__
        raise
    finally:
        with suppress(AttributeError):  # Keras itself deletes it where validation does not fail
            del model._eval_epoch_iterator


@contextmanager
def _readable_failures(recipe: Recipe, session: Session) -> Iterator[None]:
    """Turn running out of memory, Ctrl-C and unreadable faces into one line that says what to do."""
    try:
        yield
    except KeyboardInterrupt:
        raise UserError(f"interrupted; {session.saved}; `dvc repro` continues from there") from None
    except Exception as error:  # each backend has its own class for it
        if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error) or "ResourceExhausted" in repr(error):
            raise UserError(f"out of memory with train.batch_size: {recipe.batch_size}; lower it") from None
        if unreadable := re.search("UserError: (.+)", str(error)):  # tf.data hands on the text alone
            raise UserError(f"{unreadable[1]}; {session.saved}") from None
        if process_count() > 1 and not isinstance(error, UserError):
            reason = str(error).strip().split("\n")[0][:200]
            raise UserError(
                f"process {process_index()} of {process_count()} lost the others ({reason}); "
                f"{session.saved}; start all processes again to continue from there"
            ) from error
        raise
