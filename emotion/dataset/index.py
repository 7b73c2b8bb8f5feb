"""The index of a split: a CSV with one row per face, in the order of its records."""

from pathlib import Path

import pandas as pd


def read_index(path: Path) -> pd.DataFrame:
    """Read an index: path, label, label_index, subset, and for the test split `copy`; labels stay text, even `nan`."""
    return pd.read_csv(path, dtype={"label": str}, keep_default_na=False)


def index_text(table: pd.DataFrame) -> str:
    """Format a table as CSV, with the same bytes on every operating system."""
    return str(table.to_csv(index=False, lineterminator="\n"))
