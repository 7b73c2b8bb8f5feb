"""The README's numbers are those of the files that the pipeline and the command wrote."""

import csv
import json
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = " ".join((ROOT / "README.md").read_text().split())


def percent(value: float) -> str:
    return f"{100 * value:.1f}"


def experiments() -> list[dict[str, str]]:
    return list(csv.DictReader((ROOT / "results/experiments.csv").read_text().splitlines()))


def span(interval: dict[str, float]) -> str:
    return f"{percent(interval['low'])}–{percent(interval['high'])}"


def spread(members: dict[str, dict[str, float]]) -> str:
    return f"{percent(members['accuracy']['mean'])} ± {percent(members['accuracy']['std'])} %"


def test_the_results_are_those_of_the_committed_run() -> None:
    scores = json.loads((ROOT / "metrics/evaluate.json").read_text())
    intervals, calibration = scores["intervals"], scores["calibration"]
    assert f"on {scores['images']:,} drawn test faces" in README
    assert f"**{percent(scores['accuracy'])} %** (95 % interval {span(intervals['accuracy'])})" in README
    assert f"macro-F1 {percent(scores['macro_f1'])} % ({span(intervals['macro_f1'])})" in README
    assert f"error {calibration['before']['ece']:.3f} before and {calibration['after']['ece']:.3f} after" in README


def test_the_diff_begins_at_the_committed_run() -> None:
    scores = json.loads((ROOT / "metrics/evaluate.json").read_text())
    for metric in ("accuracy", "log_loss", "macro_f1"):
        assert f"metrics/evaluate.json {metric} {round(scores[metric], 5)} " in README


def test_the_shipped_model_scores_what_is_said() -> None:
    score = json.loads((ROOT / "emotion/published/score.json").read_text())
    assert score["scored"] == 7178
    assert f"in float16: {percent(score['accuracy'])} % of FER2013's test set" in README


def test_the_published_results_are_those_of_the_published_run() -> None:
    folder = ROOT / "results/fer2013/metrics"
    scores = json.loads((folder / "evaluate.json").read_text())
    parts = " | ".join(f"{percent(scores['subsets'][part]['accuracy'])} %" for part in ("public", "private", "unseen"))
    intervals, images = scores["intervals"], json.loads((folder / "split.json").read_text())["images"]
    assert f"**{percent(scores['accuracy'])} %** | {span(intervals['accuracy'])} | {parts} |" in README
    assert f"| both, one view | {percent(scores['single_view']['accuracy'])} % |" in README
    assert scores["members"]["count"] == 2
    assert f"| one alone, ten views | {spread(scores['members'])} |" in README
    assert f"| one alone, one view | {spread(scores['single_view']['members'])} |" in README
    assert f"Macro-F1 {percent(scores['macro_f1'])} % ({span(intervals['macro_f1'])})" in README
    assert f"calibration error {scores['calibration']['after']['ece']:.3f}." in README
    assert f"chosen on validation faces, {images['val']['total']:,} at last" in README
    assert f"{scores['images'] - scores['subsets']['unseen']['images']:,} of the test faces" in README
    parameters = json.loads((folder / "train/0.json").read_text())["parameters"]
    assert f"two networks of {parameters:,} weights" in README


def test_the_published_trainings_took_what_is_said() -> None:
    rows = {row["experiment"]: row for row in experiments()}
    members = [rows["vgg-75-epochs"], rows["vgg-75-seed-1"]]
    for member, row in enumerate(members):
        report = json.loads((ROOT / f"results/fer2013/metrics/train/{member}.json").read_text())
        assert (row["val_accuracy"], row["epochs"]) == (str(report["val"]["accuracy"]), str(report["epochs"]))
    first, second = (row["minutes"] for row in members)
    assert f"Their {members[0]['epochs']} epochs, in bfloat16, took {first} and {second} minutes on two cores" in README


def test_the_network_that_others_ship_scores_what_is_said() -> None:
    score = json.loads((ROOT / "benchmarks/results/mini_xception.json").read_text())
    assert f"--no-detect`: {percent(score['accuracy'])} % (`benchmarks/results/mini_xception.json`)" in README


def test_the_short_recipe_takes_and_scores_what_is_said() -> None:
    scores = json.loads((ROOT / "results/short/metrics/evaluate.json").read_text())
    single = scores["single_view"]
    rows = {row["experiment"]: row for row in experiments()}
    first, both = (float(rows[name]["minutes"]) for name in ("short-deeper", "short-deeper-two"))
    epochs = rows["short-deeper"]["epochs"]
    ten, one = spread(scores["members"]), spread(single["members"])
    assert scores["members"]["count"] == 2
    took = f"{epochs} epochs, {first} and {both - first:.1f} minutes for two seeds"
    assert f"{took}: {ten} in ten views, {one} in one;" in README
    together = f"{percent(scores['accuracy'])} % and {percent(single['accuracy'])} % (`results/short/`)"
    assert f"both together {together}" in README
