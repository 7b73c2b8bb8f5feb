"""What a search may vary, and what its trials need of the data that Git does not hold."""

import subprocess
import warnings
from collections.abc import Iterator, Mapping
from math import isfinite
from pathlib import Path
from typing import Any

from emotion.foundation.errors import UserError, did_you_mean, reason, shown
from emotion.foundation.files import read_small
from emotion.foundation.params import parse_params, value_at

_RANGE = {"low", "high", "log", "step"}
_MOST_BYTES = 100_000  # of a space
_EXAMPLE = "parameters' full keys with ranges, such as train.learning_rate: {low: 0.01, high: 0.1}"
_AFTER_TRAINING = ("evaluate", "report")  # sections that no training depends on


def read_space(path: Path) -> dict[str, dict[str, Any]]:
    """Read what may vary. Raises UserError that names the key that is wrong."""
    if not path.exists():
        raise UserError(f"{path} does not exist; see docs/search.md for what it holds")
    space = dict(parse_params(read_small(path, _MOST_BYTES), path, holds=_EXAMPLE))
    if not space:
        raise UserError(f"{path} must hold {_EXAMPLE}; it holds none")
    for key, choice in space.items():
        if not isinstance(key, str):
            raise UserError(f"{path}: {_short(key)} is no parameter's key; expected {_EXAMPLE}")
        where, known = f"{path}: {shown(key)[:100]}: {_short(choice)}", isinstance(choice, dict)
        if not known or not ({"choices"} == set(choice) or {"low", "high"} <= set(choice) <= _RANGE):
            raise UserError(f"{where} is neither {{low, high[, log][, step]}} nor {{choices: [...]}}")
        try:
            _check_values(choice)
            with warnings.catch_warnings():  # such as a `high` that no step leads to, which Optuna would change
                warnings.simplefilter("error")
                distribution(choice)
        except (TypeError, ValueError, ArithmeticError, UserWarning) as error:
            raise UserError(f"{where} is not a valid range ({reason(error)})") from None
    return space


def _check_values(choice: Mapping[str, Any]) -> None:
    """Raise ValueError or TypeError for what Optuna would take and no trial could use."""
    if "choices" in choice:
        if not isinstance(choice["choices"], list) or any(isinstance(each, list | dict) for each in choice["choices"]):
            raise ValueError("choices are a list of single values")
        return
    if not isinstance(choice.get("log", False), bool):
        raise ValueError("log is true or false")
    for key in ("low", "high", "step"):
        value = choice.get(key, 1)
        if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
            raise ValueError(f"{key} must be a finite number")


def _short(value: Any) -> str:
    """A value as people wrote it, cut where it is long."""
    return shown(" ".join(str(value).split()))[:100]


def check_searchable(space: Mapping[str, Any], params: Mapping[str, Any], path: Path) -> None:
    """Raise UserError for a key that params.yaml lacks, or that changes nothing about a training.

    Args:
        space: the full keys that a search in `path` varies.
        params: the content of params.yaml.
    """
    network = value_at(params, "model.network")
    others = [
        name for name, value in value_at(params, "model").items() if isinstance(value, Mapping) and name != network
    ]
    known = list(_full_keys(params))
    for key in space:
        section, _, rest = key.partition(".")
        if key not in known:
            raise UserError(f"{path}: {shown(key)[:100]} is not in params.yaml{did_you_mean(key, known)}")
        if section in _AFTER_TRAINING:
            raise UserError(
                f"{path}: {key} changes nothing about a training, and trials are compared by their training"
            )
        if section == "model" and rest.partition(".")[0] in others and "model.network" not in space:
            raise UserError(f"{path}: {key} changes nothing, as model.network is {network}; search model.{network}.*")


def _full_keys(params: Mapping[str, Any]) -> Iterator[str]:
    for key, value in params.items():
        yield str(key)
        if isinstance(value, Mapping):
            yield from (f"{key}.{below}" for below in _full_keys(value))


def brought(params: Mapping[str, Any]) -> list[str]:
    """What lies in the folder of the chosen source and is in neither Git nor DVC, so that a trial must be given it."""
    source = value_at(params, "data.source")
    if not isinstance(source, str) or not source.isidentifier():
        raise UserError(
            f"params.yaml: data.source: {_short(source)!r} is no source; expected synthetic, local or kaggle"
        )
    options = ["--others", "--ignored", "--exclude-standard", "--directory", "-z"]
    found = output_of("git", "ls-files", *options, "--", str(Path("data", source))).split("\0")
    paths = sorted(Path(name) for name in found if name)
    return [str(path) for path in paths if not path.with_name(f"{path.name}.dvc").exists()]


def output_of(*command: str) -> str:
    """What a command prints. Raises UserError with its last line where it fails, as `git` does outside a repository."""
    done = subprocess.run(command, check=False, capture_output=True, text=True, errors="backslashreplace")
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        where = "run the search in the project's folder, a Git repository"
        raise UserError(f"`{' '.join(command[:2])}` failed ({shown(said)[:300]}); {where}")
    return done.stdout


def distribution(choice: Mapping[str, Any]) -> Any:
    """What Optuna draws from. Raises ValueError or TypeError where nothing can be drawn."""
    from optuna import distributions

    if "choices" in choice:
        return distributions.CategoricalDistribution(choice["choices"])
    whole = all(isinstance(choice[key], int) for key in ("low", "high", "step") if key in choice)
    return (distributions.IntDistribution if whole else distributions.FloatDistribution)(**choice)
