"""Several models exported as one: the labels that all know, one prior, the average."""

from pathlib import Path

import numpy as np
import pytest

from emotion.foundation.errors import UserError
from emotion.inference.exporting.averaged import average_about, average_probabilities
from emotion.inference.exporting.export import export
from emotion.inference.models import open_model
from emotion.model.about import ModelAbout
from tests.support.saved_models import LABELLED, VOTED, save_network

pytestmark = pytest.mark.filterwarnings("ignore")  # TensorFlow's, Keras' and their converters' own


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    pytest.importorskip("tensorflow", reason="the pipeline extra is not installed")
    folder = tmp_path_factory.mktemp("models")
    return [save_network(folder / "a.keras", LABELLED, 0), save_network(folder / "b.keras", VOTED, 1)]


def test_the_answers_are_moved_to_the_first_ones_prior_and_averaged():
    average = average_about([LABELLED, VOTED])
    assert (average.labels, average.prior) == (LABELLED.labels, LABELLED.prior)
    assert average.made_with == {"average_of": [{"network": "a"}, {"network": "b"}]}
    answers = [np.array([[0.6, 0.3, 0.1]]), np.array([[0.1, 0.4, 0.4, 0.1]])]
    # calm 0.4 * 0.5/0.4, cross 0.1 * 0.25/0.2, glad 0.1 * 0.25/0.2: 0.5, 0.125, 0.125, that is 4/6, 1/6, 1/6
    expected = [[(0.6 + 4 / 6) / 2, (0.3 + 1 / 6) / 2, (0.1 + 1 / 6) / 2]]
    np.testing.assert_allclose(average_probabilities(answers, [LABELLED, VOTED], average), expected)


def test_a_label_of_one_alone_goes_and_the_prior_is_that_of_the_rest():
    average = average_about([VOTED, LABELLED])
    assert (average.labels, average.prior) == (["glad", "calm", "cross"], [0.25, 0.5, 0.25])


def test_members_of_one_run_are_averaged_as_they_are():
    without = ModelAbout(["calm", "glad"], 16, 1, 1.0)
    assert average_about([without, without]).prior == []
    answers = [np.array([[0.2, 0.8]]), np.array([[0.6, 0.4]])]
    mean = average_probabilities(answers, [without, without], average_about([without, without]))
    np.testing.assert_allclose(mean, [[0.4, 0.6]])


@pytest.mark.parametrize(("format_name", "name"), [("litert", "m.tflite"), ("onnx", "m.onnx"), ("savedmodel", "m")])
def test_one_file_answers_as_the_average(files, tmp_path, format_name, name):
    report = export(files, tmp_path / name, format_name=format_name)
    assert report.largest < 1e-5 and report.faces > 100
    if format_name != "savedmodel":
        exported = open_model(tmp_path / name)
        assert exported.about == average_about([LABELLED, VOTED])
        faces = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 1), np.uint8)
        answers = [open_model(file).probabilities(faces) for file in files]
        expected = average_probabilities(answers, [LABELLED, VOTED], exported.about)
        np.testing.assert_allclose(exported.probabilities(faces), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (ModelAbout(["calm"], 20, 1, 1.0), "16x16x1, 20x20x1"),
        (ModelAbout(["bored"], 16, 1, 1.0), "no label in common"),
        (ModelAbout(["calm", "cross"], 16, 1, 1.0), "how frequent 'calm' was"),
        (ModelAbout(["calm", "cross"], 16, 1, 1.0, {}, [1.0, 0.0]), "how frequent 'cross' was"),
    ],
)
def test_what_cannot_be_averaged_is_refused(other, message):
    with pytest.raises(UserError, match=message):
        average_about([LABELLED, other])
