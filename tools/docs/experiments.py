"""Write docs/experiments.md: what was tried on FER2013, one row per DVC experiment.

Run it where the experiments ran: `python -m tools.docs.experiments`. The experiments of that clone are added to
docs/experiments/experiments.csv, and the page is made of that folder and of the published run.
"""

import argparse
import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import pandas as pd
from pydantic import ValidationError
from ruamel.yaml import YAML

from emotion.report.page import flat, render_text
from tools.git import git

_TEMPLATE = Path(__file__).parent / "templates/experiments.md.j2"
_NOT_TRIED = ("data", "evaluate", "report")  # sections that change nothing about a training


def experiments(repository: Path) -> Iterator[tuple[str, str, str]]:
    """The DVC experiments of a clone, oldest first: name, commit, the commit that it began at."""
    listing = git(repository, "for-each-ref", "refs/exps", "--sort=creatordate", "--format=%(refname) %(objectname)")
    for line in listing.splitlines():
        reference, commit = line.split()
        parts = reference.split("/")
        if len(parts) == 5:  # refs/exps/<2 digits>/<the rest of the baseline>/<name>; DVC's own are shorter
            yield parts[4], commit, parts[2] + parts[3]


def row(repository: Path, name: str, commit: str, baseline: str) -> dict[str, Any] | None:
    """One experiment's row; None where a member was not trained, or not on a validation set."""
    params, before = (_yaml(repository, at, "params.yaml") for at in (commit, baseline))
    members = params["model"]["members"]
    reports = list(_reports(repository, commit, members))
    if not all("val" in report for report in reports):
        return None
    images = json.loads(_file(repository, commit, "metrics/preprocess/train.json"))["images"]
    held_out = json.loads(_file(repository, commit, "metrics/preprocess/val.json"))["images"]
    epochs = sum(report["epochs"] for report in reports)
    accuracies, losses = ([report["val"][key] for report in reports] for key in ("accuracy", "log_loss"))
    return {
        "experiment": name,
        "change": change(before, params),
        "val_images": held_out,
        "val_accuracy": round(mean(accuracies), 6),
        "val_log_loss": round(mean(losses), 6),
        "epochs": epochs,
        "tflop": round(training_tflop(params, images=images, epochs=epochs)),
        "minutes": minutes(repository, _yaml(repository, commit, "dvc.lock"), members),
        "code": baseline[:12],
    }


