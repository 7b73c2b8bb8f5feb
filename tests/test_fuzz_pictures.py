"""The same of pictures and of the files beside them: success, one clear line, or a bug."""

import io
import json
import struct
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from ruamel.yaml import YAML

from emotion.commands.compared_runs import read_curves
from emotion.commands.score import parse_names
from emotion.commands.search_space import check_searchable, read_space
from emotion.dataset.images import decode_face, decode_image
from emotion.inference.annotation import ALWAYS_ALLOWED_PIXELS, MAX_GROWTH, annotate
from emotion.inference.detector import Box
from emotion.inference.given.boxes import read_box_file
from emotion.inference.given.prior import parse_prior
from emotion.inference.predictor import FacePrediction, Prediction
from emotion.model.about import ModelAbout
from tests.support.fuzzing import anything, joined, mutated, one_line, scalars, texts, thorough, with_field

PARAMS = YAML(typ="safe").load(Path(__file__).parents[1] / "params.yaml")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

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
    read(content, "x.yaml", lambda path: check_searchable(read_space(path), PARAMS, path))


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
