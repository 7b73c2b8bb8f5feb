"""Images in files: what an array would give, while memory stays small."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotion.dataset.records.stored_images import StoredImages
from emotion.foundation import files
from emotion.foundation.errors import UserError
from tests.support import tiny

IMAGES = np.random.default_rng(0).integers(0, 256, (10, 3, 4, 1), dtype=np.uint8)
COUNTS = [4, 0, 6]


def stored(folder: Path) -> StoredImages:
    """IMAGES in three files, the second empty, with ever more bytes between them."""
    offsets, files, row = [], [], 0
    for number, count in enumerate(COUNTS):
        content = b""
        for image in IMAGES[row : row + count]:
            content += bytes(len(offsets))
            offsets.append(len(content))
            content += image.tobytes()
        row += count
        files.append(folder / f"{number}")
        files[-1].write_bytes(content)
    return StoredImages(files, COUNTS, np.array(offsets), IMAGES.shape[1:])


@given(rows=st.lists(st.integers(0, 9)), begin=st.integers(-12, 12), end=st.integers(-12, 12))
def test_rows_and_slices_are_those_of_an_array(
    tmp_path_factory: pytest.TempPathFactory, rows: list[int], begin: int, end: int
) -> None:
    images = stored(tmp_path_factory.mktemp("stored"))
    assert images.shape == IMAGES.shape and len(images) == 10
    np.testing.assert_array_equal(images[rows], IMAGES[np.array(rows, int)])
    np.testing.assert_array_equal(images[begin:end], IMAGES[begin:end])


@pytest.mark.parametrize("row", [-1, 10])
def test_a_row_that_is_not_there_is_an_error(tmp_path: Path, row: int) -> None:
    with pytest.raises(IndexError, match="of 10 images"):
        stored(tmp_path)[[0, row]]


def test_without_pread_the_same_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_pread", files._seek_and_read)
    np.testing.assert_array_equal(stored(tmp_path)[[7, 2]], IMAGES[[7, 2]])


def test_a_file_that_is_replaced_stays_readable_and_one_cut_off_is_named(tmp_path: Path) -> None:
    images = stored(tmp_path)
    (tmp_path / "other").write_bytes(b"")
    (tmp_path / "other").replace(tmp_path / "0")
    np.testing.assert_array_equal(images[:4], IMAGES[:4])
    os.truncate(tmp_path / "2", 30)
    with pytest.raises(UserError, match=r"2 has become shorter while it was read; run preprocess again"):
        images[9:]


def test_files_are_closed_with_the_images(tmp_path: Path) -> None:
    images = stored(tmp_path)
    opened = list(images._open)
    del images
    for file in opened:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(file)


PEAK = r"""
import re, sys
from pathlib import Path
import tensorflow as tf
from emotion.dataset.records.tfrecords import open_records
from emotion.dataset.examples import labelled
from emotion.training.batches import evaluation_batches, training_batches

faces = labelled(open_records(Path(sys.argv[1])), list("abc"))
given = {"batch_size": 64}
lighter = lambda images, seed: tf.cast(images, tf.float32)
for batches in (
    training_batches(faces, **given, first_epoch=0, epochs=1, seed=0, augment=lighter),
    evaluation_batches(faces, **given),
):
    for batch in batches:
        pass
print(int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) // 1024)
"""

WRITE = """
import sys
from pathlib import Path
import numpy as np
from emotion.dataset.records.tfrecords import write_records

image = np.arange(96 * 96, dtype=np.uint8).reshape(96, 96, 1)
faces = ((image + row % 256, row % 3) for row in range(int(sys.argv[2])))
write_records(faces, Path(sys.argv[1]), labels=list("abc"), size_px=96, channels=1)
"""


def run_python(program: str, *arguments: object) -> str:
    command = [sys.executable, "-c", program, *map(str, arguments)]
    done = subprocess.run(command, env=tiny.environment(), cwd=tiny.ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
def test_the_memory_of_reading_does_not_grow_with_the_faces(tmp_path: Path) -> None:
    peaks_mb = []
    for faces in (2_000, 20_000):
        run_python(WRITE, tmp_path / f"{faces}", faces)
        peaks_mb.append(int(run_python(PEAK, tmp_path / f"{faces}")))
    assert peaks_mb[1] - peaks_mb[0] < 64  # the pixels alone are 158 MB more
