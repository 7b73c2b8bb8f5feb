"""Whatever bytes come from elsewhere: success, one clear line, or a bug. The examples are the same on each run."""

from stages._entry.start import START

import io
import json
import struct
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError
from ruamel.yaml import YAML

from emotion.commands.compared_runs import read_curves
from emotion.commands.score import parse_names
from emotion.commands.search_space import check_searchable, read_space
from emotion.dataset import groups as groups_module
from emotion.dataset.archive.faces import Dataset, Votes, content_digest, list_faces, parse_path, read_faces
from emotion.dataset.groups import number_groups, read_groups
from emotion.dataset.images import decode_face, decode_image
from emotion.dataset.index import index_text
from emotion.dataset.layouts import read_csv, read_zip
from emotion.dataset.votes import agreed_labels, facts_table, read_votes, vote_counts, voted_labels
from emotion.evaluation.predictions import read_predictions
from emotion.foundation.errors import UserError
from emotion.foundation.files import write_file
from emotion.foundation.params import parse_params
from emotion.inference.annotation import ALWAYS_ALLOWED_PIXELS, MAX_GROWTH, annotate
from emotion.inference.detector import Box
from emotion.inference.given.boxes import read_box_file
from emotion.inference.given.prior import parse_prior
from emotion.inference.models import PUBLISHED
from emotion.inference.predictor import FacePrediction, Prediction
from emotion.model.about import ModelAbout, format_about, parse_about, read_about
from emotion.votes.ferplus import source as ferplus
from emotion.votes.file.source import VoteSource
from stages._entry.known_keys import declared_keys, tree, unknown_keys
from stages._entry.stage import Later, resolve
from stages.split import SplitParams
from tests.support.pictures import numbered
from tools.check_params import all_readings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
thorough = settings(
    max_examples=1500, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
ROOT = Path(__file__).parents[1]
PARAMS = (ROOT / "params.yaml").read_bytes()
DOCUMENT = YAML(typ="safe").load(PARAMS)
FACTS = json.loads(format_about(read_about(PUBLISHED)))
READINGS = [reading for reading in all_readings() if not isinstance(reading, Later)]
KNOWN = tree(declared_keys(START))

nasty = [0, -1, 2**31, 2**63, 2**64, 1e308, "1_0", "٣", "\udcff", "\x00", "a" * 1000, "../..", "${data.source}"]
scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(nasty)
)  # fmt: skip
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
)


