"""The published models as users of DVC take them from elsewhere: docs/remotes.md. The tests tag their clone."""

import functools
import http.server
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PUBLISHED = "results/fer2013/models/0.keras"

pytestmark = pytest.mark.slow


def sh(folder: Path, command: str) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    names = {f"GIT_{who}_{what}": "t@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = {**os.environ, **names, "PATH": path, "DVC_NO_ANALYTICS": "1"}
    done = subprocess.run(command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone of the project whose published model is tagged as version 1.0.0."""
    sh(tmp_path, f"git clone -q {ROOT} clone && cd clone && git checkout -q -B main && git tag -am v1 fer2013@v1.0.0")
    return tmp_path / "clone"


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """Somebody else's repository."""
    sh(tmp_path, "mkdir other && cd other && git init -q -b main && dvc init -q && git commit -qm empty")
    return tmp_path / "other"


def test_a_model_is_taken_by_path_and_by_name(clone: Path, other: Path) -> None:
    content = (clone / PUBLISHED).read_bytes()
    sh(other, f"dvc get {clone} {PUBLISHED} -o got.keras && dvc artifacts get {clone} fer2013 -o named.keras")
    assert (other / "got.keras").read_bytes() == (other / "named.keras").read_bytes() == content
    import dvc.api

    with dvc.api.open(PUBLISHED, repo=str(clone), mode="rb") as file:
        assert file.read() == content


def test_an_imported_model_follows_updates(clone: Path, other: Path) -> None:
    sh(other, f"dvc import {clone} {PUBLISHED} && git add . && git commit -qm import")
    (clone / PUBLISHED).write_bytes(b"a newer model")
    sh(clone, "git commit -qam newer")
    sh(other, "dvc update 0.keras.dvc")
    assert (other / "0.keras").read_bytes() == b"a newer model"


def test_a_fresh_clone_pulls_from_a_read_only_http_remote(other: Path, tmp_path: Path) -> None:
    (other / "model.bin").write_bytes(b"a model")
    sh(other, f"dvc add -q model.bin && dvc remote add --local upload {tmp_path / 'shelf'} && dvc push -r upload")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path / "shelf"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        sh(
            other,
            f"dvc remote add -d public http://127.0.0.1:{server.server_port} && git add . && git commit -qm model",
        )
        sh(tmp_path, f"git clone -q {other} fresh && cd fresh && dvc pull")
    finally:
        server.shutdown()
        server.server_close()
    assert (tmp_path / "fresh/model.bin").read_bytes() == b"a model"
