"""The published runs: `make fer2013` runs one again, `python -m tools.publish record NAME` keeps what was run."""

import argparse
import csv
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from emotion.foundation.errors import UserError
from emotion.foundation.params import read_params
from emotion.report.page import render_text
from tools.check_params import problems
from tools.git import git
from tools.verify import compare, output_digests

RUNS = ("fer2013", "ferplus", "ferplus-one")  # folders of results/, and what `make` calls them
_RUN = ("params.yaml", "dvc.lock", "metrics")  # what a run changes in Git
_SCORED = Path("docs/experiments/scored.csv")
_README = Path(__file__).parent / "docs/templates/published-run.md.j2"


def record(root: Path, name: str) -> None:
    """Make the run in `root` the published one of this name, replacing the old one as a whole.

    Kept: parameters, lock, metrics with their plots, predictions, the first member's model, each one's predictions if
    there are several (members/<member>.csv), and the commit of the code. The lock has every member's model digest.
    A README.md says what it is.
    Raises UserError when code is not committed, or a stage would run again.
    """
    strangers = [
        line[3:]
        for line in git(root, "status", "--porcelain", "--untracked-files=all").splitlines()
        if not line[3:].startswith((*_RUN, f"results/{name}", str(_SCORED)))
    ]
    if strangers:
        raise UserError(f"not committed: {', '.join(strangers)}; commit, so that COMMIT can name the code of the run")
    stale = subprocess.run(["dvc", "status", "--quiet"], cwd=root, check=False).returncode
    if stale:
        raise UserError("the run is not complete (see `dvc status`); run `dvc repro` first")
    members = read_params(root / "params.yaml")["model"]["members"]
    published, made, old = (root / "results" / f"{name}{end}" for end in ("", ".part", ".old"))
    shutil.rmtree(made, ignore_errors=True)
    for kept in (*_RUN, "data/predictions.csv", f"models/{members[0]}.keras"):
        target = made / Path(kept).relative_to("data") if kept.startswith("data/") else made / kept
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (root / kept).is_dir() else shutil.copyfile)(root / kept, target)
    if len(members) > 1:
        _keep_predictions(root / "data/variants.csv", members, made / "members")
    (made / "COMMIT").write_text(git(root, "rev-parse", "HEAD"))
    (made / "README.md").write_text(readme(made, name))
    if published.exists():  # it is never without a whole one beside it
        shutil.rmtree(old, ignore_errors=True)
        published.replace(old)
    made.replace(published)
    shutil.rmtree(old, ignore_errors=True)
    _note_look_at_test_set(root, name)


def readme(run: Path, name: str) -> str:
    """The README.md of a recorded run: what it is, how it was made, its score, how to repeat it, its limits."""
    params = read_params(run / "params.yaml")
    members = params["model"]["members"]
    context = {
        "name": name,
        "params": params,
        "members": members,
        "parameters": json.loads((run / f"metrics/train/{members[0]}.json").read_text())["parameters"],
        "images": json.loads((run / "metrics/split.json").read_text())["images"],
        "metrics": json.loads((run / "metrics/evaluate.json").read_text()),
    }
    return render_text(_README, context)


def _keep_predictions(variants: Path, members: list[int], folder: Path) -> None:
    """Write each member's own predictions, averaged over the views, as a CSV: path and one probability per label."""
    folder.mkdir()
    header, *rows = variants.read_text().splitlines(keepends=True)
    for member in members:
        variant = f"member_{member},"
        own = [row.removeprefix(variant) for row in rows if row.startswith(variant)]
        (folder / f"{member}.csv").write_text("".join([header.removeprefix("variant,"), *own]))


def _note_look_at_test_set(root: Path, name: str) -> None:
    metrics = f"results/{name}/metrics/evaluate.json"
    commit = (root / "results" / name / "COMMIT").read_text()[:12]
    scores = json.loads((root / metrics).read_text())
    agreed = scores.get("crowd", {}).get("agreed", {})
    by_crowd = f"; {agreed['accuracy']:.1%} of {agreed['faces']:,} by the crowd" if "accuracy" in agreed else ""
    with (root / _SCORED).open("a", newline="") as file:
        row = (f"run of {commit}", f"published as {name}{by_crowd}", scores["accuracy"], scores["images"], metrics)
        csv.writer(file, lineterminator="\n").writerow(row)


