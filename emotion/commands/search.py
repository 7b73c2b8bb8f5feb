"""Hyper-parameter search: Optuna proposes, DVC runs each proposal as an experiment, validation decides.

Nothing of the pipeline knows of it. A trial is `dvc exp run --temp`, so each can be applied, compared and branched
(`dvc exp apply NAME`). Hopeless ones are stopped from outside, by reading the history that training rewrites
each epoch.
"""

import argparse
import csv
import json
import os
import signal
import subprocess
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from emotion.commands.search_space import brought, check_searchable, distribution, output_of, read_space
from emotion.foundation.errors import UserError
from emotion.foundation.files import integer, number
from emotion.foundation.params import read_params
from emotion.install_hint import install_command

_POLL_S = 2.0
_STOP_S = 60.0  # how long a stopped experiment may take to clean up
_SIGNIFICANT = 0.05  # what happens more rarely by chance is no chance
_FAILURES = 3  # in a row: then it is not the proposals' fault


class Experiment(Protocol):
    """A trial that runs."""

    def running(self) -> bool:
        """Whether it still runs."""

    def accuracies(self) -> list[float]:
        """Validation accuracy of each epoch so far."""

    def stop(self) -> None:
        """End it."""

    def score(self) -> float | None:
        """Its validation accuracy (that of the kept weights); None when it failed."""


@dataclass(frozen=True)
class Budget:
    """When to stop, counted over all runs of the study (trials) or this one (minutes); None = no limit."""

    trials: int | None
    minutes: float | None


def search(
    study: Any, space: Mapping[str, Mapping[str, Any]], budget: Budget, begin: Callable[..., Experiment]
) -> None:
    """Run trials one after another until the budget is spent.

    Args:
        study: an Optuna study that maximises; trials that a killed run left open are closed first.
        space: parameter's full key -> `{low, high}` with `log` or `step`, or `{choices}`.
        begin: (number of the trial, key -> value) -> the started experiment.

    Raises UserError when several trials in a row fail, or the study has been searching another space.
    """
    import optuna

    drawn_from = {key: distribution(choice) for key, choice in space.items()}
    _check_same_space(study, drawn_from)
    for trial in study.get_trials(states=(optuna.trial.TrialState.RUNNING,)):
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
    failures = 0
    deadline = time.monotonic() + 60 * budget.minutes if budget.minutes is not None else float("inf")
    while time.monotonic() < deadline and (budget.trials is None or _finished(study) < budget.trials):
        trial = study.ask(drawn_from)
        values = dict(trial.params)
        experiment = begin(trial.number, values)
        try:
            state, score = follow(trial, experiment)
        except BaseException:
            experiment.stop()
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            raise
        study.tell(trial, score, state=state)
        print(
            f"trial {trial.number}: {state.name.lower()} {'' if score is None else f'{score:.4f}'} {values}", flush=True
        )
        failures = failures + 1 if state is optuna.trial.TrialState.FAIL else 0
        if failures == _FAILURES:
            raise UserError(f"{failures} trials in a row failed; what `dvc` says of them is above")


def follow(trial: Any, experiment: Experiment) -> tuple[Any, float | None]:
    """Watch an experiment to its end, or end it when the study's pruner says so: (state, score or None)."""
    from optuna.trial import TrialState

    reported = 0
    while experiment.running():
        for accuracy in experiment.accuracies()[reported:]:
            reported += 1
            trial.report(accuracy, step=reported)
        if reported and trial.should_prune():
            experiment.stop()
            return TrialState.PRUNED, None
        time.sleep(_POLL_S)
    score = experiment.score()
    return (TrialState.COMPLETE, score) if score is not None else (TrialState.FAIL, None)


