"""Compile, callbacks, exact resume: faces in memory -> trained weights."""

import csv
import io
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import keras
import numpy as np
from tqdm import tqdm

from emotion.batch_norm import FusedBatchNormalization, SynchronizedBatchNormalization
from emotion.batches import Augment, class_weights, evaluation_batches, steps_per_epoch, training_batches
from emotion.errors import UserError
from emotion.processes import first_says, process_count, process_index, share
from emotion.recipe import Recipe
from emotion.records import Faces
from emotion.training_state import StateFile, TrainingState

EVALUATION_BATCH = 256
_STATISTICS_EVERY = 8  # steps between two updates of the averaged batch-norm statistics


class Network(Protocol):
    """What a file of emotion/networks offers."""

    def logits(
        self, pixels: keras.KerasTensor, *, label_count: int, batch_norm: type[keras.layers.Layer]
    ) -> keras.KerasTensor:
        """Build the network: pixels [batch, size, size, channels], 0-255 -> logits float32 [batch, label_count]."""


@dataclass(frozen=True)
class Phase:
    """A stretch of a training in which the same layers learn; it has an optimizer and a schedule of its own.

    Attributes:
        epochs: how many, >= 1.
        learning_rate: the peak of its schedule.
        frozen: names of the layers that do not learn; a frozen batch-norm layer keeps its statistics as well.
    """

    epochs: int
    learning_rate: float
    frozen: frozenset[str] = frozenset()


@runtime_checkable
class FineTuned(Protocol):
    """What a file of emotion/networks offers besides when its network begins with weights learnt elsewhere."""

    def load_pretrained(self, model: keras.Model) -> None:
        """Put the weights in place. Raises UserError when they cannot be had."""

    def phases(self, model: keras.Model, recipe: Recipe) -> list[Phase]:
        """Say what learns when; the phases' epochs add up to `recipe.epochs`. Raises UserError."""


@dataclass(frozen=True)
class Trained:
    """What a training came to.

    Attributes:
        weights: the kept weights, in the order of `model.weights`.
        kept_epoch: the epoch they are from, counted from 1.
        history: one row per epoch.
    """

    weights: list[np.ndarray]
    kept_epoch: int
    history: list[dict[str, float]]


def build_model(
    network: Network,
    shape: Sequence[int],
    label_count: int,
    *,
    for_training: bool,
    devices: int = 1,
    scope: Callable[[], AbstractContextManager[Any]] = nullcontext,
) -> keras.Model:
    """Build pixels -> logits. For training: the global precision and fused batch-norm; else stock and float32."""
    _number_layers_anew()
    batch_norm = _training_batch_norm(devices) if for_training else keras.layers.BatchNormalization
    policy = keras.config.dtype_policy() if for_training else keras.DTypePolicy("float32")
    with scope(), _policy(policy):
        pixels = keras.Input(tuple(shape), name="pixels", dtype="float32")
        logits = network.logits(pixels, label_count=label_count, batch_norm=batch_norm)
        return keras.Model(pixels, logits, name="logits")


def with_probabilities(logits: keras.Model, temperature: float) -> keras.Model:
    """Append the softmax in float32, behind a Rescaling that divides the logits by the temperature."""
    with _policy(keras.DTypePolicy("float32")):
        cooled = keras.layers.Rescaling(1.0 / temperature, name="temperature")(logits.output)
        return keras.Model(logits.input, keras.layers.Softmax(name="probabilities")(cooled), name="emotion")


