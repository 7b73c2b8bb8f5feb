import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from ruamel.yaml import YAML

from emotion.report.page import render_text
from emotion.sources.synthetic.source import Source
from tests.support import evaluated
from tools.docs import hub_card
from tools.docs.cards import conflicts, data_context, largest_groups, model_context

TEMPLATES = evaluated.ROOT / "tools/docs/templates"


def pairs(*rows: tuple[str, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["first", "second"])


def test_conflicts_are_counted_whichever_way_round() -> None:
    found = conflicts(
        pairs(("train/sad/1", "test/fear/2"), ("train/fear/3", "train/sad/4"), ("train/sad/5", "test/sad/6"))
    )
    assert found == [("fear", "sad", 2)]


def test_the_largest_group_follows_chains_of_copies() -> None:
    paths = ["train/sad/1", "train/fear/2", "test/sad/3", "test/sad/4"]
    found = largest_groups(paths, pairs((paths[0], paths[1]), (paths[1], paths[2])))
    assert found == {"pictures": 3, "labels": 2}


def test_the_data_card_tells_the_pipelines_counts(tmp_path: Path) -> None:
    from emotion.dataset.votes import VotesParams
    from stages.split import NearParams, SplitParams, split

    found = evaluated.images(seed=0)
    evaluated.write_images(found, tmp_path / "data/raw/faces.zip")
    index = {name: tmp_path / f"data/split/{name}.csv" for name in ("train", "val", "test", "copies")}
    near = NearParams(max_hash_distance=10, min_correlation=0.95)
    params = SplitParams(
        val_fraction=0.2,
        test_fraction=0.2,
        validation="train",
        votes=VotesParams(outlier_votes=1, agreement="majority"),
        seed=0,
        group_duplicates="near",
        group_by="",
        drop_train_copies_of_test=False,
        near=near,
    )
    (tmp_path / "data/raw/facts.csv").write_text("path\n")
    split(
        tmp_path / "data/raw/faces.zip",
        tmp_path / "data/raw/facts.csv",
        **index,
        report=tmp_path / "metrics/split.json",
        params=params,
    )
    (tmp_path / "metrics/data.json").write_text(json.dumps({"digest": "0123456789abcdef0123"}))
    text = render_text(TEMPLATES / "data.md.j2", data_context(tmp_path))
    assert "106 of 108 pictures are distinct" in text and "| path and sad | 1 |" in text
    assert "0 pictures show nothing" in text and "| total | 48 | 12 | 48 |" in text


def test_the_model_card_tells_the_metrics(project: Path, tmp_path: Path) -> None:
    metrics = tmp_path / "metrics"
    (metrics / "train").mkdir(parents=True)
    for name, source in (("evaluate", "many/evaluate"), ("split", "metrics/split")):
        (metrics / f"{name}.json").write_text((project / f"{source}.json").read_text())
    for member in (0, 1):
        (metrics / f"train/{member}.json").write_text(json.dumps({"epochs": 3, "parameters": 1234}))
    (tmp_path / "params.yaml").write_text((project / "params.yaml").read_text())
    text = render_text(TEMPLATES / "model-card.md.j2", model_context(tmp_path))
    accuracy = json.loads((metrics / "evaluate.json").read_text())["accuracy"]
    assert f"| accuracy | {100 * accuracy:.1f}\N{NO-BREAK SPACE}% |" in text
    assert "2 members, 1,234 weights each" in text and "Article 5(1)(f)" in text


def test_the_committed_model_card_is_that_of_the_published_run() -> None:
    text = render_text(TEMPLATES / "model-card.md.j2", model_context(hub_card.RUN))
    assert (evaluated.ROOT / "docs/model-card.md").read_text() == text


@pytest.fixture
def card() -> tuple[dict[str, Any], str]:
    """The committed card for the Hub: its metadata, and its text."""
    opening, metadata, text = hub_card.CARD.read_text().split("---\n", maxsplit=2)
    assert opening == ""
    return YAML(typ="safe").load(metadata), text


def test_the_hubs_card_is_what_its_command_makes() -> None:
    assert hub_card.CARD.read_text() == hub_card.hub_card(hub_card.RUN), "run `python -m tools.docs.hub_card`"


def test_the_hubs_metadata_says_what_the_model_is(card: tuple[dict[str, Any], str]) -> None:
    metadata, _ = card
    found = {key: metadata[key] for key in ("license", "library_name", "pipeline_tag", "datasets", "metrics")}
    assert found == {
        "license": "mit",
        "library_name": "keras",
        "pipeline_tag": "image-classification",
        "datasets": ["fer2013"],
        "metrics": ["accuracy", "f1"],
    }
    assert all(isinstance(tag, str) for tag in metadata["tags"])
    assert "language" not in metadata  # of the data: faces have none


def test_the_hubs_results_are_those_of_the_model_beside_the_card(card: tuple[dict[str, Any], str]) -> None:
    metadata, text = card
    alone = json.loads((evaluated.ROOT / "results/fer2013/models/score.json").read_text())
    (model,) = metadata["model-index"]
    (result,) = model["results"]
    assert result["task"]["type"] == metadata["pipeline_tag"] and result["dataset"]["split"] == "test"
    assert {result["dataset"][key] for key in ("name", "type")} == {"FER2013", "fer2013"}
    values = {metric["type"]: metric["value"] for metric in result["metrics"]}
    assert set(values) == set(metadata["metrics"])
    assert values["accuracy"] == alone["accuracy"]
    measured = json.loads((evaluated.ROOT / "benchmarks/results/others.json").read_text())["models"]
    assert alone["accuracy"] == pytest.approx(measured["trained on FER2013's labels"]["fer2013"]["accuracy"], abs=5e-4)
    true, predicted = [], []
    for label, row in alone["confusion"].items():
        for answer, faces in row.items():
            true += [label] * faces
            predicted += [answer] * faces
    from sklearn.metrics import f1_score

    assert values["f1"] == pytest.approx(f1_score(true, predicted, average="macro"), abs=1e-6)
    assert f"`{metadata['tags'][2]}`" in text and len(true) == alone["scored"]


def test_the_hubs_card_leads_nowhere_that_the_hub_lacks(card: tuple[dict[str, Any], str]) -> None:
    _, text = card
    assert re.findall(r"\]\((?!https?:)[^)]*\)", text) == []
    assert "Article 5(1)(f)" in text


def test_a_label_that_is_never_predicted_has_no_precision() -> None:
    scores = hub_card.label_scores({"sad": {"sad": 3, "fear": 0}, "fear": {"sad": 1, "fear": 0}})
    assert scores["sad"] == {"precision": 0.75, "recall": 1.0, "f1": 6 / 7, "support": 3}
    assert scores["fear"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 1}


def test_the_example_of_the_hubs_card_runs(
    card: tuple[dict[str, Any], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    import cv2

    (example,) = re.findall(r"```python\n(.*?)```", card[1], flags=re.DOTALL)
    faces = Source(seed=1, train_images=14, test_images=7, min_intensity=1.0, noise=0.0)
    cv2.imwrite(str(tmp_path / "face.png"), cv2.resize(faces.draw("test", "happy", 0), (96, 96)))
    (tmp_path / "0.keras").write_bytes((hub_card.RUN / "models/0.keras").read_bytes())
    monkeypatch.chdir(tmp_path)
    exec(example, {})
    assert capsys.readouterr().out.splitlines()[-1].startswith("happy {'angry': ")
