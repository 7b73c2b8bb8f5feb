"""The README's numbers are those of the files that the pipeline and the command wrote, all of one commit."""

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


def span(interval: dict[str, float]) -> str:
    return f"{percent(interval['low'])}–{percent(interval['high'])}"


def row(scores: dict[str, float]) -> str:
    """Accuracy and interval as the table of results has them."""
    return f"{percent(scores['accuracy'])} % | {span(scores)} |"


def test_the_default_run_is_the_committed_one(readme: str) -> None:
    scores = numbers("metrics/evaluate.json")
    reached = f"**{percent(scores['accuracy'])} %** | {span(scores['intervals']['accuracy'])} |"
    assert f"| the default run | {scores['images']:,} drawn test faces | {reached}" in readme


def test_the_diff_begins_at_the_committed_run(readme: str) -> None:
    scores = numbers("metrics/evaluate.json")
    for metric in ("accuracy", "log_loss", "macro_f1"):
        assert f"metrics/evaluate.json {metric} {round(scores[metric], 5)} " in readme


def test_the_published_run_scores_what_is_said(readme: str) -> None:
    scores = numbers("results/fer2013/metrics/evaluate.json")
    unseen, reached = scores["subsets"]["unseen"], span(scores["intervals"]["accuracy"])
    assert f"FER2013, {scores['images']:,} test faces | **{percent(scores['accuracy'])} %** | {reached} |" in readme
    assert f"| FER2013, {unseen['images']:,} faces | {percent(unseen['accuracy'])} % | |" in readme
    assert scores["members"]["count"] == 2


def test_the_shipped_model_scores_what_is_said(readme: str) -> None:
    score, measured = numbers("emotion/published/score.json"), numbers("benchmarks/results/others.json")
    shipped = measured["models"]["published"]
    assert score["scored"] == shipped["fer2013"]["faces"] == 7178
    assert percent(score["accuracy"]) == percent(shipped["fer2013"]["accuracy"])
    assert f"one view, float16 | FER2013 | {row(shipped['fer2013'])}" in readme


def test_others_and_a_person_score_what_is_said(readme: str) -> None:
    measured = numbers("benchmarks/results/others.json")
    assert f"as `fer` ships it | FER2013 | {row(measured['models']['fer']['fer2013'])}" in readme
    assert f"most frequent answer | {row(measured['models']['published']['as_person'])}" in readme
    assert f"| one person | the same | {row(measured['person'])}" in readme
