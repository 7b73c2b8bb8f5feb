"""A bound on what opening a model may take: a file of a few kilobytes can describe a network of any size."""

import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_BASE_BYTES = 1_500_000_000  # TensorFlow takes 500 million with a network of this project
_PER_CORE_BYTES = 64_000_000  # threads and their stacks
_PER_MODEL_BYTE = 4  # the file's bytes, the weights, and copies of both
_DATA = re.compile(r"^VmData:\s+(\d+) kB", re.MULTILINE)
_one_at_a_time = threading.Lock()


@contextmanager
def memory_bound(path: Path) -> Iterator[None]:
    """Let this process take so much more memory as opening the model at `path` may need; what asks for more fails.

    The bound is for memory that is written to (RLIMIT_DATA), of the whole process, and gone at the end. Nothing is
    bounded on other systems than Linux, nor beside an NVIDIA driver, which maps more than it takes.
    """
    if sys.platform != "linux" or Path("/dev/nvidiactl").exists():
        yield
        return
    import resource

    more = _BASE_BYTES + _PER_CORE_BYTES * (os.cpu_count() or 1) + _PER_MODEL_BYTE * path.stat().st_size
    with _one_at_a_time:
        soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
        bounds = [_taken_bytes() + more, *(limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY)]
        resource.setrlimit(resource.RLIMIT_DATA, (min(bounds), hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _taken_bytes() -> int:
    found = _DATA.search(Path("/proc/self/status").read_text())
    return 1024 * int(found[1]) if found else 0
