"""The library's prediction: every kind of picture has a defined result."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emotion.dataset.images import ImageError
from emotion.dataset.labels import EMOTIONS
from emotion.foundation.errors import UserError
from emotion.inference.export import append_about
from emotion.inference.models import PUBLISHED
from emotion.inference.predictor import Predictor, predict_emotion
from emotion.model.about import ModelAbout, read_about
from tests.support.sample_pictures import canvas_with, drawn_face, png


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor()


@pytest.fixture(scope="module")
def crops() -> Predictor:
    return Predictor(detector=None)


def relabelled(path: Path, labels: list[str], **changes: object) -> Path:
    """A copy of the published model that says other things about itself."""
    about = read_about(PUBLISHED)
    content = PUBLISHED.read_bytes()
    path.write_bytes(content[: content.rindex(b"PK\x03\x04")])
    facts = {"labels": labels, "size_px": about.size_px, "channels": about.channels, "temperature": None, **changes}
    append_about(path, ModelAbout(**facts))
    return path


def test_path_bytes_and_arrays_of_either_order_agree(tmp_path, predictor):
    picture = canvas_with([(40, 40, 120)])
    picture[:, :, 0] //= 2  # so that the channels' order matters
    path = tmp_path / "a.png"
    path.write_bytes(png(picture))
    expected = predictor.predict(path)
    assert len(expected.faces) == 1
    for same, order in [(path.read_bytes(), "rgb"), (picture, "rgb"), (picture[:, :, ::-1], "bgr"), (str(path), "rgb")]:
        assert predictor.predict(same, channel_order=order).faces == expected.faces


def test_predict_emotion_tells_of_every_face():
    prediction = predict_emotion(canvas_with([(10, 30, 120), (180, 60, 100)]))
    assert len(prediction.faces) == 2
    assert prediction.label in EMOTIONS
    assert sum(prediction.probabilities.values()) == pytest.approx(1, abs=1e-3)


def test_no_face_is_an_answer_not_an_error(predictor):
    prediction = predictor.predict(np.full((100, 100, 3), 128, np.uint8))
    assert prediction.faces == () and prediction.label is None and prediction.probabilities == {}


def test_without_detection_the_whole_picture_is_the_face(crops):
    prediction = crops.predict(drawn_face(0))
    (face,) = prediction.faces
    assert face.box is None and face.score is None and (prediction.width, prediction.height) == (100, 100)


def test_a_low_confidence_is_uncertain_and_keeps_its_numbers():
    (face,) = Predictor(detector=None, min_confidence=1.0).predict(drawn_face(0)).faces
    assert face.label == "uncertain" and face.confidence == max(face.probabilities.values())


def test_many_pictures_keep_their_order_and_bad_ones_say_why(tmp_path, crops):
    (tmp_path / "empty.jpg").touch()
    pictures = [drawn_face(0), tmp_path / "empty.jpg", png(drawn_face(1)), tmp_path / "gone.png", tmp_path]
    predictions = list(crops.predict_many(pictures))
    assert [prediction.source for prediction in predictions] == [
        "array",
        str(pictures[1]),
        "bytes",
        str(pictures[3]),
        str(tmp_path),
    ]
    assert [prediction.error for prediction in predictions] == [
        None,
        "empty file",
        None,
        "no such file",
        "a folder, not a picture",
    ]


def test_batches_of_any_size_give_the_same_numbers():
    faces = [drawn_face(number) for number in range(7)]
    whole = Predictor(detector=None, batch_size=32).probabilities(faces)
    parts = Predictor(detector=None, batch_size=3).probabilities(faces)
    np.testing.assert_allclose(whole, parts, atol=1e-5)


def test_one_network_call_for_a_batch(crops):
    calls = []
    model = crops.models[0]
    counted = type(
        "Counted",
        (),
        {
            "about": model.about,
            "probabilities": lambda self, faces: calls.append(len(faces)) or model.probabilities(faces),
        },
    )
    other = Predictor(detector=None, batch_size=4)
    other.models = [counted()]
    list(other.predict_many([drawn_face(number) for number in range(6)]))
    assert calls == [4, 2]


def test_models_are_averaged(tmp_path, crops):
    class Fixed:
        about = crops.models[0].about

        def probabilities(self, faces):
            return np.tile(np.eye(7, dtype=np.float32)[3], (len(faces), 1))

    both = Predictor(detector=None)
    both.models = [crops.models[0], Fixed()]
    face = drawn_face(0)
    expected = (crops.probabilities([face]) + np.eye(7)[3]) / 2
    np.testing.assert_allclose(both.probabilities([face]), expected, atol=1e-7)


def test_labels_come_from_the_model_file(tmp_path):
    names = ["a", "b", "c", "d", "e", "f", "g"]
    other = Predictor([relabelled(tmp_path / "other.tflite", names)], detector=None)
    assert list(other.predict(drawn_face(0)).probabilities) == names


def test_models_with_other_labels_are_not_averaged(tmp_path):
    other = relabelled(tmp_path / "other.tflite", ["a", "b", "c", "d", "e", "f", "g"])
    with pytest.raises(UserError, match="same labels"):
        Predictor([PUBLISHED, other])


def _encoded(image: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, **options)
    return buffer.getvalue()


def _pictures_of_one_face() -> dict[str, bytes]:
    grey = Image.fromarray(canvas_with([(40, 40, 120)])[:, :, 0])
    turned = Image.Exif()
    turned[0x0112] = 6  # turn clockwise to see it upright
    sixteen = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    alpha = grey.convert("RGBA")
    return {
        "grey": _encoded(grey, format="PNG"),
        "rgb": _encoded(grey.convert("RGB"), format="PNG"),
        "jpeg": _encoded(grey, format="JPEG"),
        "exif": _encoded(grey.rotate(90, expand=True), format="JPEG", exif=turned),
        "alpha": _encoded(alpha, format="PNG"),
        "palette": _encoded(grey.convert("P"), format="PNG"),
        "16-bit": _encoded(sixteen, format="PNG"),
        "cmyk": _encoded(grey.convert("CMYK"), format="JPEG"),
        "animated": _encoded(grey.convert("P"), format="GIF", save_all=True, append_images=[Image.new("P", grey.size)]),
        "webp": _encoded(grey, format="WEBP"),
        "huge": _encoded(grey.resize((4000, 3000)), format="JPEG"),
    }


@pytest.mark.parametrize("kind", list(_pictures_of_one_face()))
def test_a_face_is_found_in_every_kind_of_file(predictor, kind):
    prediction = predictor.predict(_pictures_of_one_face()[kind])
    (face,) = prediction.faces
    scale = prediction.width / 320
    assert abs(face.box.left + face.box.width / 2 - 100 * scale) < 20 * scale
    assert abs(face.box.top + face.box.height / 2 - 100 * scale) < 20 * scale


@pytest.mark.parametrize(
    ("picture", "reason"),
    [
        (b"", "empty file"),
        (b"hello", "not an image"),
        (png(drawn_face(0))[:300], "truncated|not an image"),
        (np.empty((0, 5, 3), np.uint8), "empty array"),
        (np.full((5, 5), np.nan), "NaN"),
        (np.zeros((5, 5, 3)), "float64.*uint8"),
        (np.zeros((5, 5), np.uint16), "uint16"),
        (np.zeros((5, 5, 4), np.uint8), r"\(5, 5, 4\)"),
        (np.zeros(5, np.uint8), r"\(5,\)"),
        (7, "path, bytes or a NumPy array; got int"),
        ("no/such/file.png", "no such file"),
        ("nul\0.png", "cannot be read"),
        (".", "folder"),
    ],
)
def test_what_is_no_picture_says_why(crops, picture, reason):
    with pytest.raises(ImageError, match=reason):
        crops.predict(picture)


def test_the_picture_is_left_as_it_was(predictor):
    picture = canvas_with([(40, 40, 120)])
    before = picture.copy()
    predictor.predict(picture)
    assert (picture == before).all()


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("m.tflite", b"junk", "not a model made by this pipeline"),
        ("m.onnx", b"junk", "not an ONNX model"),
        ("m.keras", b"junk", "not a model made by this pipeline"),
        ("m.h5", b"junk", "not a .tflite, .onnx or .keras"),
    ],
)
def test_what_is_no_model_says_so(tmp_path, name, content, reason):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=reason):
        Predictor([tmp_path / name])


def test_a_model_of_another_size_is_fed_that_size(tmp_path):
    with pytest.raises(UserError, match="says its faces are 32x32x1, but it takes 48x48x1"):
        Predictor([relabelled(tmp_path / "m.tflite", list(EMOTIONS), size_px=32)])


def test_the_installed_package_holds_its_models():
    assert PUBLISHED.is_file() and PUBLISHED.stat().st_size < 8_000_000
