"""What the page says in words: what was trained on what, and the measures, whoever added them."""

from typing import Any

import pytest

from emotion.report.overview import by_label, overview, tiles

SHOWN: dict[str, Any] = {
    "data.source": "synthetic",
    "data.votes": "none",
    "preprocess": {"size_px": 48, "channels": 1},
    "model.network": "vgg",
    "model.vgg": {"width": 8},
    "train": {"targets": "label", "init": {"path": ""}},
}
IMAGES = {
    "train": {"total": 5040, "happy": 5000, "sad": 40},
    "val": {"total": 1260, "happy": 1250, "sad": 10},
    "test": {"total": 7, "happy": 5, "sad": 2},
}
TRAINED = {"epochs": 18, "kept_epoch": 17, "parameters": 395607}
METRICS: dict[str, Any] = {
    **{"accuracy": 0.5, "balanced_accuracy": 0.25, "macro_f1": 0.5, "log_loss": 1.0, "top2_accuracy": 0.75},
    **{"matthews": 0.1, "images": 7, "calibration": {"before": {"ece": 0.125}}},
}


def said(*trained: dict[str, int], data: dict[str, Any] | None = None, **changes: Any) -> dict[str, str]:
    return dict(overview({**SHOWN, **changes}, data or {}, IMAGES, trained or [TRAINED]))


def test_what_was_trained_on_what() -> None:
    assert {name: text.replace("\N{NO-BREAK SPACE}", " ") for name, text in said().items()} == {
        "Data": "synthetic: faces that were drawn, not photographed",
        "Faces": "5,040 to train on, 1,260 to choose on, 7 to test on; 48 × 48 pixels, grey",
        "Labels": "2: happy, sad",
        "Network": "vgg, 395,607 parameters",
        "Training": "18 epochs; the weights after epoch 17 were kept",
    }


def test_members_that_stopped_at_different_epochs_give_a_span() -> None:
    words = said(TRAINED, {**TRAINED, "epochs": 15, "kept_epoch": 9})
    assert words["Training"] == "15 to 18 epochs; the weights after epoch 9 to 17 were kept"
    assert words["Network"].startswith("2 of the kind vgg, 395,607 parameters each")


def test_a_downloaded_data_set_is_named_with_its_version() -> None:
    origin = {"origin": {"dataset": "msambare/fer2013", "version": 1}}
    assert said(data=origin, **{"data.source": "kaggle"})["Data"] == "kaggle: dataset msambare/fer2013, version 1"
    assert said(**{"data.source": "local"})["Data"] == "local"


@pytest.mark.parametrize(
    ("changes", "weights"),
    [
        ({"train": {"targets": "label", "init": {"path": "old.keras"}}}, "old.keras"),
        ({"model.vgg": {"weights": "imagenet"}}, "imagenet"),
        ({"model.vgg": {"weights": "none"}}, None),
    ],
)
def test_what_other_data_a_network_started_from_is_said(changes: dict[str, Any], weights: str | None) -> None:
    text = said(**changes)["Training"]
    assert text.endswith(f"; started from the weights of {weights}" if weights else "were kept")


def test_labels_that_were_learnt_from_votes_say_whose() -> None:
    changes = {"data.votes": "ferplus", "train": {"targets": "crowd", "init": {"path": ""}}}
    assert said(**changes)["Labels"] == "2: happy, sad; learnt from the votes of ferplus (train.targets: crowd)"


def test_a_figure_that_someone_added_becomes_a_tile() -> None:
    usual = tiles(METRICS)
    assert tiles({**METRICS, "cohen_kappa": 0.51234, "per_camera": {"left": 0.5}}) == [*usual, ("Cohen kappa", "0.512")]


def test_a_figure_that_someone_added_to_a_label_becomes_a_column() -> None:
    per_label = {
        "happy": {"precision": 0.5, "recall": 1.0, "f1": 0.25, "support": 1200},
        "sad": {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0, "true_negative_rate": 0.875},
    }
    columns, rows = by_label(per_label)
    assert columns == ["label", "precision", "recall", "F1", "test faces", "true negative rate"]
    assert [[cell.replace("\N{NO-BREAK SPACE}", "") for cell in row] for row in rows] == [
        ["happy", "50.0%", "100.0%", "25.0%", "1,200", "–"],
        ["sad", "0.0%", "0.0%", "0.0%", "0", "0.875"],
    ]
