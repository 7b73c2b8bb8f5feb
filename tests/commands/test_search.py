"""The search: proposals, pruning from outside, budget, resuming; experiments are stood in for."""

import re
import signal
import subprocess
from pathlib import Path
from typing import Any, ClassVar

import optuna
import pytest

from emotion import cli
from emotion.commands import search, search_space
from emotion.commands.search import Budget
from emotion.foundation.errors import UserError

SPACE = {
    "train.learning_rate": {"low": 0.001, "high": 1.0, "log": True},
    "train.optimizer": {"choices": ["sgd", "adam"]},
}


class Pretended:
    """An experiment of five epochs that is the better the nearer the learning rate is to 0.1; above 0.5 it fails."""

    begun: ClassVar[list[dict[str, Any]]] = []

    def __init__(self, number: int, values: dict[str, Any]) -> None:
        self.rate, self.epochs, self.stopped = values["train.learning_rate"], 0, False
        Pretended.begun.append({"number": number, **values, "experiment": self})

    def running(self) -> bool:
        self.epochs += 1
        return self.epochs <= 5 and not self.stopped

    def accuracies(self) -> list[float]:
        return [self._accuracy() * epoch / 5 for epoch in range(1, self.epochs + 1)]

    def stop(self) -> None:
        self.stopped = True

    def score(self) -> float | None:
        return None if self.rate > 0.5 else self._accuracy()

    def _accuracy(self) -> float:
        return 1 - abs(self.rate - 0.1)


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "_POLL_S", 0.0)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    Pretended.begun = []


def test_the_search_spends_its_budget_and_goes_on_where_it_was(tmp_path: Path) -> None:
    search.search(search.open_study("s", seed=0, folder=tmp_path), SPACE, Budget(6, None), Pretended)
    first = len(Pretended.begun)
    again = search.open_study("s", seed=0, folder=tmp_path)
    search.search(again, SPACE, Budget(6, None), Pretended)
    assert len(Pretended.begun) == first >= 6
    search.search(again, SPACE, Budget(9, None), Pretended)
    assert sum(trial.state.name in ("COMPLETE", "PRUNED") for trial in again.trials) == 9
    assert abs(again.best_params["train.learning_rate"] - 0.1) < 0.1


def test_hopeless_trials_are_stopped_and_failed_ones_are_not_counted(tmp_path: Path) -> None:
    study = search.open_study("s", seed=1, folder=tmp_path)
    search.search(study, SPACE, Budget(25, None), Pretended)
    by_state = {name: [t for t in study.trials if t.state.name == name] for name in ("PRUNED", "FAIL", "COMPLETE")}
    assert by_state["PRUNED"]
    assert all(Pretended.begun[trial.number]["experiment"].stopped for trial in by_state["PRUNED"])
    assert len(by_state["PRUNED"]) + len(by_state["COMPLETE"]) == 25
    assert all(trial.params["train.learning_rate"] > 0.5 for trial in by_state["FAIL"])


def test_a_search_whose_trials_all_fail_ends(tmp_path: Path) -> None:
    class Failing(Pretended):
        def score(self) -> float | None:
            return None

    with pytest.raises(UserError, match="3 trials in a row failed"):
        search.search(search.open_study("s", seed=0, folder=tmp_path), SPACE, Budget(5, None), Failing)
    assert len(Pretended.begun) == 3


def test_a_search_that_goes_on_proposes_what_it_has_not_tried(tmp_path: Path) -> None:
    for trials in (3, 6):
        search.search(search.open_study("s", seed=0, folder=tmp_path), SPACE, Budget(trials, None), Pretended)
    rates = [begun["train.learning_rate"] for begun in Pretended.begun]
    assert len(set(rates)) == len(rates) >= 6


