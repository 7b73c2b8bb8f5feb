"""The comparison with other people's models: its arithmetic, and the page that is made from its numbers."""

import json

import numpy as np
import pytest

from benchmarks.others import read_weights, scores
from tests.support import evaluated
from tools.docs.other_models import other_models_text

RESULT = evaluated.ROOT / "benchmarks/results/others.json"


def test_the_page_is_what_the_committed_numbers_make() -> None:
    page = (evaluated.ROOT / "docs/other-models.md").read_text()
    assert page == other_models_text(RESULT), "run `python -m tools.docs.other_models`"
    assert set(json.loads(RESULT.read_text())["models"]) >= {"fer", "face-api", "published"}


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
