"""Whatever bytes come from elsewhere: success, one clear line, or a bug. The examples are the same on each run."""

from stages._entry.start import START

import io
import json
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from ruamel.yaml import YAML

from emotion.dataset import groups as groups_module
from emotion.dataset.archive.faces import Dataset, Votes, content_digest, list_faces, parse_path, read_faces
from emotion.dataset.groups import number_groups, read_groups
from emotion.dataset.index import index_text
from emotion.dataset.layouts import read_csv, read_zip
from emotion.dataset.votes import agreed_labels, facts_table, read_votes, vote_counts, voted_labels
from emotion.evaluation.predictions import read_predictions
from emotion.foundation.files import write_file
from emotion.foundation.params import parse_params
from emotion.inference.models import PUBLISHED
from emotion.model.about import ModelAbout, format_about, parse_about, read_about
from emotion.votes.ferplus import source as ferplus
from emotion.votes.file.source import VoteSource
from stages._entry.known_keys import declared_keys, tree, unknown_keys
from stages._entry.stage import Later, resolve
from stages.split import SplitParams
from tests.support.fuzzing import anything, joined, mutated, one_line, thorough, with_field
from tests.support.pictures import numbered
from tools.check_params import all_readings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
ROOT = Path(__file__).parents[1]
PARAMS = (ROOT / "params.yaml").read_bytes()
DOCUMENT = YAML(typ="safe").load(PARAMS)
FACTS = json.loads(format_about(read_about(PUBLISHED)))
READINGS = [reading for reading in all_readings() if not isinstance(reading, Later)]
KNOWN = tree(declared_keys(START))


# --- model facts ------------------------------------------------------------------------------------------------------


@thorough
@given(st.dictionaries(st.sampled_from([*FACTS, "other"]), anything))
def test_model_facts(changes: dict[str, Any]) -> None:
    try:
        about = parse_about(json.dumps({**FACTS, **changes}))
    except ValueError as error:
        assert "\n" not in str(error)
        return
    assert isinstance(about, ModelAbout) and 1 <= about.size_px <= 1024 and about.channels in (1, 3)


@thorough
@given(mutated(format_about(ModelAbout(**FACTS))))
def test_bytes_of_model_facts(content: bytes) -> None:
    try:
        parse_about(content)
    except ValueError as error:
        assert "\n" not in str(error)


def facts_zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("emotion.json", format_about(ModelAbout(**FACTS)))
    return b"a network" + file.getvalue()


