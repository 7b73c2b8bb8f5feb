"""The pins that must be set before TensorFlow or Keras is imported, and those that follow right after."""

import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from emotion import processes
from emotion.errors import UserError
from emotion.recipe import Recipe

# What makes TensorFlow's float32 results the same on every x86-64 CPU: no kernels chosen by instruction set.
_PORTABLE = {"TF_ENABLE_ONEDNN_OPTS": "0", "TENSORFLOW_USE_CUSTOM_CONTRACTION_KERNEL": "0"}
_FAST = {"TF_ENABLE_ONEDNN_OPTS": "1"}


def pin(recipe: Recipe, *, seed: int) -> None:
    """Make this process compute the same bits as every other one with the same recipe and seed.

    Backend, instruction sets, threads, precision, determinism and the global seeds. Must run before Keras is imported;
    raises RuntimeError when it does not.
    """
    if "keras" in sys.modules:
        raise RuntimeError("pin() must run before keras is imported: backend and kernels are chosen at import")
    os.environ.update({"KERAS_BACKEND": recipe.backend, "TF_CPP_MIN_LOG_LEVEL": "2"})
    os.environ.update(_PORTABLE if recipe.portable else _FAST)
    os.environ.pop("TF_NUM_INTRAOP_THREADS", None)
    os.environ.pop("TF_NUM_INTEROP_THREADS", None)

    with _quietly():
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
    tf.config.threading.set_intra_op_parallelism_threads(recipe.intra_op_threads)
    tf.config.threading.set_inter_op_parallelism_threads(recipe.inter_op_threads)
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    tf.config.experimental.enable_op_determinism()
    if recipe.backend == "jax":
        _pin_jax(recipe)
    elif recipe.devices > 1:
        _share(recipe.devices, gpus)

    import keras

    keras.utils.set_random_seed(seed)
    policy = {"float32": "float32", "bfloat16": "mixed_bfloat16"}[recipe.precision]
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


def _pin_jax(recipe: Recipe) -> None:
    """Leave the GPUs to JAX; TensorFlow only reads the data."""
    import tensorflow as tf

    tf.config.set_visible_devices([], "GPU")
    os.environ["NPROC"] = str(recipe.intra_op_threads)  # the size of XLA's thread pool on a CPU
    if importlib.util.find_spec("jax") is None:
        raise UserError("train.backend: jax needs JAX; install it with `pip install 'emotion[jax]'`")
    processes.join(recipe.devices)


@contextmanager
def _quietly() -> Iterator[None]:
    """Drop what TensorFlow's C++ writes to stderr before its own log level counts (tensorflow#100442)."""
    sys.stderr.flush()
    saved, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)
