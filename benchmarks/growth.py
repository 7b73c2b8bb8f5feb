"""How time and memory grow from 1 to 10 times the images: split, preprocess, and the memory of training.

    python -m benchmarks.growth [--images 28709]

Writes benchmarks/results/growth.json. The pictures are drawn by benchmarks/large_dataset.py. Training is a few steps on
the records that preprocess wrote: its memory does not depend on how many.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.large_dataset import run_both_stages
from benchmarks.processes import RESULTS, figures_of, machine, significant
from emotion.files import write_json

TIMES = 10
FER2013_TRAIN = 28_709
Figures = dict[str, Any]


def measure(images: int, folder: Path) -> Figures:
    """Cost of each stage on so many pictures; training also says how many faces it holds, and their pixels' MB."""
    stages = {name: cost._asdict() for name, cost in run_both_stages(images, folder).items()}
    training = figures_of("benchmarks.input_lead", folder / "records", "--steps=3", "--rounds=1")
    held = {name: training[name] for name in ("images", "pixels_mb", "peak_memory_mb")}
    return {"images": images, **stages, "training": held}


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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=FER2013_TRAIN, help="the smaller number (default: FER2013's)")
    arguments, measured_on = parser.parse_args(), machine()
    figures = []
    for images in (arguments.images, TIMES * arguments.images):
        with tempfile.TemporaryDirectory() as name:
            figures.append(measure(images, Path(name)))
        print(figures[-1], flush=True)
    small, large = figures
    write_json(RESULTS / "growth.json", {**measured_on, "small": small, "large": large, "growth": growth(small, large)})
    print((RESULTS / "growth.json").read_text())


if __name__ == "__main__":
    main()
