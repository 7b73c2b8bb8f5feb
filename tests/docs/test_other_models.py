"""The comparison with other people's models: its arithmetic, and the page that is made from its numbers."""

import json

import numpy as np
import pytest

from benchmarks.others import folder_labels, read_weights, scores, under_priors
from emotion.model.about import ModelAbout
from tests.support import evaluated
from tools.docs.other_models import mean_log_loss, other_models_text

RESULT = evaluated.ROOT / "benchmarks/results/others.json"


def test_the_page_is_what_the_committed_numbers_make() -> None:
    page = (evaluated.ROOT / "docs/other-models.md").read_text()
    assert page == other_models_text(RESULT), "run `python -m tools.docs.other_models`"
    assert set(json.loads(RESULT.read_text())["models"]) >= {"fer", "face-api", "published"}


def test_what_ships_has_the_lowest_log_loss_on_public_test() -> None:
    models = json.loads(RESULT.read_text())["models"]
    losses = {name: mean_log_loss(ours["priors"]["PublicTest"]) for name, ours in models.items() if "priors" in ours}
    assert len(losses) == 3 and min(losses, key=lambda name: losses[name]) == "published"


def test_the_mean_log_loss_weighs_labels_and_priors_the_same() -> None:
    scores = {"a": {"even": {"log_loss": 1.0}, "training": {"log_loss": 2.0}}, "b": {"even": {"log_loss": 6.0}}}
    assert mean_log_loss(scores) == 3


def test_a_manifests_weights_are_read_one_after_the_other() -> None:
    listed = [
        {
            "name": "bytes",
            "shape": [3],
            "dtype": "float32",
            "quantization": {"dtype": "uint8", "scale": 0.5, "min": -1},
        },
        {"name": "floats", "shape": [1, 2], "dtype": "float32"},
    ]
    content = bytes([0, 2, 10]) + np.array([1.5, -2.0], np.float32).tobytes()
    found = read_weights(listed, content)
    np.testing.assert_array_equal(found["bytes"], np.array([-1.0, 0.0, 4.0], np.float32))
    np.testing.assert_array_equal(found["floats"], np.array([[1.5, -2.0]], np.float32))


def test_faces_without_a_label_do_not_count_and_labels_weigh_the_same() -> None:
    found = scores(["happy", "happy", "happy", "fear", "", "contempt"], ["happy", "happy", "sad", "fear", "sad", "sad"])
    assert (found["faces"], found["accuracy"]) == (5, 0.6)
    assert found["mean_recall"] == pytest.approx((2 / 3 + 1 + 0) / 3, abs=1e-4)
    assert found["low"] < 0.6 < found["high"]


def test_pictures_of_other_parts_have_no_label() -> None:
    paths = ["test/sad/PublicTest_1.jpg", "test/fear/PrivateTest_2.jpg"]
    assert folder_labels(paths) == ["sad", "fear"]
    assert folder_labels(paths, part="PublicTest") == ["sad", ""]


def test_under_a_prior_other_labels_are_dropped_and_the_rest_is_moved() -> None:
    about = ModelAbout(["contempt", "happy", "sad"], 48, 1, 1.0, {}, [0.5, 0.25, 0.25])
    answers = np.array([[0.4, 0.4, 0.1], [0.0, 0.6, 0.4], [0.2, 0.4, 0.4], [1.0, 0.0, 0.0]])
    found = under_priors(["happy", "sad", "sad", "contempt"], answers, about, {"happy": 0.25, "sad": 0.75})
    # three times as many sad ones: 0.4 and 0.3; 0.6 and 1.2; 0.4 and 1.2
    assert found["training"]["accuracy"] == 1
    assert found["training"]["log_loss"] == pytest.approx(-np.log(4 / 7 * 2 / 3 * 3 / 4) / 3, abs=1e-4)
    assert found["even"]["accuracy"] == 0.5  # happy is found; of the sad ones neither: 0.4 of 1, and a tie
    assert found["even"]["log_loss"] == pytest.approx(-(np.log(0.8) + np.log(0.4 * 0.5) / 2) / 2, abs=1e-4)
