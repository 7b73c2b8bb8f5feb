"""The keys that params.yaml may hold: those that dvc.yaml's `params:` name, whatever source and network are chosen."""

from stages._entry.start import ROOT, Start

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ruamel.yaml import YAML

from emotion.foundation.errors import did_you_mean

_CHOICE = re.compile(r"\$\{([^}]+)\}")  # ${data.source} in a dependency, or in a parameter


def declared_keys(start: Start) -> list[str]:
    """The dotted keys that the stages' `params:` name; `data.${data.source}` stands for each source's block."""
    stages = YAML(typ="safe").load(start.pipeline)["stages"].values()
    params = [key for stage in stages for key in stage.get("params", []) if isinstance(key, str)]
    deps = [path for stage in stages for path in stage.get("deps", [])]
    return sorted({filled for key in params for filled in _every_choice(key, deps)})


def tree(keys: list[str]) -> dict[str, Any]:
    """Dotted keys, nested; True where all that lies below is known to some stage."""
    nested: dict[str, Any] = {}
    for key in keys:
        *parents, last = key.split(".")
        node = nested
        for parent in parents:
            node = node.setdefault(parent, {})
            if node is True:
                break
        else:
            node[last] = True
    return nested


def unknown_keys(document: Mapping[str, Any], known: Mapping[str, Any], *, prefix: str = "") -> Iterator[str]:
    """Yield a line for each key of params.yaml that is not in the tree of known ones."""
    for key, value in document.items():
        if key not in known:
            yield f"{prefix}{key}: unknown{did_you_mean(key, known)}"
        elif known[key] is not True and isinstance(value, Mapping):
            yield from unknown_keys(value, known[key], prefix=f"{prefix}{key}.")


def _every_choice(key: str, deps: list[str]) -> list[str]:
    """A parameter with each name that may be chosen in place of its `${...}`."""
    found = _CHOICE.search(key)
    return [key.replace(found[0], name) for name in _names(found[0], deps)] if found else [key]


def _names(choice: str, deps: list[str]) -> set[str]:
    """What may be chosen: the files or folders of emotion/ that a dependency with `${...}` in its path can mean."""
    patterns = {path for path in deps if choice in path and path.startswith("emotion/")}
    return {path.stem for pattern in patterns for path in ROOT.glob(pattern.replace(choice, "[!_]*"))}