def make_optimizer(recipe: Recipe, steps: int) -> keras.optimizers.Optimizer:
    """Build the optimizer with its schedule; `steps` is the number of steps in an epoch."""
    rate: Any = recipe.learning_rate
    if recipe.schedule == "cosine":
        warmup = round(recipe.warmup_epochs * steps)
        rate = keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=0.0 if warmup else recipe.learning_rate,
            decay_steps=recipe.epochs * steps - warmup,
            warmup_target=recipe.learning_rate if warmup else None,
            warmup_steps=warmup,
        )
    common: dict[str, Any] = {
        "learning_rate": rate,
        "weight_decay": recipe.weight_decay or None,
        "use_ema": recipe.ema_decay > 0,
        "ema_momentum": recipe.ema_decay or 0.99,
    }
    match recipe.optimizer:
        case "sgd":
            optimizer = keras.optimizers.SGD(momentum=0.9, nesterov=True, **common)
        case "adam":
            optimizer = keras.optimizers.Adam(**common)
        case "adamw":
            optimizer = keras.optimizers.AdamW(**common)
    if recipe.weight_decay:
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def train_network(
    network: Network,
    train: Faces,
    val: Faces,
    *,
    label_count: int,
    recipe: Recipe,
    augment: Augment,
    seed: int,
    state_file: StateFile,
    history_path: Path,
    start: Callable[[keras.Model], None] | None = None,
) -> Trained:
    """Train a network, going on from the state file where there is one; call it after `runtime.pin`.

    Args:
        train: faces to learn from.
        val: faces to choose the checkpoint on; may be empty, which needs `keep: last` and no early stopping.
        augment: (uint8 [batch, size, size, channels], seed int64 [2]) -> float32 of the same shape.
        state_file: held by this process.
        history_path: CSV rewritten after each epoch.
        start: changes the weights of the new model, before the first epoch and after the network's own pretrained ones.

    Raises UserError: loss not a number, out of memory, or a recipe that needs a validation set where there is none.
    """
    _check_validation(recipe, val)
    steps = steps_per_epoch(len(train.images), recipe.batch_size)
    on_devices = _devices_scope(recipe)
    model = build_model(
        network, train.images.shape[1:], label_count, for_training=True, devices=recipe.devices, scope=on_devices
    )
    keeper = KeepWeights(keep=recipe.keep, averaged=recipe.ema_decay > 0, ema_decay=recipe.ema_decay)
    session = Session(state_file, history_path, keeper)
    phases = [Phase(recipe.epochs, recipe.learning_rate)]
    if isinstance(network, FineTuned):
        phases = network.phases(model, recipe)
    if not session.history:
        if isinstance(network, FineTuned):
            network.load_pretrained(model)
        if start:
            start(model)
    last_epoch = 0
    for phase in phases:
        begins, last_epoch = last_epoch, last_epoch + phase.epochs
        if session.stopped or len(session.history) >= last_epoch:
            continue
        with on_devices():
            _compile(model, phase, recipe, steps)
        watchers = _watchers(recipe, is_last=last_epoch == recipe.epochs)
        first_epoch = session.enter(model, begins, watchers)
        batches = training_batches(
            train,
            label_count=label_count,
            batch_size=min(recipe.batch_size, len(train.images)),
            first_epoch=first_epoch,
            epochs=last_epoch,
            seed=seed,
            augment=augment,
        )
        if process_count() > 1:
            rows = share(recipe.batch_size)
            batches = batches.map(lambda pictures, labels, rows=rows: (pictures[rows], labels[rows]))
        held_out = evaluation_batches(val, label_count=label_count, batch_size=EVALUATION_BATCH)
        alone = recipe.backend == "jax" and recipe.devices > 1  # validation is then for one device of one process
        validation = [Validation(network, val, label_count, recipe, keeper)] if alone and len(val.images) else []
        weights = class_weights(train.label_indexes, label_count) if recipe.class_weights == "balanced" else None
        with _readable_failures(recipe, session), on_devices():
            model.fit(
                batches,
                validation_data=held_out if len(val.images) and not alone else None,
                initial_epoch=first_epoch,
                epochs=last_epoch,
                steps_per_epoch=steps,
                class_weight=weights,
                shuffle=False,
                verbose=0,
                callbacks=[*validation, keeper, Progress(recipe.epochs, steps, recipe.batch_size), *watchers, session],
            )
    return Trained(session.kept_weights, session.kept_epoch, session.history)


