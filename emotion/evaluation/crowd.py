"""Predictions against the crowd: how close a model comes to what several people saw, and to one of them.

Throughout: `votes` is int [n, labels], how many people gave each label to each face, without those who named none;
`probabilities` is float [n, labels], of the same labels; rows of `votes` hold at least one vote.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from emotion.dataset.votes import VotesParams, agreed_labels, vote_counts, voted_labels, without_outliers
from emotion.evaluation.intervals import RESAMPLES, interval
from emotion.evaluation.predictions import Predictions
from emotion.evaluation.tables import table

_TINY = 1e-7  # the smallest probability whose logarithm is taken
_AGREEMENT_EDGES = (0.5, 0.6, 0.7, 0.8, 0.9)  # of the first label's share of the votes


@dataclass(frozen=True)
class Crowd:
    """The test faces that people voted on.

    Attributes:
        rows: of the predictions: int [n].
        labels: what could be voted for.
        votes: int [n, labels].
        agreed: the label that the crowd agrees on by the rule of `split.votes`, or -1: int [n].
        probabilities: the model's, of `labels`: 0 for a label that it does not know.
        predicted: its most probable label: int [n], -1 for one that nobody could vote for.
    """

    rows: np.ndarray
    labels: list[str]
    votes: np.ndarray
    agreed: np.ndarray
    probabilities: np.ndarray
    predicted: np.ndarray


class AgainstTheCrowd(NamedTuple):
    """The predictions' scores against the votes on the test faces.

    Attributes:
        report: `crowd` -> the metrics to compare between runs; empty where nobody voted.
        tables: name -> CSV text of the tables that `dvc plots` draws; a header alone where nobody voted.
    """

    report: dict[str, Any]
    tables: dict[str, str]


def against_the_crowd(
    predictions: Predictions, facts: pd.DataFrame, rule: VotesParams, *, seed: int
) -> AgainstTheCrowd:
    """Score the predictions against the votes, if there are any.

    Args:
        facts: the votes as they were cast, by path.
        seed: of the bootstrap.
    """
    crowd = join_votes(predictions, facts, rule)
    report = crowd_report(crowd, wrong_by_label(predictions, crowd), seed=seed) if crowd else {}
    tables = {
        "crowd": table(("series", "label", "accuracy"), person_rows(report) if crowd else []),
        "crowd_agreement": table(("agreement", "faces", "accuracy"), agreement_rows(crowd) if crowd else []),
    }
    return AgainstTheCrowd({"crowd": report} if crowd else {}, tables)


def join_votes(predictions: Predictions, facts: pd.DataFrame, rule: VotesParams) -> Crowd | None:
    """Find the votes on the predicted faces; None where there are none.

    Args:
        facts: the votes as they were cast, by path.
    """
    labels = voted_labels(facts.columns)
    joined = pd.DataFrame({"path": predictions.paths}).merge(facts, on="path", how="left").fillna(0)
    if not labels:
        return None
    counts = vote_counts(joined, labels)
    votes = counts[:, : len(labels)]
    rows = np.flatnonzero(votes.any(axis=1))
    if not len(rows):
        return None
    agreed = agreed_labels(without_outliers(counts, outlier_votes=rule.outlier_votes), agreement=rule.agreement)
    column = {name: place for place, name in enumerate(predictions.label_names)}
    probabilities = np.zeros(votes.shape)
    for place, name in enumerate(labels):
        if name in column:
            probabilities[:, place] = predictions.probabilities[:, column[name]]
    names = [predictions.label_names[index] for index in predictions.predicted_indexes]
    predicted = np.array([labels.index(name) if name in labels else -1 for name in names], dtype=np.int64)
    return Crowd(rows, labels, votes[rows], agreed[rows], probabilities[rows], predicted[rows])


def crowd_report(crowd: Crowd, wrong: np.ndarray, *, seed: int) -> dict[str, Any]:
    """The metrics to compare between runs.

    Args:
        wrong: whether the prediction is another label than the data set's own: bool [n].
    """
    first = plurality(crowd.votes)
    people = PersonScores.of(crowd.votes, crowd.predicted)
    return {
        "faces": len(crowd.votes),
        "plurality": _accuracy(crowd.predicted, first, seed=seed),
        "agreed": _accuracy(crowd.predicted, crowd.agreed, seed=seed),
        "excess_nats": excess_nats(crowd.votes, crowd.probabilities),
        "person": people.report(people.person, seed=seed),
        "model_as_person": people.report(people.model, seed=seed),
        "model_minus_person": people.report(people.model - people.person, seed=seed),
        "per_label": people.per_label(crowd.labels),
        "wrong_by_label": _wrong_report(wrong, crowd.predicted, first),
    }


def plurality(votes: np.ndarray) -> np.ndarray:
    """The label with the most votes: int [n], -1 where several have."""
    most = votes.max(axis=1, keepdims=True)
    return np.where((votes == most).sum(axis=1) == 1, votes.argmax(axis=1), -1)


def excess_nats(votes: np.ndarray, probabilities: np.ndarray) -> float:
    """Cross-entropy of the votes' distribution under the probabilities, minus its entropy, mean over the faces.

    In nats; 0 for a model that predicts exactly the votes' distribution (the Kullback-Leibler divergence).
    """
    shares = votes / votes.sum(axis=1, keepdims=True)
    ratios = np.log(np.maximum(shares, _TINY) / np.maximum(probabilities, _TINY))
    return float((shares * ratios).sum(axis=1).mean())


@dataclass(frozen=True)
class PersonScores:
    """One person against the plurality of the others, and the model against the same others.

    For each vote on a face the other votes are the truth: the label with the most of them or, if several tie, an equal
    share of each. Every face weighs the same, however many votes it has; a face with a single vote does not count, as
    there are no others.

    Attributes:
        weights: the share of a face's votes whose truth is this label: float [n, labels], rows sum to 1 (or 0).
        person: the share that is for this label and right: float [n, labels].
        model: the share that would be right if the model had cast all: float [n, labels].
    """

    weights: np.ndarray
    person: np.ndarray
    model: np.ndarray

    @classmethod
    def of(cls, votes: np.ndarray, predicted: np.ndarray) -> "PersonScores":
        """Leave out each vote in turn; votes for one label on one face are alike.

        Args:
            predicted: the model's labels: int [n], -1 for a label that nobody could vote for.
        """
        weights, person, model = (np.zeros(votes.shape) for _ in range(3))
        for label in range(votes.shape[1]):
            others = votes.copy()
            others[:, label] -= 1
            cast = np.where(others.sum(axis=1) > 0, votes[:, label], 0)  # votes for this label that count
            most = others.max(axis=1, keepdims=True)
            truth = (others == most) & (others > 0)
            shares = truth / np.maximum(truth.sum(axis=1, keepdims=True), 1) * cast[:, None]
            weights += shares
            person[:, label] += shares[:, label]
            known = np.flatnonzero(predicted >= 0)
            model[known, predicted[known]] += shares[known, predicted[known]]
        total = np.maximum(weights.sum(axis=1, keepdims=True), 1)
        return cls(weights / total, person / total, model / total)

    def report(self, hits: np.ndarray, *, seed: int) -> dict[str, float]:
        """The share of hits with its 95 % interval, over resampled faces."""
        by_face, weights = hits.sum(axis=1), self.weights.sum(axis=1)
        rng = np.random.default_rng(seed)
        even = np.full(len(by_face), 1 / len(by_face))
        drawn = (rng.multinomial(len(by_face), even) for _ in range(RESAMPLES))
        shares = np.array([draw @ by_face / max(draw @ weights, 1) for draw in drawn])
        return {"accuracy": float(by_face.sum() / max(weights.sum(), 1)), **interval(shares)._asdict()}

    def per_label(self, labels: list[str]) -> dict[str, dict[str, float]]:
        """For each label that was ever true: how often a person names it then, and how often the model."""
        sums = (part.sum(axis=0) for part in (self.weights, self.person, self.model))
        rows = zip(labels, *sums, strict=True)
        return {
            name: {"person": float(person / weight), "model": float(model / weight)}
            for name, weight, person, model in rows
            if weight > 0
        }


def agreement_rows(crowd: Crowd) -> list[tuple[str, int, float]]:
    """Accuracy by the first label's share of the votes: (share, faces, accuracy), for shares that occur."""
    first, top = plurality(crowd.votes), crowd.votes.max(axis=1) / crowd.votes.sum(axis=1)
    bins = np.digitize(top, _AGREEMENT_EDGES, right=True)
    ends = (0.0, *_AGREEMENT_EDGES, 1.0)
    rows = []
    for number, (low, high) in enumerate(pairwise(ends)):
        inside = (bins == number) & (first >= 0)
        if inside.any():
            right = float((crowd.predicted[inside] == first[inside]).mean())
            rows.append((f"{low:.0%}-{high:.0%}", int(inside.sum()), right))
    return rows


