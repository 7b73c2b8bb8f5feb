"""The download stage: any source into the canonical archive, counted."""

import json
from pathlib import Path
from typing import Any

import pytest

from emotion.dataset.archive.faces import Dataset, DatasetError, list_faces
from emotion.dataset.votes import read_votes
from emotion.foundation.errors import UserError
from stages._entry.stage import Choice, resolve, validate
from stages.download import READS, DataParams, download
from tests.support.pictures import encoded, noise, numbered, write_zip


def run(
    folder: Path, labels: dict[str, str | None] | None = None, source: str = "local", votes: str = "none", **block: Any
) -> dict[str, Any]:
    """Run the stage on `folder/local`, and give back its report."""
    document = {"data": {"source": source, source: block, "votes": votes}}
    chosen = {name: resolve(document, READS[name]) for name in ("source", "votes")}
    raw, params = folder / "raw", DataParams(labels=labels or {})
    download(
        *(folder / "local", folder / "cache", raw / "faces.zip", raw / "facts.csv", folder / "data.json"),
        **chosen,
        params=params,
    )
    return json.loads((folder / "data.json").read_text())


@pytest.fixture
def folder(tmp_path: Path, tiny_files: dict[str, bytes]) -> Path:
    (tmp_path / "local").mkdir()
    write_zip(tmp_path / "local" / "set.zip", tiny_files)
    return tmp_path


def test_report_counts_images_per_split_and_label(folder: Path, tiny_files: dict[str, bytes]) -> None:
    report = run(folder)
    assert report["images"] == {
        "test": {"total": 12, "angry": 4, "happy": 4, "sad": 4},
        "train": {"total": 30, "angry": 10, "happy": 10, "sad": 10},
    }
    assert report["image_bytes"] == sum(map(len, tiny_files.values()))
    assert len(report["digest"]) == 64
    assert "origin" not in report


def test_labels_are_renamed_merged_and_dropped(folder: Path) -> None:
    report = run(folder, {"angry": "bad", "sad": "bad", "happy": "good"})
    assert report["images"]["train"] == {"total": 30, "bad": 20, "good": 10}
    report = run(folder, {"happy": None})
    assert report["images"]["test"] == {"total": 8, "angry": 4, "sad": 4}
    assert {face.label for face in list_faces(folder / "raw" / "faces.zip")} == {"angry", "sad"}


def test_two_runs_give_the_same_bytes(folder: Path) -> None:
    run(folder)
    before = [(folder / name).read_bytes() for name in ("raw/faces.zip", "data.json")]
    run(folder)
    assert before == [(folder / name).read_bytes() for name in ("raw/faces.zip", "data.json")]


