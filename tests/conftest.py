"""What several test modules share."""

import os
import signal
from pathlib import Path

import pytest

from emotion.dataset.archive.faces import Dataset, write_archive
from emotion.sources.local.source import Source
from tests.support import evaluated
from tests.support.pictures import numbered, write_zip

# A shell's background job, as CI may be one, ignores Ctrl-C, and so would the programs that the tests start and
# interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):  # ignored under `nohup`; there is none on Windows
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture
def tiny_files() -> dict[str, bytes]:
    """Three labels with ten training and four test images each."""
    train = numbered("train/angry", "train/happy", "train/sad", images=10)
    test = numbered("test/angry", "test/happy", "test/sad", images=15)
    return train | {path: content for path, content in test.items() if int(Path(path).stem) >= 11}


@pytest.fixture
def tiny_zip(tmp_path: Path, tiny_files: dict[str, bytes]) -> Path:
    return write_zip(tmp_path / "tiny.zip", tiny_files)


@pytest.fixture
def tiny_archive(tmp_path: Path, tiny_files: dict[str, bytes]) -> Path:
    path = tmp_path / "faces.zip"
    write_archive(Dataset(tiny_files, bytes), path)
    return path


def path_in(variable: str, *, to: str) -> Path:
    """The path that an environment variable holds; without one the test is skipped."""
    if not (path := os.environ.get(variable)):
        pytest.skip(f"{variable} names no {to}")
    return Path(path)


@pytest.fixture(scope="session")
def fer2013_zip() -> Path:
    return path_in("FER2013_ZIP", to="zip of FER2013 (Kaggle's msambare/fer2013)")


@pytest.fixture(scope="session")
def ferplus_csv() -> Path:
    return path_in("FERPLUS_CSV", to="fer2013new.csv of microsoft/FERPlus")


@pytest.fixture(scope="session")
def fer2013_faces(fer2013_zip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The canonical archive of FER2013, made by the source `local` from a link to the zip."""
    folder = tmp_path_factory.mktemp("fer2013")
    (folder / "local").mkdir()
    (folder / "local" / "fer2013.zip").symlink_to(fer2013_zip.resolve())
    write_archive(Source().dataset(folder / "local", folder), folder / "faces.zip")
    return folder / "faces.zip"


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny project, evaluated: one member, one view in `one/`; two members, ten views, corruptions in `many/`."""
    folder = evaluated.make_elsewhere(tmp_path_factory.mktemp("evaluated"), "0.25")
    one = evaluated.run_evaluate(folder, "one", models="first", members=[0])
    many = evaluated.run_evaluate(folder, "many", models="both", members=[0, 1], views=evaluated.TEN, robustness=True)
    assert (one, many) == ("", ""), "the stage prints nothing, not even what TensorFlow has to say"
    return folder
