"""What a search may vary, and what its trials need of the data that Git does not hold."""

import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from emotion.foundation.errors import UserError, did_you_mean

_RANGE = {"low", "high", "log", "step"}
_AFTER_TRAINING = ("evaluate", "report")  # sections that no training depends on


def read_space(path: Path) -> dict[str, dict[str, Any]]:
    """Read what may vary. Raises UserError that names the key that is wrong."""
    try:
        space = YAML(typ="safe").load(path)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; see docs/search.md for what it holds") from None
    except (OSError, ValueError, YAMLError) as error:
        raise UserError(f"{path} is not valid YAML ({error})") from None
    if not isinstance(space, dict) or not space:
        raise UserError(
            f"{path} must map parameters' full keys to ranges, such as train.learning_rate: {{low: 0.01, high: 0.1}}"
        )
    for key, choice in space.items():
        known = isinstance(choice, dict) and ({"choices"} == set(choice) or {"low", "high"} <= set(choice) <= _RANGE)
        if not known:
            raise UserError(f"{path}: {key}: {choice} is neither {{low, high[, log][, step]}} nor {{choices: [...]}}")
        try:
            distribution(choice)
        except (TypeError, ValueError, ArithmeticError) as error:
            raise UserError(f"{path}: {key}: {choice} is not a valid range ({error})") from None
    return space


def check_searchable(space: Mapping[str, Any], params: Mapping[str, Any], path: Path) -> None:
    """Raise UserError for a key that params.yaml lacks, or that changes nothing about a training.

    Args:
        space: the full keys that a search in `path` varies.
        params: the content of params.yaml.
    """
    network = params["model"]["network"]
    others = [name for name, value in params["model"].items() if isinstance(value, Mapping) and name != network]
    known = list(_full_keys(params))
    for key in space:
        section, _, rest = key.partition(".")
        if key not in known:
            raise UserError(f"{path}: {key} is not in params.yaml{did_you_mean(key, known)}")
        if section in _AFTER_TRAINING:
            raise UserError(
                f"{path}: {key} changes nothing about a training, and trials are compared by their training"
            )
        if section == "model" and rest.partition(".")[0] in others and "model.network" not in space:
            raise UserError(f"{path}: {key} changes nothing, as model.network is {network}; search model.{network}.*")


def _full_keys(params: Mapping[str, Any]) -> Iterator[str]:
    for key, value in params.items():
        yield key
        if isinstance(value, Mapping):
            yield from (f"{key}.{below}" for below in _full_keys(value))


def brought(params: Mapping[str, Any]) -> list[str]:
    """What lies in the folder of the chosen source and is in neither Git nor DVC, so that a trial must be given it."""
    folder = Path("data", params["data"]["source"])
    command = ["git", "ls-files", "--others", "--ignored", "--exclude-standard", "--directory", "-z", "--", str(folder)]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\0")
    paths = sorted(Path(name) for name in found if name)
    return [str(path) for path in paths if not path.with_name(f"{path.name}.dvc").exists()]


def distribution(choice: Mapping[str, Any]) -> Any:
    """What Optuna draws from. Raises ValueError or TypeError where nothing can be drawn."""
    from optuna import distributions

    if "choices" in choice:
        return distributions.CategoricalDistribution(choice["choices"])
    whole = all(isinstance(choice[key], int) for key in ("low", "high", "step") if key in choice)
    return (distributions.IntDistribution if whole else distributions.FloatDistribution)(**choice)
