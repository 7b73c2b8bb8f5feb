"""A published run against the crowd: the numbers of the record and of the page, and what the command refuses."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from emotion.dataset.votes import VotesParams
from emotion.evaluation.predictions import Predictions, read_predictions
from emotion.foundation.errors import UserError
from tests.support.committed import ROOT, committed
from tools.against_crowd import ferplus_votes, score

RULE = VotesParams(outlier_votes=1, agreement="majority")
SCORES = {  # of each published run, from the crowd's votes
    "fer2013": "crowd.json",
    "ferplus": "metrics/evaluate.json",
    "ferplus-one": "metrics/evaluate.json",
}


def by_hand(predictions: Predictions, votes: pd.DataFrame) -> dict[str, float]:
    """The scores of the run as the docs define them, one face and one voter after the other."""
    said = dict(
        zip(predictions.paths, (predictions.label_names[i] for i in predictions.predicted_indexes), strict=True)
    )
    own = dict(zip(predictions.paths, predictions.labels, strict=True))
    agreed, persons, models, wrong = [], [], [], []
    for row in votes.to_dict("records"):
        path = row.pop("path")
        cast = Counter({name.removeprefix("votes_"): int(count) for name, count in row.items()})
        kept = Counter({name: count for name, count in cast.items() if count > 1})
        for name, count in kept.items():
            if 2 * count > kept.total() and name not in ("unknown", "not_a_face"):
                agreed.append(said[path] == name)
        named = Counter({name: n for name, n in cast.items() if n and name not in ("unknown", "not_a_face")})
        if not named:
            continue
        first = [name for name, count in named.items() if count == max(named.values())]
        if said[path] != own[path]:
            wrong.append([said[path]] == first)
        if named.total() == 1:
            continue
        person, model = [], []
        for voter in named.elements():
            others = named - Counter([voter])
            truth = [name for name, count in others.items() if count == max(others.values())]
            person.append((voter in truth) / len(truth))
            model.append((said[path] in truth) / len(truth))
        persons.append(np.mean(person))
        models.append(np.mean(model))
    return {
        "agreed": float(np.mean(agreed)),
        "person": float(np.mean(persons)),
        "model": float(np.mean(models)),
        "wrong": len(wrong),
        "right_by_crowd": float(np.mean(wrong)),
    }


@pytest.mark.parametrize(("run", "kept"), SCORES.items())
def test_the_recorded_scores_are_those_of_the_predictions_and_the_votes(run: str, kept: str, ferplus_csv: Path) -> None:
    predictions = read_predictions((ROOT / "results" / run / "predictions.csv").read_text())
    recorded = json.loads((ROOT / "results" / run / kept).read_text())
    recorded = recorded.get("crowd", recorded)
    found = by_hand(predictions, ferplus_votes(predictions, ferplus_csv))
    assert found["agreed"] == pytest.approx(recorded["agreed"]["accuracy"], abs=1e-6)
    assert found["person"] == pytest.approx(recorded["person"]["accuracy"], abs=1e-6)
    assert found["model"] == pytest.approx(recorded["model_as_person"]["accuracy"], abs=1e-6)
    assert found["wrong"] == recorded["wrong_by_label"]["faces"]
    assert found["right_by_crowd"] == pytest.approx(recorded["wrong_by_label"]["right_by_crowd"], abs=1e-6)


def test_each_label_says_how_often_it_is_the_mistake() -> None:
    paths, names = ["a", "b", "c", "d"], ["happy", "sad"]
    answers = np.array([[0.9, 0.1], [0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    predictions = Predictions(paths, ["sad", "sad", "sad", "happy"], [""] * 4, [""] * 4, names, answers)
    zeros = {"votes_unknown": 0, "votes_not_a_face": 0}
    votes = pd.DataFrame(
        {"path": path, "votes_happy": happy, "votes_sad": sad, **zeros}
        for path, happy, sad in [("a", 8, 2), ("b", 1, 9), ("c", 0, 10), ("d", 10, 0)]
    )
    found = score(predictions, votes, RULE)["wrong_by_label"]
    assert found["per_label"] == {
        "happy": {"faces": 1, "wrong": 0, "right_by_crowd": 0},
        "sad": {"faces": 3, "wrong": 2, "right_by_crowd": 1},
    }
    assert (found["faces"], found["right_by_crowd"]) == (2, 0.5)


def test_votes_on_other_faces_are_refused() -> None:
    predictions = Predictions(["a"], ["sad"], [""], [""], ["happy", "sad"], np.array([[0.5, 0.5]]))
    none = pd.DataFrame(
        {"path": ["b"], "votes_happy": [1], "votes_sad": [1], "votes_unknown": 0, "votes_not_a_face": 0}
    )
    with pytest.raises(UserError, match="has no votes on the run's faces; expected FER"):
        score(predictions, none, RULE)


def test_the_page_says_how_often_the_label_is_the_mistake() -> None:
    page = committed("docs/crowd.md")
    found = json.loads(committed("results/fer2013/crowd.json"))["wrong_by_label"]
    rows = list(found["per_label"].items())
    assert len(rows) == 7
    for name, row in rows:
        share = f"{100 * row['right_by_crowd'] / row['wrong']:.1f}"
        assert f"| {name} | {row['faces']:,} | {row['wrong']:,} | {row['right_by_crowd']:,} | {share} % |" in page
    assert f"| {found['faces']:,} | " in page and f"| **{100 * found['right_by_crowd']:.1f} %** |" in page
