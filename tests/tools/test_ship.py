"""The model that ships is made of the published runs."""

import json
from pathlib import Path

import numpy as np
import pytest

from emotion.inference.exporting.averaged import average_about
from emotion.inference.models import PUBLISHED, open_model
from emotion.model.about import ModelAbout, read_about
from tests.support.sample_pictures import drawn_face
from tests.support.saved_models import LABELLED, VOTED, save_network
from tools.ship import ship

pytestmark = pytest.mark.filterwarnings("ignore")  # TensorFlow's, Keras' and their converters' own

ROOT = Path(__file__).parents[2]
COUNTS = {"total": 8, "calm": 4, "cross": 2, "glad": 2}


def save_run(folder: Path, about: ModelAbout, seed: int) -> Path:
    (folder / "models").mkdir(parents=True)
    (folder / "metrics").mkdir()
    (folder / "metrics/split.json").write_text(json.dumps({"images": {"train": COUNTS}}))
    save_network(folder / "models/0.keras", about, seed)
    return folder


def test_the_average_of_two_runs_ships_and_an_old_run_gets_its_prior(tmp_path):
    old = ModelAbout(LABELLED.labels, 16, 1, 1.0, {"network": "a"})
    runs = [save_run(tmp_path / "old", old, 0), save_run(tmp_path / "new", VOTED, 1)]
    report = ship(runs, tmp_path / "model.tflite", None)
    shipped = open_model(tmp_path / "model.tflite")
    assert shipped.about == average_about([LABELLED, VOTED])  # of the old run by its training faces
    assert shipped.probabilities(np.zeros((2, 16, 16, 1), np.uint8)).shape == (2, 3)
    assert report.largest < 0.02


def test_what_ships_is_made_of_the_published_runs():
    labelled, voted = (read_about(ROOT / f"results/{run}/models/0.keras") for run in ("fer2013", "ferplus-one"))
    shipped = read_about(PUBLISHED)
    assert shipped.labels == labelled.labels  # without contempt, which only the second knows
    assert shipped.made_with == {"average_of": [labelled.made_with, voted.made_with]}


def test_what_ships_answers_as_the_published_runs_do(tmp_path):
    runs = [ROOT / "results" / run for run in ("fer2013", "ferplus-one")]
    ship(runs, tmp_path / "model.tflite", None)
    faces = np.stack([drawn_face(number, 48)[..., None] for number in range(7)])
    shipped, again = (open_model(path).probabilities(faces) for path in (PUBLISHED, tmp_path / "model.tflite"))
    np.testing.assert_allclose(shipped, again, atol=1e-3)
