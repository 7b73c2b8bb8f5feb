"""dvc.yaml says exactly what the code does: code dependencies are the import closure, declared parameters are read."""

import ast
import importlib
import itertools
import re
from functools import cache
from pathlib import Path

import pytest
from ruamel.yaml import YAML

import emotion
from stages._entry import stage as _stage
from tools.check_params import stage_names

ROOT = Path(__file__).parents[2]
STAGES = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]
PARAMS = YAML(typ="safe").load(ROOT / "params.yaml")


def choices(stage: str) -> list[_stage.Choice]:
    reads = importlib.import_module(f"stages.{stage}").READS
    return [reading for reading in reads.values() if isinstance(reading, _stage.Choice)]


def every_choice() -> list[tuple[str, dict[str, str]]]:
    """(stage, {choice key: name}) for each stage and each way to choose; report shows every parameter that counts."""
    cases = []
    for stage in stage_names():
        options = [[(choice.key, name) for name in choice.names()] for choice in choices(stage)]
        cases += [(stage, dict(picked)) for picked in itertools.product(*options)]
    return cases


def filled(template: str, chosen: dict[str, str]) -> str:
    for key, name in chosen.items():
        template = template.replace(f"${{{key}}}", name)
    return template


def declared_files(stage: str, chosen: dict[str, str]) -> set[str]:
    """The Python files of its code dependencies: a folder stands for every file in it but `__init__.py`."""
    deps = [filled(dep, chosen) for dep in STAGES[stage]["deps"]]
    folders = [ROOT / dep for dep in deps if dep.startswith(("emotion/", "stages/")) and (ROOT / dep).is_dir()]
    inside = {file.relative_to(ROOT).as_posix() for folder in folders for file in folder.rglob("*.py")}
    return {dep for dep in {*deps, *inside} if dep.endswith(".py") and not dep.endswith("__init__.py")}