def test_a_source_may_say_where_its_images_come_from(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = Dataset(numbered("train/a", "train/b"), bytes, {"version": 3})
    monkeypatch.setattr("emotion.sources.local.source.Source.dataset", lambda *_: dataset)
    assert run(folder)["origin"] == {"version": 3}


def test_drawn_faces_need_no_input(tmp_path: Path) -> None:
    block = {"seed": 0, "train_images": 14, "test_images": 7, "min_intensity": 0.5, "noise": 0.02}
    report = run(tmp_path, source="synthetic", **block)
    assert report["images"]["test"]["total"] == 7


def test_one_label_alone_is_refused(folder: Path) -> None:
    with pytest.raises(DatasetError, match="every image is labelled 'bad'; expected at least two labels"):
        run(folder, dict.fromkeys(("angry", "happy", "sad"), "bad"))


def test_a_label_called_as_the_sum_is_refused(folder: Path) -> None:
    with pytest.raises(DatasetError, match="a label is called 'total'.*data.labels"):
        run(folder, {"sad": "total"})


@pytest.mark.parametrize("taken", ["all", "agreed", "pictures"])
def test_a_label_called_as_a_count_of_the_votes_is_refused_where_there_are_votes(
    taken: str, folder: Path, tiny_files: dict[str, bytes]
) -> None:
    assert run(folder, {"sad": taken})["images"]["test"][taken] == 4
    (folder / "local" / "votes.csv").write_text(f"path,angry,happy,sad\n{min(tiny_files)},1,8,1\n")
    with pytest.raises(DatasetError, match=f"a label is called '{taken}', .*data.labels: {{{taken}: another name}}"):
        run(folder, {"sad": taken}, votes="file")


def test_a_broken_data_set_leaves_neither_archive_nor_report(folder: Path) -> None:
    (folder / "local" / "second.zip").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"found second.zip, set.zip"):
        run(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["local", "tiny.zip"] or not (folder / "raw").exists()


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({1: "happy"}, r"data\.labels\.1: 1: .*string; quote it: '1'"),
        ({"1": 2}, r"data\.labels\.1: 2: .*string; quote it: '2'"),
        ({"a": ""}, r"data\.labels\.a: '': String should match"),
        ({"a": "b/c"}, r"data\.labels\.a: 'b/c': String should match"),
        ({"a": ".."}, r"data\.labels\.a: '\.\.': String should match"),
    ],
)
def test_labels_that_are_none_are_refused(labels: dict[Any, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        validate(DataParams, {"labels": labels}, "data")


def test_every_source_can_be_chosen() -> None:
    source = READS["source"]
    assert isinstance(source, Choice)
    assert {"local", "synthetic"} <= set(source.names())
    with pytest.raises(UserError, match=r"data\.source: 'lokal' is not one of .*; did you mean 'local'\?"):
        resolve({"data": {"source": "lokal"}}, source)


def test_fer2013_is_counted_by_the_source_local(fer2013_faces: Path) -> None:
    faces = list_faces(fer2013_faces)
    assert sum(face.split == "train" for face in faces) == 28_709
    assert sum(face.split == "test" for face in faces) == 7_178
    assert sum(face.label == "disgust" for face in faces) == 436 + 111


def test_votes_beside_the_data_become_a_table_under_the_final_names(folder: Path, tiny_files: dict[str, bytes]) -> None:
    member = min(path for path in tiny_files if path.startswith("train/happy/"))
    (folder / "local" / "votes.csv").write_text(f"path,angry,happy,sad\n{member},1,8,1\n")
    report = run(folder, {"angry": "bad", "sad": "bad"}, votes="file")
    assert report["votes"] == {
        "pictures": 1,
        "pictures_without": len(tiny_files) - 1,
        **{"bad": 2, "happy": 8, "unknown": 0, "not_a_face": 0},
    }
    assert (folder / "raw" / "facts.csv").read_text() == (
        f"path,votes_bad,votes_happy,votes_unknown,votes_not_a_face\n{member},2,8,0,0\n"
    )


def test_the_votes_of_ferplus_join_a_zip_of_fer2013s_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three pictures named after rows of fer2013.csv, and a table of as many rows."""
    monkeypatch.setattr("emotion.votes.ferplus.source._ROWS", 3)
    members = ("train/angry/Training_0.png", "train/happy/Training_1.png", "test/happy/PublicTest_2.png")
    (tmp_path / "local").mkdir()
    write_zip(tmp_path / "local" / "fer2013.zip", {member: encoded(noise(n)) for n, member in enumerate(members)})
    (tmp_path / "local" / "fer2013new.csv").write_text(
        "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF\n"
        "Training,fer0000000.png,1,0,0,0,8,0,1,0,0,0\n"
        "Training,,0,0,0,0,0,0,0,0,0,10\n"
        "PublicTest,fer0000002.png,0,9,0,0,0,0,0,1,0,0\n"
    )
    report = run(tmp_path, votes="ferplus")
    assert report["votes"]["pictures"] == 3 and report["votes"]["happy"] == 9
    names = ("neutral", "happy", "surprise", "sad", "angry", "disgust", "fear", "contempt", "unknown", "not_a_face")
    assert (tmp_path / "raw" / "facts.csv").read_text().splitlines() == [
        ",".join(["path", *(f"votes_{name}" for name in names)]),
        "test/happy/PublicTest_2.png,0,9,0,0,0,0,0,1,0,0",
        "train/angry/Training_0.png,1,0,0,0,8,0,1,0,0,0",
        "train/happy/Training_1.png,0,0,0,0,0,0,0,0,0,10",
    ]


def test_without_votes_the_table_is_its_header(folder: Path) -> None:
    assert "votes" not in run(folder)
    assert (folder / "raw" / "facts.csv").read_text() == "path\n"


def test_groups_beside_the_data_become_columns_of_the_table_with_and_without_votes(
    folder: Path, tiny_files: dict[str, bytes]
) -> None:
    first, second = sorted(path for path in tiny_files if path.startswith("train/happy/"))[:2]
    (folder / "local" / "groups.csv").write_text(f"path,subject,camera\n{first},007,\n{second},8,left\n")
    report = run(folder, {"happy": "glad"})
    named = [path.replace("happy", "glad") for path in (first, second)]
    without = len(tiny_files) - 2
    assert report["groups"] == {
        "subject": {"groups": 2, "pictures_without": without},
        "camera": {"groups": 1, "pictures_without": without + 1},
    }
    assert (folder / "raw" / "facts.csv").read_text() == (
        f"path,group_subject,group_camera\n{named[0]},007,\n{named[1]},8,left\n"
    )
    (folder / "local" / "votes.csv").write_text(f"path,angry,happy,sad\n{second},1,8,1\n")
    assert "groups" in run(folder, votes="file")
    assert (folder / "raw" / "facts.csv").read_text().splitlines()[1:] == [
        f"{first},,,,,,007,",
        f"{second},1,8,1,0,0,8,left",
    ]
    votes = read_votes(folder / "raw" / "facts.csv")
    assert votes.to_numpy().tolist() == [[second, 1, 8, 1, 0, 0]]


def test_without_groups_nothing_is_said_of_them(folder: Path) -> None:
    assert "groups" not in run(folder)


def test_a_label_that_only_voters_know_can_be_dropped(folder: Path, tiny_files: dict[str, bytes]) -> None:
    (folder / "local" / "votes.csv").write_text(f"path,angry,happy,sad,contempt\n{min(tiny_files)},1,8,1,2\n")
    report = run(folder, {"contempt": None}, votes="file")
    assert "contempt" not in report["votes"]