def prepare(root: Path, name: str) -> None:
    """Put a run's published parameters in place, reading from data/local/ if anything is there, else from Kaggle.

    Raises UserError when params.yaml has changes that would be lost, or the published ones no longer run.
    """
    published = f"results/{name}"
    brought = [path for path in (root / "data/local").iterdir() if path.name != ".gitignore"]
    yaml = YAML()
    yaml.width = 4096
    params = yaml.load(root / published / "params.yaml")
    params["data"]["source"] = "local" if brought else "kaggle"
    if found := problems(params):
        raise UserError(
            f"{published}/params.yaml belongs to another version of the code: {'; '.join(found)}; "
            f"check out the commit that {published}/COMMIT names"
        )
    temporary = root / "params.yaml.part"
    with temporary.open("w") as file:
        yaml.dump(params, file)
    is_in_place = temporary.read_bytes() == (root / "params.yaml").read_bytes()  # from an interrupted run
    if not is_in_place and git(root, "status", "--porcelain", "--", "params.yaml"):
        temporary.unlink()
        raise UserError(
            "params.yaml has uncommitted changes, which the published parameters would replace; "
            "commit them, or drop them with `git checkout params.yaml`"
        )
    temporary.replace(root / "params.yaml")
    print(f"params.yaml is now {published}/params.yaml with data.source: {params['data']['source']}", flush=True)


def rerun(root: Path, name: str) -> bool:
    """Run the published parameters of this name, and say whether the run repeats the published one.

    Models and predictions repeat byte for byte on one type of processor only, as bfloat16 trained them; elsewhere the
    scores decide.
    """
    prepare(root, name)
    if status := subprocess.run(["dvc", "repro"], cwd=root, check=False).returncode:
        raise UserError(f"`dvc repro` failed with {status}, for the reason above; `make {name}` continues from there")
    of_interest = ("models/", "data/predictions.csv")
    published, made = (
        {key: md5 for key, md5 in output_digests(lock).items() if key[1].startswith(of_interest)}
        for lock in (root / "results" / name / "dvc.lock", root / "dvc.lock")
    )
    rows = compare(published, made)
    for verdict, _, output in rows:
        print(f"{verdict:<14} {output}")
    print("`git checkout params.yaml dvc.lock metrics && dvc checkout` brings the default run back")
    return judge(root, name, is_equal=all(verdict == "equal" for verdict, _, _ in rows))


def judge(root: Path, name: str, *, is_equal: bool) -> bool:
    """Print where the run's scores lie, and in the last line whether the run repeats the published one of this name.

    Args:
        root: the project, with the run in metrics/.
        is_equal: models and predictions are the published ones, byte for byte.
    """
    published, made = (
        json.loads((root / run / "metrics/evaluate.json").read_text()) for run in (f"results/{name}", "")
    )
    scores = [(what, judged(made).get(what), interval) for what, (_, interval) in judged(published).items()]
    for what, found, interval in scores:
        print(f"{what}: no score" if found is None else _placed(what, found[0], interval))
    outside = [what for what, found, interval in scores if found is None or not _is_within(found[0], interval)]
    reason = f"{' and '.join(outside)} outside the published interval" if outside else ""
    if made["images"] != published["images"]:
        reason = f"it was scored on {made['images']:,} faces, the published one on {published['images']:,}"
    if reason:
        print(f"this run does not repeat the published one: {reason}")
    elif is_equal:
        print("this run repeats the published one, byte for byte")
    else:
        print("this run repeats the published one: other bytes, as on another processor, scores within its intervals")
    return not reason


def judged(metrics: Mapping[str, Any]) -> dict[str, tuple[float, Mapping[str, float]]]:
    """The scores of a metrics/evaluate.json that must lie within the published intervals: value, `low` and `high`."""
    found = {what: (metrics[what], metrics["intervals"][what]) for what in ("accuracy", "macro_f1")}
    agreed = metrics.get("crowd", {}).get("agreed", {})
    return found | ({"accuracy by the crowd": (agreed["accuracy"], agreed)} if "accuracy" in agreed else {})


def _placed(score: str, value: float, interval: Mapping[str, float]) -> str:
    """Say where a score lies: `accuracy 70.2 %: within the published 95 % interval 69.6–71.7`."""
    place = "within" if _is_within(value, interval) else "outside"
    low, high = 100 * interval["low"], 100 * interval["high"]
    return f"{score} {100 * value:.1f} %: {place} the published 95 % interval {low:.1f}–{high:.1f}"


def _is_within(value: float, interval: Mapping[str, float]) -> bool:
    return interval["low"] <= value <= interval["high"]


def main() -> None:
    """Exit 2 with one line on what the user can fix, 1 when a rerun does not repeat the published run."""
    parser = argparse.ArgumentParser(prog="python -m tools.publish", description=__doc__)
    parser.add_argument("what", choices=("record", "rerun"))
    parser.add_argument("name", choices=RUNS, help="folder of results/")
    arguments = parser.parse_args()
    try:
        if arguments.what == "record":
            record(Path(), arguments.name)
        elif not rerun(Path(), arguments.name):
            sys.exit(1)
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