class DvcExperiment:
    """`dvc exp run --temp` of one member's training, with a name and changed parameters."""

    def __init__(self, name: str, member: int, values: Mapping[str, Any], copy_paths: Sequence[str]) -> None:
        changes = [f"--set-param={key}={json.dumps(value)}" for key, value in values.items()]
        copies = [f"--copy-paths={path}" for path in copy_paths]
        self._member = member
        head = output_of("git", "rev-parse", "HEAD").strip()
        self._ref = f"refs/exps/{head[:2]}/{head[2:]}/{name}"
        self._before = set(_temporary_folders())
        command = ["dvc", "exp", "run", "--temp", "--name", name, *changes, *copies, f"train@{member}"]
        # A session of its own: stopping it also stops the training below it.
        self._process = subprocess.Popen(command, start_new_session=True)

    def running(self) -> bool:
        """Whether dvc still runs."""
        return self._process.poll() is None

    def accuracies(self) -> list[float]:
        """Read the history in the experiment's own folder."""
        history = Path("metrics", "history", f"{self._member}.csv")
        for folder in sorted(set(_temporary_folders()) - self._before):
            found = folder / history
            # The folder begins with the last committed history; only what the stage wrote anew counts.
            if found.exists() and (folder / ".cache" / "train" / str(self._member) / "state.npz").exists():
                with found.open(newline="") as rows:  # without a validation set there is no such column
                    return [float(row["val_accuracy"]) for row in csv.DictReader(rows) if "val_accuracy" in row]
        return []

    def stop(self) -> None:
        """Interrupt dvc and the training, and wait; kill them if they do not end."""
        for ending in (signal.SIGINT, signal.SIGKILL):
            if self.running():
                os.killpg(self._process.pid, ending)
            try:
                self._process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                continue
            return

    def score(self) -> float | None:
        """Read the metrics that the experiment committed."""
        if self._process.wait() != 0:
            return None
        if not output_of("git", "for-each-ref", self._ref):
            return None
        metrics = json.loads(output_of("git", "show", f"{self._ref}:metrics/train/{self._member}.json"))
        return float(metrics["val"]["accuracy"]) if "val" in metrics else None


def draw(study: Any, folder: Path) -> list[Path]:
    """Draw a search with a completed trial: each trial's score, and the score against each parameter; the two files."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    import optuna

    folder.mkdir(parents=True, exist_ok=True)
    library = optuna.visualization.matplotlib
    charts: dict[str, Callable[..., Any]] = {
        "trials": library.plot_optimization_history,
        "parameters": library.plot_slice,
    }
    files = []
    for name, draw_chart in charts.items():
        files.append(folder / f"{study.study_name}-{name}.png")
        with warnings.catch_warnings(), plt.rc_context():  # Optuna sets a style, and would leave it set
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            warnings.filterwarnings("ignore", "Attempting to set identical")  # a parameter that had one value only
            draw_chart(study, target_name="validation accuracy")
            plt.savefig(files[-1], dpi=110, bbox_inches="tight", metadata={"Software": None})
            plt.close()
    return files


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line."""
    parser.add_argument("space", type=Path, help="YAML: parameter -> {low, high, log, step} or {choices}")
    parser.add_argument("--name", default="search", help="of the study; the same name goes on with it (default search)")
    parser.add_argument("--trials", type=integer, help="stop when the study has so many finished trials")
    parser.add_argument("--minutes", type=number, help="start no further trial after so many minutes")
    parser.add_argument("--member", type=integer, default=0, help="whose training is repeated (default 0)")
    parser.add_argument(
        "--copy-paths",
        nargs="*",
        help="ignored files that the stages need (default: what lies in data/local for its source)",
    )
    parser.add_argument("--seed", type=integer, default=0, help="of the sampler (default 0)")


