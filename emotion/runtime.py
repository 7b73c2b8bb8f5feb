"""The pins that must be set before TensorFlow or Keras is imported, and those that follow right after."""

import os
import sys

from emotion.quiet import import_tensorflow
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
    os.environ.update({"KERAS_BACKEND": recipe.backend})
    os.environ.update(_PORTABLE if recipe.portable else _FAST)
    os.environ.pop("TF_NUM_INTRAOP_THREADS", None)
    os.environ.pop("TF_NUM_INTEROP_THREADS", None)

    tf = import_tensorflow()
    tf.config.threading.set_intra_op_parallelism_threads(recipe.intra_op_threads)
    tf.config.threading.set_inter_op_parallelism_threads(recipe.inter_op_threads)
    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)
    tf.config.experimental.enable_op_determinism()

    import keras

    keras.utils.set_random_seed(seed)
    policy = {"float32": "float32", "bfloat16": "mixed_bfloat16"}[recipe.precision]
    keras.config.set_dtype_policy(policy)
