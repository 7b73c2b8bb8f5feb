"""Record only what ran: DVC notes the code and parameters of a stage after it has run (treeverse/dvc#11058)."""

from stages._entry.start import Start, code_digests

from collections.abc import Mapping
from typing import Any

from ruamel.yaml import YAML

from emotion.foundation.errors import UserError


def declared_code(start: Start, stage: str, params: Mapping[str, Any]) -> dict[str, str]:
    """The code (and lock, if listed) that dvc.yaml declares for a stage: path -> SHA-256, as the stage found it.

    Args:
        params: the content of params.yaml, which names the chosen source, votes and network.
    """
    declared = YAML(typ="safe").load(start.pipeline)["stages"].get(stage, {}).get("deps", [])
    paths = [_filled(path, params) for path in declared]
    return {
        file: digest
        for file, digest in start.code.items()
        if any(file == path or file.startswith(f"{path}/") for path in paths)
    }


def changed_code(start: Start, stage: str, params: Mapping[str, Any]) -> list[str]:
    """Which files of a stage's declared code are not what they were when it began, sorted."""
    now = code_digests()
    return [file for file, digest in declared_code(start, stage, params).items() if now.get(file) != digest]


def check_unchanged(stage: str, changed: list[str]) -> None:
    """Raise UserError that names what changed while a stage ran, if anything did."""
    if changed:
        raise UserError(
            f"{', '.join(changed)} changed while {stage} ran, so its result belongs to neither version and is not "
            "recorded; run `dvc repro` again (a finished training is kept, and used if it still fits)"
        )


def _filled(path: str, params: Mapping[str, Any]) -> str:
    """Put the chosen source, votes or network into a dependency of dvc.yaml."""
    for section in ("data.source", "data.votes", "model.network"):
        block, key = section.split(".")
        path = path.replace(f"${{{section}}}", str(params.get(block, {}).get(key)))
    return path
