"""Every figure is a PNG of the same bytes for the same numbers, with nothing cut off at its border."""

import io
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from emotion.evaluation import tables
from emotion.evaluation.corruptions import KINDS
from emotion.evaluation.scores import areas
from emotion.report import charts, sheets

RNG = np.random.default_rng(3)
NAMES = ["angry", "$disgust_$", "a rather long label that has to fit", "_happy", "1"]
LABELS = RNG.integers(0, 5, 400)
LOGITS = RNG.normal(size=(400, 5)) + 2 * np.eye(5)[LABELS]
PROBABILITIES = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
AREAS = areas(LABELS, PROBABILITIES, NAMES)
FACE = sheets.Captioned(RNG.integers(0, 256, (24, 24), np.uint8), "is surprise\nsaid surprise 0.99")


def table(text: str) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(text), dtype={"label": str, "series": str, "subset": str})


def history(epochs: int) -> pd.DataFrame:
    x = np.arange(1, epochs + 1)
    return pd.DataFrame({"epoch": x, "loss": 1 / x, "val_loss": 2 / x, "accuracy": 1 - 1 / x})


def robustness() -> pd.DataFrame:
    return table(tables.robustness_table({"clean": {0: 0.6}} | {kind: {1: 0.5, 2: 0.4, 3: 0.2} for kind in KINDS}))


FIGURES: dict[str, Callable[[], bytes]] = {
    "one member": lambda: charts.training_curves({"0": history(5)}, "loss"),
    "nine members": lambda: charts.training_curves({str(n): history(5 + n) for n in range(9)}, "accuracy"),
    "one epoch": lambda: charts.training_curves({"0": history(1)}, "accuracy"),
    "confusion": lambda: charts.confusion_matrix(np.full((5, 5), 12345), NAMES),
    "per label": lambda: charts.per_label(table(tables.per_label_table(LABELS, PROBABILITIES, NAMES))),
    "reliability": lambda: charts.reliability(
        table(tables.reliability_table(LABELS, {"before": np.sqrt(PROBABILITIES), "after": PROBABILITIES}))
    ),
    "roc": lambda: charts.roc(
        table(tables.roc_table(LABELS, PROBABILITIES, NAMES)), {name: row["roc_auc"] for name, row in AREAS.items()}
    ),
    "precision and recall": lambda: charts.precision_recall(
        table(tables.precision_recall_table(LABELS, PROBABILITIES, NAMES)),
        {name: row["average_precision"] for name, row in AREAS.items()},
    ),
    "confidence": lambda: charts.confidence(table(tables.confidence_table(LABELS, PROBABILITIES))),
    "subsets": lambda: charts.subsets(
        table(tables.subset_table({"all": LABELS >= 0, "unseen": LABELS < 3}, LABELS, PROBABILITIES, seed=0))
    ),
    "robustness": lambda: charts.robustness(robustness()),
    "contact sheet": lambda: sheets.contact_sheet([FACE] * 11, columns=8),
    "empty sheet": lambda: sheets.contact_sheet([], columns=8),
    "pairs": lambda: sheets.pair_sheet([(FACE, FACE)] * 5, across=4),
    "saliency": lambda: sheets.saliency_sheet([(FACE, np.eye(5, dtype=np.float32))] * 5, columns=4),
    "colour": lambda: sheets.contact_sheet([sheets.Captioned(np.zeros((9, 7, 3), np.uint8), "x")], columns=2),
}


@pytest.mark.parametrize(("highest", "said"), [(0.0, True), (0.5, False)])
def test_above_an_empty_map_the_sheet_says_that_nothing_spoke_for_the_label(highest: float, said: bool) -> None:
    heat = np.zeros((5, 5), np.float32)
    heat[2, 2] = highest
    sheet = Image.open(io.BytesIO(sheets.saliency_sheet([(FACE, heat)], columns=1))).convert("L")
    above_the_map = np.asarray(sheet)[:25, sheet.width // 2 :]
    assert bool(above_the_map.min() < 100) is said


@pytest.mark.parametrize("name", FIGURES)
def test_figure_is_reproducible_and_whole(name: str) -> None:
    content = FIGURES[name]()
    assert content == FIGURES[name]()
    pixels = np.asarray(Image.open(io.BytesIO(content)).convert("L"))
    assert pixels.min() < 100, "something is drawn"
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    assert border.min() == 255, "something is cut off"
