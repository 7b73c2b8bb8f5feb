"""Fixtures of the Kaggle tests."""

from pathlib import Path

import pytest

from emotion.dataset.archive.faces import write_archive
from emotion.dataset.layouts import read_zip
from tests.support.kaggle.project import FACES, Project


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What data/raw/faces.zip has to be: the same zip, read from disk."""
    folder = tmp_path_factory.mktemp("expected")
    (folder / "download.zip").write_bytes(FACES)
    write_archive(read_zip(folder / "download.zip"), folder / "faces.zip")
    return (folder / "faces.zip").read_bytes()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)
