"""The README's numbers are those of the files that the pipeline and the command wrote, all of one commit."""

import csv
import json
from typing import Any

import pytest

from tests.support.committed import committed


@pytest.fixture
def readme() -> str:
    """The README on one line."""
    return " ".join(committed("README.md").split())


def numbers(path: str) -> dict[str, Any]:
    return json.loads(committed(path))


def percent(value: float) -> str:
    return f"{100 * value:.1f}"


def experiments() -> list[dict[str, str]]:
    return list(csv.DictReader(committed("docs/experiments/experiments.csv").splitlines()))


def span(interval: dict[str, float]) -> str:
    return f"{percent(interval['low'])}–{percent(interval['high'])}"


def spread(members: dict[str, dict[str, float]]) -> str:
    return f"{percent(members['accuracy']['mean'])} ± {percent(members['accuracy']['std'])} %"


def test_the_results_are_those_of_the_committed_run(readme: str) -> None:
    scores = numbers("metrics/evaluate.json")
    intervals, calibration = scores["intervals"], scores["calibration"]
    assert f"on {scores['images']:,} drawn test faces" in readme
    assert f"**{percent(scores['accuracy'])} %** (95 % interval {span(intervals['accuracy'])})" in readme
    assert f"macro-F1 {percent(scores['macro_f1'])} % ({span(intervals['macro_f1'])})" in readme
    assert f"error {calibration['before']['ece']:.3f} before and {calibration['after']['ece']:.3f} after" in readme


def test_the_diff_begins_at_the_committed_run(readme: str) -> None:
    scores = numbers("metrics/evaluate.json")
    for metric in ("accuracy", "log_loss", "macro_f1"):
        assert f"metrics/evaluate.json {metric} {round(scores[metric], 5)} " in readme


def test_the_shipped_model_scores_what_is_said(readme: str) -> None:
    score = numbers("emotion/published/score.json")
    assert score["scored"] == 7178
    assert f"in float16: {percent(score['accuracy'])} % of FER2013's test set" in readme


def test_the_published_results_are_those_of_the_published_run(readme: str) -> None:
    folder = "results/fer2013/metrics"
    scores = numbers(f"{folder}/evaluate.json")
    parts = " | ".join(f"{percent(scores['subsets'][part]['accuracy'])} %" for part in ("public", "private", "unseen"))
    intervals, images = scores["intervals"], numbers(f"{folder}/split.json")["images"]
    assert f"**{percent(scores['accuracy'])} %** | {span(intervals['accuracy'])} | {parts} |" in readme
    assert f"| both, one view | {percent(scores['single_view']['accuracy'])} % |" in readme
    assert scores["members"]["count"] == 2
    assert f"| one alone, ten views | {spread(scores['members'])} |" in readme
    assert f"| one alone, one view | {spread(scores['single_view']['members'])} |" in readme
    assert f"Macro-F1 {percent(scores['macro_f1'])} % ({span(intervals['macro_f1'])})" in readme
    assert f"calibration error {scores['calibration']['after']['ece']:.3f}." in readme
    assert f"chosen on validation faces ({images['val']['total']:,} in the published run)" in readme
    assert f"{scores['images'] - scores['subsets']['unseen']['images']:,} of the test faces" in readme
    parameters = numbers(f"{folder}/train/0.json")["parameters"]
    assert f"two networks of {parameters:,} weights" in readme


def test_the_published_trainings_took_what_is_said(readme: str) -> None:
    rows = {row["experiment"]: row for row in experiments()}
    members = [rows["vgg-75-epochs"], rows["vgg-75-seed-1"]]
    for member, row in enumerate(members):
        report = numbers(f"results/fer2013/metrics/train/{member}.json")
        assert (row["val_accuracy"], row["epochs"]) == (str(report["val"]["accuracy"]), str(report["epochs"]))
    first, second = (row["minutes"] for row in members)
    assert f"The {members[0]['epochs']} epochs in bfloat16 took {first} and {second} minutes on two cores" in readme


def test_the_network_that_others_ship_scores_what_is_said(readme: str) -> None:
    score = numbers("benchmarks/results/others.json")["models"]["fer"]["fer2013"]
    assert f"`fer` ships reach {percent(score['accuracy'])} % (`benchmarks/results/others.json`;" in readme


def test_the_short_recipe_takes_and_scores_what_is_said(readme: str) -> None:
    scores = numbers("docs/experiments/short-deeper-two.json")
    single = scores["single_view"]
    rows = {row["experiment"]: row for row in experiments()}
    first, both = (float(rows[name]["minutes"]) for name in ("short-deeper", "short-deeper-two"))
    epochs = rows["short-deeper"]["epochs"]
    ten, one = spread(scores["members"]), spread(single["members"])
    assert scores["members"]["count"] == 2
    took = f"{epochs} epochs took {first} and {both - first:.1f} minutes for two seeds."
    assert f"{took} One alone reaches {ten} in ten views and {one} in one;" in readme
    together = f"{percent(scores['accuracy'])} % and {percent(single['accuracy'])} %"
    assert f"both together reach {together}" in readme
