import json
from pathlib import Path

import pandas as pd

from emotion.report.page import render_text
from tests.support import evaluated
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