@cache
def imported_files(file: str) -> frozenset[str]:
    """The project's files that a file imports directly, at its top or inside its functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / file).read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{file}: relative import"
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    paths = {name.replace(".", "/") + ".py" for name in names if name.split(".")[0] in ("emotion", "stages")}
    return frozenset(path for path in paths if (ROOT / path).is_file())


def closure(*files: str) -> set[str]:
    found: set[str] = set()
    waiting = list(files)
    while waiting:
        if (file := waiting.pop()) not in found:
            found.add(file)
            waiting += imported_files(file)
    return found


def chosen_files(stage: str, chosen: dict[str, str]) -> list[str]:
    """The chosen source's files, the chosen network's file."""
    folders = [(choice, ROOT / choice.package.replace(".", "/")) for choice in choices(stage)]
    found = []
    for choice, folder in folders:
        name = chosen[choice.key]
        found += sorted((folder / name).glob("[!_]*.py")) if choice.module else [folder / f"{name}.py"]
    return [file.relative_to(ROOT).as_posix() for file in found]


def later_files(stage: str) -> list[str]:
    reads = importlib.import_module(f"stages.{stage}").READS
    later = [reading for reading in reads.values() if isinstance(reading, _stage.Later)]
    return [reading.module.replace(".", "/") + ".py" for reading in later]


def test_stages_are_the_modules() -> None:
    assert sorted(STAGES) == stage_names()


@pytest.mark.parametrize(("stage", "chosen"), every_choice())
def test_code_dependencies_are_the_import_closure(stage: str, chosen: dict[str, str]) -> None:
    imported = closure(f"stages/{stage}.py", *chosen_files(stage, chosen), *later_files(stage))
    declared = declared_files(stage, chosen)
    assert imported - declared == set(), "imported, but not a dependency: an edit would re-run nothing"
    assert declared - imported == set(), "a dependency, but not imported: an edit would re-run for nothing"


@pytest.mark.parametrize(("stage", "chosen"), every_choice())
def test_a_chosen_file_imports_nothing_that_its_stage_does_not(stage: str, chosen: dict[str, str]) -> None:
    for file in chosen_files(stage, chosen):
        own = set(chosen_files(stage, chosen))
        assert closure(file) - own <= closure(f"stages/{stage}.py", *later_files(stage))


@pytest.mark.parametrize(("stage", "chosen"), every_choice())
def test_declared_parameters_are_those_read(
    stage: str, chosen: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    document = YAML(typ="safe").load(ROOT / "params.yaml")
    for key, name in chosen.items():
        section, _, last = key.rpartition(".")
        document[section][last] = name
    read: set[str] = set()
    original = _stage.value_at
    monkeypatch.setattr(_stage, "value_at", lambda document, key: read.add(key) or original(document, key))
    for reading in importlib.import_module(f"stages.{stage}").READS.values():
        _stage.resolve(document, reading)
    keys_read = frozenset(read)
    current = {choice.key: choice_value(document, choice.key) for name in stage_names() for choice in choices(name)}
    declared = {filled(param, current) for param in STAGES[stage]["params"]}
    assert keys_read == declared


def choice_value(document: dict, key: str) -> str:
    return _stage.value_at(document, key)


def test_nothing_else_reads_the_parameters() -> None:
    """One function parses params.yaml; other YAML that is read is named here, and is none of it."""
    others = {
        "stages/_entry/known_keys.py",  # dvc.yaml
        "stages/_entry/unchanged.py",  # dvc.yaml
        "tools/docs/experiments.py",  # params.yaml and dvc.lock of past commits
        "tools/publish.py",  # the published params.yaml, written with its comments
        "tools/verify.py",  # dvc.lock
    }
    parsers = {
        str(file.relative_to(ROOT))
        for folder in ("emotion", "stages", "tools")
        for file in (ROOT / folder).rglob("*.py")
        if "YAML(" in file.read_text()
    }
    assert parsers == {"emotion/foundation/params.py", *others}


def test_the_library_reads_no_parameters_but_those_it_is_pointed_to() -> None:
    readers = {
        str(file.relative_to(ROOT))
        for file in (ROOT / "emotion").rglob("*.py")
        if re.search(r"read_params|parse_params|PARAMS_FILE", file.read_text())
    }
    commands = {
        "emotion/commands/network_costs.py",  # --params
        "emotion/commands/score.py",  # --labels
        "emotion/commands/search.py",  # of the clone in which DVC runs its trials
        "emotion/commands/search_space.py",  # a search space
    }
    assert readers == {"emotion/foundation/params.py", *commands}


def test_every_parameter_is_commented() -> None:
    lines = (ROOT / "params.yaml").read_text().splitlines()
    keys = [line for line in lines if re.match(r"\s+\w+: *[^ #]", line)]
    assert len(keys) > 30
    assert [line for line in keys if "#" not in line] == []


@pytest.mark.parametrize("stage", sorted(STAGES))
def test_every_stage_says_what_it_does(stage: str) -> None:
    assert len(STAGES[stage]["desc"]) > 20


@pytest.mark.parametrize("stage", ["download", "split"])
def test_data_stages_never_import_tensorflow(stage: str) -> None:
    sources = [file.relative_to(ROOT).as_posix() for file in (ROOT / "emotion/sources").rglob("*.py")]
    files = closure(f"stages/{stage}.py", *sources)
    importing = [
        file for file in files if re.search(r"^\s*(import|from) (tensorflow|keras)", (ROOT / file).read_text(), re.M)
    ]
    assert importing == []


def test_prediction_never_imports_stages() -> None:
    assert [
        file
        for file in closure(*(str(p.relative_to(ROOT)) for p in (ROOT / "emotion").rglob("*.py")))
        if file.startswith("stages")
    ] == []


def test_packages_hold_a_docstring_only() -> None:
    """So that a folder's code is what its files say, and importing one imports no other.

    `emotion` itself also offers names, which it imports when they are first used.
    """
    for file in (ROOT / "emotion").rglob("__init__.py"):
        if file.parent != ROOT / "emotion":
            assert [type(node) for node in ast.parse(file.read_text()).body] == [ast.Expr], file


@pytest.mark.parametrize(("stage", "chosen"), every_choice())
def test_no_stage_uses_the_names_that_the_package_offers(stage: str, chosen: dict[str, str]) -> None:
    """What is behind them is in no stage's dependencies."""
    for file in closure(f"stages/{stage}.py", *chosen_files(stage, chosen), *later_files(stage)):
        for node in ast.walk(ast.parse((ROOT / file).read_text())):
            if isinstance(node, ast.Import):
                assert "emotion" not in {alias.name for alias in node.names}, file
            elif isinstance(node, ast.ImportFrom) and node.module == "emotion":
                assert not {alias.name for alias in node.names} & {"*", *emotion.__all__}, file


def test_dvc_yaml_names_few_code_dependencies() -> None:
    named = [dep for stage in STAGES.values() for dep in stage["deps"] if dep.startswith(("emotion/", "stages/"))]
    assert len(named) <= 70