def mutated(content: bytes) -> st.SearchStrategy[bytes]:
    """The content cut, with bytes overwritten, doubled in part, or with bytes put in."""

    def change(changes: list[tuple[int, bytes, int]]) -> bytes:
        result = content
        for place, new, how in changes:
            place %= len(result) + 1
            middle = {0: new + result[place + len(new) :], 1: new + result[place:], 2: b"", 3: result[place // 2 :]}[
                how
            ]
            result = result[:place] + middle
        return result

    places = st.integers(0, len(content)) | st.integers(-70, -1)  # near the end lies a zip's directory
    change_of = st.tuples(places, st.binary(min_size=1, max_size=4), st.sampled_from([0, 0, 0, 1, 2, 3]))
    return st.lists(change_of, max_size=4).map(change)


def one_line(call: Callable[[], Any], *, lines: bool = False) -> None:
    """Succeed, or raise a UserError of one line (or of several, where all problems are listed); no warning either."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            call()
        except UserError as error:
            message = str(error)
            assert message and len(message) < 20_000
            assert lines or "\n" not in message, message


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
texts = st.text(max_size=20) | st.sampled_from([str(value) for value in nasty if value != "\udcff"])
tables = st.lists(st.lists(texts | st.sampled_from([*VOTED.keys, "path", "glad", "sad"]), max_size=4), max_size=4)
joined = tables.map(lambda rows: "\n".join(map(",".join, rows)).encode())


def with_field(table: bytes) -> st.SearchStrategy[bytes]:
    """The table with one of its fields replaced."""
    fields = [part for line in table.split(b"\n") for part in line.split(b",")]
    return st.tuples(st.sampled_from(sorted(set(fields) - {b""})), texts).map(
        lambda change: table.replace(change[0], change[1].encode())
    )


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


# --- what lies beside the pictures -----------------------------------------------------------------------------------

BOXES = b"path,left,top,width,height\na.png,1,2,30,40\nb.png,,,,\na.png,5.5,2e1,+3,.4\n"
BOXES_JSON = b'[{"path": "a.png", "faces": [{"box": {"left": 1, "top": 2, "width": 3, "height": 4}}]}]'
SPACE = b"train.learning_rate: {low: 0.001, high: 1.0, log: true}\ntrain.optimizer: {choices: [sgd, adam]}\n"
CURVES = b"epoch,accuracy,loss,val_accuracy,val_loss\n1,0.2,2.0,0.3,1.9\n2,0.4,1.5,nan,1.4\n"
as_json = anything.map(lambda value: json.dumps(value).encode())


def read(content: bytes, name: str, reader: Callable[[Path], Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / name).write_bytes(content)
        one_line(lambda: reader(Path(folder) / name))


@thorough
@given(mutated(BOXES) | with_field(BOXES) | joined)
def test_tables_of_boxes(content: bytes) -> None:
    read(content, "x.csv", read_box_file)


@thorough
@given(mutated(BOXES_JSON) | as_json | anything.map(lambda box: json.dumps([{"path": "a", "faces": [box]}]).encode()))
def test_boxes_in_json(content: bytes) -> None:
    read(content, "x.json", read_box_file)


@thorough
@given(
    mutated(b'{"happy": 30, "sad": 1e1}') | as_json | st.dictionaries(texts, anything).map(json.dumps).map(str.encode)
)
def test_files_of_priors(content: bytes) -> None:
    read(content, "x.json", lambda path: parse_prior(str(path)))


@thorough
@given(st.lists(texts | st.sampled_from(["happy", "sad", "1", "=", ",", "=1,"]), max_size=6).map("".join))
def test_priors_and_names_on_the_command_line(text: str) -> None:
    about = ModelAbout(["happy", "sad"], 8, 1, 1.0, {}, [0.5, 0.5])
    one_line(lambda: parse_prior(f"happy={text}").apply(np.full((1, 2), 0.5), about))
    one_line(lambda: parse_names(text))


@thorough
@given(
    mutated(SPACE)
    | as_json
    | st.dictionaries(st.just("low") | st.just("high") | st.just("step"), scalars).map(
        lambda choice: json.dumps({"train.epochs": choice}).encode()
    )
)
def test_search_spaces(content: bytes) -> None:
    read(content, "x.yaml", lambda path: check_searchable(read_space(path), DOCUMENT, path))


@thorough
@given(mutated(CURVES) | with_field(CURVES) | joined)
def test_learning_curves(content: bytes) -> None:
    one_line(lambda: read_curves("0.csv", content))


# --- pictures ---------------------------------------------------------------------------------------------------------


def pictures() -> dict[str, bytes]:
    found = {}
    for form in ("PNG", "JPEG", "BMP", "WEBP", "GIF", "TIFF", "PPM"):
        for mode in ("L", "RGB", "RGBA", "I;16", "F"):
            file = io.BytesIO()
            try:
                Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).convert(mode).save(file, form)
            except (OSError, ValueError, KeyError):
                continue
            found[f"{form} {mode}"] = file.getvalue()
    return found


PICTURES = pictures()


@thorough
@given(st.sampled_from(sorted(PICTURES)), st.data())
def test_pictures(name: str, data: st.DataObject) -> None:
    content = data.draw(mutated(PICTURES[name]))
    one_line(lambda: decode_face(content, size_px=8, channels=1))
    one_line(lambda: decode_image(content, max_bytes=50_000_000))


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


@thorough
@given(
    *(st.integers(0, 2**32 - 1) | st.sampled_from([0, 1, 2**16, 2**31 - 1, 2**32 - 1]) for _ in range(2)),
    st.tuples(*(st.integers(0, 255) | st.sampled_from([0, 1, 2, 3, 4, 6, 8, 16]) for _ in range(5))),
)
def test_headers_of_pngs(width: int, height: int, rest: tuple[int, ...]) -> None:
    header = chunk(b"IHDR", struct.pack(">II", width, height) + bytes(rest))
    content = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    one_line(lambda: decode_image(content, max_bytes=50_000_000))


# --- damaged JPEGs, long names, boxes ---------------------------------------------------------------------------------


@thorough
@given(
    st.sampled_from(["L", "RGB"]),
    st.integers(1, 100),
    st.fixed_dictionaries(
        {}, optional={"restart_marker_blocks": st.integers(1, 9), "progressive": st.just(value=True)}
    ),
    st.data(),
)
def test_damaged_jpegs(mode: str, quality: int, options: dict[str, int], data: st.DataObject) -> None:
    file = io.BytesIO()
    values = np.random.default_rng(quality).integers(0, 256, (33, 21, 3), np.uint8)
    Image.fromarray(values).convert(mode).save(file, "JPEG", quality=quality, **options)
    decode_image(file.getvalue())
    content = data.draw(mutated(file.getvalue()))
    one_line(lambda: decode_image(content))
    one_line(lambda: decode_image(content + b"\xff\xd9"))


@thorough
@given(
    st.integers(1, 200).map("W".__mul__) | st.text(min_size=1, max_size=200),
    st.tuples(st.integers(1, 300), st.integers(1, 300)),
    st.lists(st.tuples(*[st.floats(-50, 400)] * 4), min_size=1, max_size=9),
)
def test_annotated_copies_of_any_label_and_boxes(
    label: str, size: tuple[int, int], sides: list[tuple[float, ...]]
) -> None:
    boxes = [Box(left, top, abs(width) + 1, abs(height) + 1) for left, top, width, height in sides]
    faces = tuple(FacePrediction(box, 0.9, label, 0.7, {label: 0.7, "another": 0.3}) for box in boxes)
    drawn = annotate(np.zeros((size[1], size[0]), np.uint8), Prediction("x", *size, faces))
    assert drawn.shape[0] * drawn.shape[1] <= max(MAX_GROWTH * size[0] * size[1], ALWAYS_ALLOWED_PIXELS)
