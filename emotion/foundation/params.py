"""Parameters: the strict base of every parameter class, and the one reader of their file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import CollectionEndEvent, CollectionStartEvent, ScalarEvent

from emotion.foundation.errors import UserError, reason
from emotion.foundation.files import read_small

_MAX_BYTES = 1_000_000  # the parser takes 20 s for that
_MAX_DEPTH = 32
_MAX_VALUES = 100_000


class Params(BaseModel):
    """A validated block of params.yaml.

    An integer is accepted where a float is asked for; nothing else is converted. Every count has an upper bound
    (`Field(le=...)`) that a machine could bear, which tests/stages/test_bounds.py checks.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


def read_params(path: Path) -> Mapping[str, Any]:
    """Read params.yaml as DVC does (YAML 1.2: `1e-3` is a number). Raises UserError when it is not a mapping."""
    return parse_params(read_small(path, _MAX_BYTES) if path.exists() else None, path)


def parse_params(content: bytes | None, path: Path, *, holds: str = "sections such as `train:`") -> Mapping[str, Any]:
    """Parse the bytes of params.yaml, or another mapping, called `path`; None stands for a missing file.

    Raises as `read_params` does.
    """
    if content is None:
        raise UserError(f"{path} is missing; run this in the project's folder")
    if len(content) > _MAX_BYTES:
        raise UserError(f"{path} is larger than {_MAX_BYTES / 1e6:g} MB; parameters need a few thousand bytes")
    try:
        _check_depth(content, path)
        document = YAML(typ="safe").load(content)
    except (YAMLError, ValueError, ArithmeticError, LookupError) as error:  # LookupError: `!!bool x`, `!!int ''`
        raise UserError(f"{path} is not valid YAML: {reason(error)}") from None
    if not isinstance(document, Mapping):
        raise UserError(f"{path} must hold {holds}; it holds {type(document).__name__}")
    _check_size(document, path)
    return document


def value_at(document: Mapping[str, Any], key: str) -> Any:
    """The value at a dotted key. Raises UserError when it is missing."""
    value: Any = document
    for part in key.split("."):
        if not isinstance(value, Mapping) or part not in value:
            raise UserError(in_params([f"{key}: missing; add it"]))
        value = value[part]
    return value


def in_params(problems: list[str]) -> str:
    """The message for problems of params.yaml, a line each."""
    return "\n  ".join(["params.yaml:", *problems])


def _check_depth(content: bytes, path: Path) -> None:
    """Raise UserError where the parser would run out of its stack, or merge keys (`<<: *a`) without end."""
    depth = 0
    for event in YAML(typ="safe").parse(content):
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if depth > _MAX_DEPTH:
            raise UserError(f"{path} nests more than {_MAX_DEPTH} levels deep; parameters need four")
        is_plain = isinstance(event, ScalarEvent) and event.style is None
        if is_plain and (event.value == "<<" or str(event.tag).endswith(":merge")):
            raise UserError(f"{path} merges keys with `<<`, which parameters don't need; write them out")


def _check_size(document: Mapping[str, Any], path: Path) -> None:
    """Raise UserError where aliases (`*a`) make a few lines into more values than could ever be compared or shown."""
    waiting: list[Any] = [document]
    seen = 0
    while waiting:
        value = waiting.pop()
        inner = list(value.values()) if isinstance(value, Mapping) else value if isinstance(value, list | set) else []
        seen += len(inner)
        if seen > _MAX_VALUES:
            raise UserError(f"{path} holds more than {_MAX_VALUES:,} values, counting each that an alias repeats")
        waiting += inner
