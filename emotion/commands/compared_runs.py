"""A run by its name: a Git revision, a folder such as `results/fer2013`, or a table of predictions."""

import io
from collections.abc import Mapping
from itertools import cycle
from pathlib import Path, PurePosixPath

import pandas as pd

from emotion.evaluation.predictions import Predictions, read_predictions
from emotion.foundation.errors import UserError
from emotion.palette import LINES
from emotion.report.charts import drawn, png

TRACKED = "data/predictions.csv"  # where a revision of this project keeps its predictions
HISTORY = "metrics/history"  # and its learning curves, one table a member
_QUANTITIES = {"val_accuracy": "validation accuracy (fraction)", "val_loss": "validation loss (nats)"}
_STYLES = ("-", "--", ":", "-.")  # of the members


def load_predictions(source: str) -> Predictions:
    """Read predictions from a CSV file, a folder that holds one, or as a Git revision tracks them (through DVC).

    Raises UserError when `source` is none of them, and says how to get what a revision lacks.
    """
    path = Path(source)
    if path.is_dir():
        path = next((path / name for name in ("predictions.csv", TRACKED) if (path / name).is_file()), path)
        if path.is_dir():
            raise UserError(f"the folder {source} holds neither predictions.csv nor {TRACKED}; name a published result")
    if not path.is_file():
        return read_predictions(_tracked_predictions(source))
    try:
        return read_predictions(path.read_text(encoding="utf-8"))
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not text in UTF-8 ({error.reason}); name a table of predictions") from None


def load_curves(source: str) -> dict[str, pd.DataFrame]:
    """Read a run's learning curves, member -> table, from the folder, from beside the table, or from the revision.

    Raises UserError when it has none with a validation set.
    """
    tables = {PurePosixPath(name).stem: pd.read_csv(io.StringIO(text)) for name, text in _histories(source).items()}
    if found := {member: table for member, table in sorted(tables.items()) if set(_QUANTITIES) <= set(table)}:
        return found
    raise UserError(f"{source} has no validation curves in {HISTORY}; --plot draws Git revisions and folders with some")


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


def _histories(source: str) -> dict[str, str]:
    """The text of each table of learning curves, by its path."""
    path = Path(source)
    if path.exists():
        roots = [path] if path.is_dir() else [path.parent, path.parent.parent]
        folder = next((root / HISTORY for root in roots if (root / HISTORY).is_dir()), None)
        return {file.name: file.read_text() for file in folder.glob("*.csv")} if folder else {}
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException
    from scmrepo.exceptions import SCMError

    try:
        files = DVCFileSystem(rev=source)
        return {name: files.read_text(name) for name in files.glob(f"{HISTORY}/*.csv")}
    except (DvcException, SCMError, OSError) as error:
        raise UserError(f"{_refusal(source)} ({error})") from None
