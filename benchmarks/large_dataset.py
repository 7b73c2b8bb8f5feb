"""Split and preprocess a data set 20 times FER2013 in images: how long it takes, and how much memory at most.

    python -m benchmarks.large_dataset --folder /somewhere/with/8/GB [--images 717740]

Writes benchmarks/results/large_dataset.json. The pictures are noise drawn at 12 px and enlarged to 48 px, a
tenth of them brightened copies of others, stored as JPEG.
"""

import argparse
import multiprocessing
import zipfile
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from benchmarks.processes import RESULTS, Cost, machine, run_stage
from emotion.files import write_json

TIMES, FER2013 = 20, 35_887
_LABELS = ("angry", "happy", "sad")
_BLOCK = 4096
_SPLIT = (
    "val_fraction: 0.2\n  test_fraction: 0.2\n  seed: 0\n  group_duplicates: near\n  drop_train_copies_of_test: false\n"
)
_NEAR = "  near:\n    max_hash_distance: 10\n    min_correlation: 0.95\n"
_PARAMS = f"split:\n  {_SPLIT}{_NEAR}preprocess:\n  size_px: 48\n  channels: 1\n  max_bad_fraction: 0.0\n"


def main() -> None:
    """Make the archive if it is not there, run both stages on it, write and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=TIMES * FER2013, help="default: 20 times FER2013's")
    parser.add_argument("--folder", type=Path, required=True)
    arguments, measured_on = parser.parse_args(), machine()
    stages = {name: cost._asdict() for name, cost in run_both_stages(arguments.images, arguments.folder).items()}
    write_json(RESULTS / "large_dataset.json", {**measured_on, "images": arguments.images, **stages})
    print((RESULTS / "large_dataset.json").read_text())


def run_both_stages(images: int, folder: Path) -> dict[str, Cost]:
    """Run split and preprocess on so many pictures; leaves the training records in folder/records."""
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "params.yaml").write_text(_PARAMS)
    archive = folder / f"faces_{images}.zip"
    if not archive.exists():  # drawn by another process, whose memory would else count as the stages' (see `run`)
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as other:
            other.submit(write_archive, archive, images).result()
    indexes = {name: f"{name}.csv" for name in ("train", "val", "test", "copies")}
    preprocess = {"index": "train.csv", "records": "records", "report": "preprocess.json"}
    return {
        "split": run_stage("split", folder, archive=archive, **indexes, report="split.json"),
        "preprocess": run_stage("preprocess", folder, archive=archive, **preprocess),
    }


def write_archive(path: Path, images: int) -> None:
    """Draw the pictures; one in ten is a brightened copy of the one 1,000 before it."""
    with zipfile.ZipFile(path.with_suffix(".part"), "w", zipfile.ZIP_STORED) as archive, ThreadPoolExecutor() as pool:
        for start in range(0, images, _BLOCK):
            numbers = range(start, min(start + _BLOCK, images))
            for number, content in zip(numbers, pool.map(draw, numbers), strict=True):
                split = "test" if number % 5 == 0 else "train"
                archive.writestr(f"{split}/{_LABELS[number % 3]}/{number:07d}.jpg", content)
    path.with_suffix(".part").rename(path)


def draw(number: int) -> bytes:
    """One picture as JPEG, a function of its number alone."""
    is_copy = number >= 1000 and number % 10 == 0
    rng = np.random.default_rng(number - 999 if is_copy else number)
    coarse = rng.integers(0, 230, (12, 12), dtype=np.uint8)
    picture = cv2.resize(coarse, (48, 48), interpolation=cv2.INTER_CUBIC)
    return cv2.imencode(".jpg", cv2.add(picture, 20) if is_copy else picture)[1].tobytes()


if __name__ == "__main__":
    main()