def test_an_interrupted_trial_is_stopped_and_closed(tmp_path: Path) -> None:
    class Interrupted(Pretended):
        def accuracies(self) -> list[float]:
            raise KeyboardInterrupt

    study = search.open_study("s", seed=0, folder=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        search.search(study, SPACE, Budget(1, None), Interrupted)
    assert Pretended.begun[0]["experiment"].stopped
    assert [trial.state.name for trial in study.trials] == ["FAIL"]


def test_a_trial_that_a_killed_search_left_open_is_closed(tmp_path: Path) -> None:
    study = search.open_study("s", seed=0, folder=tmp_path)
    study.ask()
    search.search(study, SPACE, Budget(1, None), Pretended)
    assert study.trials[0].state.name == "FAIL"


@pytest.mark.parametrize("trials", [1, 12])
def test_the_search_is_drawn(tmp_path: Path, trials: int) -> None:
    study = search.open_study("s", seed=0, folder=tmp_path)
    search.search(study, SPACE, Budget(trials, None), Pretended)
    files = search.draw(study, tmp_path)
    assert [file.name for file in files] == ["s-trials.png", "s-parameters.png"]
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in files)


@pytest.mark.parametrize(
    "text",
    [
        *("train.epochs: 3", "train.epochs: {low: 1}", "train.epochs: {choices: [1], low: 0}", "", "a: {low: 1"),
        "a: {low: 0.0, high: 1.0, step: 0}",
        *("a: {low: 2, high: 1}", "a: {low: x, high: y}", "a: {low: 0.1, high: 1.0, log: true, step: 0.1}"),
        *("a: {low: .nan, high: .inf}", "a: {low: 0, high: .inf}", "a: {low: 0, high: 1, step: .nan}", "? [a]\n: 1"),
        *("[a]: {low: 0, high: 1}", "3: {low: 0, high: 1}", "[" * 5000, "a: {choices: 3}", "a: {choices: [[1]]}"),
        *("a: {low: 0, high: 1, log: 3}", f"a: {{low: 0, high: 1{'0' * 400}}}", f"a: {{low: 0, high: {'1' * 9999}}}"),
    ],
)
def test_a_space_that_says_nothing_usable_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "space.yaml").write_text(text)
    with pytest.raises(UserError, match="space.yaml") as caught:
        search_space.read_space(tmp_path / "space.yaml")
    assert len(str(caught.value)) < 600 + len(str(tmp_path)) and "set_int" not in str(caught.value)


def test_bounds_are_whole_numbers_only_with_a_whole_step(tmp_path: Path) -> None:
    (tmp_path / "space.yaml").write_text("a: {low: 0, high: 1, step: 0.25}\nb: {low: 0, high: 8, step: 4}")
    study = search.open_study("s", seed=0, folder=tmp_path)
    drawn = {
        key: search_space.distribution(choice)
        for key, choice in search_space.read_space(tmp_path / "space.yaml").items()
    }
    asked = [study.ask(drawn).params for _ in range(20)]
    assert {one["a"] for one in asked} <= {0.0, 0.25, 0.5, 0.75, 1.0} and len({one["a"] for one in asked}) > 2
    assert {one["b"] for one in asked} <= {0, 4, 8}


def test_a_study_is_not_mixed_with_another_space(tmp_path: Path) -> None:
    search.search(search.open_study("s", seed=0, folder=tmp_path), SPACE, Budget(2, None), Pretended)
    wider = {**SPACE, "train.optimizer": {"choices": ["sgd", "adam", "adamw"]}}
    again = search.open_study("s", seed=0, folder=tmp_path)
    with pytest.raises(UserError, match=r"train\.optimizer: this study searched it differently .* another --name"):
        search.search(again, wider, Budget(4, None), Pretended)
    assert all(trial.state.is_finished() for trial in again.trials)


@pytest.mark.parametrize("limit", [["--trials", "0"], ["--minutes", "0"], ["--minutes", "-1"]])
def test_a_search_for_no_time_at_all_is_refused(limit: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["search", "space.yaml", *limit]) == 2
    assert "must be more than 0" in capsys.readouterr().err


def test_a_terminated_search_is_interrupted() -> None:
    with pytest.raises(KeyboardInterrupt), cli._ended_as_by_ctrl_c():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


COUNTS = {"angry": 20, "happy": 40, "sad": 36}


