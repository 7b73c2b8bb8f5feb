"""Predictions against the crowd, worked by hand and counted vote by vote."""

import numpy as np
import pandas as pd
import pytest

from emotion.dataset.votes import VotesParams
from emotion.evaluation.crowd import (
    PersonScores,
    against_the_crowd,
    agreement_rows,
    excess_nats,
    join_votes,
    plurality,
)
from emotion.evaluation.predictions import Predictions

RULE = VotesParams(outlier_votes=1, agreement="majority")


def predictions(rows: list[tuple[str, str, list[float]]], names: list[str]) -> Predictions:
    paths, labels, shares = zip(*rows, strict=True)
    nothing = [""] * len(paths)
    return Predictions(list(paths), list(labels), nothing, nothing, names, np.array(shares))


def counted(votes: np.ndarray, predicted: np.ndarray) -> tuple[float, float]:
    """The person's and the model's score, one voter after the other."""
    people, models = [], []
    for row, said in zip(votes, predicted, strict=True):
        person, model = [], []
        for label in np.repeat(np.arange(len(row)), row):
            others = row.copy()
            others[label] -= 1
            if others.sum():
                winners = np.flatnonzero(others == others.max())
                person.append((label in winners) / len(winners))
                model.append((said in winners) / len(winners))
        if person:
            people.append(np.mean(person))
            models.append(np.mean(model))
    return float(np.mean(people)), float(np.mean(models))


def test_one_of_three_worked_by_hand() -> None:
    """Votes 2 and 1: each of the two sees one vote for either label (half right), the third two for the other."""
    scores = PersonScores.of(np.array([[2, 1]]), np.array([0]))
    assert scores.person.sum() == pytest.approx((0.5 + 0.5 + 0) / 3)
    assert scores.model.sum() == pytest.approx((0.5 + 0.5 + 1) / 3)
    assert scores.weights.sum() == pytest.approx(1)


def test_the_scores_are_those_of_every_voter_in_turn() -> None:
    rng = np.random.default_rng(0)
    votes = rng.multinomial(10, [0.5, 0.3, 0.1, 0.1], size=200)
    votes[0] = [1, 0, 0, 0]  # nobody else: does not count
    predicted = rng.integers(-1, 4, 200)
    scores = PersonScores.of(votes, predicted)
    person, model = counted(votes, predicted)
    assert scores.report(scores.person, seed=0)["accuracy"] == pytest.approx(person)
    report = scores.report(scores.model, seed=0)
    assert report["accuracy"] == pytest.approx(model)
    assert report["low"] < model < report["high"]
    by_label = scores.per_label(["a", "b", "c", "d"])
    weights = scores.weights.sum(axis=0)
    assert sum(row["person"] for row in by_label.values() if row) > 0
    assert np.average([row["model"] for row in by_label.values()], weights=weights) == pytest.approx(model)


def test_excess_nats_is_the_divergence_of_the_votes() -> None:
    votes = np.array([[5, 5], [10, 0]])
    assert excess_nats(votes, np.array([[0.5, 0.5], [1.0, 0.0]])) == pytest.approx(0, abs=1e-6)
    expected = (0.5 * np.log(0.5 / 0.8) + 0.5 * np.log(0.5 / 0.2) + np.log(1 / 0.25)) / 2
    assert excess_nats(votes, np.array([[0.8, 0.2], [0.25, 0.75]])) == pytest.approx(expected)


def test_a_plurality_is_none_where_two_have_as_many() -> None:
    assert plurality(np.array([[3, 3, 1], [1, 2, 0]])).tolist() == [-1, 1]


FACTS = pd.DataFrame(
    {
        "path": ["p1", "p2", "p3"],
        "votes_happy": [9, 1, 0],
        "votes_sad": [1, 5, 0],
        "votes_contempt": [0, 4, 0],
        "votes_unknown": [0, 0, 4],
        "votes_not_a_face": [0, 0, 6],
    }
)
ANSWERS = predictions(
    [("p0", "sad", [0.9, 0.1]), ("p1", "happy", [0.8, 0.2]), ("p2", "happy", [0.3, 0.7]), ("p3", "sad", [0.6, 0.4])],
    ["happy", "sad"],
)


def test_faces_are_joined_by_path_and_labels_by_name() -> None:
    crowd = join_votes(ANSWERS, FACTS, RULE)
    assert crowd is not None
    assert crowd.rows.tolist() == [1, 2]
    assert crowd.votes.tolist() == [[9, 1, 0], [1, 5, 4]]
    assert crowd.agreed.tolist() == [0, 1]  # without the single vote, 5 of 9 are a majority
    assert crowd.predicted.tolist() == [0, 1]
    assert crowd.probabilities.tolist() == [[0.8, 0.2, 0], [0.3, 0.7, 0]]
    assert agreement_rows(crowd) == [("0%-50%", 1, 1.0), ("80%-90%", 1, 1.0)]


def test_the_report_says_how_often_a_mistake_is_none_for_the_crowd() -> None:
    outcome = against_the_crowd(ANSWERS, FACTS, RULE, seed=0)
    report = outcome.report["crowd"]
    assert report["faces"] == 2
    assert report["wrong_by_label"] == {"faces": 1, "right_by_crowd": 1.0}
    assert report["agreed"] == {"faces": 2, "accuracy": 1.0, "low": 1.0, "high": 1.0}
    assert outcome.tables["crowd"].startswith("series,label,accuracy\n")
    assert "person,all," in outcome.tables["crowd"] and "model,happy," in outcome.tables["crowd"]


def test_labels_that_nobody_could_vote_for_are_right_or_wrong_by_the_data_sets_label() -> None:
    """Votes were for happy and sad: p1 is bored, as predicted; p2 is bored and predicted calm; its votes tie."""
    answers = predictions(
        [("p1", "bored", [0.8, 0.1, 0.1]), ("p2", "bored", [0.1, 0.8, 0.1])], ["bored", "calm", "happy"]
    )
    facts = FACTS.drop(columns="votes_contempt").assign(votes_happy=[9, 3, 0], votes_sad=[1, 3, 0])
    report = against_the_crowd(answers, facts, RULE, seed=0).report["crowd"]
    assert report["wrong_by_label"] == {"faces": 1, "right_by_crowd": 0.0}


def test_where_nobody_voted_nothing_is_said() -> None:
    outcome = against_the_crowd(ANSWERS, pd.DataFrame({"path": []}), RULE, seed=0)
    assert outcome.report == {}
    assert outcome.tables == {
        "crowd": "series,label,accuracy\n",
        "crowd_agreement": "agreement,faces,accuracy\n",
    }
