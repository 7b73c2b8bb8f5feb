"""Write docs/data.md and docs/model-card.md from what the pipeline counted and measured.

Run it where the pipeline has run on FER2013: `python -m tools.docs.cards --run . --docs docs`.
"""

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from emotion.dataset.archive.faces import list_faces, read_faces
from emotion.dataset.copies import group_copies, pair_rows
from emotion.dataset.images import decode_image
from emotion.dataset.labels import label_order
from emotion.foundation.params import read_params
from emotion.report.page import render_text

_BLANK_SPREAD = 1.0  # grey levels of standard deviation: a picture below it shows nothing
_TEMPLATES = Path(__file__).parent / "templates"
_SHIPPED = Path(__file__).parents[2] / "emotion/published/score.json"


def data_context(run: Path) -> dict[str, Any]:
    """What the data card says: counts per split and label, copies, conflicts, blanks."""
    archive, copies = run / "data/raw/faces.zip", pd.read_csv(run / "data/split/copies.csv", keep_default_na=False)
    faces = list_faces(archive)
    paths = [face.path for face in faces]
    contents = read_faces(archive, paths)
    blank = {path for path, content in zip(paths, contents, strict=True) if decode_image(content).std() < _BLANK_SPREAD}
    exact = largest_groups(paths, copies[copies["kind"] == "exact"])
    return {
        "data": json.loads((run / "metrics/data.json").read_text()),
        "split": json.loads((run / "metrics/split.json").read_text()),
        "labels": label_order({face.label for face in faces}),
        "faces": len(faces),
        "distinct": len(faces) - int((copies["kind"] == "exact").sum()),
        "blank": len(blank),
        "blank_labels": dict(sorted(Counter(path.split("/")[1] for path in blank).items())),
        "largest": exact,
        "conflicts": conflicts(copies),
    }


def largest_groups(paths: list[str], pairs: pd.DataFrame) -> dict[str, int]:
    """Size of the largest group of equal pictures, and how many labels it has."""
    place = {path: index for index, path in enumerate(paths)}
    first, second = (np.array([place[path] for path in pairs[name]], int) for name in ("first", "second"))
    groups = group_copies(pair_rows(first, second, True, 1.0), len(paths))
    members = np.flatnonzero(groups == np.bincount(groups).argmax())
    return {"pictures": len(members), "labels": len({paths[index].split("/")[1] for index in members})}


def conflicts(copies: pd.DataFrame) -> list[tuple[str, str, int]]:
    """The pairs of labels that copies disagree on most: label, label, pairs of pictures."""
    both = [
        tuple(sorted((first.split("/")[1], second.split("/")[1])))
        for first, second in zip(copies["first"], copies["second"], strict=True)
    ]
    counted = Counter(pair for pair in both if pair[0] != pair[1])
    return [(*pair, count) for pair, count in sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:6]]


def model_context(run: Path) -> dict[str, Any]:
    """What the model card says: metrics, the parameters they belong to, and what the model in the package scores."""
    members = sorted((run / "metrics/train").glob("*.json"))
    return {
        "metrics": json.loads((run / "metrics/evaluate.json").read_text()),
        "split": json.loads((run / "metrics/split.json").read_text()),
        "train": {file.stem: json.loads(file.read_text()) for file in members},
        "params": read_params(run / "params.yaml"),
        "shipped": json.loads(_SHIPPED.read_text()),
    }


def main() -> None:
    """Write both cards."""
    parser = argparse.ArgumentParser(prog="python -m tools.docs.cards", description=main.__doc__)
    parser.add_argument("--run", type=Path, required=True, help="folder where the pipeline ran on FER2013")
    parser.add_argument("--docs", type=Path, required=True, help="folder for data.md and model-card.md")
    arguments = parser.parse_args()
    for name, context in (("data", data_context(arguments.run)), ("model-card", model_context(arguments.run))):
        (arguments.docs / f"{name}.md").write_text(render_text(_TEMPLATES / f"{name}.md.j2", context))


if __name__ == "__main__":
    main()
