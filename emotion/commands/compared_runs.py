"""A run by its name: a Git revision, a folder such as `results/fer2013`, or a table of predictions."""

import csv
import io
import os
from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from emotion.evaluation.predictions import Predictions, read_predictions
from emotion.foundation.errors import UserError
from emotion.foundation.files import number, read_small
from emotion.palette import LINES
from emotion.report.charts import drawn, png

TRACKED = "data/predictions.csv"  # where a revision of this project keeps its predictions
HISTORY = "metrics/history"  # and its learning curves, one table a member
_QUANTITIES = {"val_accuracy": "validation accuracy (fraction)", "val_loss": "validation loss (nats)"}
_EXPECTED = "expected the table that a training writes"
_NOT_FINITE = ("", "nan", "inf", "-inf")
_MOST_BYTES, _MOST_HISTORY_BYTES = 100_000_000, 10_000_000  # of a table of predictions and of one of curves
_STYLES = ("-", "--", ":", "-.")  # of the members


def load_predictions(source: str) -> Predictions:
    """Read predictions from a CSV file, a folder that holds one, or as a Git revision tracks them (through DVC).

    Raises UserError when `source` is none of them, and says how to get what a revision lacks.
    """
    if not os.path.lexists(source):
        return read_predictions(_tracked_predictions(source))
    path = _table_in(Path(source))
    if path is None:
        raise UserError(f"the folder {source} holds neither predictions.csv nor {TRACKED}; name a published result")
    content = read_small(path, _MOST_BYTES)
    try:
        return read_predictions(content.decode())
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not text in UTF-8 ({error.reason}); name a table of predictions") from None


def load_curves(source: str) -> dict[str, pd.DataFrame]:
    """Read a run's learning curves, member -> table, from the folder, from beside the table, or from the revision.

    Raises UserError when it has none with a validation set, or one that is damaged.
    """
    tables = {PurePosixPath(name).stem: read_curves(name, content) for name, content in _histories(source).items()}
    if found := {member: table for member, table in sorted(tables.items()) if set(_QUANTITIES) <= set(table)}:
        return found
    raise UserError(f"{source} has no validation curves in {HISTORY}; --plot draws Git revisions and folders with some")


def read_curves(name: str, content: bytes) -> pd.DataFrame:
    """Read a table of learning curves: its columns epoch, val_accuracy and val_loss, as far as it has them.

    Raises UserError, which begins with `name`: not text, not a table, no epoch, or what is not a number.
    """
    try:
        header, *rows = [row for row in csv.reader(io.StringIO(content.decode()), strict=True) if row] or [[]]
    except UnicodeDecodeError:
        raise UserError(f"{name} is not text in UTF-8; {_EXPECTED}") from None
    except csv.Error as error:
        raise UserError(f"{name} is not a table ({error}); {_EXPECTED}") from None
    if "epoch" not in header or len(set(header)) < len(header):
        raise UserError(f"{name} has no column `epoch`, or a column twice; {_EXPECTED}")
    columns = {}
    for column in (each for each in ("epoch", *_QUANTITIES) if each in header):
        place = header.index(column)
        columns[column] = [_figure(row, place, f"{name}, row {index}") for index, row in enumerate(rows, start=1)]
    if any(len(row) != len(header) for row in rows):
        raise UserError(f"{name} is cut off: a row has fewer or more fields than the first line; {_EXPECTED}")
    if not np.isfinite(columns["epoch"]).all():
        raise UserError(f"{name} has an epoch without a number; {_EXPECTED}")
    return pd.DataFrame(columns)


def files_of(source: str) -> list[Path]:
    """The files that a run is read from; none of a Git revision."""
    if not os.path.lexists(source):
        return []
    table, folder = _table_in(Path(source)), _history_folder(Path(source))
    return [*([table] if table else []), *(folder.glob("*.csv") if folder else [])]


def draw_curves(runs: Mapping[str, Mapping[str, pd.DataFrame]]) -> bytes:
    """Draw validation accuracy and loss of several runs over the epochs, as a PNG: a colour a run, a line a member.

    Args:
        runs: name of the run -> member -> columns epoch, val_accuracy and val_loss.
    """
    with drawn(11, 4.4, ncols=2) as (figure, both):
        for axes, (column, title) in zip(both, _QUANTITIES.items(), strict=True):
            for (run, members), colour in zip(runs.items(), cycle(LINES), strict=False):
                for (member, table), style in zip(members.items(), cycle(_STYLES), strict=False):
                    label = run if len(members) == 1 else f"{run}, member {member}"
                    axes.plot(table["epoch"], table[column], style, marker=".", color=colour, label=label)
            axes.set(xlabel="epoch", ylabel=title)
            axes.xaxis.get_major_locator().set_params(integer=True)
        both[0].legend(fontsize="small")
        return png(figure)


def _tracked_predictions(revision: str) -> str:
    import dvc.api
    from dvc.exceptions import DvcException, PathMissingError
    from scmrepo.exceptions import SCMError

    try:
        return dvc.api.read(TRACKED, rev=revision)
    except (DvcException, SCMError, OSError) as error:
        reason = f"{_refusal(revision)} ({error}); name one, or a published result such as results/fer2013"
        try:
            lock = dvc.api.read("dvc.lock", rev=revision)
        except PathMissingError:
            lock = ""
        except (DvcException, SCMError, OSError):
            raise UserError(reason) from None
    if TRACKED not in lock:
        raise UserError(
            f"the revision {revision!r} has no {TRACKED}: it was committed without a run; check it out, run "
            "`dvc repro` and commit dvc.lock, or name another"
        )
    raise UserError(
        f"the predictions of {revision!r} are not in this clone's cache; `dvc fetch --all-commits` gets them "
        f"where there is a remote, else `dvc repro` makes them where {revision} is checked out without changes; or "
        "name a published result, such as results/fer2013"
    )


def _refusal(source: str) -> str:
    return f"{source!r} is neither a CSV file, nor a folder with one, nor a Git revision of this project"


def _table_in(path: Path) -> Path | None:
    """The table of predictions of a folder, None where it has none; a file stands for itself."""
    if not path.is_dir():
        return path
    return next((path / name for name in ("predictions.csv", TRACKED) if (path / name).is_file()), None)


def _history_folder(path: Path) -> Path | None:
    roots = [path] if path.is_dir() else [path.parent, path.parent.parent]
    return next((root / HISTORY for root in roots if (root / HISTORY).is_dir()), None)


def _figure(row: Sequence[str], place: int, where: str) -> float:
    """A field as a number; NaN where it says so or is empty, as of a training that diverged."""
    text = row[place].strip().lower() if place < len(row) else ""
    if text in _NOT_FINITE:
        return float(text or "nan")
    try:
        return number(text)
    except ValueError as error:
        raise UserError(f"{where}: {error}; {_EXPECTED}") from None


def _histories(source: str) -> dict[str, bytes]:
    """The content of each table of learning curves, by its path."""
    if os.path.lexists(source):
        folder = _history_folder(Path(source))
        files = sorted(folder.glob("*.csv")) if folder else []
        return {str(file): read_small(file, _MOST_HISTORY_BYTES) for file in files}
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException
    from scmrepo.exceptions import SCMError

    try:
        files = DVCFileSystem(rev=source)
        return {name: files.read_bytes(name) for name in files.glob(f"{HISTORY}/*.csv")}
    except (DvcException, SCMError, OSError) as error:
        raise UserError(f"{_refusal(source)} ({error})") from None
