"""Exports say the same as the model they are made from, and carry the facts about it."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from emotion.foundation.errors import UserError
from emotion.inference.exporting import export as exporting
from emotion.inference.exporting.export import MAX_DIFFERENCE, append_about, comparison_faces, export
from emotion.inference.models import PUBLISHED, import_keras, open_model
from emotion.model.about import ModelAbout, read_about
from tests.support.sample_pictures import drawn_face, png

pytestmark = pytest.mark.filterwarnings("ignore")  # TensorFlow's, Keras' and their converters' own

ABOUT = ModelAbout(["calm", "cross", "glad"], 24, 3, 1.5, {"network": "tiny"})


@pytest.fixture(scope="module")
def keras_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model with other labels, another size, and three channels."""
    pytest.importorskip("tensorflow", reason="the pipeline extra is not installed")
    keras = import_keras()
    from emotion.model.file import save_model

    keras.utils.set_random_seed(0)
    pixels = keras.Input((24, 24, 3))
    x = keras.layers.Rescaling(1 / 255)(pixels)
    x = keras.layers.Conv2D(8, 3, strides=2, use_bias=False)(x)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    x = keras.layers.Dense(3)(keras.layers.Flatten()(x))
    path = tmp_path_factory.mktemp("model") / "0.keras"
    save_model(keras.Model(pixels, keras.layers.Softmax()(keras.layers.Rescaling(1 / 1.5)(x))), path, ABOUT)
    return path


FORMATS = [
    ("litert", "m.tflite", "float32"),
    ("litert", "m.tflite", "float16"),
    ("litert", "m.tflite", "int8"),
    ("onnx", "m.onnx", "float32"),
    ("h5", "m.h5", "float32"),
    ("weights", "m.weights.h5", "float32"),
    ("savedmodel", "m", "float32"),
]


@pytest.mark.parametrize(("format_name", "name", "precision"), FORMATS)
def test_every_format_says_the_same(keras_file, tmp_path, capfd, format_name, name, precision):
    report = export([keras_file], tmp_path / name, format_name=format_name, precision=precision)
    assert report.largest <= MAX_DIFFERENCE[precision] and report.faces > 100
    assert report.same_label > 0.9
    assert [entry.name for entry in tmp_path.iterdir()] == [name]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["m.tflite", "m.onnx"])
def test_an_export_opens_as_the_model_it_is_from(keras_file, tmp_path, name):
    export([keras_file], tmp_path / name, format_name="onnx" if name.endswith("onnx") else "litert")
    exported, original = open_model(tmp_path / name), open_model(keras_file)
    assert exported.about == original.about == ABOUT
    faces = np.random.default_rng(0).integers(0, 256, (5, 24, 24, 3), np.uint8)
    for count in (1, 5, 3):
        np.testing.assert_allclose(
            exported.probabilities(faces[:count]), original.probabilities(faces[:count]), atol=1e-4
        )


def test_the_same_model_gives_the_same_bytes(keras_file, tmp_path):
    for name in ("a.tflite", "b.tflite"):
        export([keras_file], tmp_path / name, format_name="litert", precision="float16")
    assert (tmp_path / "a.tflite").read_bytes() == (tmp_path / "b.tflite").read_bytes()


def test_accuracy_is_told_for_labelled_faces_and_damaged_ones_are_skipped(keras_file, tmp_path):
    for number, label in enumerate(ABOUT.labels):
        (tmp_path / "faces" / label).mkdir(parents=True)
        (tmp_path / "faces" / label / "a.png").write_bytes(png(drawn_face(number)))
    (tmp_path / "faces" / "glad" / "b.png").write_bytes(b"junk")
    report = export([keras_file], tmp_path / "m.tflite", format_name="litert", faces_path=tmp_path / "faces")
    assert report.faces == 3 and report.accuracies is not None
    assert report.accuracies[0] == pytest.approx(report.accuracies[1])
    assert "accuracy" in report.lines()[-1]


def test_a_difference_over_the_bound_leaves_nothing_behind(keras_file, tmp_path):
    with pytest.raises(UserError, match="nothing was written"):
        export([keras_file], tmp_path / "m.tflite", format_name="litert", precision="int8", max_difference=1e-9)
    assert list(tmp_path.iterdir()) == []


def test_what_is_in_the_way_stays(keras_file, tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "mine.txt").touch()
    with pytest.raises(UserError, match="in the way"):
        export([keras_file], tmp_path / "m", format_name="savedmodel")
    with pytest.raises(UserError, match="the model itself"):
        export([keras_file], keras_file, format_name="savedmodel")


def test_of_many_faces_some_are_read_spread_evenly(tmp_path, monkeypatch):
    for number in range(7):
        (tmp_path / f"{number}.png").write_bytes(png(np.full((8, 8), number, np.uint8)))
    with (tmp_path / "8.png").open("wb") as file:
        file.truncate(600_000_000)
    read, read_bytes = [], Path.read_bytes
    monkeypatch.setattr(exporting, "MAX_FACES", 4)
    monkeypatch.setattr(Path, "read_bytes", lambda path: read.append(path.name) or read_bytes(path))
    faces, _ = comparison_faces(tmp_path, ABOUT)
    assert faces.max(axis=(1, 2, 3)).tolist() == [0, 2, 4, 6] and read == ["0.png", "2.png", "4.png", "6.png"]


def test_no_faces_to_compare_on_is_an_error(tmp_path):
    with pytest.raises(UserError, match="no picture that can be read"):
        comparison_faces(tmp_path, ABOUT)
    with pytest.raises(UserError, match="does not exist"):
        comparison_faces(tmp_path / "gone", ABOUT)


def test_facts_are_appended_behind_the_flatbuffer(tmp_path):
    path = tmp_path / "m.tflite"
    path.write_bytes(PUBLISHED.read_bytes())
    before = path.read_bytes()
    append_about(tmp_path / "other.bin", ABOUT)
    assert read_about(tmp_path / "other.bin") == ABOUT
    assert zipfile.is_zipfile(path) and before[4:8] == b"TFL3"
