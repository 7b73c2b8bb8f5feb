"""The pins that must be set before TensorFlow or Keras is imported, and those that follow right after."""

import importlib.util
import os
import sys
from typing import Any, Protocol

from emotion import processes
from emotion.errors import UserError
from emotion.quiet import import_tensorflow

# What makes TensorFlow's float32 results the same on every x86-64 CPU: no kernels chosen by instruction set.
# TensorFlow 2.21 still multiplies some matrices with oneDNN then (seen: one unit in the last place), so oneDNN is held to
# the instructions that every x86-64 CPU of the last fifteen years has.
_PORTABLE = {
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "TENSORFLOW_USE_CUSTOM_CONTRACTION_KERNEL": "0",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
}
_FAST = {"TF_ENABLE_ONEDNN_OPTS": "1"}


class Pins(Protocol):
    """What decides the bits of a result beside its inputs: a training recipe has these, and an evaluation."""

    @property
    def backend(self) -> str: ...  # noqa: D102
    @property
    def precision(self) -> str: ...  # noqa: D102
    @property
    def portable(self) -> bool: ...  # noqa: D102
    @property
    def intra_op_threads(self) -> int: ...  # noqa: D102
    @property
    def inter_op_threads(self) -> int: ...  # noqa: D102


def pin(pins: Pins, *, seed: int, devices: int = 1) -> None:
    """Make this process compute the same bits as every other one with the same pins and seed.

    Backend, instruction sets, threads, precision, determinism and the global seeds; with `devices` > 1, so many GPUs
    (or parts of the CPU) to share each batch. Must run before Keras is imported; raises RuntimeError when it does not.
    """
    if "keras" in sys.modules:
        raise RuntimeError("pin() must run before keras is imported: backend and kernels are chosen at import")
    os.environ.update({"KERAS_BACKEND": pins.backend})
    os.environ.update(_PORTABLE if pins.portable else _FAST)
    os.environ.pop("TF_NUM_INTRAOP_THREADS", None)
    os.environ.pop("TF_NUM_INTEROP_THREADS", None)

    tf = import_tensorflow()
    tf.config.threading.set_intra_op_parallelism_threads(pins.intra_op_threads)
    # Devices that wait for one another each need threads, or none of them gets on.
    at_once = pins.inter_op_threads if devices == 1 else max(pins.inter_op_threads, 4 * devices)
    tf.config.threading.set_inter_op_parallelism_threads(at_once)
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    tf.config.experimental.enable_op_determinism()
    if pins.backend == "jax":
        _pin_jax(pins, devices)
    elif devices > 1:
        _share(devices, gpus)

    import keras

    keras.utils.set_random_seed(seed)
    policy = {"float32": "float32", "bfloat16": "mixed_bfloat16"}[pins.precision]
    keras.config.set_dtype_policy(policy)


def _share(devices: int, gpus: list[Any]) -> None:
    """Make `devices` devices there: the GPUs, or where there is none the CPU cut in so many.

    Raises UserError when there are GPUs, but too few.
    """
    import tensorflow as tf

    if gpus and len(gpus) < devices:
        raise UserError(f"train.devices: {devices}, but this machine has {len(gpus)} GPU(s); lower it")
    if not gpus:
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * devices)


def _pin_jax(pins: Pins, devices: int) -> None:
    """Leave the GPUs to JAX; TensorFlow only reads the data."""
    import tensorflow as tf

    tf.config.set_visible_devices([], "GPU")
    os.environ["NPROC"] = str(pins.intra_op_threads)  # the size of XLA's thread pool on a CPU
    if importlib.util.find_spec("jax") is None:
        raise UserError("train.backend: jax needs JAX; install it with `pip install 'emotion[jax]'`")
    processes.join(devices)
