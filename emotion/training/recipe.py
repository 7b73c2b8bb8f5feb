"""The training recipe: every knob of the `train` section."""

import math
import re
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from emotion.foundation.params import Params


class Init(Params):
    """Parameters of `train.init`: an earlier model whose weights the training starts with."""

    path: str  # of a .keras file made by this pipeline; empty = start from random (or the network's pretrained) weights
    sha256: str  # of that file: the result must depend on params.yaml, not on whatever lies at the path

    @model_validator(mode="after")
    def _pinned(self) -> Self:
        if self.path and not re.fullmatch("[0-9a-fA-F]{64}", self.sha256):
            raise ValueError(f"sha256 must be the 64 hexadecimal digits that `sha256sum {self.path}` prints")
        if self.sha256 and not self.path:
            raise ValueError("sha256 needs a path; set both or empty both")
        return self


class Recipe(Params):
    """Parameters of `train`."""

    backend: Literal["tensorflow", "jax"]
    precision: Literal["float32", "bfloat16"]  # bfloat16 is mixed: float32 weights
    intra_op_threads: int = Field(ge=1, le=1024)  # threads of one operation; part of the result, bit for bit
    inter_op_threads: int = Field(ge=1, le=1024)  # operations at once
    portable: bool  # the same bits on every x86-64 processor with AVX2 and FMA
    epochs: int = Field(ge=1, le=10_000)
    batch_size: int = Field(ge=1, le=65_536)
    devices: int = Field(ge=1, le=1024)  # that share each batch: GPUs, or the CPU standing in for as many
    init: Init
    optimizer: Literal["sgd", "adam", "adamw"]  # sgd is SGD with Nesterov momentum 0.9
    learning_rate: float = Field(gt=0, le=1000)  # the peak of the schedule
    schedule: Literal["constant", "cosine", "plateau"]
    warmup_epochs: float = Field(ge=0)  # linear, before a cosine
    plateau_patience: int = Field(ge=1, le=10_000)  # epochs
    plateau_factor: float = Field(gt=0, lt=1)
    weight_decay: float = Field(ge=0, le=1000)  # Keras' decoupled decay, kernels only
    label_smoothing: float = Field(ge=0, lt=1)
    ema_decay: float = Field(ge=0, lt=1)  # per step; 0 = off
    targets: Literal["label", "crowd", "votes", "drawn"]
    class_weights: Literal["none", "balanced"]
    keep: Literal["best", "last"]  # by validation accuracy
    early_stopping_patience: int = Field(ge=0, le=10_000)  # epochs without a better validation loss; 0 = off

    def pins(self) -> dict[str, Any]:
        """The arguments of `emotion.runtime.pins.pin`, except the seed."""
        return self.model_dump(
            include={"backend", "precision", "portable", "intra_op_threads", "inter_op_threads", "devices"}
        )

    def doubts(self, images: int, steps: int) -> list[str]:
        """What is allowed, but cannot work as it is meant with so few data: a line each, with what to set.

        Args:
            images: to learn from.
            steps: in an epoch.
        """
        found, run = [], self.epochs * steps
        if self.batch_size > max(images / 10, self.devices):
            found.append(
                f"train.batch_size: {self.batch_size} is more than a tenth of {images:,} pictures to learn from, so an "
                f"epoch has {steps} step{'s' * (steps > 1)}; set it to {max(images // 10, 1)} or less"
            )
        if self.warmup_epochs > self.epochs / 2:
            found.append(
                f"train.warmup_epochs: {self.warmup_epochs} is more than half of train.epochs: {self.epochs}, so the "
                f"learning rate falls as soon as it is there; set it to {self.epochs / 5:g} or less"
            )
        # As `emotion.training.optimizer.average_warm_up` has it: the decay after n steps is at most (1 + n) / (10 + n).
        needed = math.ceil(round((10 * self.ema_decay - 1) / (1 - self.ema_decay), 6))
        if self.ema_decay and run < needed:
            reached = (1 + run) / (10 + run)
            found.append(
                f"train.ema_decay: {self.ema_decay} is reached after {needed:,} steps, but the run has {run:,} "
                f"(epochs x steps), so the average of the weights cannot settle; set it to {reached - 0.005:.2f} or "
                "less, or train longer"
            )
        return found

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.warmup_epochs and self.schedule != "cosine":
            raise ValueError("warmup_epochs needs schedule: cosine; set it to 0")
        if self.schedule == "cosine" and self.warmup_epochs >= self.epochs:
            raise ValueError(f"warmup_epochs ({self.warmup_epochs}) must be less than epochs ({self.epochs})")
        if self.batch_size % self.devices:
            raise ValueError(f"batch_size ({self.batch_size}) must be a multiple of devices ({self.devices})")
        if self.portable and (reasons := self._unportable()):
            raise ValueError(f"portable: true cannot hold with {'; nor with '.join(reasons)}; set portable: false")
        return self

    def _unportable(self) -> list[str]:
        """The settings whose bits differ between types of processor, each with the reason."""
        reasons = {
            "precision: bfloat16 (processors without instructions for it compute it differently)": (
                self.precision == "bfloat16"
            ),
            "backend: jax (XLA compiles for the processor it finds)": self.backend == "jax",
            f"devices: {self.devices} (the batch-norm that devices share uses approximate square roots)": (
                self.devices > 1
            ),
        }
        return [reason for reason, holds in reasons.items() if holds]
