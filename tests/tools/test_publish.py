"""The published run's record holds together, and the commands that make it and repeat it refuse what they must."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from ruamel.yaml import YAML

from emotion.foundation.errors import UserError
from emotion.foundation.params import read_params
from tools import publish as _publish
from tools.check_params import problems
from tools.publish import RUNS, _keep_predictions, judge, prepare, readme, record, rerun
from tools.verify import output_digests

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "results/fer2013"


@pytest.fixture(params=RUNS)
def published(request: pytest.FixtureRequest) -> Path:
    """The folder of each published run."""
    return ROOT / "results" / str(request.param)


def test_the_published_model_is_the_one_of_its_lock(published: Path) -> None:
    digests = {path: md5 for (_, path), md5 in output_digests(published / "dvc.lock").items()}
    models = list((published / "models").glob("*.keras"))
    assert len(models) == 1
    for model in models:
        assert hashlib.md5(model.read_bytes()).hexdigest() == digests[f"models/{model.name}"]
        assert model.stat().st_size <= 10e6


def test_the_published_metrics_and_predictions_are_those_of_the_lock(published: Path) -> None:
    digests = {path: md5 for (_, path), md5 in output_digests(published / "dvc.lock").items()}
    for path in ("metrics/evaluate.json", "metrics/split.json", "data/predictions.csv"):
        kept = published / path.removeprefix("data/")
        assert hashlib.md5(kept.read_bytes()).hexdigest() == digests[path], path


def test_each_published_member_predicts_as_its_metrics_say() -> None:
    labels = pd.read_csv(PUBLISHED / "predictions.csv", index_col="path")["label"]
    said = pd.read_csv(PUBLISHED / "metrics/plots/members.csv", index_col="member")["accuracy"]
    assert list(said.index) == read_params(PUBLISHED / "params.yaml")["model"]["members"]
    assert {path.stem for path in (PUBLISHED / "members").iterdir()} == {str(member) for member in said.index}
    for member, accuracy in said.items():
        own = pd.read_csv(PUBLISHED / f"members/{member}.csv", index_col="path")
        assert (own.idxmax(axis="columns") == labels).mean() == pytest.approx(accuracy, abs=1e-6)


def test_the_published_readme_says_what_the_record_says(published: Path) -> None:
    assert readme(published, published.name) == (published / "README.md").read_text()


def test_the_published_code_is_a_commit_of_this_history(published: Path) -> None:
    if (
        subprocess.run(["git", "rev-parse", "--is-shallow-repository"], cwd=ROOT, capture_output=True).stdout
        != b"false\n"
    ):
        pytest.skip("not a full clone: its history cannot be asked")
    commit = (published / "COMMIT").read_text().strip()
    subprocess.run(["git", "merge-base", "--is-ancestor", commit, "HEAD"], cwd=ROOT, check=True)


def test_the_published_parameters_still_run(published: Path) -> None:
    assert problems(read_params(published / "params.yaml")) == []


def test_the_defaults_share_optimizer_and_augmentation_with_the_published_run() -> None:
    """And the network, but for its size."""
    default, published = (YAML(typ="safe").load(folder / "params.yaml") for folder in (ROOT, PUBLISHED))
    assert default["augment"] == published["augment"]
    assert default["model"]["network"] == published["model"]["network"]
    for key in ("optimizer", "learning_rate", "schedule", "batch_size", "weight_decay", "label_smoothing"):
        assert default["train"][key] == published["train"][key], key


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository with a published run's parameters and nothing else of the pipeline."""
    (tmp_path / "data/local").mkdir(parents=True)
    (tmp_path / "data/local/.gitignore").write_text("*\n!.gitignore\n")
    (tmp_path / "results/fer2013").mkdir(parents=True)
    (tmp_path / "params.yaml").write_text("data:\n  source: synthetic\n")
    (tmp_path / "results/fer2013/params.yaml").write_text((PUBLISHED / "params.yaml").read_text())
    for command in (["init", "-q"], ["add", "-A"], ["-c", "user.name=t", "-c", "user.email=t", "commit", "-qm", "x"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    return tmp_path


def test_the_published_recipe_reads_from_kaggle_where_nothing_was_brought(project: Path) -> None:
    prepare(project, "fer2013")
    published, changed = (YAML(typ="safe").load(folder / "params.yaml") for folder in (PUBLISHED, project))
    published["data"]["source"] = "kaggle"
    assert changed == published
    assert "a multiple of devices" in (project / "params.yaml").read_text()  # comments stay


def test_the_published_recipe_reads_the_zip_that_was_brought(project: Path) -> None:
    (project / "data/local/fer2013.zip").write_bytes(b"zip")
    prepare(project, "fer2013")
    assert YAML(typ="safe").load(project / "params.yaml")["data"]["source"] == "local"


def test_an_interrupted_rerun_can_be_run_again(project: Path) -> None:
    prepare(project, "fer2013")
    once = (project / "params.yaml").read_text()
    prepare(project, "fer2013")
    assert (project / "params.yaml").read_text() == once


def test_published_parameters_that_no_longer_run_replace_nothing(project: Path) -> None:
    lines = [line.replace("  width: ", "  widths: ") for line in published_lines()]
    (project / "results/fer2013/params.yaml").write_text("\n".join(lines) + "\n")
    with pytest.raises(UserError, match=r"belongs to another version of the code: .*model\.vgg\.widths.*COMMIT names"):
        prepare(project, "fer2013")
    assert (project / "params.yaml").read_text() == "data:\n  source: synthetic\n"


def published_lines() -> list[str]:
    return (PUBLISHED / "params.yaml").read_text().splitlines()


def test_changed_parameters_are_not_replaced(project: Path) -> None:
    (project / "params.yaml").write_text("data:\n  source: mine\n")
    with pytest.raises(UserError, match="uncommitted changes"):
        prepare(project, "fer2013")
    assert (project / "params.yaml").read_text() == "data:\n  source: mine\n"


def test_only_committed_code_is_recorded(project: Path) -> None:
    (project / "train.py").write_text("")
    with pytest.raises(UserError, match=r"not committed: train\.py"):
        record(project, "fer2013")


def test_each_member_keeps_its_own_predictions(tmp_path: Path) -> None:
    rows = [
        "variant,path,angry,happy",
        "uncalibrated,a,0.1,0.9",
        "member_1,a,0.2,0.8",
        "member_1_single_view,a,0.3,0.7",
    ]
    rows += ["member_10,a,0.4,0.6"]
    (tmp_path / "variants.csv").write_text("\n".join(rows) + "\n")
    _keep_predictions(tmp_path / "variants.csv", [1, 10], tmp_path / "members")
    assert (tmp_path / "members/1.csv").read_text() == "path,angry,happy\na,0.2,0.8\n"
    assert (tmp_path / "members/10.csv").read_text() == "path,angry,happy\na,0.4,0.6\n"


def write_scores(folder: Path, **scores: Any) -> None:
    """Write a made-up metrics/evaluate.json; its intervals are 69.6 to 71.7 % and 66.3 to 69.4 %."""
    intervals = {"accuracy": {"low": 0.696, "high": 0.717}, "macro_f1": {"low": 0.663, "high": 0.694}}
    found = {"accuracy": 0.706, "macro_f1": 0.679, "images": 7178, "intervals": intervals, **scores}
    (folder / "metrics").mkdir(parents=True)
    (folder / "metrics/evaluate.json").write_text(json.dumps(found))


@pytest.mark.parametrize(
    ("is_equal", "end"), [(True, ", byte for byte"), (False, ": other bytes, as on another processor, scores within")]
)
def test_a_rerun_with_scores_within_the_intervals_repeats_the_published_run(
    is_equal: bool, end: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_scores(tmp_path / "results/fer2013")
    write_scores(tmp_path, accuracy=0.702, macro_f1=0.663)
    assert judge(tmp_path, "fer2013", is_equal=is_equal)
    accuracy, macro_f1, last = capsys.readouterr().out.splitlines()
    assert accuracy == "accuracy 70.2 %: within the published 95 % interval 69.6–71.7"
    assert macro_f1 == "macro_f1 66.3 %: within the published 95 % interval 66.3–69.4"
    assert last.startswith(f"this run repeats the published one{end}")


@pytest.mark.parametrize(
    ("scores", "reason"),
    [
        ({"accuracy": 0.65}, "accuracy outside the published interval"),
        ({"accuracy": 0.73, "macro_f1": 0.7}, "accuracy and macro_f1 outside the published interval"),
        ({"images": 1050}, "it was scored on 1,050 faces, the published one on 7,178"),
    ],
)
def test_a_rerun_with_other_scores_or_faces_does_not(
    scores: dict[str, float], reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_scores(tmp_path / "results/fer2013")
    write_scores(tmp_path, **scores)
    assert not judge(tmp_path, "fer2013", is_equal=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f"this run does not repeat the published one: {reason}"
    for score, line in zip(("accuracy", "macro_f1"), lines, strict=False):
        assert line.startswith(score) and (": outside the" in line) == (score in scores)


CROWD = {
    "agreed": {"faces": 3152, "accuracy": 0.87, "low": 0.86, "high": 0.88},
    "person": {"accuracy": 0.737, "low": 0.728, "high": 0.745},
    "model_as_person": {"accuracy": 0.812, "low": 0.8, "high": 0.82},
}


@pytest.mark.parametrize(
    ("crowd", "reason"),
    [
        (CROWD, ""),
        ({**CROWD, "agreed": {**CROWD["agreed"], "accuracy": 0.85}}, "accuracy by the crowd outside the published"),
        ({}, "accuracy by the crowd outside the published"),
    ],
)
def test_a_run_on_the_crowds_votes_is_judged_by_the_crowd_too(
    crowd: dict[str, Any], reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_scores(tmp_path / "results/ferplus", crowd=CROWD)
    write_scores(tmp_path, crowd=crowd)
    assert judge(tmp_path, "ferplus", is_equal=False) == (not reason)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4 and lines[2].startswith("accuracy by the crowd")
    assert reason in lines[-1]


def test_the_readme_of_a_run_on_the_crowds_votes_says_how_the_crowd_sees_it(tmp_path: Path) -> None:
    run = shutil.copytree(PUBLISHED, tmp_path / "ferplus")
    scores = json.loads((run / "metrics/evaluate.json").read_text())
    (run / "metrics/evaluate.json").write_text(json.dumps({**scores, "crowd": CROWD}))
    params = (run / "params.yaml").read_text()
    (run / "params.yaml").write_text(params.replace("votes: none ", "votes: ferplus ").replace("[0, 1]", "[0, 1, 2]"))
    text = readme(run, "ferplus").replace("\u202f", " ").replace("\xa0", " ")
    assert "87.0 % of the 3,152 test faces on which more than half of ten people agree" in text
    assert "most frequent answer 81.2 %, where one person has 73.7 %" in text
    assert "run `make ferplus`" in text and "fer2013new.csv" in text
    assert "the seeds 0, 1 and 2" in text and "the first; of seeds 1 and 2, only" in text


@pytest.fixture
def rerun_project(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project with a `dvc` that runs nothing, as if it had: the run's lock and scores are the published ones."""
    (project / "bin").mkdir()
    (project / "bin/dvc").write_text("#!/bin/sh\n")
    (project / "bin/dvc").chmod(0o755)
    monkeypatch.setenv("PATH", str(project / "bin"), prepend=":")
    for folder in (project, project / "results/fer2013"):
        shutil.copyfile(PUBLISHED / "dvc.lock", folder / "dvc.lock")
        write_scores(folder)
    return project


def test_a_rerun_tells_what_is_equal_before_it_judges(rerun_project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert rerun(rerun_project, "fer2013")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines[1:3]] == [["equal", "data/predictions.csv"], ["equal", "models/0.keras"]]
    assert lines[-1] == "this run repeats the published one, byte for byte"


def test_a_rerun_of_other_bytes_is_judged_by_its_scores(
    rerun_project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = rerun_project / "dvc.lock"
    lock.write_text(lock.read_text().replace(output_digests(lock)["train@0", "models/0.keras"], "f" * 32))
    assert rerun(rerun_project, "fer2013")
    out = capsys.readouterr().out
    assert "DIFFERENT      models/0.keras" in out
    assert "this run repeats the published one: other bytes" in out.splitlines()[-1]


@pytest.mark.parametrize("repeats", [True, False])
def test_the_command_fails_where_the_published_run_is_not_repeated(
    repeats: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["publish", "rerun", "fer2013"])
    monkeypatch.setattr(_publish, "rerun", lambda root, name: repeats)
    if repeats:
        _publish.main()
        return
    with pytest.raises(SystemExit) as caught:
        _publish.main()
    assert caught.value.code == 1
