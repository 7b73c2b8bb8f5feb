"""Draw the pictures and the one-page report from predictions and metrics; no model runs here."""

from stages._entry.start import START

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from emotion.dataset.votes import read_votes
from emotion.evaluation.heatmaps import read_heatmaps
from emotion.evaluation.predictions import read_predictions
from emotion.foundation.files import write_file
from emotion.foundation.params import Params
from emotion.palette import BLUE, SKY
from emotion.report.captions import draw_figures, measured_on_demand, read_table, read_tables
from emotion.report.faces import draw_crowd, draw_faces
from emotion.report.overview import page_context
from emotion.report.page import render_page
from stages._entry.stage import Reads, Section, Shown, run_stage


class ReportParams(Params):
    """The `report` section."""

    title: str


READS: Reads = {
    "params": Section("report", ReportParams),
    "shown": Shown(
        (
            *("data.source", "data.votes", "data.labels", "data.${data.source}", "split", "preprocess", "augment"),
            *("model.network", "model.members", "model.${model.network}", "train", "evaluate"),
        )
    ),
}


def report(
    archive: Path,
    facts: Path,
    copies: Path,
    data_report: Path,
    split_report: Path,
    predictions: Path,
    saliency: Path,
    scores: Path,
    plots: Path,
    history: Path,
    training: Path,
    template: Path,
    figures: Path,
    faces: Path,
    page: Path,
    params: ReportParams,
    shown: Mapping[str, Any],
) -> None:
    """Draw figures and sheets of faces into their folders, and the page that shows them all."""
    answers = read_predictions(predictions.read_text())
    metrics, tables = _read(scores), read_tables(plots)
    members = [str(member) for member in shown["model.members"]]
    curves = {member: read_table(history / f"{member}.csv") for member in members}
    trained = [_read(training / f"{member}.json") for member in members]
    drawn = draw_figures(answers, tables, curves, metrics)
    sheets = draw_faces(answers, archive, pd.read_csv(copies, keep_default_na=False), read_heatmaps(saliency))
    voted = draw_crowd(answers, archive, read_votes(facts))
    for folder, kind in ((figures, drawn), (faces, sheets)):  # what is measured only on demand is only on the page
        for name, picture in kind.items():
            write_file(folder / f"{name}.png", picture.png)
    context = {
        **page_context(shown, metrics, tables, _read(data_report), _read(split_report), trained),
        "title": params.title,
        "accent": BLUE,
        "accent_on_dark": SKY,
        "pictures": drawn | measured_on_demand(tables, metrics) | sheets | voted,
    }
    write_file(page, render_page(template, context))


def _read(report: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(report.read_text())
    return found


if __name__ == "__main__":
    run_stage(report, READS, START)
