"""Signing in: as the unmodified kaggle package does, without what that does besides."""

import json
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from emotion.foundation.errors import UserError
from emotion.sources.kaggle.source import Source
from tests.support.kaggle.project import DATASET, FACES, REFERENCE, Project
from tests.support.kaggle.stand_in import (
    BASIC,
    BEARER,
    KEY,
    REFRESH_TOKEN,
    SECRETS,
    TOKEN,
    USERNAME,
    StandIn,
)


def write(path: Path, content: str | dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    path.chmod(0o600)


API_KEY = {"username": USERNAME, "key": KEY}
OAUTH = {
    "refresh_token": REFRESH_TOKEN,
    "access_token": "stale",
    "access_token_expiration": "2020-01-01T00:00:00+00:00",
    "username": USERNAME,
    "scopes": [],
}
LOGINS: dict[str, tuple[str | None, dict[str, str], dict[str, str | dict[str, Any]]]] = {
    # name: what the API must get, variables, files at home
    "a token": (BEARER, {"KAGGLE_API_TOKEN": TOKEN}, {}),
    "the path of a token": (BEARER, {"KAGGLE_API_TOKEN": "home/my-token"}, {"my-token": f"{TOKEN}\n"}),
    "a token's file": (BEARER, {}, {".kaggle/access_token": TOKEN}),
    "a token's file on Windows": (BEARER, {}, {".kaggle/access_token.txt": TOKEN}),
    "a token and a key": (BEARER, {"KAGGLE_API_TOKEN": TOKEN}, {".kaggle/kaggle.json": {"username": "x", "key": "y"}}),
    "kaggle.json": (BASIC, {}, {".kaggle/kaggle.json": API_KEY}),
    "kaggle.json of XDG": (BASIC, {}, {".config/kaggle/kaggle.json": API_KEY}),
    "kaggle.json elsewhere": (BASIC, {"KAGGLE_CONFIG_DIR": "home/there"}, {"there/kaggle.json": API_KEY}),
    "variables": (BASIC, {"KAGGLE_USERNAME": USERNAME, "KAGGLE_KEY": KEY}, {}),
    "a variable and a file": (
        BASIC,
        {"KAGGLE_KEY": KEY},
        {".kaggle/kaggle.json": {"username": USERNAME, "key": "old"}},
    ),
    "an OAuth login": (BEARER, {}, {".kaggle/credentials.json": OAUTH}),
    "nothing": (None, {}, {}),
}


@pytest.mark.parametrize("login", LOGINS)
def test_signs_in_as_the_unmodified_package_does(login: str, project: Project) -> None:
    authorization, variables, files = LOGINS[login]
    for name, content in files.items():
        write(project.home / name, content)
    with StandIn(FACES) as stand_in:
        environment = project.environment(stand_in, **variables)
        command = [sys.executable, "-m", "kaggle", "datasets", "download", DATASET, "-p", "by-the-package", "-q"]
        done = subprocess.run(command, cwd=project.folder, env=environment, capture_output=True, text=True)
        assert (project.folder / "by-the-package/faces.zip").read_bytes() == FACES, done.stdout + done.stderr
        shutil.rmtree(project.folder / "by-the-package")
        with mock.patch.dict(project.settings, variables):
            project.run_here(stand_in)
        package, stage = stand_in.calls("DownloadDataset")
    assert stage.headers.get("Authorization") == package.headers.get("Authorization") == authorization


def test_stale_token_that_shadows_valid_keys_is_named(project: Project) -> None:
    write(project.home / ".kaggle/kaggle.json", API_KEY)
    with StandIn(FACES) as stand_in:
        code, output = project.run(stand_in, KAGGLE_API_TOKEN="stale")
        assert code == 1
        assert "Kaggle refused the access token in KAGGLE_API_TOKEN (HTTP 401)" in output
        assert f"it shadows the API key in {project.home}/.kaggle/kaggle.json, which was not tried" in output
        project.run_here(stand_in)


def test_refused_oauth_login_is_named_and_kept(project: Project) -> None:
    write(project.home / ".kaggle/credentials.json", OAUTH | {"refresh_token": "revoked"})
    with StandIn(FACES) as stand_in:
        code, output = project.run(stand_in)
    assert (code, "Kaggle refused the OAuth login in" in output) == (1, True), output
    assert (project.home / ".kaggle/credentials.json").exists()


def test_oauth_login_that_has_just_expired_is_renewed(project: Project) -> None:
    # The package itself would go on using the access token until half an hour after its end.
    just_now = (datetime.now(UTC) - timedelta(minutes=10)).isoformat()
    write(project.home / ".kaggle/credentials.json", OAUTH | {"access_token_expiration": just_now})
    with StandIn(FACES, anonymous=False) as stand_in:
        project.run_here(stand_in)


HALF_SET: dict[str, tuple[dict[str, str], dict[str, str | bytes], str]] = {
    "a key without a name": ({"KAGGLE_KEY": KEY}, {}, "of the API key, KAGGLE_KEY has the key only"),
    "a name without a key": ({}, {".kaggle/kaggle.json": '{"username": "ada"}'}, "kaggle.json has the username only"),
    "kaggle.json that is none": ({}, {".kaggle/kaggle.json": "[]"}, "kaggle.json cannot be read as JSON"),
    "kaggle.json cut off": ({}, {".kaggle/kaggle.json": '{"username": "ada'}, "kaggle.json cannot be read as JSON"),
    "an empty token file": (
        {"KAGGLE_API_TOKEN": "home/empty"},
        {"empty": ""},
        "the file that KAGGLE_API_TOKEN names is empty",
    ),
    "a blank token": ({"KAGGLE_API_TOKEN": " "}, {}, "KAGGLE_API_TOKEN holds nothing but blanks"),
    "a path of no file": ({"KAGGLE_API_TOKEN": "/no/file"}, {}, "KAGGLE_API_TOKEN looks like a path"),
    "a very long token": ({"KAGGLE_API_TOKEN": TOKEN * 20}, {}, r"refused the access token in KAGGLE_API_TOKEN"),
    "a token no header can hold": ({"KAGGLE_API_TOKEN": f"{TOKEN}\n{TOKEN}"}, {}, "the credentials it found, are not"),
    "a UTF-16 token file": ({}, {".kaggle/access_token": TOKEN.encode("utf-16")}, "access token cannot be read"),
}


@pytest.mark.parametrize("half", HALF_SET)
def test_half_set_credentials_are_named(half: str, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    variables, files, says = HALF_SET[half]
    for name, content in files.items():
        (project.home / name).parent.mkdir(exist_ok=True)
        (project.home / name).write_bytes(content.encode() if isinstance(content, str) else content)
    monkeypatch.chdir(project.folder)
    with StandIn(FACES, anonymous=False) as stand_in:
        for name, value in project.environment(stand_in, **variables).items():
            monkeypatch.setenv(name, value)
        with pytest.raises(UserError, match=says) as caught:
            Source(dataset=REFERENCE, sha256=None).dataset(Path(), project.cache)
    assert not [secret for secret in SECRETS if secret in str(caught.value)]
    assert caught.value.__cause__ is None  # whose text, shown in a traceback, may hold the token
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_token_with_blanks_around_it_works(project: Project) -> None:
    with StandIn(FACES, anonymous=False) as stand_in:
        assert project.run(stand_in, KAGGLE_API_TOKEN=f" {TOKEN}\n")[0] == 0


def test_verbose_package_prints_no_secret(project: Project) -> None:
    with StandIn(FACES) as stand_in:
        assert project.run(stand_in, KAGGLE_API_TOKEN=TOKEN, VERBOSE="1")[0] == 0  # run() looks for secrets


def test_package_is_never_imported_nor_home_touched(project: Project) -> None:
    code = (
        "import sys; from pathlib import Path; from emotion.sources.kaggle.source import Source;"
        "assert not {'kaggle', 'kagglesdk'} & set(sys.modules);"
        f"Source(dataset='{REFERENCE}', sha256=None).dataset(Path(), Path('cache'));"
        "assert 'kagglesdk' in sys.modules and 'kaggle' not in sys.modules"
    )
    with StandIn(FACES) as stand_in:
        command = [sys.executable, "-c", code]
        subprocess.run(command, cwd=project.folder, env=project.environment(stand_in), check=True)
    assert not list(project.home.iterdir())


def test_other_sources_know_nothing_of_the_package(project: Project) -> None:
    imports = "import sys, stages.download, emotion.sources.synthetic.source"
    code = f"{imports}; print({{'kaggle', 'kagglesdk', 'requests'}} & set(sys.modules))"
    environment = project.environment(None, KAGGLE_API_TOKEN=TOKEN)
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
    assert not list(project.home.iterdir())
