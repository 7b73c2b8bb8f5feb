"""Check the whole of params.yaml at once: every section and block, and unknown keys. `make repro` runs it first."""

from stages._entry.start import PARAMS_FILE, ROOT

import importlib
import sys
from collections.abc import Mapping
from typing import Any

from emotion.foundation.errors import UserError
from emotion.foundation.params import read_params
from emotion.runtime.quiet import import_tensorflow
from stages._entry.known_keys import tree, unknown_keys
from stages._entry.stage import Choice, Later, Reading, Shown, Values, resolve

HEADING = "params.yaml:"


def stage_names() -> list[str]:
    """The stages, by the names of their modules."""
    return sorted(file.stem for file in (ROOT / "stages").glob("*.py") if not file.stem.startswith("_"))


def all_readings() -> list[Reading]:
    """What the stages read, every choice spelled out."""
    readings: list[Reading] = []
    for name in stage_names():
        for reading in importlib.import_module(f"stages.{name}").READS.values():
            readings.append(reading)
            if isinstance(reading, Choice) and reading.has_block:
                readings += [reading.block(choice) for choice in reading.names()]
    return readings


def problems(document: Mapping[str, Any]) -> list[str]:
    """Everything that is wrong with params.yaml, each with its full key."""
    readings = all_readings()
    found: list[str] = []
    for reading in readings:
        if isinstance(reading, Shown):
            continue  # what is wrong there is found where it is used
        try:
            value = resolve(document, reading)
            if isinstance(reading, Later):
                value.load()
        except UserError as error:
            found += str(error).removeprefix(HEADING).strip().split("\n  ")
    found += unknown_keys(document, known_keys(readings))
    return list(dict.fromkeys(found))


def known_keys(readings: list[Reading]) -> dict[str, Any]:
    """The keys that some stage reads, nested; True where a stage takes what lies below."""
    return tree([key for reading in readings for key in _keys(reading)])


def _keys(reading: Reading) -> list[str]:
    if isinstance(reading, Values):
        return reading.dotted_keys()
    if isinstance(reading, Shown):
        return []  # showing a key does not make it a parameter: some other stage must read it
    return [reading.key]


def main() -> None:
    """Exit 1 with every problem in one message, or say nothing."""
    import_tensorflow()
    try:
        found = problems(read_params(PARAMS_FILE))
    except UserError as error:
        sys.exit(str(error))
    if found:
        sys.exit("\n  ".join([HEADING, *found]))


if __name__ == "__main__":
    main()
