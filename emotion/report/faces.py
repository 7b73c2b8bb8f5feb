"""The report's pictures that show faces: mistakes, saliency, near copies. They contain the data set's images."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd

from emotion.dataset.archive.faces import read_faces
from emotion.dataset.images import ImageError, decode_image
from emotion.dataset.votes import vote_counts, voted_labels
from emotion.evaluation.predictions import Predictions
from emotion.report.page import Picture
from emotion.report.sheets import Captioned, contact_sheet, pair_sheet, saliency_sheet

Images = Mapping[str, np.ndarray]  # path in the archive -> uint8 [height, width] or [height, width, 3]
_MISTAKES, _PAIRS = 24, 12


def surest_mistakes(answers: Predictions) -> list[int]:
    """Row numbers of the most confident wrong predictions, the surest first."""
    return _wrong(answers)[:_MISTAKES]


def _wrong(answers: Predictions) -> list[int]:
    """Row numbers of all faces predicted wrongly, the surest first."""
    wrong = np.flatnonzero(answers.predicted_indexes != answers.label_indexes)
    confidence = answers.probabilities[wrong].max(axis=1)
    return [int(row) for row in wrong[np.argsort(-confidence, kind="stable")]]


def near_pairs(copies: pd.DataFrame) -> pd.DataFrame:
    """Choose near copies, evenly from the least to the most alike; only pairs across splits, if there are any."""
    near = copies[copies["kind"] == "near"]
    across = near[near["first_split"] != near["second_split"]]
    chosen = (across if len(across) else near).sort_values(["correlation", "first", "second"])
    places = np.linspace(0, len(chosen) - 1, min(_PAIRS, len(chosen))).round().astype(int)
    return chosen.iloc[places]


def mistakes(answers: Predictions, rows: list[int], images: Images) -> Picture:
    """The faces in these rows of the predictions, as mistakes."""
    return Picture(
        "The most confident mistakes",
        "Each face with its label in the data set, and what was predicted with which confidence. Such faces are often "
        "hard to call, or wrongly labelled.",
        f"{len(rows)} faces that were predicted wrongly with high confidence.",
        contact_sheet([_answer(answers, row, images) for row in rows], columns=8),
    )


def saliency(answers: Predictions, heatmaps: Mapping[str, np.ndarray], images: Images) -> Picture:
    """Faces beside their saliency maps (float [rows, columns], 0-1)."""
    rows = {path: row for row, path in enumerate(answers.paths)}
    explained = [(_answer(answers, rows[path], images), heat) for path, heat in heatmaps.items()]
    return Picture(
        "Where it looked",
        "Yellow marks what led to the predicted label; each cell also reflects its surroundings (HiResCAM). For each "
        "label the face that was predicted rightly with the most confidence, and wrongly.",
        f"{len(explained)} faces, each beside the same face under its map of {_sizes(heatmaps)} cells.",
        saliency_sheet(explained, columns=4),
    )


def _sizes(heatmaps: Mapping[str, np.ndarray]) -> str:
    """How many rows and columns the maps have: `6 x 6`; all come from the same layer."""
    return next((" x ".join(map(str, heat.shape)) for heat in heatmaps.values()), "no")


def copies_sheet(pairs: pd.DataFrame, images: Images) -> Picture:
    """Pairs of near copies; pictures that could not be decoded are left out."""
    usable = pairs[pairs["first"].isin(images) & pairs["second"].isin(images)]
    couples = [
        (
            _copy(images[pair.first], pair.first, pair.first_split, f"r = {pair.correlation:.3f}"),
            _copy(images[pair.second], pair.second, pair.second_split, ""),
        )
        for pair in usable.itertuples()
    ]
    return Picture(
        "Near copies",
        "Nearly equal pictures that the data set brings, from the least alike that count as copies to the most: where "
        "each lies, its label, and r, the correlation of their pixels.",
        f"{len(couples)} pairs of nearly equal faces.",
        pair_sheet(couples, across=4),
    )


def _answer(answers: Predictions, row: int, images: Images) -> Captioned:
    predicted = answers.predicted_indexes[row]
    said = f"{answers.label_names[predicted]} {answers.probabilities[row, predicted]:.2f}"
    return Captioned(images[answers.paths[row]], f"is {answers.labels[row]}\nsaid {said}")


def _copy(picture: np.ndarray, path: str, split: str, note: str) -> Captioned:
    return Captioned(picture, f"{split} {note}\n{path.split('/')[1]}")


def draw_crowd(answers: Predictions, archive: Path, facts: pd.DataFrame) -> dict[str, Picture]:
    """The sheet of faces that are wrong by their label and right by the votes on them; nothing where nobody voted.

    Args:
        facts: the votes, by path.
    """
    labels = voted_labels(facts.columns)
    if not labels:
        return {}
    counts = dict(zip(facts["path"], vote_counts(facts, labels, with_no_label=False).tolist(), strict=True))
    rows = [
        row for row in _wrong(answers) if _first_choice(counts.get(answers.paths[row]), labels) == _said(answers, row)
    ]
    images = decoded(archive, (answers.paths[row] for row in rows[:_MISTAKES]))
    sheet = [
        Captioned(images[path], f"is {answers.labels[row]}\n{_said(answers, row)} {max(votes)}/{sum(votes)}")
        for row in rows[:_MISTAKES]
        for path in [answers.paths[row]]
        for votes in [counts[path]]
    ]
    picture = Picture(
        "Wrong by the label, right by the crowd",
        "Each face with its label in the data set, then what the model said, and how many of the voters say so too.",
        f"{len(sheet)} of {len(rows)} faces on which the label with the most votes is the model's, not the data set's.",
        contact_sheet(sheet, columns=8),
    )
    return {"crowd_mistakes": picture}


def _first_choice(votes: Sequence[int] | None, labels: Sequence[str]) -> str | None:
    """The label with the most votes; None where nobody voted, or several labels have as many."""
    if not votes or votes.count(max(votes)) > 1:
        return None
    return labels[votes.index(max(votes))]


def _said(answers: Predictions, row: int) -> str:
    return answers.label_names[answers.predicted_indexes[row]]


def draw_faces(
    answers: Predictions, archive: Path, copies: pd.DataFrame, heatmaps: Mapping[str, np.ndarray]
) -> dict[str, Picture]:
    """The sheets that show faces, by file name, in the page's order."""
    rows, pairs = surest_mistakes(answers), near_pairs(copies)
    images = decoded(archive, [*(answers.paths[row] for row in rows), *pairs["first"], *pairs["second"], *heatmaps])
    return {
        "mistakes": mistakes(answers, rows, images),
        "saliency": saliency(answers, heatmaps, images),
        "copies": copies_sheet(pairs, images),
    }


def decoded(archive: Path, paths: Iterable[str]) -> dict[str, np.ndarray]:
    """Read and decode pictures; those that cannot be decoded are left out."""
    wanted = sorted(set(paths))
    images = {}
    for path, content in zip(wanted, read_faces(archive, wanted), strict=True):
        with suppress(ImageError):
            images[path] = decode_image(content)
    return images
