"""How fast training reads its records: from memory, from the disk, and where the data is twice the memory.

    python -m benchmarks.reading [--limit-mb 1536] [--folder /somewhere/with/8/GB]

Writes benchmarks/results/reading.json. First, 100,000 pictures of 48 px are written as TFRecords, and a fifth of them
is read in random order, in batches: where the operating system still holds the files in memory, and after it was told
to forget them. Then the train stage trains a small network for one epoch on colour pictures of 112 px, of which there
are twice --limit-mb: once with all the memory of the machine, once in a Linux control group that gives the process and
the files that are kept in memory for it --limit-mb together. That takes the right to make one (root). Before each, the
operating system forgets the files. All pictures are noise.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.growth import Size, small_training
from benchmarks.support.processes import (
    RESULTS,
    begin,
    figures_of,
    first_epoch_seconds,
    parser_of,
    run_train,
    write_params,
)
from emotion.foundation.files import write_json
from emotion.runtime.quiet import import_tensorflow

RESULT = RESULTS / "reading.json"
SMALL = Size(100_000)
_SIDE_PX, _CHANNELS, _BATCH_SIZE = 112, 3, 64  # of the pictures that are twice the memory
_VAL_IMAGES = 1024
_LABELS = ["angry", "happy", "sad"]
_GROUPS = (  # where control groups are made, and the file of a group that limits its memory: version 1, version 2
    (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"),
    (Path("/sys/fs/cgroup"), "memory.max"),
)


def write_noise(folder: Path, size: Size) -> int:
    """Write pictures of noise as TFRecords, in a process of its own; returns the MB of their files."""
    figures_of("benchmarks.reading", "write_records_of_noise", folder=folder, size=size)
    return sum(path.stat().st_size for path in folder.iterdir()) >> 20


def write_records_of_noise(folder: str, size: Sequence[int]) -> dict[str, int]:
    """Write them, in this process."""
    import_tensorflow()  # quietly
    from emotion.dataset.records.tfrecords import write_records

    images, side_px, channels = size
    rng, shape = np.random.default_rng(0), (side_px, side_px, channels)
    faces = ((rng.integers(0, 256, shape, np.uint8), number % len(_LABELS)) for number in range(images))
    write_records(faces, Path(folder), labels=_LABELS, size_px=side_px, channels=channels, crowd_labels=[])
    return {}


def reading_rates(folder: str) -> dict[str, int]:
    """Pictures a second, read in random order from records that have just been written there."""
    import_tensorflow()  # quietly
    from emotion.dataset.records.tfrecords import open_records

    images = open_records(Path(folder)).images
    rows = np.random.default_rng(0).permutation(len(images))[: len(images) // 5]
    found = {}
    for name in ("in_memory", "from_disk"):
        if name == "from_disk":
            forget(Path(folder))
        began = time.perf_counter()
        for start in range(0, len(rows), 128):
            images[rows[start : start + 128]]
        found[name] = round(len(rows) / (time.perf_counter() - began))
    return {"pictures": len(images), "read": len(rows), **found}


def forget(folder: Path) -> None:
    """Let the operating system drop what it keeps of a folder's files; they are on the disk before."""
    for path in folder.iterdir():
        file = os.open(path, os.O_RDONLY)
        os.fsync(file)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(file)


@contextmanager
def limited_memory(mb: int) -> Iterator[None]:
    """Give this process and those that it starts only so much memory, the files' pages that are kept included.

    Ends the program where no control group can be made.
    """
    for parent, limit in _GROUPS:
        group = parent / f"emotion-{os.getpid()}"
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            if (group / limit).exists():
                (group / limit).write_text(str(mb << 20))
                (group / "cgroup.procs").write_text(str(os.getpid()))
                yield
                return
        finally:
            (parent / "cgroup.procs").write_text(str(os.getpid()))
            group.rmdir()
    raise SystemExit("error: no control group can be made here; that needs Linux, and root")


def train_once(folder: Path) -> dict[str, Any]:
    """Cost of training for one epoch on the records in a folder, which the operating system has forgotten before."""
    for split in ("train", "val"):
        forget(folder / split)
    shutil.rmtree(folder / "state", ignore_errors=True)  # or it would go on from the training before
    cost = run_train(folder)
    return {"epoch_seconds": first_epoch_seconds(folder), **cost._asdict()}


def twice_the_memory(folder: Path, limit_mb: int) -> dict[str, Any]:
    """Train on records of twice `limit_mb`: with all the machine's memory, and with `limit_mb` of it."""
    size = Size(2 * (limit_mb << 20) // (_SIDE_PX**2 * _CHANNELS), _SIDE_PX, _CHANNELS)
    splits = {"train": size, "val": size._replace(images=_VAL_IMAGES)}
    mb = {split: write_noise(folder / split, one) for split, one in splits.items()}
    params = small_training(size)
    params["train"]["batch_size"] = _BATCH_SIZE
    write_params(params, folder)
    enough = train_once(folder)
    with limited_memory(limit_mb):
        limited = train_once(folder)
    about = {"limit_mb": limit_mb, **size._asdict(), "records_mb": mb["train"], "batch_size": _BATCH_SIZE}
    return {**about, "enough": enough, "limited": limited}


def main() -> None:
    """Measure, write, print."""
    parser = parser_of(__doc__)
    parser.add_argument("--limit-mb", type=int, default=1536, help="of the second measurement (default 1536)")
    parser.add_argument("--folder", type=Path, help="where to work; else a temporary folder")
    arguments, here = begin(parser)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        small = Path(name) / "small"
        write_noise(small, SMALL)
        rates = figures_of("benchmarks.reading", "reading_rates", folder=small)
        figures = {**here, **rates, "twice": twice_the_memory(Path(name), arguments.limit_mb)}
    write_json(RESULT, figures)
    print(RESULT.read_text())


if __name__ == "__main__":
    main()
