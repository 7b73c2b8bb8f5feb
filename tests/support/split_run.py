"""The split stage, run on an archive or on pictures, and all that it writes."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from emotion.dataset.archive.faces import Dataset, write_archive
from stages.split import SplitParams, split

VALUES: dict[str, Any] = {
    "val_fraction": 0.2,
    "test_fraction": 0.2,
    "validation": "train",
    "votes": {"outlier_votes": 1, "agreement": "majority"},
    "seed": 0,
    "group_duplicates": "near",
    "group_by": "",
    "drop_train_copies_of_test": False,
    "near": {"max_hash_distance": 10, "min_correlation": 0.95},
}


class Outcome(NamedTuple):
    """What the stage writes."""

    train: pd.DataFrame
    val: pd.DataFrame
    test: pd.DataFrame
    copies: pd.DataFrame
    report: dict[str, Any]

    def places(self) -> dict[str, str]:
        """Path -> the split it lies in; raises where a path lies in two."""
        rows = [(path, name) for name in ("train", "val", "test") for path in getattr(self, name)["path"]]
        assert len(rows) == len(dict(rows))
        return dict(rows)


def run(archive: Path, folder: Path, **changes: Any) -> Outcome:
    names = ("train", "val", "test", "copies")
    paths = {name: folder / "out" / f"{name}.csv" for name in names}
    facts = folder / "facts.csv"
    folder.mkdir(parents=True, exist_ok=True)
    if not facts.exists():
        facts.write_text("path\n")
    split(
        archive,
        facts,
        **paths,
        report=folder / "out" / "split.json",
        params=SplitParams.model_validate({**VALUES, **changes}),
    )
    tables = [pd.read_csv(path, dtype={"label": str}, keep_default_na=False) for path in paths.values()]
    return Outcome(*tables, json.loads((folder / "out" / "split.json").read_text()))


def run_on(files: dict[str, bytes], folder: Path, **changes: Any) -> Outcome:
    write_archive(Dataset(files, bytes), folder / "faces.zip")
    return run(folder / "faces.zip", folder, **changes)
