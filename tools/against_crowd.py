"""Score a published run against the crowd's votes, also one that was made without them.

    python -m tools.against_crowd fer2013 fer2013new.csv [--archive data/raw/faces.zip --sheet sheet.png]

Writes results/<run>/crowd.json from the run's predictions and FER+'s table of votes. `--sheet` draws faces that are
wrong by FER2013's label and right by the crowd, from the download stage's archive; do not commit FER2013's pictures.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from emotion.dataset.archive.faces import Votes
from emotion.dataset.votes import VotesParams, facts_table
from emotion.evaluation.crowd import crowd_report, join_votes, plurality, wrong_by_label
from emotion.evaluation.predictions import Predictions, read_predictions
from emotion.foundation.errors import UserError
from emotion.foundation.files import write_file, write_json
from emotion.foundation.params import read_params
from emotion.report.faces import draw_crowd
from emotion.votes.ferplus.source import LABELS, read_ferplus, row_of
from tools.publish import RUNS

RESULTS = Path(__file__).parents[1] / "results"


def ferplus_votes(predictions: Predictions, table: Path) -> pd.DataFrame:
    """FER+'s votes on the predicted faces, as the download stage writes them. Raises UserError."""
    rows = read_ferplus(table).votes
    known = {path: row for path in predictions.paths if (row := row_of(path)) is not None}
    votes = Votes(tuple(LABELS.values()), {path: rows[row] for path, row in known.items()})
    return facts_table(votes, {}, known)


def score(predictions: Predictions, votes: pd.DataFrame, rule: VotesParams) -> dict[str, Any]:
    """The block `crowd` of metrics/evaluate.json, and in `wrong_by_label` each label of the data set for itself.

    Raises UserError when nobody voted on any of the faces.
    """
    crowd = join_votes(predictions, votes, rule)
    if crowd is None:
        raise UserError("the table has no votes on the run's faces; expected FER+'s, and a run on FER2013")
    wrong, right = wrong_by_label(predictions, crowd), crowd.predicted == plurality(crowd.votes)
    own = np.array([predictions.labels[row] for row in crowd.rows])
    by_label = {
        name: {
            "faces": int((own == name).sum()),
            "wrong": int((wrong & (own == name)).sum()),
            "right_by_crowd": int((wrong & right & (own == name)).sum()),
        }
        for name in crowd.labels
        if name in own
    }
    report = crowd_report(crowd, wrong, seed=0)
    return report | {"wrong_by_label": {**report["wrong_by_label"], "per_label": by_label}}


def main() -> None:
    """Exit 2 with one line on what the user can fix."""
    parser = argparse.ArgumentParser(prog="python -m tools.against_crowd", description=__doc__.splitlines()[0])
    parser.add_argument("run", choices=RUNS, help="folder of results/")
    parser.add_argument("votes", type=Path, metavar="fer2013new.csv")
    parser.add_argument("--archive", type=Path, metavar="FACES.zip", help="data/raw/faces.zip, for --sheet")
    parser.add_argument("--sheet", type=Path, metavar="PNG", help="draw the faces that only the label calls wrong")
    arguments = parser.parse_args()
    if (arguments.sheet is None) != (arguments.archive is None):
        parser.error("--sheet and --archive go together: the sheet is drawn from the archive's faces")
    run = RESULTS / arguments.run
    try:
        predictions = read_predictions((run / "predictions.csv").read_text(encoding="utf-8"))
        votes = ferplus_votes(predictions, arguments.votes)
        rule = VotesParams.model_validate(read_params(run / "params.yaml")["split"]["votes"])
        write_json(run / "crowd.json", score(predictions, votes, rule))
        print(f"wrote {run / 'crowd.json'}")
        if arguments.sheet:
            picture = draw_crowd(predictions, arguments.archive, votes)["crowd_mistakes"]
            write_file(arguments.sheet, picture.png)
            print(f"wrote {arguments.sheet}: {picture.alt}")
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
