"""Write results/fer2013/models/README.md: the card that goes to the Hugging Face Hub with the model beside it.

python -m tools.docs.hub_card
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from emotion.report.page import render_text
from tools.docs.cards import model_context

RUN = Path(__file__).parents[2] / "results/fer2013"
CARD = RUN / "models/README.md"
_TEMPLATE = Path(__file__).parent / "templates/hub-card.md.j2"


def hub_context(run: Path) -> dict[str, Any]:
    """What the card says: that of the model card, and the scores of the one model that is uploaded.

    The card's example predicts in one view, so its scores come from models/score.json: `python -m tools.ship fer2013
    --output FILE` and `emotion score --model FILE --no-detect --json` wrote it. Those in several views are the run's.
    """
    context = model_context(run)
    member, alone = context["params"]["model"]["members"][0], json.loads((run / "models/score.json").read_text())
    views = pd.read_csv(run / "metrics/plots/members.csv").set_index("member").loc[member]
    per_label = label_scores(alone["confusion"])
    macro_f1 = sum(row["f1"] for row in per_label.values()) / len(per_label)
    return {
        **context,
        "labels": list(per_label),
        "model": f"{member}.keras",
        "member": str(member),
        "alone": {**alone, "macro_f1": round(macro_f1, 6), "per_label": per_label},
        "views": views.to_dict(),
        "with_copy": context["split"]["copies"]["near"]["test_images_with_copy_in_train_or_val"],
    }


def label_scores(confusion: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, float]]:
    """Precision, recall, F1 and number of faces of each label, from true label -> predicted label -> faces."""
    scores = {}
    for label, row in confusion.items():
        right, support = row[label], sum(row.values())
        predicted = sum(other[label] for other in confusion.values())
        scores[label] = {
            "precision": right / predicted if predicted else 0.0,
            "recall": right / support if support else 0.0,
            "f1": 2 * right / (predicted + support) if predicted + support else 0.0,
            "support": support,
        }
    return scores


def hub_card(run: Path) -> str:
    """The card as Markdown, with the Hub's metadata as YAML in front."""
    return render_text(_TEMPLATE, hub_context(run))


if __name__ == "__main__":
    CARD.write_text(hub_card(RUN))
