"""Every count and every amount of params.yaml has bounds that a machine could bear."""

import copy
import importlib
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from emotion.foundation.errors import UserError
from stages._entry.stage import Later, Section, Values, resolve
from tools.check_params import all_readings

ROOT = Path(__file__).parents[2]
DOCUMENT = YAML(typ="safe").load(ROOT / "params.yaml")
READINGS = all_readings()


def classes() -> list[tuple[str, Any]]:
    found = []
    for reading in READINGS:
        match reading:
            case Section(key, params_class) | Values(key, params_class):
                found.append((key, params_class))
            case Later(key, module, attribute):
                found.append((key, getattr(importlib.import_module(module), attribute)))
    return found


def integers(schema: Any, place: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(schema, Mapping):
        if schema.get("type") == "integer":
            yield place, schema
        for key, value in schema.items():
            yield from integers(value, f"{place}.{key}")
    elif isinstance(schema, list):
        for value in schema:
            yield from integers(value, place)


def test_every_whole_number_has_an_upper_bound() -> None:
    schemas = [(key, params_class.model_json_schema()) for key, params_class in classes()]
    found = [(key + place, rule) for key, schema in schemas for place, rule in integers(schema)]
    assert len(found) > 30
    assert [place for place, rule in found if not {"maximum", "exclusiveMaximum", "enum", "const"} & set(rule)] == []


def numbers(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places of all numbers in params.yaml."""
    for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield (*path, key)
        yield from numbers(value, (*path, key))


def is_of(reading: Any, path: tuple[Any, ...]) -> bool:
    key = reading.section if isinstance(reading, Values) else getattr(reading, "key", "none")
    return ".".join(map(str, path)).startswith(key)


@pytest.mark.parametrize("value", [2**63, 10**400, -(2**63), math.nan, math.inf, -math.inf])
def test_no_number_may_be_without_bounds(value: float) -> None:
    """One line for each number that is replaced, and nothing but UserError."""
    for path in numbers(DOCUMENT):
        document = copy.deepcopy(DOCUMENT)
        node = document
        for key in path[:-1]:
            node = node[key]
        node[path[-1]] = value
        with pytest.raises(UserError) as caught:
            for reading in (reading for reading in READINGS if is_of(reading, path)):
                resolved = resolve(document, reading)
                if isinstance(reading, Later):
                    resolved.load()
        assert str(caught.value).startswith("params.yaml:\n  ") and len(str(caught.value)) < 1000, path


def bounded(schema: Any, definitions: Mapping[str, Any], place: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The key and the rule of every number of a schema that is no list and no choice between types."""
    for name, rule in schema.get("properties", {}).items():
        target = definitions[rule["$ref"].rpartition("/")[2]] if "$ref" in rule else rule
        if {"minimum", "exclusiveMinimum"} & set(target):
            yield f"{place}.{name}", target
        yield from bounded(target, definitions, f"{place}.{name}")


def comments() -> dict[str, str]:
    """The comment beside each key of params.yaml."""
    found: dict[str, str] = {}
    path: list[str] = []
    for line in (ROOT / "params.yaml").read_text().splitlines():
        if match := re.match(r"( *)(\w+):[^#]*(?:# (.*))?", line):
            path = [*path[: len(match[1]) // 2], match[2]]
            found[".".join(path)] = match[3] or ""
    return found


def words(rule: Mapping[str, Any]) -> list[str]:
    """How a comment tells the bounds of a rule."""
    if "exclusiveMinimum" in rule and rule.get("exclusiveMaximum") == 1:
        return ["between 0 and 1"]
    low = f"more than {rule['exclusiveMinimum']}" if "exclusiveMinimum" in rule else f"{rule.get('minimum')} to"
    if "exclusiveMaximum" in rule:
        most = rule["exclusiveMaximum"]
        return [low, "2^32 - 1" if most == 2**32 else f"less than {most}"]
    most = rule.get("maximum")
    return [low] if most is None else [low, "a million" if most == 1e6 else f"{most:,}" if most > 9999 else f"{most:g}"]


def test_the_comments_of_params_yaml_tell_the_bounds() -> None:
    told, missing = comments(), list[str]()
    for key, params_class in classes():
        schema = params_class.model_json_schema()
        for place, rule in bounded(schema, schema.get("$defs", {}), key):
            missing += [f"{place}: {word}" for word in words(rule) if word not in told[place]]
    assert missing == []
