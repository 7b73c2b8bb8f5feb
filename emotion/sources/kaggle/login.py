"""Signing in to Kaggle: the credentials that the kaggle package would find, found without its side effects."""

import errno
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emotion.foundation.errors import UserError


@dataclass(frozen=True)
class Login:
    """One way to sign in that was found on this machine."""

    name: str
    arguments: Mapping[str, str] = field(repr=False)  # for KaggleClient; none: its OAuth login. A secret


def find_logins() -> tuple[list[Login], list[str]]:
    """Look where the kaggle package looks, in its order: the first login is used. Also returns what is half set."""
    notes: list[str] = []
    logins = [login for login in (_access_token(notes), _api_key(notes), _oauth(notes)) if login]
    return logins, notes


def _access_token(notes: list[str]) -> Login | None:
    from kagglesdk import get_access_token_from_env

    try:
        token, place = get_access_token_from_env()
    except (OSError, UnicodeError) as error:
        if not isinstance(error, OSError) or error.errno != errno.ENAMETOOLONG:
            raise UserError(
                f"the file with Kaggle's access token cannot be read ({type(error).__name__}); make it a readable text "
                "file: the one that KAGGLE_API_TOKEN names, or ~/.kaggle/access_token"
            ) from None
        token, place = os.environ["KAGGLE_API_TOKEN"], "KAGGLE_API_TOKEN"  # too long for the path it was tried as
    place = "~/.kaggle/access_token" if place == "access_token" else place
    if token and not token.strip():  # the client reads the variable itself and would send the blanks
        raise UserError(f"{place} holds nothing but blanks; set it to a token of Kaggle, or unset it")
    if token:
        if "/" in token or "\\" in token:
            notes.append(f"{place} looks like a path, but there is no such file")
        return Login(f"the access token in {place}", {"api_token": token.strip()})
    if place:
        notes.append(f"the file that {place} names is empty")
    return None


def _api_key(notes: list[str]) -> Login | None:
    for path in dict.fromkeys([config_dir() / "kaggle.json", Path.home() / ".kaggle" / "kaggle.json"]):
        saved = _read_json(path, notes)
        found = {}  # name -> value, place
        for name in ("username", "key"):
            variable = f"KAGGLE_{name.upper()}"
            if value := os.environ.get(variable):
                found[name] = value, variable
            elif value := saved.get(name):
                found[name] = str(value), str(path)
        places = " and ".join(dict.fromkeys(place for _, place in found.values()))
        if len(found) == 2:
            return Login(f"the API key in {places}", {"username": found["username"][0], "password": found["key"][0]})
        if found:
            notes.append(f"of the API key, {places} has the {' '.join(found)} only")
    return None


def _oauth(notes: list[str]) -> Login | None:
    path = Path.home() / ".kaggle" / "credentials.json"
    return Login(f"the OAuth login in {path}", {}) if _read_json(path, notes).get("refresh_token") else None


def config_dir() -> Path:
    """The kaggle package's folder for kaggle.json, found as it does."""
    if folder := os.environ.get("KAGGLE_CONFIG_DIR"):
        return Path(folder)
    folder_at_home = Path.home() / ".kaggle"
    if not sys.platform.startswith("linux") or folder_at_home.exists():
        return folder_at_home
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "kaggle"


def _read_json(path: Path, notes: list[str]) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
        if isinstance(content, dict):
            return content
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        pass
    notes.append(f"{path} cannot be read as JSON of the expected form")
    return {}
