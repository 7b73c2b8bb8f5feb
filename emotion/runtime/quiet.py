"""Silence what libraries print from C++, as TensorFlow does before its log level applies (tensorflow#100442)."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType


def import_tensorflow() -> ModuleType:
    """Import TensorFlow and look for GPUs, dropping what is written to stderr meanwhile; exceptions still show."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with quietly():
        import tensorflow

        tensorflow.config.list_physical_devices("GPU")
    return tensorflow


@contextmanager
def quietly() -> Iterator[None]:
    """Drop what is written to stderr meanwhile, by C++ too."""
    sys.stderr.flush()
    saved, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)
