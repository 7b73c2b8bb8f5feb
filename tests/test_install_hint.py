"""The command that installs an extra fits how this copy was installed, and never takes it from an index."""

import json
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emotion import install_hint
from emotion.install_hint import install_command

ROOT = Path(__file__).parents[1]
COMMIT = "0123456789abcdef0123456789abcdef01234567"
Installed = Callable[..., Path]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installed:
    """Act as a package in site-packages whose installer noted `direct_url`."""
    site = tmp_path / "site-packages"
    monkeypatch.setattr(install_hint, "_ROOT", site)
    monkeypatch.setattr(sys, "path", [str(site)])
    monkeypatch.setattr(install_hint, "_pip_install", lambda: "pip install")

    def write(noted: dict[str, Any] | str | None) -> Path:
        facts = site / "emotion-0.1.0.dist-info"
        facts.mkdir(parents=True)
        (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: emotion\nVersion: 0.1.0\n")
        if noted is not None:
            (facts / "direct_url.json").write_text(noted if isinstance(noted, str) else json.dumps(noted))
        return site

    return write


def project(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "pyproject.toml").touch()
    return folder


def test_an_editable_clone_is_named(installed: Installed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clone = project(tmp_path / "my clone's")
    installed({"url": clone.as_uri(), "dir_info": {"editable": True}})
    monkeypatch.setattr(install_hint, "_ROOT", clone)
    assert shlex.split(install_command("app")) == ["pip", "install", "-e", f"{clone}[app]"]


def test_a_folder_that_was_copied_is_named(installed: Installed, tmp_path: Path) -> None:
    clone = project(tmp_path / "clone")
    installed({"url": clone.as_uri(), "dir_info": {}})
    assert install_command("pipeline,search") == f"pip install '{clone}[pipeline,search]'"


def test_a_repositorys_address_is_named_with_its_commit(installed: Installed) -> None:
    vcs = {"vcs": "git", "commit_id": COMMIT, "requested_revision": "main"}
    installed({"url": "https://example.org/emotion.git", "vcs_info": vcs})
    assert install_command("app") == f"pip install 'emotion[app] @ git+https://example.org/emotion.git@{COMMIT}'"


def test_a_folder_within_a_repository_is_named(installed: Installed) -> None:
    vcs = {"vcs": "git", "commit_id": COMMIT}
    installed({"url": "https://example.org/all.git", "vcs_info": vcs, "subdirectory": "faces"})
    assert install_command("app").endswith(f"all.git@{COMMIT}#subdirectory=faces'")


def test_a_wheel_is_named_by_its_address(installed: Installed, tmp_path: Path) -> None:
    wheel = tmp_path / "emotion-0.1.0-py3-none-any.whl"
    wheel.touch()
    installed({"url": wheel.as_uri(), "archive_info": {"hash": "sha256=00"}})
    assert install_command("onnx") == f"pip install 'emotion[onnx] @ {wheel.as_uri()}'"


def test_an_archive_on_the_web_is_named_by_its_address(installed: Installed) -> None:
    installed({"url": "https://example.org/emotion.zip", "archive_info": {}})
    assert install_command("onnx") == "pip install 'emotion[onnx] @ https://example.org/emotion.zip'"


def gone(tmp_path: Path) -> list[dict[str, Any] | str | None]:
    return [
        None,  # from an index, or by another tool
        "",
        "[]",
        "{}",
        {"url": (tmp_path / "gone").as_uri(), "dir_info": {}},
        {"url": (tmp_path / "gone.whl").as_uri(), "archive_info": {}},
    ]


@pytest.mark.parametrize("number", range(6))
def test_where_it_came_from_being_unknown_or_gone_a_clone_is_advised(
    number: int, installed: Installed, tmp_path: Path
) -> None:
    installed(gone(tmp_path)[number])
    assert install_command("app") == (
        "in a clone of this project, run `make repro`, then `.venv/bin/python -m pip install -e '.[app]'`"
    )


def test_another_package_of_the_same_name_is_not_taken_for_this_one(
    installed: Installed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed({"url": "https://example.org/other.zip", "archive_info": {}})
    clone = project(tmp_path / "clone")  # that runs without being installed
    monkeypatch.setattr(install_hint, "_ROOT", clone)
    assert install_command("app") == f"pip install -e '{clone}[app]'"


def test_pip_is_this_pythons(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(install_hint, "_origin", lambda: ([], "/clone"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert install_command("app") == f"{shlex.quote(sys.executable)} -m pip install '/clone[app]'"
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    assert install_command("app") == "python -m pip install '/clone[app]'"
    monkeypatch.setattr(install_hint.util, "find_spec", lambda name: None)
    assert install_command("app") == f"uv pip install --python {shlex.quote(sys.executable)} '/clone[app]'"


def test_the_note_of_a_true_installation_is_understood() -> None:
    """Of the environment that runs the tests: the project's folder, installed or not."""
    code = "from emotion.install_hint import install_command; print(install_command('app'))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    *_, what = shlex.split(done.stdout)
    assert what.endswith("[app]") and (Path(what.removesuffix("[app]")) / "pyproject.toml").is_file()


def test_no_text_of_the_project_names_an_index() -> None:
    folders = ("emotion", "stages", "tools", "benchmarks", "docs", "notebooks")
    files = [file for folder in folders for file in (ROOT / folder).rglob("*.*") if file.suffix in (".py", ".md")]
    files += [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("notebooks/*.ipynb")]
    assert len(files) > 150
    for file in files:
        for line in file.read_text(encoding="utf-8").splitlines():
            _, _, named = line.partition("pip install")
            assert "emotion[" not in named or "[…]" in named or " @ " in named, f"{file}: {line}"
