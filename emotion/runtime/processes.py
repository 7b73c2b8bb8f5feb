"""Several processes, on one machine or more, that train one network together on JAX; everything else runs as one.

They are started as in JAX's documentation, with JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and JAX_PROCESS_ID
(https://docs.jax.dev/en/latest/multi_process.html).
"""

import os
from collections.abc import Sequence

import numpy as np

from emotion.foundation.errors import UserError

_HEARTBEAT_S = 30  # a process that is silent for this long counts as lost


def process_count() -> int:
    """How many processes train together; 1 unless the environment says otherwise."""
    return int(os.environ.get("JAX_NUM_PROCESSES", "1"))


def process_index() -> int:
    """Which of them this one is, counted from 0; 0 writes the files."""
    return int(os.environ.get("JAX_PROCESS_ID", "0"))


def check_backend(backend: str) -> None:
    """Raise UserError where several processes were started for a backend that cannot train together."""
    if process_count() > 1 and backend != "jax":
        raise UserError(
            f"JAX_NUM_PROCESSES is {process_count()}, but train.backend is {backend}, which trains in one process; "
            "set train.backend: jax, or unset JAX_NUM_PROCESSES"
        )


def join(devices: int) -> None:
    """Connect to the other processes; `devices` is how many share each batch, over all processes.

    Must run before Keras is imported. Raises UserError: the devices do not divide evenly, or the others do not come.
    """
    import jax

    count = process_count()
    if devices % count:
        raise UserError(
            f"train.devices ({devices}) must be a multiple of JAX_NUM_PROCESSES ({count}); change one of them"
        )
    jax.config.update("jax_num_cpu_devices", devices // count)
    if count == 1:
        return
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    address = os.environ.get("JAX_COORDINATOR_ADDRESS", "")
    try:
        jax.distributed.initialize(address, count, process_index(), heartbeat_timeout_seconds=_HEARTBEAT_S)
    except (RuntimeError, ValueError) as error:
        raise UserError(
            f"process {process_index()} of {count} did not meet the others at JAX_COORDINATOR_ADDRESS={address!r} "
            f"({error}); start all of them, with the same address (host:port of process 0) and a JAX_PROCESS_ID each"
        ) from None


def own_rows(batch_size: int) -> slice:
    """The rows of each batch that this process trains on."""
    rows = batch_size // process_count()
    return slice(process_index() * rows, (process_index() + 1) * rows)


def from_first_process(values: Sequence[float]) -> list[float]:
    """Return the values that process 0 passes; all must call it, with equally many values."""
    if process_count() == 1:
        return list(values)
    from jax.experimental import multihost_utils

    return [float(value) for value in multihost_utils.broadcast_one_to_all(np.asarray(values, np.float32))]
