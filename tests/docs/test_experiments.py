import json
import re
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from ruamel.yaml import YAML

from tools.docs.experiments import change, collect, experiments, minutes, page, training_tflop

ROOT = Path(__file__).parents[2]


def test_the_page_is_made_of_the_committed_tables() -> None:
    assert page(ROOT / "docs/experiments", ROOT / "results/fer2013") == (ROOT / "docs/experiments.md").read_text()


def test_a_change_names_what_concerns_the_training() -> None:
    before = {"data": {"source": "synthetic"}, "train": {"epochs": 20, "keep": "best"}}
    after = {"data": {"source": "local"}, "train": {"epochs": 60, "keep": "best"}}
    assert change(before, after) == "train.epochs=60"
    assert change(before, before) == "the defaults"


def test_training_costs_six_operations_per_multiply_add() -> None:
    params = YAML(typ="safe").load(ROOT / "results/fer2013/params.yaml")
    once = training_tflop(params, images=1000, epochs=1)
    assert once == pytest.approx(6 * 118.1e6 * 1000 / 1e12, rel=0.01)
    assert training_tflop(params, images=1000, epochs=7) == pytest.approx(7 * once)


def test_minutes_are_those_of_the_model_that_the_lock_names(tmp_path: Path) -> None:
    log = tmp_path / ".cache/train/0"
    log.mkdir(parents=True)
    (log / "timings.csv").write_text("k1,1,30.0\nk1,2,99.0\nk1,2,60.0\nk2,1,1000.0\n")
    (log / "finished.csv").write_text("k1,aaa\nk2,bbb\n")
    lock = {"stages": {"train@0": {"outs": [{"path": "models/0.keras", "md5": "aaa"}]}}}
    assert minutes(tmp_path, lock, [0]) == 1.5
    lock["stages"]["train@1"] = {"outs": [{"path": "models/1.keras", "md5": "ccc"}]}
    assert minutes(tmp_path, lock, [0]) == 1.5
    assert minutes(tmp_path, lock, [0, 1]) is None


def git(folder: Path, *arguments: str) -> str:
    names = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    done = subprocess.run(["git", *names, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A clone with one experiment that changed the number of epochs."""

    git(tmp_path, "init", "-q")
    params = (ROOT / "params.yaml").read_text().replace("source: synthetic", "source: local    ")
    report = {"epochs": 7, "val": {"accuracy": 0.5, "log_loss": 1.25}}
    files = {
        "params.yaml": params,
        "dvc.lock": "stages: {}\n",
        "metrics/preprocess/train.json": json.dumps({"images": 1000}),
        "metrics/preprocess/val.json": json.dumps({"images": 100}),
        "metrics/train/0.json": json.dumps(report),
        "metrics/train/1.json": json.dumps({"epochs": 99, "val": {"accuracy": 0.9, "log_loss": 0.5}}),  # no member
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "base")
    base = git(tmp_path, "rev-parse", "HEAD")
    (tmp_path / "params.yaml").write_text(re.sub(r"(?m)^  epochs: \d+ ", "  epochs: 7 ", params))
    git(tmp_path, "commit", "-qam", "experiment")
    git(tmp_path, "update-ref", f"refs/exps/{base[:2]}/{base[2:]}/shorter", "HEAD")
    git(tmp_path, "reset", "-q", "--hard", base)
    return tmp_path


def test_experiments_are_found_with_their_beginning(repository: Path) -> None:
    [(name, _, baseline)] = experiments(repository)
    assert (name, len(baseline)) == ("shorter", 40)


def test_an_experiment_becomes_a_row_once(repository: Path, tmp_path: Path) -> None:
    table = tmp_path / "experiments.csv"
    for _ in range(2):
        collect(repository, table).to_csv(table, index=False)
    [found] = collect(repository, table).to_dict("records")
    assert (found["experiment"], found["change"], found["epochs"]) == ("shorter", "train.epochs=7", 7)
    assert (found["val_accuracy"], found["val_log_loss"], found["val_images"]) == (0.5, 1.25, 100)
    assert pd.isna(found["minutes"])


def test_an_experiment_that_did_not_train_has_no_row(repository: Path, tmp_path: Path) -> None:
    [(name, commit, base)] = experiments(repository)
    git(repository, "checkout", "-q", commit)
    git(repository, "rm", "-q", "metrics/train/0.json")
    git(repository, "commit", "-qm", "ended before the training")
    git(repository, "update-ref", f"refs/exps/{base[:2]}/{base[2:]}/{name}", "HEAD")
    assert collect(repository, tmp_path / "experiments.csv").empty


def test_an_experiment_of_other_code_keeps_its_row(repository: Path, tmp_path: Path) -> None:
    table = tmp_path / "experiments.csv"
    collect(repository, table).to_csv(table, index=False)

    [(name, commit, base)] = experiments(repository)
    git(repository, "checkout", "-q", commit)
    file = repository / "params.yaml"
    file.write_text(file.read_text().replace("    blocks: 4 ", "    floors: 4 ", 1))
    git(repository, "commit", "-qam", "a parameter that today's code does not know")
    git(repository, "update-ref", f"refs/exps/{base[:2]}/{base[2:]}/{name}", "HEAD")
    assert collect(repository, table).to_csv(index=False) == table.read_text()