def change(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """The parameters in which a training differs from the commit that it began at, as `dvc exp run -S` takes them."""
    old, new = (dict(flat(params)) for params in (before, after))
    changed = [f"{key}={value}" for key, value in new.items() if old.get(key) != value]
    return " ".join(item for item in changed if not item.startswith(_NOT_TRIED)) or "the defaults"


def training_tflop(params: Mapping[str, Any], *, images: int, epochs: int) -> float:
    """Floating-point operations of a training in 10^12: two for each multiply-add, forward once and backward twice."""
    import importlib

    from emotion.runtime.quiet import import_tensorflow

    import_tensorflow()
    from emotion.commands.network_costs import cost

    name, size, channels = params["model"]["network"], params["preprocess"]["size_px"], params["preprocess"]["channels"]
    network = importlib.import_module(f"emotion.networks.{name}").Network.model_validate(params["model"][name])
    return 6 * cost(network, (size, size, channels), 7).multiply_adds * images * epochs / 1e12


def minutes(repository: Path, lock: Mapping[str, Any], members: Sequence[int]) -> float | None:
    """Wall time of the members' epochs by the timing logs; None where this clone did not train one of them."""
    models = {
        stage.partition("@")[2]: out["md5"]
        for stage, entry in lock["stages"].items()
        for out in entry.get("outs", [])
        if stage.startswith("train@") and out["path"].startswith("models/")
    }
    seconds = [_seconds(repository / ".cache/train" / str(member), models.get(str(member))) for member in members]
    known = [value for value in seconds if value is not None]
    return round(sum(known) / 60, 1) if known and len(known) == len(seconds) else None


def _seconds(log: Path, model_md5: str | None) -> float | None:
    if not (log / "finished.csv").exists():
        return None
    finished = {md5: key for key, md5 in csv.reader((log / "finished.csv").read_text().splitlines())}
    if model_md5 not in finished:
        return None
    epochs = {  # an epoch that was begun again counts once, as it was completed
        epoch: float(seconds)
        for key, epoch, seconds in csv.reader((log / "timings.csv").read_text().splitlines())
        if key == finished[model_md5]
    }
    return sum(epochs.values())


def _reports(repository: Path, commit: str, members: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Each member's metrics; empty where it was not trained."""
    trained = git(repository, "ls-tree", "--name-only", commit, "metrics/train/").split()
    for path in (f"metrics/train/{member}.json" for member in members):
        yield json.loads(_file(repository, commit, path)) if path in trained else {}


def _yaml(repository: Path, commit: str, path: str) -> dict[str, Any]:
    return YAML(typ="safe").load(_file(repository, commit, path))


def _file(repository: Path, commit: str, path: str) -> str:
    return git(repository, "show", f"{commit}:{path}")


def collect(repository: Path, table: Path) -> pd.DataFrame:
    """Add the clone's experiments on the published data set to the table; a name that is there is replaced."""
    rows = pd.read_csv(table).to_dict("records") if table.exists() else []
    kept = {entry["experiment"]: entry for entry in rows}
    for name, commit, baseline in experiments(repository):
        if _yaml(repository, commit, "params.yaml")["data"]["source"] == "synthetic":
            continue
        try:
            found = row(repository, name, commit, baseline)
        except ValidationError:  # what it would cost is computed by today's code
            print(f"{name}: left as it is in the table, as today's code cannot read its network's parameters")
            continue
        if found:
            kept[name] = found
    return pd.DataFrame(kept.values())


def page(tables: Path, published: Path) -> str:
    """The page, from the folder of the experiments' tables and that of the published run."""
    tried = pd.read_csv(tables / "experiments.csv").sort_values("val_accuracy", ascending=False, kind="stable")
    tried["error"] = (tried.val_accuracy * (1 - tried.val_accuracy) / tried.val_images) ** 0.5
    scored = pd.read_csv(tables / "scored.csv")
    images = json.loads((published / "metrics/split.json").read_text())["images"]
    context = {
        "training_faces": images["train"]["total"] + images["val"]["total"],
        "tried": tried.to_dict("records"),
        **{
            name: dict(zip(tried.experiment, tried[column], strict=True))
            for name, column in (("accuracy", "val_accuracy"), ("log_loss", "val_log_loss"), ("minutes", "minutes"))
        },
        "published": json.loads((published / "metrics/evaluate.json").read_text()),
        "short": json.loads((tables / "short-deeper-two.json").read_text()),
        "weak": late_epochs(tables / "history/vgg-60-epochs.csv", first=35),
        "late": late_epochs(published / "metrics/history/0.csv", first=35),
        "at_55": late_epochs(published / "metrics/history/0.csv", first=55),
        "muon": late_epochs(tables / "history/muon-70.csv", first=55),
        "distilled_end": pd.read_csv(tables / "history/self-distilled.csv").val_accuracy.iloc[-1],
        "scored": scored.to_dict("records"),
    }
    return render_text(_TEMPLATE, context)


def late_epochs(history: Path, *, first: int) -> dict[str, float]:
    """The accuracies in an epoch and in the last one, and the epoch of the lowest validation loss."""
    rows = pd.read_csv(history).set_index("epoch")
    accuracies = {
        f"{name}_{when}": rows.loc[epoch, column]
        for name, column in (("train", "accuracy"), ("val", "val_accuracy"))
        for when, epoch in (("first", first), ("last", rows.index[-1]))
    }
    return {**accuracies, "lowest_loss_epoch": int(rows["val_loss"].idxmin())}


def main() -> None:
    """Collect the experiments, then write the page."""
    parser = argparse.ArgumentParser(prog="python -m tools.docs.experiments", description=__doc__.splitlines()[0])
    parser.add_argument("--repository", type=Path, default=Path(), help="clone in which the experiments ran")
    parser.add_argument(
        "--tables", type=Path, default=Path("docs/experiments"), help="folder of experiments.csv and scored.csv"
    )
    parser.add_argument("--published", type=Path, default=Path("results/fer2013"), help="folder of the published run")
    parser.add_argument("--page", type=Path, default=Path("docs/experiments.md"))
    arguments = parser.parse_args()
    table = arguments.tables / "experiments.csv"
    collect(arguments.repository, table).to_csv(table, index=False)
    arguments.page.write_text(page(arguments.tables, arguments.published))


if __name__ == "__main__":
    main()
