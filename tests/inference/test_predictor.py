"""The library's prediction: every kind of picture has a defined result."""

import io
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from emotion.dataset.images import ImageError
from emotion.dataset.labels import EMOTIONS
from emotion.foundation.errors import UserError
from emotion.inference.exporting.export import append_about
from emotion.inference.given.boxes import BoxError
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


def test_given_boxes_give_a_face_each_in_their_order(predictor):
    picture = canvas_with([(10, 30, 120), (180, 60, 100)])
    found = predictor.predict(picture).faces
    boxes = [face.box for face in reversed(found)]
    given = predictor.predict(picture, boxes=boxes)
    assert [(face.box, face.score) for face in given.faces] == [(box, None) for box in boxes]
    assert [face.probabilities for face in given.faces] == [
        pytest.approx(face.probabilities, abs=1e-6) for face in reversed(found)
    ]
    assert predictor.predict(picture, boxes=[]).faces == ()
    assert predictor.predict(picture, boxes=np.array([[10, 30, 120, 120]])).faces[0].box == (10, 30, 120, 120)


def test_a_given_box_that_is_no_square_is_seen_as_one(crops):
    picture = canvas_with([(10, 30, 120)])
    (tall,) = crops.predict(picture, boxes=[(25, 10, 90, 160)]).faces
    (square,) = crops.predict(picture, boxes=[(10, 30, 120, 120)]).faces
    assert tall.box == (25, 10, 90, 160) and tall.probabilities == square.probabilities


def test_a_box_at_the_edge_has_its_pixels_repeated(crops):
    picture = np.zeros((40, 60, 3), np.uint8)
    picture[:, 50:] = drawn_face(0, 40)[:, :10, None]
    wide = cv2.copyMakeBorder(picture, 20, 20, 20, 20, cv2.BORDER_REPLICATE)
    for left, top in ((-5, -5), (40, 5), (50, 0), (20, 20), (45, 25)):
        (face,) = crops.predict(picture, boxes=[(left, top, 20, 20)]).faces
        (inside,) = crops.predict(wide, boxes=[(left + 20, top + 20, 20, 20)]).faces
        assert face.probabilities == inside.probabilities
    for left, top in ((59.6, 0), (0, 39.6), (59.6, 39.6), (-0.1, -0.1)):  # too small to reach a whole pixel
        assert len(crops.predict(picture, boxes=[(left, top, 0.5, 0.5)]).faces) == 1


@pytest.mark.parametrize(
    ("boxes", "says"),
    [
        ([(0, 0, 10, 10), (50, 0, 21, 10)], r"box 2 \(50, 0, 21, 10\) lies outside the picture of 60x40 pixels"),
        ([(60, 0, 5, 5)], "box 1"),
        ([(0, 0, 1e9, 1e9)], "box 1"),
        ([(0, 0, 0, 10)], "width and height must be more than 0"),
        ([(0, 0, 10)], "0, 0, 10 is no box; expected four numbers"),
        ([(0, 0, float("nan"), 10)], "is no box"),
        ((0, 0, 10, 10), "0 is no box"),
        (["abcd"], "'abcd' is no box"),
    ],
)
def test_what_is_no_box_of_the_picture_says_so(crops, boxes, says):
    picture = np.zeros((40, 60, 3), np.uint8)
    with pytest.raises(BoxError, match=says):
        crops.predict(picture, boxes=boxes)
    faulty, good = crops.predict_many([picture, picture], boxes=[boxes, [(0, 0, 10, 10)]])
    assert re.search(says, faulty.error) and faulty.faces == () and len(good.faces) == 1


def test_boxes_of_many_pictures_are_as_many_as_they(predictor):
    picture = canvas_with([(10, 30, 120), (180, 60, 100)])
    some = list(predictor.predict_many([picture] * 3, boxes=[[], None, [(10, 30, 120, 120)]]))
    assert [len(prediction.faces) for prediction in some] == [0, 2, 1]
    with pytest.raises(ValueError, match="shorter"):
        list(predictor.predict_many([picture] * 3, boxes=[[], None]))


def test_largest_is_the_first_face_in_pictures_and_in_frames(predictor):
    picture = canvas_with([(10, 10, 60), (100, 30, 140)])
    largest = Predictor(largest=True)
    assert largest.predict(picture).faces == predictor.predict(picture).faces[:1]
    assert len(predictor.for_video().detector.find(picture)) == 2
    assert len(largest.for_video().detector.find(picture)) == 1
    assert largest.for_video().detector.find(picture) == predictor.for_video().detector.find(picture)[:1]
    assert largest.predict(np.full((100, 100, 3), 128, np.uint8)).faces == ()


def test_merged_labels_take_the_place_of_the_models(crops):
    merged = Predictor(detector=None, merge={"negative": ["angry", "disgust", "fear", "sad"]}, prior="even")
    assert merged.labels == ["negative", "happy", "neutral", "surprise"]
    for number in range(7):
        (face,) = merged.predict(drawn_face(number)).faces
        apart = Predictor(detector=None, prior="even").predict(drawn_face(number)).probabilities
        total = sum(apart[label] for label in ("angry", "disgust", "fear", "sad"))
        assert face.probabilities["negative"] == pytest.approx(total, abs=1e-9)
        assert face.confidence == max(face.probabilities.values()) == face.probabilities[face.label]


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


def test_a_file_larger_than_any_picture_is_not_read(crops, tmp_path):
    with (tmp_path / "a.png").open("wb") as file:
        file.truncate(600_000_000)  # takes no room on the disk
    with pytest.raises(ImageError, match="600 MB large, more than any picture"):
        crops.predict(tmp_path / "a.png")


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


def test_small_faces_are_the_default_detectors(predictor):
    assert Predictor(small_faces=True).detector.find(drawn_face(0, 48)) == predictor.detector.find(drawn_face(0, 48))
    with pytest.raises(UserError, match="^small_faces is how the default detector looks; leave it out, or `detector`$"):
        Predictor(detector=None, small_faces=True)


PEAK = """
import resource
import numpy as np
from emotion.inference.predictor import Predictor
predictor, image = Predictor(), np.zeros((2000, 2000, 3), np.uint8)
predictor.predict(image, boxes=[(-1, -1, 2002, 2002)])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
predictor.predict(image, boxes=[(-1, -1, 2002, 2002)] * 50)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts in kilobytes, as Linux does")
def test_many_boxes_take_the_memory_of_one():
    done = subprocess.run([sys.executable, "-c", PEAK], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 100_000_000, "50 crops of 12 MB would be 600"
