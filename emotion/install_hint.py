"""The command that adds an extra to this copy of the package, however it was installed.

The package is on no index: there the name `emotion` is free for anybody to take, so `pip install emotion[…]` could
bring anything. An installer notes where it took a package from (PEP 610, `direct_url.json`), and that place is named.
"""

import json
import os
import shlex
import shutil
import sys
from importlib import metadata, util
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

_ROOT = Path(__file__).resolve().parents[1]  # the clone, or the folder of installed packages
_NAME = "emotion"


def install_command(extra: str) -> str:
    """A command for the shell that installs what `extra` (or several, "pipeline,search") needs for this copy."""
    origin = _origin()
    if origin is None:
        return f"in a clone of this project, run `make repro`, then `.venv/bin/python -m pip install -e '.[{extra}]'`"
    option, source = origin
    what = f"{source}[{extra}]" if "://" not in source else f"{_NAME}[{extra}] @ {source}"
    return " ".join([_pip_install(), *option, _quoted(what)])


def _origin() -> tuple[list[str], str] | None:
    """Options of pip, and the folder or URL that this copy came from; None where that is not known any more."""
    noted = _direct_url()
    if noted is not None:
        return _from_direct_url(noted)
    return (["-e"], str(_ROOT)) if _is_project(_ROOT) else None


def _direct_url() -> dict[str, Any] | None:
    """What the installer noted of this very copy, not of another package of the same name."""
    for found in metadata.distributions(name=_NAME):
        try:
            noted = json.loads(found.read_text("direct_url.json") or "")
            url = noted["url"]
        except (ValueError, KeyError, TypeError):
            continue
        installed = Path(str(found.locate_file("")))
        if _is_same(installed, _ROOT) or (noted.get("dir_info") is not None and _is_same(_folder(url), _ROOT)):
            return dict(noted)
    return None


def _from_direct_url(noted: dict[str, Any]) -> tuple[list[str], str] | None:
    url, within = noted["url"], noted.get("subdirectory", "")
    fragment = f"#subdirectory={within}" if within else ""
    if "vcs_info" in noted:
        vcs = noted["vcs_info"]
        return [], f"{vcs['vcs']}+{url}@{vcs['commit_id']}{fragment}"
    if "dir_info" in noted:
        folder = _folder(url) / within
        option = ["-e"] if noted["dir_info"].get("editable") else []
        return (option, str(folder)) if _is_project(folder) else None
    is_gone = urlsplit(url).scheme == "file" and not _folder(url).is_file()
    return None if is_gone else ([], url + fragment)


def _folder(url: str) -> Path:
    return Path(url2pathname(urlsplit(url).path))


def _is_project(folder: Path) -> bool:
    return (folder / "pyproject.toml").is_file()


def _is_same(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and one.samefile(other)


def _pip_install() -> str:
    """How this Python's pip installs: called by path where `python` is another one, by uv where there is no pip."""
    if util.find_spec("pip") is None:
        return f"uv pip install --python {_quoted(sys.executable)}"
    on_path, this = Path(shutil.which("python") or ""), Path(sys.executable)
    is_this = on_path.parent == this.parent and _is_same(on_path, this)  # an environment's folder, a system's link
    return f"{'python' if is_this else _quoted(sys.executable)} -m pip install"


def _quoted(text: str) -> str:
    return f'"{text}"' if os.name == "nt" else shlex.quote(text)
