"""The pins that must be set before TensorFlow or Keras is imported, and those that follow right after."""

import importlib.util
import os
import platform
import sys
from typing import Any, Literal

from emotion.foundation.errors import UserError
from emotion.runtime import processes, processor
from emotion.runtime.quiet import import_tensorflow

# oneDNN everywhere: left alone, TensorFlow uses it on some processors only.
_ALWAYS = {"TF_ENABLE_ONEDNN_OPTS": "1", "ONEDNN_DEFAULT_FPMATH_MODE": "STRICT"}
# The same float32 bits on every x86-64 processor since 2013: limited to these instructions, oneDNN computes the
# same sums in the same order, whatever newer ones the processor has and however large its caches are.
_PORTABLE = {"ONEDNN_MAX_CPU_ISA": "AVX2"}
# What else TensorFlow and oneDNN would take from the environment.
_FORGOTTEN = (
    "DNNL_DEFAULT_FPMATH_MODE",
    "DNNL_MAX_CPU_ISA",
    "ONEDNN_MAX_CPU_ISA",
    "TENSORFLOW_USE_CUSTOM_CONTRACTION_KERNEL",
    "TF_NUM_INTEROP_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_SET_ONEDNN_FPMATH_MODE",
    "TF_XLA_FLAGS",
)
_NEEDED = frozenset({"avx2", "fma"})  # of the processor, as Linux names its features


def pin(
    *,
    portable: bool,
    intra_op_threads: int,
    inter_op_threads: int,
    seed: int,
    backend: Literal["tensorflow", "jax"] = "tensorflow",
    precision: Literal["float32", "bfloat16"] = "float32",
    devices: int = 1,
) -> None:
    """Make this process compute the same bits as every other one with the same pins and seed.

    Args:
        portable: the same bits on every x86-64 processor with AVX2 and FMA; else only on one type of them. Where it
            cannot hold (another processor, a GPU), one warning on stderr says so.
        intra_op_threads: threads of one operation; part of the result.
        inter_op_threads: operations at once.
        seed: of Python, NumPy and Keras.
        backend: of Keras.
        precision: bfloat16 is mixed: float32 weights.
        devices: GPUs, or parts of the CPU, that share each batch.

    Must run before Keras is imported; otherwise raises RuntimeError.
    """
    if "keras" in sys.modules:
        raise RuntimeError("pin() must run before keras is imported: backend and kernels are chosen at import")
    for name in _FORGOTTEN:
        os.environ.pop(name, None)
    os.environ.update({"KERAS_BACKEND": backend, **_ALWAYS, **(_PORTABLE if portable else {})})

    tf = import_tensorflow()
    tf.config.threading.set_intra_op_parallelism_threads(intra_op_threads)
    # Devices that wait for one another each need threads, or none makes progress.
    at_once = inter_op_threads if devices == 1 else max(inter_op_threads, 4 * devices)
    tf.config.threading.set_inter_op_parallelism_threads(at_once)
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    tf.config.experimental.enable_op_determinism()
    if portable and (limit := what_limits_portable(platform.machine(), processor.features(), gpus=len(gpus))):
        print(f"warning: {limit}; the run goes on", file=sys.stderr)
    if backend == "jax":
        _pin_jax(intra_op_threads, devices)
    elif devices > 1:
        _share(devices, gpus)

    import keras

    keras.utils.set_random_seed(seed)
    policy = {"float32": "float32", "bfloat16": "mixed_bfloat16"}[precision]
    keras.config.set_dtype_policy(policy)


def what_limits_portable(machine: str, features: frozenset[str], *, gpus: int) -> str:
    """Say why `portable: true` cannot hold here, and what holds instead; empty where it holds.

    Args:
        machine: what `platform.machine()` calls the processor's architecture.
        features: of the processor, as Linux names them; empty where unknown, which is assumed to be enough.
        gpus: how many TensorFlow uses.
    """
    if gpus:
        return "portable: true holds on CPUs, and this run uses a GPU: its bits may not repeat in another run"
    if machine.lower() not in ("x86_64", "amd64"):
        other = f"this one is {machine}"
    elif missing := _NEEDED - features if features else frozenset():
        other = f"this one lacks {' and '.join(name.upper() for name in sorted(missing))}"
    else:
        return ""
    return (
        f"portable: true holds on x86-64 processors with AVX2 and FMA, and {other}: "
        "its bits differ from those of dvc.lock, and repeat only on processors of its own type"
    )


def _share(devices: int, gpus: list[Any]) -> None:
    """Provide `devices` devices: the GPUs or, without any, as many parts of the CPU.

    Raises UserError when there are GPUs, but too few.
    """
    import tensorflow as tf

    if gpus and len(gpus) < devices:
        raise UserError(f"train.devices: {devices}, but this machine has {len(gpus)} GPU(s); lower it")
    if not gpus:
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * devices)


def _pin_jax(intra_op_threads: int, devices: int) -> None:
    """Leave the GPUs to JAX; TensorFlow only reads the data."""
    import tensorflow as tf

    tf.config.set_visible_devices([], "GPU")
    os.environ["NPROC"] = str(intra_op_threads)  # the size of XLA's thread pool on a CPU
    if importlib.util.find_spec("jax") is None:
        raise UserError("train.backend: jax needs JAX; in the project's folder: python -m pip install -e '.[jax]'")
    processes.join(devices)