def test_a_best_trial_that_learnt_something_is_compared_with_guessing() -> None:
    assert search.against_chance("s-3", 60 / 96, COUNTS, 7) == (
        "s-3 is right for 60 of 96 validation pictures; always saying 'happy' would get 40 right"
    )


@pytest.mark.parametrize(("right", "trials", "warned"), [(40, 1, True), (49, 1, False), (49, 3, True), (53, 7, False)])
def test_a_search_says_that_no_trial_is_better_than_guessing(right: int, trials: int, warned: bool) -> None:
    """Of 96 with a share of 40/96, 49 or more come by chance with a probability of 0.041."""
    told = search.against_chance("s-3", right / 96, COUNTS, trials)
    assert told.startswith("warning: no trial is better than guessing") is warned
    assert "\n" not in told


def test_the_validation_set_of_an_experiment_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics/split.json").write_text('{"images": {"val": {"total": 3, "a": 2, "b": 1}}}')
    who = ("-c", "user.name=t", "-c", "user.email=t@example.invalid")
    for command in (
        ["init", "-q"],
        ["add", "."],
        [*who, "commit", "-qm", "x"],
        ["update-ref", "refs/exps/ab/c/s-1", "HEAD"],
    ):
        subprocess.run(["git", *command], check=True)
    assert search.held_out("s-1") == {"a": 2, "b": 1}
    assert search.held_out("s-11") == {}


PARAMS: dict[str, Any] = {
    "data": {"source": "local", "local": {}},
    "model": {"network": "vgg", "members": [0], "vgg": {"width": 16}, "resnet": {"width": 32}},
    "train": {"learning_rate": 0.1},
    "evaluate": {"seed": 0},
}


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (["train.learnin_rate"], "train.learnin_rate is not in params.yaml; did you mean 'train.learning_rate'?"),
        (["model.resnet.width"], "changes nothing, as model.network is vgg"),
        (["train.learning_rate", "evaluate.seed"], "evaluate.seed changes nothing about a training"),
    ],
)
def test_a_key_that_changes_no_training_is_refused(keys: list[str], message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        search_space.check_searchable(dict.fromkeys(keys), PARAMS, Path("space.yaml"))


def test_keys_that_change_a_training_may_be_searched() -> None:
    keys = ["model.vgg.width", "train.learning_rate"]
    search_space.check_searchable(dict.fromkeys(keys), PARAMS, Path("space.yaml"))
    search_space.check_searchable(dict.fromkeys(["model.network", "model.resnet.width"]), PARAMS, Path("space.yaml"))


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({}, "params.yaml: model.network: missing; add it"),
        ({"model": 3}, "params.yaml: model.network: missing; add it"),
        ({"model": {"network": "vgg"}}, "params.yaml: data.source: missing; add it"),
        ({"model": {"network": "vgg"}, "data": {"source": 3}}, "data.source: '3' is no source; expected synthetic,"),
        ({"model": {"network": "vgg"}, "data": {"source": "../x"}}, "data.source: '../x' is no source"),
        (PARAMS, "`git ls-files` failed (fatal: not a git repository"),
    ],
)
def test_parameters_without_what_a_search_needs_are_one_line(
    params: dict[str, Any], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(UserError) as caught:
        search_space.check_searchable({}, params, Path("space.yaml"))
        search_space.brought(params)
    assert says in " ".join(str(caught.value).split())


def test_a_trial_is_given_what_neither_git_nor_dvc_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "-q"], check=True)
    for name in (
        "data/local/faces/sad/1.png",
        "data/local/groups.csv",
        "data/local/known.zip",
        "data/kaggle/other.zip",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "data/local/linked.zip").symlink_to("groups.csv")
    (tmp_path / "data/local/known.zip.dvc").write_text("outs: []")
    for folder in ("local", "kaggle"):
        (tmp_path / f"data/{folder}/.gitignore").write_text("*\n!.gitignore\n!*.dvc\n")
    found = search_space.brought(PARAMS)
    assert found == ["data/local/faces", "data/local/groups.csv", "data/local/linked.zip"]