def predict_logits(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Run a model over uint8 images [n, size, size, channels]: float32 [n, labels]."""
    if not len(images):
        return np.empty((0, model.output_shape[-1]), np.float32)
    starts = range(0, len(images), EVALUATION_BATCH)
    batches = (images[start : start + EVALUATION_BATCH].astype(np.float32) for start in starts)
    return np.concatenate([np.asarray(model.predict_on_batch(batch)) for batch in batches])


class KeepWeights(keras.callbacks.Callback):
    """Keeps the weights that count: the averaged ones when there is averaging, the best or the last.

    With an exponential moving average, validation sees the averaged weights. The optimizer averages what it trains; the
    batch-norm statistics, which it does not know, are averaged here with the same decay.
    """

    def __init__(self, *, keep: str, averaged: bool, ema_decay: float) -> None:
        super().__init__()
        self.keep, self.averaged = keep, averaged
        self.decay = ema_decay**_STATISTICS_EVERY
        self.statistics: list[np.ndarray] = []  # averages of the model's non-trainable weights
        self.best_accuracy = -1.0
        self.kept_epoch = 0
        self.kept: list[np.ndarray] = []
        self._epoch = 0
        self._raw: list[np.ndarray] = []

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Note the epoch."""
        self._epoch = epoch + 1

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Average the batch-norm statistics, every few steps."""
        if self.averaged and batch % _STATISTICS_EVERY == 0:
            _synchronize(self.model)
            now = _statistics(self.model)
            rate = np.float32(self.decay)
            old = self.statistics or now
            self.statistics = [rate * a + (1 - rate) * b for a, b in zip(old, now, strict=True)]

    def on_test_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Put the averaged weights in place for validation."""
        self._swap_in()

    def on_test_end(self, logs: Mapping[str, float] | None = None) -> None:
        """Keep the validated weights if they are the best so far, then put the raw ones back."""
        accuracy = float((logs or {})["accuracy"])
        if self.keep == "best" and accuracy > self.best_accuracy:
            self.best_accuracy = accuracy
            self._keep()
        self._swap_out()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Keep the last weights, if that is what is asked for."""
        if self.keep == "last":
            self._swap_in()
            self._keep()
            self._swap_out()

    def _keep(self) -> None:
        self.kept, self.kept_epoch = [np.array(weight) for weight in self.model.get_weights()], self._epoch

    def _swap_in(self) -> None:
        if not self.averaged:
            return
        model = self.model
        self._raw = [np.array(weight) for weight in model.get_weights()]
        model.optimizer.finalize_variable_values(model.trainable_variables)
        if keras.backend.backend() == "jax":  # which gives the model the optimizer's own arrays, and later deletes them
            model.set_weights([np.array(weight) for weight in model.get_weights()])
        for variable, value in zip(_moving(model), self.statistics, strict=True):
            variable.assign(value)

    def _swap_out(self) -> None:
        if self.averaged:
            self.model.set_weights(self._raw)


class Validation(keras.callbacks.Callback):
    """Validates on one device of the first process, where several share the training, and tells the others.

    It must be the first callback: it adds what it found to the epoch's logs.
    """

    def __init__(self, network: Network, val: Faces, label_count: int, recipe: Recipe, keeper: KeepWeights) -> None:
        super().__init__()
        self._keeper, self._val = keeper, val
        self._alone: keras.Model | None = None  # the same network, on this process's own device
        self._labels = keras.utils.to_categorical(val.label_indexes, label_count)
        self._build = lambda: build_model(network, val.images.shape[1:], label_count, for_training=False)
        self._smoothing = recipe.label_smoothing

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Add val_accuracy and val_loss to the epoch's logs."""
        self._keeper.on_test_begin()
        accuracy, loss = first_says(self._scores() if process_index() == 0 else (0.0, 0.0))
        self._keeper.on_test_end({"accuracy": accuracy})
        if logs is not None:
            logs.update(val_accuracy=accuracy, val_loss=loss)

    def _scores(self) -> tuple[float, float]:
        weights = [np.array(weight) for weight in self.model.get_weights()]
        shared = keras.distribution.distribution()
        keras.distribution.set_distribution(None)
        try:
            self._alone = self._alone or self._build()
            self._alone.set_weights(weights)
            logits = predict_logits(self._alone, self._val.images)
        finally:
            keras.distribution.set_distribution(shared)
        right = logits.argmax(axis=1) == self._val.label_indexes
        losses = keras.losses.categorical_crossentropy(
            self._labels, logits, from_logits=True, label_smoothing=self._smoothing
        )
        return float(right.mean()), float(np.mean(losses))


class Progress(keras.callbacks.Callback):
    """One line an epoch, and a bar within the epoch on a terminal. Stops at the first loss that is not a number."""

    def __init__(self, epochs: int, steps: int, batch_size: int) -> None:
        super().__init__()
        self.epochs, self.steps, self.batch_size = epochs, steps, batch_size
        self._epoch = 0
        self._began = 0.0
        self._bar = tqdm(disable=True)

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Start the clock and the bar."""
        self._epoch, self._began = epoch + 1, time.monotonic()
        self._bar = tqdm(total=self.steps, desc=f"epoch {epoch + 1}", leave=False, disable=not sys.stderr.isatty())

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Move the bar and look at the loss."""
        loss = float((logs or {})["loss"])
        if not math.isfinite(loss):
            raise UserError(
                f"the training loss became {loss} in epoch {self._epoch}; lower train.learning_rate or lengthen "
                "train.warmup_epochs"
            )
        self._bar.update()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Print the epoch's line."""
        self._bar.close()
        if process_index() > 0:
            return
        seconds = time.monotonic() - self._began
        logs = {**(logs or {}), "learning_rate": _learning_rate(self.model)}
        figures = "  ".join(f"{name} {value:.4f}" for name, value in logs.items())
        rate = self.steps * self.batch_size / seconds
        print(f"epoch {epoch + 1:3d}/{self.epochs}  {figures}  {seconds:.1f} s  {rate:.0f} images/s", flush=True)


class Session(keras.callbacks.Callback):
    """Saves everything after each epoch, restores it before the first, and writes the history.

    It must be the last callback: the others have then said all they have to say of the epoch, and their own
    `on_train_begin`, which forgets, has run before this one's, which remembers.
    """

    def __init__(self, state_file: StateFile, history_path: Path, keeper: KeepWeights) -> None:
        super().__init__()
        self.history: list[dict[str, float]] = []
        self.stopped = False
        self._file, self._history_path = state_file, history_path
        self._keeper = keeper
        self._watchers: list[keras.callbacks.Callback] = []
        self._watcher_facts: list[dict[str, Any]] = []
        self._began = 0.0
        self._restore()

    @property
    def kept_weights(self) -> list[np.ndarray]:
        """The weights that count, in the order of `model.weights`."""
        return self._keeper.kept

    @property
    def kept_epoch(self) -> int:
        """The epoch they are from, counted from 1."""
        return self._keeper.kept_epoch

    def _restore(self) -> None:
        """Take from the saved state, if there is one, all that needs no model."""
        state = self._file.load()
        if state is None:
            return
        self._keeper.kept = _numbered(state.arrays, "kept")
        self._keeper.kept_epoch = state.facts["kept_epoch"]
        self._keeper.best_accuracy = state.facts["best_accuracy"]
        self.history, self.stopped = state.facts["history"], state.facts["stopped"]
        self._write_history()
        if not self.stopped:
            print(f"going on after epoch {len(self.history)}, saved in {self._file.path}", flush=True)

    def enter(self, model: keras.Model, first_epoch: int, watchers: list[keras.callbacks.Callback]) -> int:
        """Begin the phase whose first epoch is `first_epoch`, or go on in it; both count from 0.

        A new phase takes the weights as the last one saved them, and nothing of its optimizer, so that it begins the same
        whether the run was interrupted or not. Returns the epoch to go on with.
        """
        self._watchers, self._watcher_facts = watchers, []
        if first_says([len(self.history)]) != [len(self.history)]:  # waits for process 0 to have saved, too
            raise UserError(f"{self._file.path} is not the same for all processes; give them one shared folder")
        state = self._file.load() if self.history else None
        if state is None:
            return first_epoch
        goes_on = len(self.history) > first_epoch
        for name, variable in _variables(model).items():
            if goes_on or name.startswith("model/"):
                variable.assign(state.arrays[name])
        self._keeper.statistics = _numbered(state.arrays, "statistics") if goes_on else []
        self._watcher_facts = state.facts["watchers"] if goes_on else []
        return len(self.history)

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Give the other callbacks back what their own `on_train_begin` has just reset."""
        for watcher, facts in zip(self._watchers, self._watcher_facts, strict=False):  # no facts yet
            watcher.__dict__.update(facts)

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Start the clock."""
        self._began = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Save the state, then show the history."""
        rate = _learning_rate(self.model)
        row = {
            "epoch": epoch + 1,
            **{name: float(value) for name, value in (logs or {}).items()},
            "learning_rate": rate,
        }
        self.history.append(row)
        if process_index() > 0:
            return
        self._file.save(self._state())
        self._write_history()
        with self._file.timings.open("a") as timings:
            timings.write(f"{self._file.key},{epoch + 1},{time.monotonic() - self._began:.2f}\n")

    def _state(self) -> TrainingState:
        arrays = {name: np.asarray(variable) for name, variable in _variables(self.model).items()}
        for kind, values in (("statistics", self._keeper.statistics), ("kept", self._keeper.kept)):
            arrays.update({f"{kind}/{number:04d}": value for number, value in enumerate(values)})
        facts = {
            "history": self.history,
            "stopped": bool(self.model.stop_training),
            "kept_epoch": self._keeper.kept_epoch,
            "best_accuracy": self._keeper.best_accuracy,
            "watchers": [_plain_attributes(watcher) for watcher in self._watchers],
        }
        return TrainingState(arrays, facts)

    def _write_history(self) -> None:
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=list(self.history[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: round(value, 6) for name, value in row.items()} for row in self.history)
        self._history_path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._history_path.with_name(self._history_path.name + ".part")
        temporary.write_text(text.getvalue())
        temporary.replace(self._history_path)


def _check_validation(recipe: Recipe, val: Faces) -> None:
    needs = [
        name
        for name, on in (
            ("keep: best", recipe.keep == "best"),
            ("schedule: plateau", recipe.schedule == "plateau"),
            ("early_stopping_patience", recipe.early_stopping_patience > 0),
        )
        if on
    ]
    if needs and not len(val.images):
        raise UserError(
            f"there is no validation image (split.val_fraction: 0), but {', '.join(needs)} of train needs some; "
            "set train.keep: last, another schedule and train.early_stopping_patience: 0, or hold some images out"
        )


def _devices_scope(recipe: Recipe) -> Callable[[], AbstractContextManager[Any]]:
    """What to build and compile a model within, so that `train.devices` devices share each batch."""
    if recipe.devices == 1:
        return nullcontext
    if recipe.backend == "jax":
        devices = keras.distribution.list_devices()[: recipe.devices]
        return keras.distribution.DataParallel(devices=devices, auto_shard_dataset=False).scope
    import tensorflow as tf

    kind = "GPU" if _has_gpu() else "CPU"
    return tf.distribute.MirroredStrategy([f"{kind}:{number}" for number in range(recipe.devices)]).scope


def _training_batch_norm(devices: int) -> type[keras.layers.BatchNormalization]:
    """The statistics are those of the whole batch, however many devices share it."""
    return FusedBatchNormalization if devices == 1 else SynchronizedBatchNormalization


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


def _watchers(recipe: Recipe, *, is_last: bool) -> list[keras.callbacks.Callback]:
    watchers: list[keras.callbacks.Callback] = []
    if recipe.schedule == "plateau":
        watchers.append(
            keras.callbacks.ReduceLROnPlateau(
                monitor="val_loss", patience=recipe.plateau_patience, factor=recipe.plateau_factor
            )
        )
    if recipe.early_stopping_patience and is_last:
        watchers.append(keras.callbacks.EarlyStopping(monitor="val_loss", patience=recipe.early_stopping_patience))
    return watchers


def _variables(model: keras.Model) -> dict[str, Any]:
    """Everything that training changes: weights, seed generators (`model.variables`), and the optimizer's variables."""
    named = {f"model/{number:04d}": variable for number, variable in enumerate(model.variables)}
    return named | {f"optimizer/{number:04d}": variable for number, variable in enumerate(model.optimizer.variables)}


def _moving(model: keras.Model) -> list[Any]:
    """The statistics that move while the model trains: those of the layers that are not frozen."""
    return [weight for layer in model.layers if layer.trainable for weight in layer.non_trainable_weights]


def _statistics(model: keras.Model) -> list[np.ndarray]:
    return [np.array(variable, np.float32) for variable in _moving(model)]


def _synchronize(model: keras.Model) -> None:
    """Within an epoch the JAX backend keeps the weights to itself."""
    if keras.backend.backend() == "jax":
        model.jax_state_sync()


def _numbered(arrays: Mapping[str, np.ndarray], kind: str) -> list[np.ndarray]:
    return [arrays[name] for name in sorted(arrays) if name.startswith(f"{kind}/")]


def _plain_attributes(callback: keras.callbacks.Callback) -> dict[str, Any]:
    """The counters of a stock callback: its attributes that are plain numbers."""
    plain = {name: value for name, value in vars(callback).items() if not name.startswith("_") and name != "params"}
    numbers = {name: value.item() if isinstance(value, np.generic) else value for name, value in plain.items()}
    return {name: value for name, value in numbers.items() if isinstance(value, int | float)}


def _learning_rate(model: keras.Model) -> float:
    return float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))


