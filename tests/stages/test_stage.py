"""The entry of a stage: paths from the command line, parameters from params.yaml, errors in one message."""

from stages._entry.start import PIPELINE_FILE, Start

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import Field

from emotion.foundation.errors import UserError
from emotion.foundation.params import Params, parse_params, read_params
from stages._entry.known_keys import declared_keys, tree
from stages._entry.stage import (
    Block,
    Choice,
    Later,
    Section,
    Values,
    resolve,
    run_stage,
    validate,
)
from tools.check_params import all_readings, known_keys


class Inner(Params):
    """A block in a block."""

    distance: int = Field(ge=0, le=64)


class Knobs(Params):
    """The section of the stage that is tested here."""

    fraction: float = Field(gt=0, lt=1)
    seed: int = Field(ge=0)
    mode: Literal["none", "exact"]
    inner: Inner


GOOD: dict[str, Any] = {"fraction": 0.5, "seed": 3, "mode": "none", "inner": {"distance": 4}}


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(monkeypatch: pytest.MonkeyPatch, yaml: str, *words: str) -> dict[str, Any]:
    """Run a stage that keeps its arguments, as `python -m stages.stage <words>` would."""
    kept: dict[str, Any] = {}

    def stage(index_dir: Path, member: int, params: Knobs) -> None:
        kept.update(index_dir=index_dir, member=member, params=params)

    Path("params.yaml").write_text(yaml)
    monkeypatch.setattr("sys.argv", ["stage", *words])
    run_stage(stage, {"params": Section("knobs", Knobs)}, start())
    return kept


def start() -> Start:
    """What a stage finds whose dvc.yaml knows of the section `knobs` alone."""
    return replace(Start.now(), pipeline=b"stages: {stage: {params: [knobs]}}")


YAML = "knobs: {fraction: 5e-1, seed: 3, mode: none, inner: {distance: 4}}\n"


def test_arguments_come_from_the_command_line_and_parameters_from_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = call(monkeypatch, YAML, "--index-dir", "some/where", "--member", "7")
    assert kept == {"index_dir": Path("some/where"), "member": 7, "params": Knobs.model_validate(GOOD)}


def test_a_missing_path_ends_with_the_usage(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        call(monkeypatch, YAML, "--member", "7")
    assert "usage: python -m stages.stage" in capsys.readouterr().err


def test_what_the_user_can_mend_is_one_message_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit) as caught:
        call(monkeypatch, YAML.replace("seed: 3", "seed: -3"), "--index-dir", "x", "--member", "7")
    assert str(caught.value).startswith("stage: params.yaml:\n  knobs.seed: -3: ")


def test_a_fault_of_the_program_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def stage() -> None:
        raise KeyError("a bug")

    Path("params.yaml").write_text(YAML)
    monkeypatch.setattr("sys.argv", ["stage"])
    with pytest.raises(KeyError):
        run_stage(stage, {}, start())


def test_an_interrupt_is_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    def stage() -> None:
        raise KeyboardInterrupt

    Path("params.yaml").write_text(YAML)
    monkeypatch.setattr("sys.argv", ["stage"])
    with pytest.raises(SystemExit) as caught:
        run_stage(stage, {}, start())
    assert caught.value.code == 130


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"sed": 3}, "knobs.sed: unknown; did you mean 'seed'?"),
        ({"xyz": 3}, "knobs.xyz: unknown"),
        ({"inner": {"distance": 4, "distanc": 5}}, "knobs.inner.distanc: unknown; did you mean 'distance'?"),
        ({"inner": {"distance": 65}}, "knobs.inner.distance: 65: Input should be less than or equal to 64"),
        ({"inner": {}}, "knobs.inner.distance: missing; add it"),
        ({"inner": None}, "knobs.inner: None: Input should be a valid dictionary or instance of Inner"),
        ({"fraction": "0.5"}, "knobs.fraction: '0.5': Input should be a valid number"),
        ({"fraction": 1}, "knobs.fraction: 1: Input should be less than 1"),
        ({"seed": True}, "knobs.seed: True: Input should be a valid integer"),
        ({"seed": 1.5}, "knobs.seed: 1.5: Input should be a valid integer"),
        ({"mode": "all"}, "knobs.mode: 'all': Input should be 'none' or 'exact'"),
    ],
    ids=str,
)
def test_each_kind_of_problem_is_one_line_with_its_full_key(changes: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError) as caught:
        validate(Knobs, GOOD | changes, "knobs")
    heading, problem = str(caught.value).split("\n  ")
    assert (heading, problem) == ("params.yaml:", line)


def test_all_problems_come_in_one_message() -> None:
    with pytest.raises(UserError) as caught:
        validate(Knobs, {"fraction": 2, "sede": 3, "mode": "none", "inner": {"distance": "4"}}, "knobs")
    assert {line.split(":")[0] for line in str(caught.value).split("\n  ")[1:]} == {
        "knobs.fraction", "knobs.sede", "knobs.seed", "knobs.inner.distance",
    }  # fmt: skip


def test_a_whole_number_serves_as_a_fraction_and_parameters_are_frozen() -> None:
    class Free(Params):
        amount: float

    free = Free.model_validate({"amount": 1})
    assert free.amount == 1.0
    with pytest.raises(ValueError, match="frozen"):
        free.amount = 2.0  # type: ignore[misc]


