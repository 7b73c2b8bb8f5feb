"""Draw the pictures and the one-page report from predictions and metrics; no model runs here."""

from stages._entry.start import START

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from emotion.dataset.archive import read_faces
from emotion.dataset.images import ImageError, decode_image
from emotion.evaluation.heatmaps import read_heatmaps
from emotion.evaluation.predictions import Predictions, read_predictions
from emotion.evaluation.views import views
from emotion.params import Params
from emotion.report import captions
from emotion.report import faces as face_sheets
from emotion.report.page import Picture, flat, number, percent, render_page
from stages._entry.stage import Reads, Section, Shown, run_stage, write_file


class ReportParams(Params):
    """The `report` section."""

    title: str


READS: Reads = {
    "params": Section("report", ReportParams),
    "shown": Shown(
        (
            *("data.source", "data.labels", "data.${data.source}", "split", "preprocess", "augment"),
            *("model.network", "model.members", "model.${model.network}", "train", "evaluate"),
        )
    ),
}


def report(
    archive: Path,
    copies: Path,
    split_report: Path,
    predictions: Path,
    saliency: Path,
    scores: Path,
    plots: Path,
    history: Path,
    template: Path,
    figures: Path,
    faces: Path,
    page: Path,
    params: ReportParams,
    shown: Mapping[str, Any],
) -> None:
    """Draw figures and sheets of faces into their folders, and the page that shows them all."""
    answers = read_predictions(predictions.read_text())
    metrics, tables = json.loads(scores.read_text()), read_tables(plots)
    curves = {str(member): read_table(history / f"{member}.csv") for member in shown["model.members"]}
    drawn = draw_figures(answers, tables, curves, metrics)
    sheets = draw_faces(answers, archive, pd.read_csv(copies, keep_default_na=False), read_heatmaps(saliency))
    measured = {"robustness": captions.corrupted(tables["robustness"])} if "robustness" in metrics else {}
    for folder, kind in ((figures, drawn), (faces, sheets)):  # what is measured on demand only is on the page alone
        for name, picture in kind.items():
            write_file(folder / f"{name}.png", picture.png)
    context = {
        "title": params.title,
        "metrics": metrics,
        "split": json.loads(split_report.read_text()),
        "members": tables["members"].to_dict("records"),
        "subsets": tables["subsets"].to_dict("records"),
        "shown": shown,
        "parameters": flat(shown),
        "tiles": tiles(metrics),
        "view_count": len(views(**shown["evaluate"]["views"])),
        "pictures": [*drawn.values(), *measured.values(), *sheets.values()],
    }
    write_file(page, render_page(template, context))


def tiles(metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The lesser figures of the headline: name and value."""
    calibration = metrics["calibration"].get("after", metrics["calibration"]["before"])
    return [
        ("Balanced accuracy", percent(metrics["balanced_accuracy"])),
        ("Top-2 accuracy", percent(metrics["top2_accuracy"])),
        ("Matthews correlation", number(metrics["matthews"])),
        *([("ROC-AUC", number(metrics["roc_auc"]))] if "roc_auc" in metrics else []),
        ("Log loss (nats)", number(metrics["log_loss"])),
        ("Calibration error", number(calibration["ece"])),
    ]


def read_tables(folder: Path) -> dict[str, pd.DataFrame]:
    """The CSV tables of a folder by name, in order."""
    return {file.stem: read_table(file) for file in sorted(folder.glob("*.csv"))}


def read_table(file: Path) -> pd.DataFrame:
    """Read a CSV whose names stay text, whatever they look like (`1`, `nan`, empty)."""
    texts = ("label", "series", "subset", "member")
    columns = pd.read_csv(file, nrows=0).columns
    kinds = {column: str for column in columns if column in texts}
    missing = {column: [""] for column in columns if column not in texts}
    return pd.read_csv(file, dtype=kinds, keep_default_na=False, na_values=missing)


def draw_figures(
    answers: Predictions, tables: captions.Tables, history: captions.Tables, metrics: Mapping[str, Any]
) -> dict[str, Picture]:
    """The figures that hold no face, by file name, in the page's order."""
    return {
        **captions.learning_curves(history),
        **captions.by_label(answers, tables),
        **captions.parts(tables),
        **captions.trust(tables, metrics["calibration"]),
        **captions.curves(tables),
    }


def draw_faces(
    answers: Predictions, archive: Path, copies: pd.DataFrame, heatmaps: Mapping[str, np.ndarray]
) -> dict[str, Picture]:
    """The sheets that show faces, by file name, in the page's order."""
    rows, pairs = face_sheets.surest_mistakes(answers), face_sheets.near_pairs(copies)
    images = decoded(archive, [*(answers.paths[row] for row in rows), *pairs["first"], *pairs["second"], *heatmaps])
    return {
        "mistakes": face_sheets.mistakes(answers, rows, images),
        "saliency": face_sheets.saliency(answers, heatmaps, images),
        "copies": face_sheets.near_copies(pairs, images),
    }


def decoded(archive: Path, paths: Iterable[str]) -> dict[str, np.ndarray]:
    """Read and decode pictures; those that cannot be decoded are left out."""
    wanted = sorted(set(paths))
    images = {}
    for path, content in zip(wanted, read_faces(archive, wanted), strict=True):
        with suppress(ImageError):
            images[path] = decode_image(content)
    return images


if __name__ == "__main__":
    run_stage(report, READS, START)
