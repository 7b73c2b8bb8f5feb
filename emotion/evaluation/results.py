"""Logits of the members -> predictions, metrics and tables.

Throughout: logits are float [members, views, n, label_count], before any temperature, the unchanged view first.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from emotion.evaluation import scores, tables
from emotion.evaluation.averaging import Average, average
from emotion.evaluation.corruptions import Robustness
from emotion.evaluation.predictions import Predictions, csv_parts, short


@dataclass(frozen=True)
class Results:
    """The predictions of the test faces.

    Attributes:
        final: the average of all members and views, calibrated where there is a validation set.
        uncalibrated: the same with no temperature anywhere.
        single_view: the average of the members over the unchanged faces alone.
        members: each member on its own, over all views, by name.
        members_single_view: the same over the unchanged faces alone.
        temperature: of `final`; None where there was nothing to fit it on.
    """

    final: Predictions
    uncalibrated: Predictions
    single_view: Predictions
    members: dict[str, Predictions]
    members_single_view: dict[str, Predictions]
    temperature: float | None


def average_all(
    test: np.ndarray,
    val: np.ndarray,
    val_targets: np.ndarray,
    temperatures: Mapping[str, float | None],
    faces: Predictions,
) -> Results:
    """Average members and views in every reported way.

    Args:
        test: logits of the test faces.
        val: logits of the validation faces; may be empty.
        val_targets: float [validation faces, label_count], what their probabilities should be.
        temperatures: each member's, by its name, in the order of the logits.
        faces: the test faces; their probabilities are ignored.
    """
    own = list(temperatures.values())

    def averaged(members: slice, ways: slice) -> Average:
        return average(test[members, ways], val[members, ways], val_targets, own[members])

    def alone(ways: slice) -> dict[str, Predictions]:
        each = {name: averaged(slice(at, at + 1), ways) for at, name in enumerate(temperatures)}
        return {name: faces.with_probabilities(one.probabilities) for name, one in each.items()}

    everything, first = slice(None), slice(1)
    final = averaged(everything, everything)
    return Results(
        faces.with_probabilities(final.probabilities),
        faces.with_probabilities(final.uncalibrated),
        faces.with_probabilities(averaged(everything, first).probabilities),
        alone(everything),
        alone(first),
        final.temperature,
    )


def variants_table(results: Results) -> Iterator[str]:
    """CSV text, in parts, of all predictions except the final ones, so that every figure can be recomputed."""
    variants = {"uncalibrated": results.uncalibrated, "single_view": results.single_view}
    variants |= {f"member_{name}": each for name, each in results.members.items()}
    variants |= {f"member_{name}_single_view": each for name, each in results.members_single_view.items()}
    rows = (
        [variant, path, *map(short, row.tolist())]
        for variant, each in variants.items()
        for path, row in zip(each.paths, each.probabilities, strict=True)
    )
    return csv_parts(("variant", "path", *results.final.label_names), rows)


def evaluation_report(
    results: Results, robustness: Robustness, *, learnt: Sequence[float], seed: int
) -> dict[str, Any]:
    """The metrics to compare between runs: nested, without lists."""
    labels, final = results.final.label_indexes, results.final.probabilities
    inside = subsets(results.final)
    return {
        **scores.headline(labels, final),
        "images": len(labels),
        "intervals": scores.intervals(labels, final, seed=seed),
        "subsets": {
            name: {"images": int(rows.sum()), **scores.brief(labels[rows], final[rows])}
            for name, rows in inside.items()
        },
        "per_label": scores.per_label(labels, final, results.final.label_names),
        "single_view": {
            **scores.brief(labels, results.single_view.probabilities),
            "members": member_report(results.single_view, results.members_single_view),
        },
        "members": {"count": len(results.members), **member_report(results.final, results.members)},
        "calibration": calibration_report(results),
        "priors": scores.prior_report(labels, final, learnt),
        **(
            {"robustness": {kind: float(np.mean(list(by.values()))) for kind, by in robustness.items()}}
            if robustness
            else {}
        ),
    }


def headline_report(report: Mapping[str, Any]) -> dict[str, float]:
    """The few figures of `evaluation_report` that people compare first: flat, each name in no other metric file.

    DVC writes the path of its file before a name that two files share, which no table of experiments has room for.
    `test_calibration_error` is that of the predictions as they are: after temperature scaling, where there was any.
    """
    calibration = report["calibration"]
    return {
        **{f"test_{score}": report[score] for score in ("accuracy", "macro_f1", "log_loss")},
        "test_calibration_error": calibration.get("after", calibration["before"])["ece"],
    }


def plot_tables(results: Results, robustness: Robustness, *, seed: int) -> dict[str, str]:
    """Name -> CSV text of each table that `dvc plots` draws."""
    labels, final, names = results.final.label_indexes, results.final.probabilities, results.final.label_names
    inside = {"all": np.ones(len(labels), dtype=bool), **subsets(results.final)}
    single = {"clean": {0: scores.brief(labels, results.single_view.probabilities)["accuracy"]}}
    return {
        "per_label": tables.per_label_table(labels, final, names),
        "subsets": tables.subset_table(inside, labels, final, seed=seed),
        "members": tables.member_table(
            {name: scores.brief(labels, p.probabilities) for name, p in results.members.items()}
        ),
        "reliability": tables.reliability_table(labels, calibration_series(results)),
        "confidence": tables.confidence_table(labels, final),
        "roc": tables.roc_table(labels, final, names),
        "precision_recall": tables.precision_recall_table(labels, final, names),
        "robustness": tables.robustness_table(single | robustness),
    }


def subsets(predictions: Predictions) -> dict[str, np.ndarray]:
    """The parts of the test set that are not empty: bool [n] each.

    `unseen` has no copy in train or validation; `unseen_groups`, where some face's group is there, none of its group.
    """
    copies = np.array(predictions.copies)
    parts = {name: np.array(predictions.subsets) == name for name in sorted(set(predictions.subsets) - {""})}
    parts["unseen"] = np.isin(copies, ("", "group"))
    if "group" in predictions.copies:
        parts["unseen_groups"] = copies == ""
    return {name: rows for name, rows in parts.items() if rows.any()}


def calibration_series(results: Results) -> dict[str, np.ndarray]:
    """Probabilities before temperature scaling and, where there is a temperature, after."""
    after = {} if results.temperature is None else {"after": results.final.probabilities}
    return {"before": results.uncalibrated.probabilities, **after}


def calibration_report(results: Results) -> dict[str, Any]:
    """Calibration before and after temperature scaling; no `after` where there is no temperature."""
    labels = results.final.label_indexes
    report: dict[str, Any] = {
        name: scores.calibration_scores(labels, each) for name, each in calibration_series(results).items()
    }
    return report if results.temperature is None else {**report, "temperature": results.temperature}


def member_report(together: Predictions, members: Mapping[str, Predictions]) -> dict[str, dict[str, float]]:
    """For each figure the members' mean; with two or more also the standard deviation and the gain from averaging."""
    labels = together.label_indexes
    whole = scores.brief(labels, together.probabilities)
    each = [scores.brief(labels, member.probabilities) for member in members.values()]
    report = {}
    for score, value in whole.items():
        values = [figures[score] for figures in each]
        report[score] = {"mean": float(np.mean(values))}
        if len(values) > 1:
            report[score] |= {"std": float(np.std(values, ddof=1)), "gain": value - float(np.mean(values))}
    return report


def surest(predictions: Predictions) -> list[int]:
    """For each true label, the rows of the most confident right and wrong predictions, where there are any."""
    confidence = predictions.probabilities.max(axis=1)
    right = predictions.predicted_indexes == predictions.label_indexes
    found = []
    for label in range(len(predictions.label_names)):
        for kind in (right, ~right):
            rows = np.flatnonzero((predictions.label_indexes == label) & kind)
            found += rows[np.argsort(-confidence[rows], kind="stable")][:1].tolist()
    return found
