"""What a training shows while it runs."""

import math
import sys
import time
from collections.abc import Mapping

import keras
from tqdm import tqdm

from emotion.foundation.errors import UserError
from emotion.runtime.processes import process_index
from emotion.training.optimizer import learning_rate


class EpochLines(keras.callbacks.Callback):
    """One line per epoch and, on a terminal, a bar within it. Stops at the first loss that is not a number."""

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
        logs = {**(logs or {}), "learning_rate": learning_rate(self.model)}
        figures = "  ".join(f"{name} {value:.4f}" for name, value in logs.items())
        rate = self.steps * self.batch_size / seconds
        print(f"epoch {epoch + 1:3d}/{self.epochs}  {figures}  {seconds:.1f} s  {rate:.0f} images/s", flush=True)
