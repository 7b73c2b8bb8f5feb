"""Run a LiteRT file: arrays in, arrays out, any batch size, nothing printed."""

import math
import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from emotion.foundation.errors import UserError
from emotion.runtime.quiet import quietly

_MAX_TENSOR_BYTES = 1_000_000_000  # the shipped model has 26 million
THREADS = min(4, os.cpu_count() or 1)


class LiteModel:
    """One LiteRT model with one input; safe to call from several threads, one at a time."""

    def __init__(self, path: Path, *, threads: int = THREADS) -> None:
        """Load the file. Raises UserError when it is missing or not a LiteRT model."""
        try:
            content = path.read_bytes()
        except OSError as error:
            raise UserError(f"{path} cannot be read ({error.strerror})") from None
        try:
            with quietly():  # XNNPACK announces itself there, whatever the log level
                self._interpreter = Interpreter(model_content=content, num_threads=threads)
                _check_size(self._interpreter.get_tensor_details())
                self._interpreter.allocate_tensors()
            inputs, self._outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()
            if len(inputs) != 1 or inputs[0]["dtype"] != np.float32 or not self._outputs:
                raise ValueError("it must take one array of floats and give at least one")
        except (ValueError, RuntimeError) as error:
            raise UserError(f"{path} is not a readable LiteRT model ({_first_line(error)})") from None
        self._lock = threading.Lock()
        self._input = inputs[0]

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of the input without the batch."""
        return tuple(int(side) for side in self._input["shape"][1:])

    def run(self, batch: np.ndarray) -> list[np.ndarray]:
        """Run the model on float32 [n, ...]; returns a copy of every output, float32 [n, ...]."""
        with self._lock:
            index = self._input["index"]
            if tuple(self._interpreter.get_input_details()[0]["shape"]) != batch.shape:
                with quietly():
                    self._interpreter.resize_tensor_input(index, batch.shape)
                    self._interpreter.allocate_tensors()
            self._interpreter.set_tensor(index, batch)
            self._interpreter.invoke()
            return [self._interpreter.get_tensor(output["index"]) for output in self._outputs]


def _check_size(tensors: Sequence[Mapping[str, Any]]) -> None:
    """Raise ValueError when the tensors of a network would flood the memory."""
    size = sum(4 * math.prod(map(int, tensor["shape"])) for tensor in tensors)
    if size > _MAX_TENSOR_BYTES:
        raise ValueError(f"its tensors would take {size / 1e9:,.1f} GB")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
