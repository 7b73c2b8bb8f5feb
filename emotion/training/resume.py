"""One run of a training, resumed exactly from its saved state if there is one, and the history.

On resume: `state.py` reads the newest undamaged state whose key fits (parameters, data and code), `Session` puts
weights, optimizer, averages and seeds back, and the epochs go on from there. The order and the augmentation of an
epoch depend on its number alone, so the bytes of the result are those of a training that was never interrupted.
"""

import csv
import io
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from emotion.foundation.errors import UserError
from emotion.foundation.files import write_file
from emotion.runtime.processes import from_first_process, process_index
from emotion.training.kept_weights import KeepWeights
from emotion.training.optimizer import learning_rate
from emotion.training.recipe import Recipe
from emotion.training.state import StateFile, TrainingState
from emotion.training.validation import ends_training, lowers_rate


class Session(keras.callbacks.Callback):
    """Saves everything after each epoch, restores it before the first, and writes the history.

    It must be the last callback: by then the others have added all they know of the epoch. From the history it
    decides when the learning rate falls and when the training ends.
    """

    def __init__(self, recipe: Recipe, state_file: StateFile, history_path: Path, keeper: KeepWeights) -> None:
        super().__init__()
        self._recipe = recipe
        self.history: list[dict[str, float]] = []
        self.stopped = False
        self._file, self._history_path = state_file, history_path
        self._keeper = keeper
        self._first_epoch, self._can_stop = 0, False
        self._began = 0.0
        self._restore()

    @property
    def kept_weights(self) -> list[np.ndarray]:
        """The weights to keep, in the order of `model.weights`."""
        return self._keeper.kept

    @property
    def kept_epoch(self) -> int:
        """The epoch they are from, counted from 1."""
        return self._keeper.kept_epoch

    @property
    def saved(self) -> str:
        """How much of the training is safe, and where, as part of a sentence."""
        return f"{len(self.history)} finished epochs are kept in {self._file.path}"

    def _restore(self) -> None:
        """Restore from the saved state, if there is one, everything that needs no model."""
        state = self._file.load()
        if state is None:
            return
        self._keeper.kept = _numbered(state.arrays, "kept")
        self._keeper.kept_epoch = state.facts["kept_epoch"]
        self._keeper.best_accuracy = state.facts["best_accuracy"]
        self.history, self.stopped = state.facts["history"], state.facts["stopped"]
        if process_index() > 0:
            return
        self._write_history()
        if not self.stopped:
            print(f"going on after epoch {len(self.history)}, saved in {self._file.path.parent}", flush=True)

    def enter(self, model: keras.Model, first_epoch: int, *, can_stop: bool) -> int:
        """Begin or resume the phase whose first epoch is `first_epoch`, and return the next epoch; both count from 0.

        A new phase takes the last one's saved weights but not its optimizer, so that it begins the same whether the run
        was interrupted or not. Early stopping applies only if it `can_stop`. Raises UserError when the saved state is
        no longer the one that the history is from.
        """
        self._first_epoch, self._can_stop = first_epoch, can_stop
        if from_first_process([len(self.history)]) != [len(self.history)]:  # also waits until process 0 has saved
            raise UserError(f"{self._file.path} is not the same for all processes; give them one shared folder")
        if not self.history:
            return first_epoch
        state = self._file.load()
        if state is None or len(state.facts["history"]) != len(self.history):
            raise UserError(
                f"the state of epoch {len(self.history)} can no longer be read from {self._file.path.parent}; "
                "run `dvc repro` again to go on from what is left"
            )
        goes_on = len(self.history) > first_epoch
        for name, variable in _variables(model).items():
            if goes_on or name.startswith("model/"):
                variable.assign(state.arrays[name])
        self._keeper.statistics = _numbered(state.arrays, "statistics") if goes_on else []
        return len(self.history)

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Start the clock."""
        self._began = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Save the state, then write the history."""
        row = {"epoch": epoch + 1, **{name: float(value) for name, value in (logs or {}).items()}}
        self.history.append(row)
        self._heed_patience()
        row["learning_rate"] = learning_rate(self.model)
        if process_index() > 0:
            return
        self._file.save(self._state())
        self._write_history()
        with self._file.timings.open("a") as timings:
            timings.write(f"{self._file.key},{epoch + 1},{time.monotonic() - self._began:.2f}\n")

    def _heed_patience(self) -> None:
        """Lower the learning rate or end the training if this phase's validation loss no longer falls."""
        recipe, phase = self._recipe, self.history[self._first_epoch :]
        losses = [row["val_loss"] for row in phase if "val_loss" in row]
        if recipe.schedule == "plateau" and lowers_rate(losses, patience=recipe.plateau_patience):
            self.model.optimizer.learning_rate = learning_rate(self.model) * recipe.plateau_factor
        stops = self._can_stop and recipe.early_stopping_patience
        if stops and ends_training(losses, patience=recipe.early_stopping_patience):
            self.model.stop_training = True

    def _state(self) -> TrainingState:
        arrays = {name: np.asarray(variable) for name, variable in _variables(self.model).items()}
        for kind, values in (("statistics", self._keeper.statistics), ("kept", self._keeper.kept)):
            arrays.update({f"{kind}/{number:04d}": value for number, value in enumerate(values)})
        facts = {
            "history": self.history,
            "stopped": bool(self.model.stop_training),
            "kept_epoch": self._keeper.kept_epoch,
            "best_accuracy": self._keeper.best_accuracy,
        }
        return TrainingState(arrays, facts)

    def _write_history(self) -> None:
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=list(self.history[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: round(value, 6) for name, value in row.items()} for row in self.history)
        write_file(self._history_path, text.getvalue())


def _variables(model: keras.Model) -> dict[str, Any]:
    """Everything that training changes: weights, seed generators (`model.variables`), and the optimizer's variables."""
    named = {f"model/{number:04d}": variable for number, variable in enumerate(model.variables)}
    return named | {f"optimizer/{number:04d}": variable for number, variable in enumerate(model.optimizer.variables)}


def _numbered(arrays: Mapping[str, np.ndarray], kind: str) -> list[np.ndarray]:
    return [arrays[name] for name in sorted(arrays) if name.startswith(f"{kind}/")]