def _has_gpu() -> bool:
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))


def _number_layers_anew() -> None:
    """Let layer names repeat from one model to the next; keep the rest of what clear_session forgets."""
    policy, distribution = keras.config.dtype_policy(), keras.distribution.distribution()
    keras.utils.clear_session(free_memory=False)
    keras.config.set_dtype_policy(policy)
    keras.distribution.set_distribution(distribution)


@contextmanager
def _policy(policy: keras.DTypePolicy) -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


@contextmanager
def _readable_failures(recipe: Recipe, session: Session) -> Iterator[None]:
    """Turn running out of memory and Ctrl-C into one line that says what to do."""
    try:
        yield
    except KeyboardInterrupt:
        raise UserError(
            f"interrupted; {len(session.history)} finished epochs are kept in .cache; `dvc repro` goes on from there"
        ) from None
    except Exception as error:  # each backend has its own class for it
        if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error) or "ResourceExhausted" in repr(error):
            raise UserError(f"out of memory with train.batch_size: {recipe.batch_size}; lower it") from None
        if process_count() > 1 and not isinstance(error, UserError):
            raise UserError(
                f"process {process_index()} of {process_count()} lost the others ({str(error).splitlines()[0][:200]}); "
                f"{len(session.history)} finished epochs are kept in .cache; start all processes again to go on from there"
            ) from error
        raise
