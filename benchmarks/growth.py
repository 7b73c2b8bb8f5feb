"""How time and memory of the pipeline grow with the data: FER2013, then 1, 10 and 20 times as many drawn pictures.

    python -m benchmarks.growth [fer2013.zip] [--folder /somewhere/with/8/GB] [--images 35887]

Adds to benchmarks/results/growth.json. FER2013 is measured where its zip is given, with the time of `dvc repro` where
nothing is left to do, so run `make repro` first. The largest data set is measured where there is a --folder for it; an
archive that lies there from an earlier run is used again. The drawn pictures are noise at 12 px, enlarged to 48 px, a
tenth of them brightened copies of others, stored as JPEG. Training is a few steps on the records that preprocess
wrote: its memory does not depend on how many.
"""

import json
import multiprocessing
import sys
import tempfile
import zipfile
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.support.processes import (
    PARAMS,
    RESULTS,
    ROOT,
    begin,
    figures_of,
    parser_of,
    run,
    run_data_stages,
    run_stage,
    significant,
    write_params,
)
from emotion.foundation.files import write_json

FER2013 = 35_887
TIMES, TIMES_LARGEST = 10, 20
_LABELS = ("angry", "happy", "sad")
_BLOCK = 4096
_SPLIT = {
    **{"val_fraction": 0.2, "test_fraction": 0.2, "seed": 0, "validation": "train"},
    **{"votes": {"outlier_votes": 1, "agreement": "majority"}, "drop_train_copies_of_test": False},
    **{"group_duplicates": "near", "group_by": "", "near": {"max_hash_distance": 10, "min_correlation": 0.95}},
}
_PREPROCESS = {"size_px": 48, "channels": 1, "max_bad_fraction": 0.0}
Figures = dict[str, Any]


def draw(number: int) -> bytes:
    """One picture as JPEG, a function of its number alone."""
    is_copy = number >= 1000 and number % 10 == 0
    rng = np.random.default_rng(number - 999 if is_copy else number)
    coarse = rng.integers(0, 230, (12, 12), dtype=np.uint8)
    picture = cv2.resize(coarse, (48, 48), interpolation=cv2.INTER_CUBIC)
    return cv2.imencode(".jpg", cv2.add(picture, 20) if is_copy else picture)[1].tobytes()


def write_archive(path: Path, images: int) -> None:
    """Draw the pictures; one in ten is a brightened copy of the one 999 before it."""
    with zipfile.ZipFile(path.with_suffix(".part"), "w", zipfile.ZIP_STORED) as archive, ThreadPoolExecutor() as pool:
        for start in range(0, images, _BLOCK):
            numbers = range(start, min(start + _BLOCK, images))
            for number, content in zip(numbers, pool.map(draw, numbers), strict=True):
                split = "test" if number % 5 == 0 else "train"
                archive.writestr(f"{split}/{_LABELS[number % 3]}/{number:07d}.jpg", content)
    path.with_suffix(".part").rename(path)


def measure_stages(images: int, folder: Path) -> Figures:
    """Cost of split and preprocess on so many drawn pictures; leaves the training records in folder/records."""
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    write_params({"split": _SPLIT, "preprocess": _PREPROCESS}, folder)
    archive = folder / f"faces_{images}.zip"
    if not archive.exists():  # drawn by another process, whose memory would else count as the stages' (see `run`)
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as other:
            other.submit(write_archive, archive, images).result()
    indexes = {name: f"{name}.csv" for name in ("train", "val", "test", "copies")}
    preprocess = {"index": "train.csv", "records": "records", "report": "preprocess.json"}
    costs = {
        "split": run_stage("split", folder, archive=archive, **indexes, report="split.json"),
        "preprocess": run_stage("preprocess", folder, archive=archive, **preprocess),
    }
    return {"images": images, **{name: cost._asdict() for name, cost in costs.items()}}


def measure_drawn(images: int) -> Figures:
    """The same, and how many faces training holds, their pixels' MB, and its memory."""
    with tempfile.TemporaryDirectory() as name:
        stages = measure_stages(images, Path(name))
        records = Path(name).resolve() / "records"
        training = figures_of("benchmarks.steps", "rates", records=records, params=PARAMS, steps=3, rounds=1)
    print(stages, flush=True)
    return {**stages, "training": {name: training[name] for name in ("images", "pixels_mb", "peak_memory_mb")}}


def measure_fer2013(zip_file: Path) -> Figures:
    """Whole-process seconds of the data stages on FER2013, and of `dvc repro` with nothing to do."""
    with tempfile.TemporaryDirectory() as name:
        costs = run_data_stages(zip_file, Path(name))
    repro = [sys.executable, "-m", "dvc", "repro"]
    run(repro, ROOT)
    seconds = {name: costs[name].seconds for name in ("download", "split", "preprocess")}
    return {"seconds": seconds, "dvc_repro_nothing_to_do_seconds": run(repro, ROOT).cost.seconds}


def growth(small: Figures, large: Figures) -> Figures:
    """How many times the seconds and the memory, and how many bytes a face of training takes."""
    stages = {
        name: {
            figure: significant(large[name][figure] / small[name][figure]) for figure in ("seconds", "peak_memory_mb")
        }
        for name in ("split", "preprocess")
    }
    more_mb = large["training"]["peak_memory_mb"] - small["training"]["peak_memory_mb"]
    more_faces = large["training"]["images"] - small["training"]["images"]
    per_face = {
        "bytes_a_face": round(more_mb * 2**20 / more_faces),
        "pixel_bytes_a_face": round(large["training"]["pixels_mb"] * 2**20 / large["training"]["images"]),
    }
    return {"images": significant(large["images"] / small["images"]), **stages, "training": per_face}


def main() -> None:
    """Measure, write, print."""
    parser = parser_of(__doc__)
    parser.add_argument("zip_file", type=Path, nargs="?", help="FER2013; without it drawn pictures only")
    parser.add_argument("--images", type=int, default=FER2013, help="the smallest number (default: FER2013's)")
    parser.add_argument("--folder", type=Path, help="for the largest data set; without it that is not measured")
    arguments, here = begin(parser)
    kept, images = RESULTS / "growth.json", arguments.images
    results = json.loads(kept.read_text()) if kept.exists() else {}
    if arguments.zip_file:
        results["fer2013"] = {**here, **measure_fer2013(arguments.zip_file)}
    small, large = measure_drawn(images), measure_drawn(TIMES * images)
    results["drawn"] = {**here, "small": small, "large": large, "growth": growth(small, large)}
    if arguments.folder:
        results["largest"] = {**here, **measure_stages(TIMES_LARGEST * images, arguments.folder)}
    write_json(kept, results)
    print(kept.read_text())


if __name__ == "__main__":
    main()
