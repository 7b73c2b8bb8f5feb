"""What a stage does before it imports anything else: note the files it is made of, and pin the numerical libraries.

Every stage imports this first: NumPy, OpenBLAS and OpenCV choose their kernels while they are being imported.
"""

import hashlib
import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
CODE_FOLDERS, CODE_SUFFIXES = ("emotion", "stages"), (".py", ".j2", ".csv")
PARAMS_FILE = Path("params.yaml")  # in the folder that the stage runs in
_MOST_PARAMS_BYTES = 1_000_001  # that are read of it: parse_params refuses more than a million
PIPELINE_FILE = ROOT / "dvc.yaml"
LOCK_FILE = ROOT / "requirements.lock"

# The same kernels on every x86-64 processor since 2013, whatever newer instructions it has; one thread, as OpenBLAS
# divides a sum among its threads.
_PINS = {
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
    "OPENBLAS_NUM_THREADS": "1",
    "OPENCV_IPP": "disabled",
    "OPENCV_LOG_LEVEL": "ERROR",  # or it reports this each time
}
# Only where the processor has the features: without them OpenBLAS, which does not check, crashes, and OpenCV complains.
_PINS_WITH = {
    ("OPENBLAS_CORETYPE", "Haswell"): {"avx2", "fma"},
    ("OPENCV_CPU_DISABLE", "AVX512-SKX"): {"avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"},
}
_FORGOTTEN = (
    "NPY_ENABLE_CPU_FEATURES",
    "OPENCV_CPU_DISABLE",
    "OPENBLAS_CORETYPE",
    "OPENBLAS_L2_SIZE",
    "OPENBLAS_VERBOSE",
)


@dataclass(frozen=True)
class Start:
    """What the stage found when it began.

    Attributes:
        code: path relative to the project's root -> SHA-256, of every file that a stage may be made of.
        params: the bytes of params.yaml; None where there is none.
        pipeline: the bytes of dvc.yaml.
    """

    code: Mapping[str, str]
    params: bytes | None
    pipeline: bytes

    @classmethod
    def now(cls) -> "Start":
        """Read everything now."""
        return cls(code_digests(), _params(), PIPELINE_FILE.read_bytes())


def code_digests() -> dict[str, str]:
    """SHA-256 of each file of CODE_FOLDERS and of the lock, by its path relative to the project's root."""
    files = [file for folder in CODE_FOLDERS for file in (ROOT / folder).rglob("*") if file.suffix in CODE_SUFFIXES]
    return {
        file.relative_to(ROOT).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted([*files, LOCK_FILE])
        if file.is_file()
    }


def _params() -> bytes | None:
    if not PARAMS_FILE.is_file():
        return None
    try:
        with PARAMS_FILE.open("rb") as file:
            return file.read(_MOST_PARAMS_BYTES)
    except OSError as error:
        sys.exit(f"{PARAMS_FILE} cannot be read ({error.strerror}); change its permissions, or check the disk")


def _pin_libraries() -> None:
    for name in _FORGOTTEN:
        os.environ.pop(name, None)
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return
    from emotion.runtime.processor import features

    os.environ.update(_PINS)
    os.environ.update({name: value for (name, value), needed in _PINS_WITH.items() if needed <= features()})


START = Start.now()
_pin_libraries()