def wrong_by_label(predictions: Predictions, crowd: Crowd) -> np.ndarray:
    """Whether each of the crowd's faces is predicted otherwise than the data set's own label says: bool [n].

    By the model's labels: of those that nobody could vote for, too, it may be right.
    """
    return (predictions.predicted_indexes != predictions.label_indexes)[crowd.rows]


def _accuracy(predicted: np.ndarray, truth: np.ndarray, *, seed: int) -> dict[str, float]:
    """Faces with a truth, the share predicted right, and its 95 % interval."""
    known = truth >= 0
    n = int(known.sum())
    if not n:
        return {"faces": 0}
    right = float((predicted[known] == truth[known]).mean())
    draws = np.random.default_rng(seed).binomial(n, right, size=RESAMPLES) / n
    return {"faces": n, "accuracy": right, **interval(draws)._asdict()}


def _wrong_report(wrong: np.ndarray, predicted: np.ndarray, first: np.ndarray) -> dict[str, Any]:
    """Of the faces wrong by the data set's label, how many are right by the crowd's; none where several labels tie."""
    right = wrong & (first >= 0) & (predicted == first)
    return {"faces": int(wrong.sum()), "right_by_crowd": float(right.sum() / max(wrong.sum(), 1))}


def person_rows(report: Mapping[str, Any]) -> list[tuple[str, str, float]]:
    """Rows of person and model from `crowd_report`, overall and by label: (person or model, label, accuracy).

    The overall rows have the label `all`, which `dataset.layouts.check_labels` lets no vote be for.
    """
    overall = {"all": {"person": report["person"]["accuracy"], "model": report["model_as_person"]["accuracy"]}}
    by_label = {**overall, **report["per_label"]}
    return [(who, name, row[who]) for name, row in by_label.items() for who in ("person", "model")]
