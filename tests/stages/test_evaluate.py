"""The evaluate stage, run as DVC runs it; every figure recomputed from its tables with scikit-learn."""

import csv
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn import metrics

from emotion.evaluation.heatmaps import read_heatmaps
from emotion.evaluation.passes import check_models, evenly, unanswered
from emotion.evaluation.predictions import Predictions, read_predictions
from emotion.evaluation.results import subsets
from emotion.foundation.errors import UserError
from tests.support import evaluated


def report_of(folder: Path) -> dict:
    return json.loads((folder / "evaluate.json").read_text())


def predictions_of(folder: Path) -> Predictions:
    return read_predictions((folder / "predictions.csv").read_text())


def variants_of(folder: Path) -> dict[str, np.ndarray]:
    rows = list(csv.reader((folder / "variants.csv").read_text().splitlines()))[1:]
    names = dict.fromkeys(row[0] for row in rows)
    return {name: np.array([row[2:] for row in rows if row[0] == name], dtype=float) for name in names}


def sklearn_brief(true: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    said = probabilities.argmax(axis=1)
    return {
        "accuracy": metrics.accuracy_score(true, said),
        "macro_f1": metrics.f1_score(true, said, average="macro", labels=np.unique(true), zero_division=0),
        "log_loss": metrics.log_loss(true, probabilities, labels=range(3)),
    }


@pytest.mark.parametrize("out", ["one", "many"])
def test_headline_is_what_scikit_learn_says_of_the_predictions(project: Path, out: str) -> None:
    found, report = predictions_of(project / out), report_of(project / out)
    true, said = found.label_indexes, found.predicted_indexes
    ours = {name: value for name, value in report.items() if not isinstance(value, dict)}
    expected = sklearn_brief(true, found.probabilities) | {
        "balanced_accuracy": metrics.balanced_accuracy_score(true, said),
        "top2_accuracy": metrics.top_k_accuracy_score(true, found.probabilities, k=2),
        "matthews": metrics.matthews_corrcoef(true, said),
        "roc_auc": metrics.roc_auc_score(true, found.probabilities, multi_class="ovr"),
        "images": 47,
    }
    assert ours == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize("out", ["one", "many"])
def test_the_headline_file_says_what_the_evaluation_says(project: Path, out: str) -> None:
    headline, report = json.loads((project / out / "headline.json").read_text()), report_of(project / out)
    assert headline == {
        "test_accuracy": report["accuracy"],
        "test_macro_f1": report["macro_f1"],
        "test_log_loss": report["log_loss"],
        "test_calibration_error": report["calibration"]["after"]["ece"],
    }


@pytest.mark.parametrize("out", ["one", "many"])
def test_per_label_is_what_scikit_learn_says(project: Path, out: str) -> None:
    found, report = predictions_of(project / out), report_of(project / out)
    text = metrics.classification_report(
        found.label_indexes, found.predicted_indexes, target_names=found.label_names, output_dict=True, zero_division=0
    )
    for label, row in report["per_label"].items():
        expected = {name.replace("f1-score", "f1"): value for name, value in text[label].items()}
        assert row == pytest.approx(expected, abs=1e-6)
    assert list(report["per_label"]) == list(evaluated.LABELS)


@pytest.mark.parametrize("out", ["one", "many"])
def test_subsets_are_what_scikit_learn_says_of_their_rows(project: Path, out: str) -> None:
    found, report = predictions_of(project / out), report_of(project / out)
    inside = {
        "public": [name == "public" for name in found.subsets],
        "private": [name == "private" for name in found.subsets],
        "unseen": [kind == "" for kind in found.copies],
    }
    assert sum(inside["unseen"]) == 45  # two test faces are copies of train faces
    assert set(report["subsets"]) == set(inside)
    for name, rows in inside.items():
        expected = sklearn_brief(found.label_indexes[rows], found.probabilities[rows]) | {"images": sum(rows)}
        assert report["subsets"][name] == pytest.approx(expected, abs=2e-6)


def test_faces_of_a_group_that_was_learnt_are_left_out_of_unseen_groups() -> None:
    copies = ["", "exact", "near", "group", ""]
    found = Predictions(["p"] * 5, ["a"] * 5, [""] * 5, copies, ["a"], np.ones((5, 1)))
    parts = {name: rows.tolist() for name, rows in subsets(found).items()}
    assert parts == {"unseen": [True, False, False, True, True], "unseen_groups": [True, False, False, False, True]}
    ungrouped = Predictions(["p"] * 2, ["a"] * 2, [""] * 2, ["", "near"], ["a"], np.ones((2, 1)))
    assert {name: rows.tolist() for name, rows in subsets(ungrouped).items()} == {"unseen": [True, False]}


@pytest.mark.parametrize("out", ["one", "many"])
def test_what_stands_beside_the_headline_is_recomputed_from_the_variants(project: Path, out: str) -> None:
    found, report, variants = predictions_of(project / out), report_of(project / out), variants_of(project / out)
    true = found.label_indexes
    single, brief = report["single_view"], sklearn_brief(true, variants["single_view"])
    assert {score: single[score] for score in brief} == pytest.approx(brief, abs=2e-6)
    for when, probabilities in (("before", variants["uncalibrated"]), ("after", found.probabilities)):
        truth = np.eye(3)[true]
        assert report["calibration"][when]["log_loss"] == pytest.approx(metrics.log_loss(true, probabilities), abs=2e-6)
        brier = ((probabilities - truth) ** 2).sum(axis=1).mean()
        assert report["calibration"][when]["brier"] == pytest.approx(brier, abs=2e-6)


@pytest.mark.parametrize("out", ["one", "many"])
@pytest.mark.parametrize(("suffix", "section"), [("", "members"), ("_single_view", "single_view")])
def test_members_and_what_their_average_gains_are_recomputed_from_the_variants(
    project: Path, out: str, suffix: str, section: str
) -> None:
    found, report, variants = predictions_of(project / out), report_of(project / out), variants_of(project / out)
    true, names = found.label_indexes, {"one": ("0",), "many": ("0", "1")}[out]
    assert report["members"]["count"] == len(names)
    each = [sklearn_brief(true, variants[f"member_{name}{suffix}"]) for name in names]
    whole = sklearn_brief(true, variants["single_view"] if suffix else found.probabilities)
    told = report[section]["members"] if suffix else report[section]
    for score in whole:
        values = [one[score] for one in each]
        mean = np.mean(values)
        more = {"std": np.std(values, ddof=1), "gain": whole[score] - mean} if len(values) > 1 else {}
        assert told[score] == pytest.approx({"mean": mean} | more, abs=2e-6)


def test_one_view_of_one_member_is_the_model_file_itself(project: Path) -> None:
    found, variants = predictions_of(project / "one"), variants_of(project / "one")
    assert np.array_equal(variants["single_view"], variants["member_0"])
    np.testing.assert_allclose(variants["single_view"], found.probabilities, atol=1e-8)
    assert report_of(project / "one")["calibration"]["temperature"] == 0.5


def test_averages_have_a_temperature_of_their_own(project: Path) -> None:
    report = report_of(project / "many")
    assert report["calibration"]["temperature"] != 0.5
    assert (
        report["single_view"]["accuracy"] != report["accuracy"]
        or report["single_view"]["log_loss"] != report["log_loss"]
    )


def test_a_skipped_picture_shifts_no_row(project: Path) -> None:
    found = predictions_of(project / "one")
    assert "test/path/PublicTest_2.png" not in found.paths
    assert all(path.split("/")[1] == label for path, label in zip(found.paths, found.labels, strict=True))
    assert (project / "records/test/skipped.json").exists()


def test_tables_are_complete(project: Path) -> None:
    names = {"confidence", "members", "per_label", "precision_recall", "reliability", "robustness", "roc", "subsets"}
    names |= {"crowd", "crowd_agreement"}
    for out, corruptions in (("one", 1), ("many", 28)):
        assert {file.stem for file in (project / out / "plots").glob("*")} == names
        assert len((project / out / "plots/robustness.csv").read_text().splitlines()) == 1 + corruptions
    assert "robustness" not in report_of(project / "one")
    assert len(report_of(project / "many")["robustness"]) == 9
    assert (project / "one/confusion.csv").read_text().splitlines()[0] == "actual,predicted"


def test_metrics_hold_no_list(project: Path) -> None:
    def leaves(value: object) -> list[object]:
        return [leaf for item in value.values() for leaf in leaves(item)] if isinstance(value, dict) else [value]

    assert all(isinstance(leaf, int | float) for leaf in leaves(report_of(project / "many")))


def test_saliency_covers_right_and_wrong_faces(project: Path) -> None:
    found, maps = predictions_of(project / "one"), read_heatmaps(project / "one/saliency.npz")
    right = dict(zip(found.paths, found.predicted_indexes == found.label_indexes, strict=True))
    assert {right[path] for path in maps} == {True, False}
    assert all(each.shape == (16, 16) and each.min() >= 0 and each.max() <= 1 for each in maps.values())


@pytest.mark.slow
def test_evaluating_again_gives_the_same_bytes(project: Path) -> None:
    evaluated.run_evaluate(project, "again", models="both", members=[0, 1], views=evaluated.TEN, robustness=True)
    files = sorted(file.relative_to(project / "again") for file in (project / "again").rglob("*") if file.is_file())
    assert len(files) >= 13
    for file in files:
        assert (project / "many" / file).read_bytes() == (project / "again" / file).read_bytes(), file


@pytest.mark.slow
def test_no_temperature_is_claimed_without_a_validation_set(tmp_path: Path) -> None:
    folder = evaluated.make_elsewhere(tmp_path, "0")
    evaluated.run_evaluate(folder, "out", models="both", members=[0, 1], views=evaluated.TEN)
    assert set(report_of(folder / "out")["calibration"]) == {"before"}
    error = json.loads((folder / "out/headline.json").read_text())["test_calibration_error"]
    assert error == report_of(folder / "out")["calibration"]["before"]["ece"]
    np.testing.assert_array_equal(
        variants_of(folder / "out")["uncalibrated"], predictions_of(folder / "out").probabilities
    )


def test_a_stale_model_stops_the_stage_with_one_line(tmp_path: Path) -> None:
    for name in ("0.keras", "7.keras", ".gitignore"):
        (tmp_path / name).touch()
    with pytest.raises(UserError, match=r"7\.keras is not listed in model\.members: \[0\].*`dvc checkout`") as raised:
        check_models(tmp_path, [0])
    assert "\n" not in str(raised.value)
    check_models(tmp_path, [0, 7])


def test_records_of_another_index_are_refused(tmp_path: Path) -> None:
    index = tmp_path / "test.csv"
    index.write_text("path,label,label_index,subset,copy\ntest/a/1,a,0,,\ntest/b/1,b,1,,exact\n")
    found = unanswered(index, tmp_path, SimpleNamespace(label_indexes=np.array([0, 1])), ["a", "b"])
    assert (found.paths, found.labels, found.copies) == (["test/a/1", "test/b/1"], ["a", "b"], ["", "exact"])
    with pytest.raises(UserError, match=r"does not hold the faces of .*test\.csv; run split and preprocess again"):
        unanswered(index, tmp_path, SimpleNamespace(label_indexes=np.array([1, 0])), ["a", "b"])


def test_evenly_spaced_rows_span_all() -> None:
    assert evenly(10, 4).tolist() == [0, 3, 6, 9]
    assert evenly(3, 10).tolist() == [0, 1, 2]
    assert evenly(5, 0).tolist() == evenly(0, 5).tolist() == []
