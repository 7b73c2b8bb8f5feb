"""What ran is what is recorded: a stage whose code or parameters changed meanwhile ends with one error."""

from stages._entry.start import START, Start

import subprocess
import sys
from pathlib import Path

import pytest

from emotion.foundation.errors import UserError
from emotion.foundation.params import read_params
from stages._entry import stage as _stage
from stages._entry import unchanged as _unchanged
from stages._entry.stage import Choice, Section, changed_params
from stages._entry.unchanged import changed_code, check_unchanged, declared_code
from tests.support import tiny

PARAMS = read_params(tiny.ROOT / "params.yaml")


def test_the_declared_code_is_that_of_dvc_yaml_with_the_chosen_network() -> None:
    code = declared_code(START, "train", PARAMS)
    assert {"emotion/training/augment.py", "emotion/networks/vgg.py", "stages/train.py", "requirements.lock"} <= set(
        code
    )
    assert "emotion/networks/resnet.py" not in code
    assert "emotion/cli.py" not in code


def test_the_code_of_a_folder_is_each_of_its_files() -> None:
    pipeline = b"stages: {train: {deps: [data/x, emotion/networks]}}"
    code = declared_code(Start(START.code, None, pipeline), "train", PARAMS)
    assert "emotion/networks/vgg.py" in code
    assert all(file.startswith("emotion/networks/") for file in code)


def test_a_file_that_changed_or_went_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    now = {**START.code, "emotion/training/augment.py": "other"}
    del now["emotion/training/batches.py"]
    monkeypatch.setattr(_unchanged, "code_digests", lambda: now)
    assert changed_code(START, "train", PARAMS) == ["emotion/training/augment.py", "emotion/training/batches.py"]
    with pytest.raises(
        UserError, match=r"emotion/training/augment\.py, emotion/training/batches\.py changed while train ran"
    ):
        check_unchanged("train", changed_code(START, "train", PARAMS))


def test_a_change_of_other_code_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_unchanged, "code_digests", lambda: {**START.code, "emotion/cli.py": "other"})
    assert changed_code(START, "train", PARAMS) == []
    check_unchanged("train", [])


def test_a_parameter_that_changed_is_named_and_another_stages_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = {
        "recipe": Section("train", _stage.Params),
        "network": Choice("model.network", "emotion.networks", "Network"),
    }
    monkeypatch.chdir(tmp_path)
    tiny.write_params(tmp_path, {})
    before = read_params(Path("params.yaml"))
    tiny.write_params(tmp_path, {"split.seed": 5, "model.resnet.width": 4})
    assert changed_params(before, reads) == []
    tiny.write_params(tmp_path, {"model.vgg.width": 6, "train.epochs": 3})
    assert changed_params(before, reads) == ["params.yaml (train)", "params.yaml (model.vgg)"]


def test_a_stage_whose_parameters_change_while_it_runs_ends_with_one_error(tmp_path: Path) -> None:
    """The archive is written and the stage fails, so that DVC does not take the result for that of the new value."""
    tiny.write_params(tmp_path, {})
    change = (
        "original = module.write_archive\n"
        "def write(*arguments, **more):\n"
        "    text = open('params.yaml').read()\n"
        "    open('params.yaml', 'w').write(text.replace('noise: 0.06', 'noise: 0.05'))\n"
        "    return original(*arguments, **more)\n"
        "module.write_archive = write"
    )
    environment = tiny.environment(**tiny.mutation(tmp_path, "emotion.dataset.archive.faces", change))
    paths = ["--archive", "faces.zip", "--facts", "facts.csv", "--report", "data.json"]
    words = ["--input-dir", ".", "--cache-dir", ".", *paths]
    done = subprocess.run(
        [sys.executable, "-m", "stages.download", *words],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("download: params.yaml (data.synthetic) changed while download ran")
    assert len(done.stderr.splitlines()) == 1


def test_every_stage_notes_its_files_before_it_imports_anything_else() -> None:
    for file in sorted((tiny.ROOT / "stages").glob("[a-z]*.py")):
        imports = [line for line in file.read_text().splitlines() if line.startswith(("import ", "from "))]
        assert imports[0].startswith("from stages._entry.start import "), file