# --- reading params.yaml ----------------------------------------------------------------------------------------------


def test_numbers_are_read_as_dvc_reads_them() -> None:
    Path("params.yaml").write_text("a: 1e-3\nb: 1_000\nc: yes\nd: 010\n")
    document = read_params(Path("params.yaml"))
    assert document["a"] == 0.001
    assert document["c"] == "yes"
    assert document["d"] == 10


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must hold sections such as `train:`; it holds NoneType"),
        ("- 1\n", "must hold sections .* it holds list"),
        ("a: [1\n", "is not valid YAML"),
        ("[" * 5000, "nests more than 32 levels deep"),
        ("a: " + "{a: " * 5000, "nests more than 32 levels deep"),
        ("a: &a [1, *a]\n", "holds more than 100,000 values"),
        (
            "\n".join(["a0: &a0 [1, 2]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40))]),
            "100,000 values",
        ),
        ("a: &a {x: 1}\nb: {<<: *a}\n", "merges keys with `<<`"),
        ("a: &a {x: 1}\nb: {? !!merge z : *a}\n", "merges keys with `<<`"),
        ("a: " + "x" * 1_000_000, "is larger than 1 MB"),
        ("a: !!bool x\n", "is not valid YAML"),
        ("a: !!int ''\n", "is not valid YAML"),
        ("a: 2001-99-99\n", "is not valid YAML"),
        ("a: \x00\n", "is not valid YAML"),
        ("a: 1\na: 2\n", 'is not valid YAML.*(?s:.*)duplicate key "a"'),
    ],
)
def test_a_file_that_is_no_mapping_is_described(text: str, message: str) -> None:
    Path("params.yaml").write_text(text)
    with pytest.raises(UserError, match=message):
        read_params(Path("params.yaml"))


def test_no_more_of_a_huge_file_is_read_than_shows_that_it_is_one() -> None:
    with Path("params.yaml").open("wb") as file:
        file.truncate(6_000_000_000)
    content = Start.now().params
    assert content is not None and len(content) == 1_000_001
    for read in (lambda: parse_params(content, Path("params.yaml")), lambda: read_params(Path("params.yaml"))):
        with pytest.raises(UserError, match=r"params\.yaml is larger than 1 MB"):
            read()


def test_a_missing_file_says_where_to_run() -> None:
    with pytest.raises(UserError, match=r"params\.yaml is missing; run this in the project's folder"):
        read_params(Path("params.yaml"))


def test_values_take_some_keys_of_a_section_and_leave_the_others() -> None:
    class Members(Params):
        members: list[int]

    reading = Values("model", Members)
    assert resolve({"model": {"members": [0, 1], "network": "vgg"}}, reading).members == [0, 1]
    assert reading.dotted_keys() == ["model.members"]
    for document in ({"model": {}}, {"model": None}, {}):
        with pytest.raises(UserError, match=r"model\.members: missing; add it"):
            resolve(document, reading)


def test_a_chosen_block_is_validated_when_it_is_loaded() -> None:
    choice = Choice("data.source", "emotion.sources", "Source", "source")
    block = resolve({"data": {"source": "synthetic", "synthetic": {"seed": -1}}}, choice)
    assert block == Block(Later("data.synthetic", "emotion.sources.synthetic.source", "Source"), {"seed": -1})
    with pytest.raises(UserError, match=r"data\.synthetic\.seed: -1: "):
        block.load()


@pytest.mark.parametrize("name", ["nothing", "", None, 3, ["local"], "__init__", "local.py", "../labels"])
def test_only_the_files_of_the_package_can_be_chosen(name: object) -> None:
    with pytest.raises(UserError, match=r"data\.source: .* is not one of .*local"):
        resolve({"data": {"source": name}}, Choice("data.source", "emotion.sources", "Source", "source"))


@pytest.mark.parametrize(
    ("extra", "line"),
    [
        ("nobs: {}", "nobs: unknown; did you mean 'knobs'?"),
        ("data: {sorce: kaggle}", "data.sorce: unknown; did you mean 'source'?"),
        ("data: {synthetic: {seed: 1}, local: {}, kagle: {}}", "data.kagle: unknown; did you mean 'kaggle'?"),
        ("model: {vgg: {anything: 1}, resnet: {}, vg: {}}", "model.vg: unknown; did you mean 'vgg'?"),
        ("model: {__init__: {}}", "model.__init__: unknown"),
        ("3: 4", "3: unknown"),
    ],
)
def test_a_key_that_no_stage_declares_ends_every_stage(extra: str, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def stage() -> None:
        raise AssertionError("must not run")

    pipeline = PIPELINE_FILE.read_text().replace("stages:\n", "stages:\n  stage: {params: [knobs]}\n", 1)
    Path("params.yaml").write_text(f"{YAML}{extra}\n")
    monkeypatch.setattr("sys.argv", ["stage"])
    with pytest.raises(SystemExit) as caught:
        run_stage(stage, {}, replace(Start.now(), pipeline=pipeline.encode()))
    assert str(caught.value) == f"stage: params.yaml:\n  {line}"


def test_what_dvc_yaml_declares_is_what_the_stages_read() -> None:
    assert tree(declared_keys(Start.now())) == known_keys(all_readings())
