"""Parameters: the strict base of every parameter class, and the one reader of their file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from emotion.errors import UserError


class Params(BaseModel):
    """A validated block of params.yaml.

    An integer is accepted where a float is asked for; nothing else is converted.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def read_params(path: Path) -> Mapping[str, Any]:
    """Read params.yaml as DVC does (YAML 1.2: `1e-3` is a number). Raises UserError when it is not a mapping."""
    return parse_params(path.read_bytes() if path.is_file() else None, path)


def parse_params(content: bytes | None, path: Path) -> Mapping[str, Any]:
    """Parse the bytes of params.yaml, called `path`; None stands for a missing file. Raises as `read_params` does."""
    if content is None:
        raise UserError(f"{path} is missing; run the stage from the project's root folder")
    try:
        document = YAML(typ="safe").load(content)
    except YAMLError as error:
        raise UserError(f"{path} is not valid YAML: {error}") from None
    if not isinstance(document, Mapping):
        raise UserError(f"{path} must hold sections such as `train:`; it holds {type(document).__name__}")
    return document
