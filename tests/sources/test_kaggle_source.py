"""Versions, digests, the cache, and the parameters of the source."""

import json
from pathlib import Path

import pytest

from emotion.dataset.archive.faces import content_digest
from emotion.dataset.layouts import read_zip
from emotion.foundation.errors import UserError
from emotion.sources.kaggle.source import Source
from stages._entry.stage import validate
from tests.support.kaggle.project import DATASET, FACES, HALF, OTHER_FACES, REFERENCE, Project, flipped, origin
from tests.support.kaggle.stand_in import (
    STORAGE,
    Delivery,
    StandIn,
)


def test_same_zip_in_data_local_gives_the_same_archive(project: Project) -> None:
    with StandIn(FACES) as stand_in:
        project.run_here(stand_in)
    downloaded = project.archive.read_bytes()
    assert project.run_on(FACES) == downloaded


def test_real_dataset_survives_a_cut_and_is_what_data_local_gives(project: Project, fer2013_zip: Path) -> None:
    content = fer2013_zip.read_bytes()
    with StandIn(content, deliveries=[Delivery(cut_after=len(content) // 2)]) as stand_in:
        code, output = project.run(stand_in)
        assert (code, "broke off" in output) == (0, True), output
    downloaded = project.archive.read_bytes()
    assert project.run_on(content) == downloaded


def test_finished_download_needs_no_network(project: Project, expected: bytes) -> None:
    with StandIn(FACES) as stand_in:
        project.run_here(stand_in)
    project.archive.unlink()
    assert project.run(None, KAGGLE_API_ENVIRONMENT="LOCALHOST", HTTP_PROXY="http://127.0.0.1:1")[0] == 0
    assert project.archive.read_bytes() == expected


def test_cached_zip_that_went_bad_is_replaced(project: Project, expected: bytes) -> None:
    with StandIn(FACES) as stand_in:
        project.run_here(stand_in)
        project.finished.write_bytes(flipped(FACES, HALF))
        code, output = project.run(stand_in)
        assert (code, "It was deleted" in output, project.left()) == (1, True, set())
        project.run_here(stand_in)
    assert project.archive.read_bytes() == expected


def test_partial_file_of_unknown_origin_is_not_continued(project: Project, expected: bytes) -> None:
    project.partial.parent.mkdir(parents=True)
    project.partial.write_bytes(b"bytes of who knows what")
    with StandIn(FACES) as stand_in:
        project.run_here(stand_in)
        assert not [seen for seen in stand_in.calls(STORAGE) if "Range" in seen.headers]
    assert project.archive.read_bytes() == expected


def test_pinned_version_is_asked_for_and_recorded(project: Project) -> None:
    project.configure(f"{DATASET}/versions/7")
    with StandIn(FACES, version=9) as stand_in:
        project.run_here(stand_in)
        assert not stand_in.calls("GetDataset")
        assert "/7.zip" in stand_in.calls(STORAGE)[0].path
    assert origin(project) == {"dataset": DATASET, "version": 7}


def test_latest_version_is_resolved_and_a_new_one_noticed(project: Project) -> None:
    project.configure(DATASET)
    found = []
    for version, content in ((3, FACES), (4, OTHER_FACES)):
        with StandIn(content, version=version) as stand_in:
            project.run_here(stand_in)
        found.append(origin(project)["version"])
    assert found == [3, 4]
    assert project.archive.read_bytes() != FACES
    assert project.finished.with_name("4.zip").read_bytes() == OTHER_FACES


def test_content_digest_is_enforced(project: Project, tmp_path: Path, expected: bytes) -> None:
    (tmp_path / "faces.zip").write_bytes(FACES)
    right = content_digest(read_zip(tmp_path / "faces.zip"))
    before = project.data()
    with StandIn(FACES) as stand_in:
        project.configure(sha256="0" * 64)
        code, output = project.run(stand_in)
        assert (code, f"content digest is {right}, but data.kaggle.sha256 asks for 000" in output) == (1, True), output
        assert (project.data(), project.left()) == (before, set())
        project.configure(sha256=right)
        project.run_here(stand_in)
    report = json.loads((project.folder / "metrics/data.json").read_text())
    assert report["digest"] == right


@pytest.mark.parametrize(
    "dataset", ["fer2013", "a/b/c", "a/b/0", "a/b/1/2", "../b", "a/..", "a/b/", "https://x/a/b", "a/b\n"]
)
def test_malformed_reference_is_explained(dataset: str) -> None:
    with pytest.raises(UserError, match=r"data.kaggle.dataset: .*expected owner/slug or, pinned, owner/slug/version"):
        validate(Source, {"dataset": dataset, "sha256": None}, "data.kaggle")


def test_malformed_digest_is_explained() -> None:
    with pytest.raises(UserError, match=r"data\.kaggle\.sha256: 'abc': expected the 64 hexadecimal digits"):
        validate(Source, {"dataset": REFERENCE, "sha256": "abc"}, "data.kaggle")


@pytest.mark.parametrize("value", ["soon", "-1", "nan", "inf"])
def test_malformed_patience_is_explained(value: str, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOTION_KAGGLE_RETRIES", value)
    with pytest.raises(UserError, match=f"EMOTION_KAGGLE_RETRIES is '{value}'; expected a number from 0 up"):
        Source(dataset=REFERENCE, sha256=None).dataset(Path(), project.cache)
