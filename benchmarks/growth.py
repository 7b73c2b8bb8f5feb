"""How time and memory of every stage grow with the data: 1, 10 and 25 times FER2013's training set, and large colour.

    python -m benchmarks.growth [--only 1 10 25 colour] [--folder /somewhere/with/20/GB] [--images 28709]

Adds each size to benchmarks/results/growth.json; `python -m tools.docs.performance` draws the picture and writes the
page. Every stage runs as dvc.yaml has it, in a process of its own. The pictures are noise at 12 px, enlarged to 48 px
(in colour to 112 px) and stored as JPEG; a tenth of them are brightened copies of others, and a fifth is for testing.
The network is a small one, for one epoch: what a larger one takes more does not depend on how many pictures there are.
An archive that lies in --folder from an earlier run is used again.
"""

import json
import multiprocessing
import shutil
import sys
import tempfile
import zipfile
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from benchmarks.support.processes import PARAMS, RESULTS, ROOT, begin, editable_params, parser_of, run, write_params
from emotion.foundation.files import write_json
from emotion.foundation.params import read_params

RESULT = RESULTS / "growth.json"
FER2013 = 28_709
_LABELS = ("angry", "happy", "sad")
_BLOCK = 4096
_SMALL_TRAINING: dict[str, dict[str, Any]] = {
    "data": {"source": "local", "votes": "none"},
    "model": {"network": "vgg", "members": [0]},
    "train": {"epochs": 1, "batch_size": 256, "warmup_epochs": 0.1, "early_stopping_patience": 0},
}
_NETWORK = {"width": 4, "blocks": 4, "convolutions": 1, "dense_units": 16}


class Size(NamedTuple):
    """A data set: how many pictures, how wide each is, and its channels."""

    images: int
    side_px: int = 48
    channels: int = 1


def sizes(images: int) -> dict[str, Size]:
    """The data sets by their names, `images` being once."""
    return {
        **{str(times): Size(times * images) for times in (1, 10, 25)},
        "colour": Size(100_000 * images // FER2013, 112, 3),
    }


def draw(number: int, size: Size) -> bytes:
    """One picture as JPEG, a function of its number and the size alone."""
    is_copy = number >= 1000 and number % 10 == 0
    rng = np.random.default_rng(number - 999 if is_copy else number)
    coarse = rng.integers(0, 230, (12, 12, size.channels), dtype=np.uint8)
    picture = cv2.resize(coarse, (size.side_px, size.side_px), interpolation=cv2.INTER_CUBIC)
    return cv2.imencode(".jpg", np.minimum(picture, 235) + 20 if is_copy else picture)[1].tobytes()


def write_pictures(path: Path, size: Size) -> None:
    """Draw the pictures into a zip; one in ten is a brightened copy of the one 999 before it."""
    with zipfile.ZipFile(path.with_suffix(".part"), "w", zipfile.ZIP_STORED) as archive, ThreadPoolExecutor() as pool:
        for start in range(0, size.images, _BLOCK):
            numbers = range(start, min(start + _BLOCK, size.images))
            contents = pool.map(lambda number: draw(number, size), numbers)
            for number, content in zip(numbers, contents, strict=True):
                split = "test" if number % 5 == 0 else "train"
                archive.writestr(f"{split}/{_LABELS[number % 3]}/{number:07d}.jpg", content)
    path.with_suffix(".part").rename(path)


def small_training(size: Size) -> dict[str, Any]:
    """Parameters of one epoch of a small network on pictures of this size."""
    params = editable_params(PARAMS)
    for section, values in _SMALL_TRAINING.items():
        params[section].update(values)
    params["model"]["vgg"].update(_NETWORK)
    params["preprocess"].update(size_px=size.side_px, channels=size.channels)
    return params


def prepare(folder: Path, size: Size) -> dict[str, Any]:
    """Make a folder in which the stages can run: the pictures, and params.yaml, which is returned."""
    params = small_training(size)
    for name in ("data/local", "emotion/report"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "emotion/report/report.html.j2", folder / "emotion/report")
    write_params(params, folder)
    pictures = folder / "data/local/pictures.zip"
    if not pictures.exists():  # drawn by another process, whose memory would else count as the stages' (see `run`)
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as other:
            other.submit(write_pictures, pictures, size).result()
    return params


def commands(params: dict[str, Any]) -> dict[str, list[str]]:
    """The command of every stage, as dvc.yaml has it: stage, or stage@item -> words."""
    stages = read_params(ROOT / "dvc.yaml")["stages"]
    found = {}
    for stage, block in stages.items():
        matrix = block.get("matrix", {})
        key, items = next(iter(matrix.items())) if matrix else ("", [""])
        for item in params["model"]["members"] if isinstance(items, str) else items:
            words = block["cmd"].replace("${data.source}", params["data"]["source"])
            words = words.replace(f"${{item.{key}}}", str(item)).split()
            found[f"{stage}@{item}" if matrix else stage] = [sys.executable, *words[1:]]
    return found


def measure(size: Size, folder: Path) -> dict[str, Any]:
    """Seconds, cores and peak memory of every stage on these pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    costs = {}
    for stage, words in commands(prepare(folder, size)).items():
        costs[stage] = run(words, folder).cost._asdict()
        print(stage, costs[stage], flush=True)
    shutil.rmtree(folder / ".cache")  # a training is not to go on from an earlier one
    return {**size._asdict(), "stages": costs}


def main() -> None:
    """Measure, add to the JSON, print."""
    parser = parser_of(__doc__)
    parser.add_argument("--images", type=int, default=FER2013, help="once; by default FER2013's training images")
    parser.add_argument("--only", nargs="+", choices=list(sizes(1)), default=list(sizes(1)), help="the data sets")
    parser.add_argument("--folder", type=Path, help="where to work, and to leave everything; else a temporary folder")
    arguments, here = begin(parser)
    for name in arguments.only:
        with tempfile.TemporaryDirectory() as temporary:
            folder = (arguments.folder or Path(temporary)).resolve() / name
            measured = {**here, **measure(sizes(arguments.images)[name], folder)}
        results = json.loads(RESULT.read_text()) if RESULT.exists() else {}
        write_json(RESULT, {**results, name: measured})


if __name__ == "__main__":
    main()