def run(arguments: argparse.Namespace) -> int:
    """Search, then draw `.cache/search/NAME-*.png`. Raises UserError without a budget, or without Optuna."""
    if arguments.trials is None and arguments.minutes is None:
        raise UserError("say how long to search: --trials N, --minutes M, or both")
    if not all(limit is None or limit > 0 for limit in (arguments.trials, arguments.minutes)):
        raise UserError("--trials and --minutes must be more than 0")
    space, params = read_space(arguments.space), read_params(Path("params.yaml"))
    check_searchable(space, params, arguments.space)
    copied = brought(params) if arguments.copy_paths is None else arguments.copy_paths
    study = open_study(arguments.name, seed=arguments.seed)
    budget = Budget(arguments.trials, arguments.minutes)

    def begin(number: int, values: Mapping[str, Any]) -> Experiment:
        return DvcExperiment(f"{arguments.name}-{number}", arguments.member, values, copied)

    search(study, space, budget, begin)
    if not _has_completed(study):
        print("no trial was completed")
        return 0
    files = draw(study, Path(".cache", "search"))
    best = f"{arguments.name}-{study.best_trial.number}"
    print(f"{' and '.join(map(str, files))} show the search")
    print(f"the best is {best}: `dvc exp apply {best}` takes it over, then `dvc repro` evaluates it")
    if counts := held_out(best):
        trials = sum(trial.state.name == "COMPLETE" for trial in study.trials)
        print(against_chance(best, study.best_value, counts, trials))
    return 0


def held_out(experiment: str) -> dict[str, int]:
    """Label -> pictures, of an experiment's validation set; empty where the experiment is no longer there."""
    refs = output_of("git", "for-each-ref", "--format=%(refname)", "refs/exps").split()
    ref = next((ref for ref in refs if ref.endswith(f"/{experiment}")), None)
    if ref is None:
        return {}
    counts = json.loads(output_of("git", "show", f"{ref}:metrics/split.json"))["images"]["val"]
    return {label: count for label, count in counts.items() if label != "total"}


def against_chance(best: str, accuracy: float, counts: Mapping[str, int], trials: int) -> str:
    """Say how the best of some trials compares with always saying the most frequent label.

    It is better by more than chance explains where a binomial test says so at 5 %, divided by the number of trials.

    Args:
        accuracy: of the best trial, a fraction of the validation pictures.
        counts: label -> validation pictures.
    """
    from scipy.stats import binom

    total, common = sum(counts.values()), max(counts, key=lambda label: counts[label])
    right, share = round(accuracy * total), counts[common] / total
    what = f"{right} of {total} validation pictures; always saying {common!r} would get {counts[common]} right"
    if trials * binom.sf(right - 1, total, share) < _SIGNIFICANT:
        return f"{best} is right for {what}"
    return (
        f"warning: no trial is better than guessing by more than chance explains: {best} is right for {what}. Train "
        "longer (train.epochs) in smaller batches (train.batch_size), or with more pictures: docs/own-data.md"
    )


def open_study(name: str, *, seed: int, folder: Path = Path(".cache", "search")) -> Any:
    """Open or go on with a study, kept in a journal file. Raises UserError without Optuna."""
    try:
        import optuna
    except ImportError:
        raise UserError(f"the search needs Optuna: {install_command('pipeline,search')}") from None
    from optuna.storages.journal import JournalFileBackend

    folder.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        study_name=name,
        storage=optuna.storages.JournalStorage(JournalFileBackend(str(folder / f"{name}.journal"))),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=3),
        direction="maximize",
        load_if_exists=True,
    )
    # The sampler's own numbers begin anew in each process: without the count a resumed search would repeat itself.
    study.sampler = optuna.samplers.TPESampler(seed=seed + len(study.trials), multivariate=True)
    return study


def _check_same_space(study: Any, drawn_from: Mapping[str, Any]) -> None:
    """Raise UserError when a key was searched in a way that Optuna cannot mix with today's."""
    from optuna import distributions

    for trial in study.get_trials(deepcopy=False):
        for key in trial.distributions.keys() & drawn_from.keys():
            try:
                distributions.check_distribution_compatibility(trial.distributions[key], drawn_from[key])
            except ValueError as error:
                raise UserError(
                    f"{key}: this study searched it differently before ({error}); give it another --name"
                ) from None


def _finished(study: Any) -> int:
    return sum(trial.state.is_finished() and trial.state.name != "FAIL" for trial in study.trials)


def _has_completed(study: Any) -> bool:
    return any(trial.state.name == "COMPLETE" for trial in study.trials)


def _temporary_folders() -> list[Path]:
    """Where dvc runs `--temp` experiments."""
    return [folder for folder in Path(".dvc", "tmp", "exps").glob("*/tmp*") if folder.is_dir()]
