"""The warning where bfloat16 cannot pay."""

from pathlib import Path

import pytest

from emotion.training.bfloat16 import slowdown, warn_if_slow
from tests.support import tiny


def test_a_slow_processor_is_told_what_to_set(capsys: pytest.CaptureFixture[str]) -> None:
    warn_if_slow(12.4)
    printed = capsys.readouterr()
    assert printed.err.startswith("warning: train.precision: bfloat16 computes gradients about 12 times slower")
    assert printed.err.endswith("set train.precision: float32\n")
    assert printed.out == ""


@pytest.mark.parametrize("times", [0.5, 1.0, 1.9])
def test_a_processor_on_which_it_pays_hears_nothing(times: float, capsys: pytest.CaptureFixture[str]) -> None:
    warn_if_slow(times)
    assert capsys.readouterr() == ("", "")


def test_the_slowdown_is_that_of_this_processor() -> None:
    assert 0.05 < slowdown() < 500


def test_train_asks_before_it_trains_in_bfloat16(tmp_path: Path) -> None:
    records, folder = tiny.make_records(tmp_path), tmp_path / "run"
    folder.mkdir()
    tiny.write_params(folder, {"train.precision": "bfloat16", "train.epochs": 1})
    slow = tiny.mutation(folder, "emotion.training.bfloat16", "module.slowdown = lambda: 9.0")
    done = tiny.run_train(folder, records, **slow)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("gradients about 9 times slower than float32") == 1