@thorough
@given(mutated(facts_zip()))
def test_files_with_facts(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.tflite"
        path.write_bytes(content)
        one_line(lambda: read_about(path))


# --- params.yaml ------------------------------------------------------------------------------------------------------


def check(document: Any) -> None:
    list(unknown_keys(document, KNOWN))
    for reading in READINGS:
        one_line(lambda reading=reading: resolve(document, reading), lines=True)


@thorough
@given(mutated(PARAMS))
def test_texts_of_parameters(content: bytes) -> None:
    one_line(lambda: check(parse_params(content, Path("params.yaml"))), lines=True)


@thorough
@given(st.binary(max_size=200) | st.text(alphabet="[]{}&*!|>:-?#, \n'\"%@`a1~<", max_size=60).map(str.encode))
def test_texts_that_are_none(content: bytes) -> None:
    one_line(lambda: check(parse_params(content, Path("params.yaml"))), lines=True)


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = list(node.items()) if isinstance(node, dict) else []
    return [path, *(place for key, value in inner for place in places(value, (*path, key)))]


@thorough
@given(st.sampled_from(places(DOCUMENT)[1:]), anything)
def test_values_of_parameters(place: tuple[Any, ...], value: Any) -> None:
    document = YAML(typ="safe").load(PARAMS)
    node = document
    for key in place[:-1]:
        node = node[key]
    node[place[-1]] = value
    check(document)


# --- data sets --------------------------------------------------------------------------------------------------------


def pictures_zip(method: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in numbered("train/happy", "train/sad", images=2).items():
            archive.writestr(name, content)
    return file.getvalue()


@thorough
@given(st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]), st.data())
def test_zips(method: int, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.zip"
        path.write_bytes(data.draw(mutated(pictures_zip(method))))
        one_line(lambda: content_digest(read_zip(path)))
        one_line(lambda: list(read_faces(path, [face.path for face in list_faces(path)])))


TABLE = b"emotion,pixels,Usage\n0,1 2 3 4,Training\n3,5 6 7 8,PublicTest\n1,9 9 9 9,Training\n"


@thorough
@given(mutated(TABLE) | st.text(max_size=50).map(lambda text: TABLE + f"0,{text},Training\n".encode()))
def test_tables_of_pixels(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.csv"
        path.write_bytes(content)
        one_line(lambda: content_digest(read_csv(path)))


# --- votes and groups -------------------------------------------------------------------------------------------------

VOTED = Dataset(dict.fromkeys(["train/glad/1.png", "train/sad/1.png", "test/sad/2.png"]), bytes)
VOTES = b"path,glad,sad,unknown\nglad/1.png,7,2,1\ntest/sad/2.png,0,10,0\ntrain/sad/1.png,3,3,4\n"
GROUPS = b"path,subject,the camera\nglad/1.png,007,\ntest/sad/2.png,007,front\ntrain/sad/1.png,8,\n"
FERPLUS_HEADER = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF\n"
FERPLUS = FERPLUS_HEADER.encode() + b"Training,fer0000000.png,4,0,0,1,3,2,0,0,0,0\n,,0,0,0,0,0,0,0,0,0,10\n"


def crowd(votes: Votes, folder: Path) -> None:
    """What the stages do with votes: a table of facts, read again, and counted."""
    write_file(folder / "facts.csv", index_text(facts_table(votes, {}, sorted(VOTED.keys))))
    table = read_votes(folder / "facts.csv")
    labels = voted_labels(table.columns)
    assert labels == list(votes.labels)
    counts = vote_counts(table, labels)
    assert counts.tolist() == [list(votes.counts[path]) for path in table["path"]]
    agreed_labels(counts, agreement="majority")


@thorough
@given(mutated(VOTES) | with_field(VOTES) | joined)
def test_tables_of_votes(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        (path / "votes.csv").write_bytes(content)
        one_line(lambda: crowd(VoteSource().votes(VOTED, path, path), path))


@thorough
@given(mutated(FERPLUS) | with_field(FERPLUS) | joined, st.integers(0, 3))
def test_tables_of_ferplus(content: bytes, rows: int) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(ferplus, "_ROWS", rows)
        path = Path(folder) / "fer2013new.csv"
        path.write_bytes(content)
        one_line(lambda: ferplus.read_ferplus(path))


@thorough
@given(mutated(GROUPS) | with_field(GROUPS) | joined, st.sampled_from(["subject", "the camera", "path", "a"]))
def test_tables_of_groups(content: bytes, kind: str) -> None:
    def grouped(path: Path) -> None:
        groups = read_groups(VOTED, path)
        write_file(path / "facts.csv", index_text(facts_table(None, groups, sorted(VOTED.keys))))
        number_groups([parse_path(member) for member in sorted(VOTED.keys)], kind, path / "facts.csv")

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "groups.csv").write_bytes(content)
        one_line(lambda: grouped(Path(folder)))


FOUND = [parse_path(f"train/{label}/s{person}_{n}.png") for label in "ab" for person in range(2) for n in range(2)]


@thorough
@given(st.text(alphabet="()[]{}?*+.|^$\\\\<>=!:Ppsub_0123dwatrin/", max_size=20))
def test_regular_expressions_of_groups(pattern: str) -> None:
    def grouped() -> None:
        params = SplitParams.model_validate({**DOCUMENT["split"], "group_by": pattern})
        number_groups(FOUND, params.group_by, Path("none"))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(groups_module, "_MOST_S", 0.2)
        try:
            one_line(grouped)
        except ValidationError as error:
            assert "is no regular expression" in str(error)


# --- predictions ------------------------------------------------------------------------------------------------------

PREDICTIONS = "path,label,subset,copy,happy,sad\ntest/happy/1.png,happy,,,0.9,0.1\ntest/sad/1.png,sad,,,0.2,0.8\n"


@thorough
@given(mutated(PREDICTIONS.encode()))
def test_tables_of_predictions(content: bytes) -> None:
    one_line(lambda: read_predictions(content.decode(errors="replace")), lines=True)
