"""The same parameters give the same bits, whatever the cores and the environment; other pins give other bits."""

import shutil
from pathlib import Path

import pytest

from tests.support import tiny

OTHER_USER = {"LC_ALL": "C", "TZ": "Asia/Kathmandu", "PYTHONHASHSEED": "77", "OMP_NUM_THREADS": "1", "HOME": "."}
VGG = {"model.vgg.width": 32, "train.epochs": 2}  # wide enough for several threads to share one operation
one_core = pytest.mark.skipif(shutil.which("taskset") is None, reason="taskset (util-linux) is not installed")


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make_records(tmp_path_factory.mktemp("records"))


def train(folder: Path, records: Path, *, prefix: tuple[str, ...] = (), overrides: dict, **changes: str) -> dict:
    folder.mkdir()
    tiny.write_params(folder, overrides)
    done = tiny.run_train(folder, records, prefix=prefix, **changes)
    assert done.returncode == 0, done.stderr
    return tiny.outputs(folder)


@one_core
@pytest.mark.parametrize(
    "precision",
    ["float32", "bfloat16"],
)
def test_vgg_gives_the_same_bytes_on_one_core_for_another_user(precision: str, tmp_path: Path, records: Path) -> None:
    overrides = {**VGG, "train.precision": precision}
    here = train(tmp_path / "here", records, overrides=overrides)
    there = train(tmp_path / "there", records, prefix=("taskset", "-c", "0"), overrides=overrides, **OTHER_USER)
    assert here == there


def test_records_have_the_same_bytes_for_another_user(
    tmp_path: Path, records: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in OTHER_USER.items():
        monkeypatch.setenv(name, value)
    again = tiny.make_records(tmp_path / "again")
    for name in ("faces.zip", "train.csv", "val.csv", "test.csv", "copies.csv", "data.json", "split.json"):
        assert (again.parent / name).read_bytes() == (records.parent / name).read_bytes(), name
    for file in sorted(records.rglob("*.tfrecord")):
        assert (again / file.relative_to(records)).read_bytes() == file.read_bytes(), file


@pytest.mark.slow
@one_core
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("network", [file.stem for file in sorted((tiny.ROOT / "emotion/networks").glob("[a-z]*.py"))])
def test_every_network_gives_the_same_bytes_on_one_core(
    network: str, precision: str, tmp_path: Path, records: Path
) -> None:
    overrides = {"model.network": network, "train.precision": precision, "train.epochs": 1}
    here = train(tmp_path / "here", records, overrides=overrides)
    assert here == train(tmp_path / "there", records, prefix=("taskset", "-c", "0"), overrides=overrides)


@pytest.mark.slow
@one_core
def test_jax_gives_the_same_bytes_on_one_core(tmp_path: Path, records: Path) -> None:
    overrides = {**VGG, "train.backend": "jax", "train.epochs": 1}
    here = train(tmp_path / "here", records, overrides=overrides)
    assert here == train(tmp_path / "there", records, prefix=("taskset", "-c", "0"), overrides=overrides)


@pytest.mark.slow
@pytest.mark.parametrize("pin", ["augmentation", "threads"])
def test_the_proof_notices_another_augmentation_or_number_of_threads(pin: str, tmp_path: Path, records: Path) -> None:
    """A slightly other augmentation or number of threads gives other bits, so equal bytes mean that both are pinned."""
    overrides = {"model.vgg.width": 32, "train.precision": "float32", "train.epochs": 1}
    expected = train(tmp_path / "pinned", records, overrides=overrides)
    changed = {"augmentation": {"augment.shift": 0.11}, "threads": {"train.intra_op_threads": 1}}[pin]
    other = train(tmp_path / "other", records, overrides={**overrides, **changed})
    assert other["metrics/history/0.csv"] != expected["metrics/history/0.csv"]


WITHOUT_LINE = """
import inspect
source = inspect.getsource(module)
without = source.replace({line!r}, "pass")
assert without != source
exec(without, module.__dict__)
"""
PIN_LINES = {
    "seed": "keras.utils.set_random_seed(seed)",
    "threads": "tf.config.threading.set_intra_op_parallelism_threads(intra_op_threads)",
    "determinism": "tf.config.experimental.enable_op_determinism()",
}


@pytest.mark.slow
@one_core
@pytest.mark.parametrize("pin", list(PIN_LINES))
def test_the_proof_notices_a_pin_that_is_not_set(pin: str, tmp_path: Path, records: Path) -> None:
    """The run of `test_vgg_gives_the_same_bytes_on_one_core_for_another_user`, one line of pins.py less."""
    overrides = {**VGG, "train.precision": "float32"}
    expected = train(tmp_path / "pinned", records, overrides=overrides)
    unpinned = tmp_path / "unpinned"
    unpinned.mkdir()
    tiny.write_params(unpinned, overrides)
    mutation = tiny.mutation(unpinned, "emotion.runtime.pins", WITHOUT_LINE.format(line=PIN_LINES[pin]))
    done = tiny.run_train(unpinned, records, prefix=("taskset", "-c", "0"), **mutation)
    assert done.returncode == 0, done.stderr
    assert "mutated" in done.stdout
    assert tiny.outputs(unpinned)["models/0.keras"] != expected["models/0.keras"]
