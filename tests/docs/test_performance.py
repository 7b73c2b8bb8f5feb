"""The benchmarks' arithmetic, and the page that is made from their numbers."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pytest import approx

from benchmarks import growth, networks, reading, steps, tutorials
from benchmarks.support import processes
from benchmarks.tutorials import Point, make_network, unpack
from emotion.dataset.archive.faces import list_faces, read_faces
from emotion.runtime import processor
from tests.support import evaluated
from tools.docs.performance import (
    curves,
    curves_picture,
    fewer,
    milliseconds,
    noise_of,
    performance_text,
    reached,
    share,
    still_rising,
    taken,
    times,
    whole,
)

SLOW = [Point(10, 0.50), Point(20, 0.60), Point(30, 0.58)]
FAST = [Point(1, 0.40), Point(2, 0.61), Point(3, 0.68)]


def test_the_page_is_what_the_committed_numbers_make() -> None:
    page = (evaluated.ROOT / "docs/performance.md").read_text()
    assert page == performance_text(evaluated.ROOT / "benchmarks/results"), "run `python -m tools.docs.performance`"


def test_the_readme_has_the_minutes_of_the_curves() -> None:
    found = curves(evaluated.ROOT / "benchmarks/results")
    theirs = tutorials.best(found["tutorials"])
    ours = tutorials.minutes_to(theirs.val_accuracy, found["bfloat16"])
    readme = " ".join((evaluated.ROOT / "README.md").read_text().split())
    assert f"notebook reaches in {theirs.minutes:.0f} minutes takes {ours:.0f} here (bfloat16, AVX-512;" in readme


def test_the_networks_table_is_what_the_committed_numbers_make() -> None:
    results = json.loads((evaluated.ROOT / "benchmarks/results/networks.json").read_text())
    assert set(results["drawn"]) == set(results["fer2013"]) == set(networks.NETWORKS)
    assert networks.table(results) in (evaluated.ROOT / "docs/networks.md").read_text()


def test_a_network_without_a_result_has_dashes() -> None:
    rows = networks.table({"drawn": {}, "fer2013": {"vgg": {"val_accuracy": 0.5}}}).splitlines()
    assert rows[1] == "| `vgg` | – | 50.0\N{NO-BREAK SPACE}% |"


def write_training(folder: Path, timings: str) -> tuple[Path, Path]:
    history = folder / "0.csv"
    history.write_text("epoch,accuracy,val_accuracy\n1,0.1,0.5\n2,0.2,0.66\n3,0.3,0.67\n")
    (folder / "timings.csv").write_text(timings)
    return history, folder / "timings.csv"


def test_a_curve_takes_the_seconds_of_the_last_training_alone(tmp_path: Path) -> None:
    found = tutorials.read_curve(*write_training(tmp_path, "old,1,900\nnew,1,999\nnew,1,60\nnew,2,30\nnew,3,30\n"))
    assert found == [Point(1.0, 0.5), Point(1.5, 0.66), Point(2.0, 0.67)]
    assert tutorials.minutes_to(0.67, found) == 2.0


def test_a_curve_without_all_its_seconds_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no seconds of epochs \[1, 3\]"):
        tutorials.read_curve(*write_training(tmp_path, "old,1,60\nnew,2,30\n"))


def test_a_curve_reads_as_it_was_written(tmp_path: Path) -> None:
    tutorials.write_points(SLOW, tmp_path / "curve.csv")
    assert tutorials.read_points(tmp_path / "curve.csv") == SLOW


def test_minutes_of_a_target_never_reached_are_unknown() -> None:
    assert tutorials.minutes_to(0.67, SLOW) is None
    assert tutorials.best(SLOW) == Point(20, 0.60)


def test_against_one_that_never_got_there_the_ratio_is_a_lower_bound() -> None:
    assert tutorials.times_fewer(0.67, SLOW, FAST) == (10.0, True)
    assert tutorials.times_fewer(0.60, SLOW, FAST) == (10.0, False)  # 20 minutes against 2
    assert fewer(0.67, SLOW, FAST) == "at least 10×" and fewer(0.55, SLOW, FAST) == "10×"


def test_where_the_project_did_not_get_there_is_no_ratio() -> None:
    assert tutorials.times_fewer(0.61, FAST, SLOW) == (None, False)
    assert fewer(0.61, FAST, SLOW) == "–"


def test_a_lower_bound_below_one_is_not_told() -> None:
    early = [Point(1, 0.40), Point(2, 0.50)]
    assert tutorials.times_fewer(0.67, early, FAST) == (2 / 3, True)
    assert fewer(0.67, early, FAST) == "–"


def test_the_curves_are_drawn() -> None:
    picture = cv2.imdecode(
        np.frombuffer(curves_picture({"tutorials": SLOW, "float32": FAST}), np.uint8), cv2.IMREAD_COLOR
    )
    assert picture.shape[0] > 300 and len(np.unique(picture.reshape(-1, 3), axis=0)) > 10


def test_the_parts_of_a_step_add_up_to_it() -> None:
    works = (
        "convolutions",
        "without_batch_norm_and_dropout",
        "without_batch_norm",
        "gradients",
        "constant_batch",
        "whole",
    )
    parts = steps.parts_ms(dict(zip(works, (60.0, 70.0, 71.0, 80.0, 95.0, 96.0), strict=True)))
    assert parts["convolutions and dense layers"] == 60.0 and parts["batch normalisation"] == 9.0
    assert sum(parts.values()) == approx(96.0)


def test_the_share_of_the_peak_counts_six_flop_a_multiply_add() -> None:
    step_ms = dict.fromkeys(steps.PARTS.values(), 100.0)
    figures = steps.precision_figures(
        {**step_ms, "matmul_gflops": 800.0}, {"input": 1.0}, multiply_adds=100_000_000, batch_size=50
    )
    assert figures["images_per_second"] == 500.0 and figures["gflops"] == 300.0
    assert (figures["share_of_own_peak"], figures["parts_spread_ms"]) == (0.375, {"input": 1.0})


def test_growth_runs_every_stage_as_dvc_yaml_has_it() -> None:
    params = {"data": {"source": "local"}, "model": {"members": [0, 3]}}
    found = growth.commands(params)
    assert list(found) == [
        *("download", "split", "preprocess@train", "preprocess@val", "preprocess@test"),
        *("train@0", "train@3", "evaluate", "report"),
    ]
    assert not [words for words in found.values() for word in words if "$" in word]
    assert "--input-dir data/local" in " ".join(found["download"])
    assert "--records data/tfrecords/val" in " ".join(found["preprocess@val"])


def test_growing_pictures_are_the_same_each_time_and_a_tenth_are_copies() -> None:
    size = growth.Size(2000, 24, 3)
    picture, original, copy = (
        cv2.imdecode(np.frombuffer(growth.draw(number, size), np.uint8), cv2.IMREAD_UNCHANGED)
        for number in (7, 1010 - 999, 1010)
    )
    assert picture.shape == (24, 24, 3) and growth.draw(7, size) == growth.draw(7, size) != growth.draw(8, size)
    assert (
        np.corrcoef(original.ravel(), copy.ravel())[0, 1] > 0.95 > np.corrcoef(original.ravel(), picture.ravel())[0, 1]
    )


def test_a_process_is_measured_alone() -> None:
    program = """import sys; from benchmarks.support.processes import *
