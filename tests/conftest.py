"""What several test modules share."""

from pathlib import Path

import evaluated
import pytest


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny project, evaluated: one member, one view in `one/`; two members, ten views, corruptions in `many/`."""
    folder = evaluated.make_elsewhere(tmp_path_factory.mktemp("evaluated"), "0.25")
    one = evaluated.run_evaluate(folder, "one", models="first", members=[0])
    many = evaluated.run_evaluate(folder, "many", models="both", members=[0, 1], views=evaluated.TEN, robustness=True)
    assert (one, many) == ("", ""), "the stage prints nothing, not even what TensorFlow has to say"
    return folder
