"""Self-distillation: labels softened by the network's own earlier predictions, interrupted anywhere."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from emotion.distillation import one_hot, softened, teacher_probabilities
from emotion.errors import UserError
from emotion.recipe import Recipe
from tests import tiny
from tests.test_resume import kill_at_epoch_line
from tests.tiny_training import RECIPE

TAUGHT = {"train.self_distillation.teacher_epochs": 2, "train.warmup_epochs": 0.5}


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make_records(tmp_path_factory.mktemp("records"))


def trained(folder: Path, records: Path, **changes: object) -> dict[str, bytes]:
    tiny.write_params(folder, TAUGHT | changes)
    done = tiny.run_train(folder, records)
    assert done.returncode == 0, done.stderr
    return tiny.outputs(folder)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory, records: Path) -> dict[str, bytes]:
    return trained(tmp_path_factory.mktemp("whole"), records)


def test_softened_labels_are_the_weighted_mean_of_given_and_taught() -> None:
    targets = softened(one_hot(np.array([0, 2]), 3), np.full((2, 3), 1 / 3, np.float32), teacher_weight=0.6)
    np.testing.assert_allclose(targets, [[0.6, 0.2, 0.2], [0.2, 0.2, 0.6]], rtol=1e-6)
    assert targets.dtype == np.float32


def test_the_teacher_sees_each_face_and_its_mirror_image() -> None:
    images = np.zeros((1, 2, 2, 1), np.uint8)
    images[0, :, 0] = 1  # the left half
    seen = teacher_probabilities(lambda view: np.log(view[:, 0, :, 0] + 1.0).astype(np.float32), images)
    np.testing.assert_allclose(seen, [[0.5, 0.5]])
    one_view = np.array([2 / 3, 1 / 3])
    assert not np.allclose(seen, one_view)


@pytest.mark.parametrize("epoch", [1, 2, 3], ids=["while teaching", "between teacher and student", "while learning"])
def test_killed_anywhere_then_resumed_gives_the_same_bytes(
    epoch: int, tmp_path: Path, records: Path, uninterrupted: dict[str, bytes]
) -> None:
    tiny.write_params(tmp_path, TAUGHT)
    kill_at_epoch_line(tmp_path, records, epoch)
    shutil.rmtree(tmp_path / "metrics", ignore_errors=True)  # DVC deletes a stage's outputs before it runs
    assert tiny.run_train(tmp_path, records).returncode == 0
    assert tiny.outputs(tmp_path) == uninterrupted


def test_only_the_students_epochs_depend_on_the_teachers_weight(
    tmp_path: Path, records: Path, uninterrupted: dict[str, bytes]
) -> None:
    other = trained(tmp_path, records, **{"train.self_distillation.teacher_weight": 0.1})
    histories = [outputs["metrics/history/0.csv"].decode().splitlines() for outputs in (uninterrupted, other)]
    assert histories[0][:3] == histories[1][:3]
    assert all(one != another for one, another in zip(histories[0][3:], histories[1][3:], strict=True))


def test_the_teacher_is_what_a_training_of_its_epochs_alone_would_be(
    tmp_path: Path, records: Path, uninterrupted: dict[str, bytes]
) -> None:
    alone = trained(tmp_path, records, **{"train.epochs": 2, "train.self_distillation.teacher_epochs": 0})
    history = alone["metrics/history/0.csv"].decode().splitlines()
    assert history == uninterrupted["metrics/history/0.csv"].decode().splitlines()[:3]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"self_distillation": {"teacher_epochs": 4, "teacher_weight": 0.7}}, r"must be less than epochs \(4\)"),
        ({"self_distillation": {"teacher_epochs": 3, "teacher_weight": 0.7}, "warmup_epochs": 1.0}, "warmup_epochs"),
        ({"self_distillation": {"teacher_epochs": 2, "teacher_weight": 0.7}, "devices": 2}, "needs devices: 1"),
    ],
)
def test_a_recipe_that_leaves_no_room_for_both_is_refused(changes: dict[str, object], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        Recipe.model_validate(RECIPE | changes)


def test_a_networks_own_phases_stay_and_the_last_is_shared() -> None:
    from emotion.training import Phase, _with_student

    recipe = Recipe.model_validate(
        RECIPE | {"epochs": 8, "self_distillation": {"teacher_epochs": 4, "teacher_weight": 1}}
    )
    phases = _with_student([Phase(2, 0.1, frozenset({"backbone"})), Phase(6, 0.01)], recipe)
    assert [(phase.epochs, phase.learning_rate, phase.is_student) for phase in phases] == [
        *((2, 0.1, False), (2, 0.01, False), (4, 0.01, True))
    ]
    with pytest.raises(UserError, match="does not lie within the network's last phase, epochs 7 to 8"):
        _with_student([Phase(6, 0.1), Phase(2, 0.01)], recipe)