for code in ("print(len(bytearray(300 * 2**20)))", "pass"):
    print(run([sys.executable, "-c", code], ROOT).cost.peak_memory_mb)"""
    large, small = map(int, processes.run([sys.executable, "-c", program], evaluated.ROOT).output.split())
    assert small < 100 and 300 < large < 400


def begun(monkeypatch: pytest.MonkeyPatch, load: float, *options: str) -> dict[str, Any]:
    monkeypatch.setattr("os.getloadavg", lambda: (load, 0.0, 0.0))
    monkeypatch.setattr("sys.argv", ["benchmark", *options])
    return processes.begin(processes.parser_of("A benchmark."))[1]


def test_nothing_is_measured_on_a_busy_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match=r"^error: .* load over the last minute is 0\.31, .* add --busy .*$"):
        begun(monkeypatch, 0.31)
    assert begun(monkeypatch, 0.31, "--busy")["load"] == 0.31
    assert begun(monkeypatch, 0.30)["load"] == 0.30


@pytest.mark.parametrize("path", sorted((evaluated.ROOT / "benchmarks").glob("*.py")), ids=lambda path: path.stem)
def test_every_benchmark_of_time_asks_whether_the_machine_is_busy(path: Path) -> None:
    assert path.stem in ("processes",) or "begin(" in path.read_text()


def test_a_function_is_measured_in_a_process_of_its_own() -> None:
    found = processes.figures_of("benchmarks.steps", "parts_ms", step_ms=dict.fromkeys(steps.PARTS.values(), 2.0))
    assert found["convolutions and dense layers"] == 2.0 and found["peak_memory_mb"] > 0


def test_the_machine_is_named_as_everywhere() -> None:
    assert processes.machine()["processor"] == processor.name()


def test_a_process_that_fails_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        processes.run([sys.executable, "-c", "exit(3)"], tmp_path)


def test_the_tutorials_see_the_faces_of_an_index_as_files(tiny_archive: Path, tmp_path: Path) -> None:
    index = tmp_path / "val.csv"
    paths = [face.path for face in list_faces(tiny_archive)][::7]
    index.write_text("path,label\n" + "".join(f"{path},{path.split('/')[1]}\n" for path in paths))
    assert unpack(tiny_archive, index, tmp_path / "val") == len(paths)
    for path, content in zip(paths, read_faces(tiny_archive, paths), strict=True):
        assert (tmp_path / "val" / path.partition("/")[2]).read_bytes() == content


def test_the_tutorials_network_is_theirs() -> None:
    from emotion.commands.network_costs import multiply_adds

    convolutions = 9 * (46**2 * 32 + 44**2 * 32 * 64 + 20**2 * 64 * 128 + 8**2 * 128 * 128)
    assert multiply_adds(make_network(7)) == convolutions + 4**2 * 128 * 1024 + 1024 * 7


def test_the_ratio_is_of_what_was_measured_in_one_turn() -> None:
    slow, fast = (
        [dict.fromkeys(tutorials.RATES, rate) for rate in rates] for rates in ([1.0, 2.0, 4.0], [3.0, 4.0, 40.0])
    )
    assert tutorials.ratios(slow, fast) == dict.fromkeys(tutorials.RATES, 3.0)


def test_less_memory_needs_a_control_group(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(reading, "_GROUPS", ((tmp_path / "none", "limit"), (tmp_path, "limit")))
    with pytest.raises(SystemExit, match="^error: no control group can be made here"), reading.limited_memory(100):
        raise AssertionError("it must not begin")
    assert [path.name for path in tmp_path.iterdir()] == ["cgroup.procs"]  # the group is gone again


def test_medians_are_taken_figure_by_figure() -> None:
    rounds = [{"a": 1.0, "b": 9.0}, {"a": 2.0, "b": 8.0}, {"a": 30.0, "b": 7.12345}]
    assert processes.medians(rounds) == {"a": 2.0, "b": 8.0}
    assert processes.medians(rounds[2:]) == {"a": 30.0, "b": 7.123}


def test_spreads_are_taken_figure_by_figure() -> None:
    assert processes.spreads([{"a": 1.0, "b": 5.0}, {"a": 3.0, "b": 5.0}]) == {"a": 1.414, "b": 0.0}
    assert processes.spreads([{"a": 1.0}]) == {"a": 0.0}


def test_a_cost_below_its_spread_is_not_measurable() -> None:
    assert [milliseconds(cost, 2.0) for cost in (-16.5, 1.9, 2.0)] == ["not measurable", "not measurable", "2.0"]
    assert [share(cost) for cost in (-0.036, 0.0, 0.125)] == ["not measurable"] * 2 + ["12.5\N{NO-BREAK SPACE}%"]


def test_the_noise_of_the_parts_is_told_as_a_range() -> None:
    assert noise_of({"float32": {"parts_spread_ms": {"a": 15.9, "b": 35.0}}, "bfloat16": {}}) == "16 to 35"
    assert noise_of({"float32": {}}) == ""


def test_a_curve_rises_where_its_last_epochs_are_better_on_average() -> None:
    level = [Point(minute, 0.50) for minute in range(1, 7)]
    later = [Point(minute, 0.52) for minute in range(7, 13)]
    assert "still rising slowly" in still_rising([*level, *later]) and "52.0\N{NO-BREAK SPACE}%" in still_rising(
        [*level, *later]
    )
    assert "no longer rising" in still_rising([*level, *level]) and still_rising(later) == ""


def test_a_result_says_its_machine_and_load() -> None:
    here = {"processor": "Some CPU", "cores": 2, "load": 0.1}
    assert taken(here) == "on 2 cores of Some CPU at a load of 0.1"
    assert taken({}) == "on a machine whose load was not recorded"


def test_numbers_read_as_people_write_them() -> None:
    assert [whole(value) for value in (0.5, 9.87, 55308.3)] == ["0.5", "9.87", "55,308"]
    assert times(None) == "–" and times(12.0) == "12×"
    assert reached(0.67, SLOW) == "never" and reached(0.67, FAST) == "3.0"
