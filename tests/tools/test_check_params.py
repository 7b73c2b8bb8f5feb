"""The check of all of params.yaml at once."""

import copy
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tools import check_params as _check
from tools.check_params import all_readings, known_keys, problems, stage_names

ROOT = Path(__file__).parents[2]


@pytest.fixture
def document() -> dict[str, Any]:
    return YAML(typ="safe").load(ROOT / "params.yaml")


def test_the_committed_parameters_are_right(document: dict[str, Any]) -> None:
    assert problems(document) == []


def test_everything_wrong_is_listed_once_with_its_full_key(document: dict[str, Any]) -> None:
    document["splitt"] = document["split"]
    document["split"] = copy.deepcopy(document["split"]) | {"val_fraction": 2, "sede": 1}
    document["split"]["near"]["max_hash_distanc"] = 3
    document["data"]["source"] = "lokal"
    document["data"]["synthetic"]["train_images"] = "many"  # not chosen, and yet checked
    document["data"]["sauce"] = 1
    document["model"]["members"] = []
    del document["preprocess"]["channels"]
    found = problems(document)
    assert sorted(line.split(":")[0] for line in found) == [
        "data.sauce", "data.source", "data.synthetic.train_images", "model.members", "preprocess.channels",
        "split.near.max_hash_distanc", "split.sede", "split.val_fraction", "splitt",
    ]  # fmt: skip
    assert "splitt: unknown; did you mean 'split'?" in found
    assert "data.sauce: unknown; did you mean 'source'?" in found


@pytest.mark.parametrize(
    ("members", "says"), [([0, 0], "names a member twice"), ([0, -1], "greater than or equal to 0")]
)
def test_members_are_different_seeds(document: dict[str, Any], members: list[int], says: str) -> None:
    document["model"]["members"] = members
    [problem] = problems(document)
    assert problem.startswith("model.members") and says in problem


@pytest.mark.parametrize("section", ["data", "split", "preprocess", "augment", "model", "train", "evaluate", "report"])
def test_a_missing_section_is_named(document: dict[str, Any], section: str) -> None:
    del document[section]
    found = problems(document)
    assert found
    assert all(line.startswith(section) and line.endswith("missing; add it") for line in found)


def test_every_key_of_the_file_is_known_to_some_stage(document: dict[str, Any]) -> None:
    assert set(known_keys(all_readings())) == set(document)


def test_stages_are_found_by_their_files() -> None:
    assert {"download", "split", "preprocess"} <= set(stage_names())
    assert not any(name.startswith("_") for name in stage_names())


def test_the_command_exits_with_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "params.yaml").read_text()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(_check, "import_tensorflow", lambda: None)
    Path("params.yaml").write_text(text)
    _check.main()
    Path("params.yaml").write_text(text.replace("val_fraction: 0.2", "val_fraction: 1.2") + "extra: {}\n")
    with pytest.raises(SystemExit) as caught:
        _check.main()
    heading, *lines = str(caught.value).split("\n")
    assert heading == "params.yaml:"
    assert [line.split(":")[0] for line in lines] == ["  split.val_fraction", "  extra"]
    Path("params.yaml").unlink()
    with pytest.raises(SystemExit, match=r"params.yaml is missing"):
        _check.main()
