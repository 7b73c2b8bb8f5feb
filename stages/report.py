"""Draw the pictures and the one-page report from predictions and metrics; no model runs here."""

from pathlib import Path

from emotion.params import Params
from stages._stage import Reads, Section, run_stage, write_file


class ReportParams(Params):
    """The `report` section."""

    title: str


READS: Reads = {"params": Section("report", ReportParams)}


def report(predictions: Path, history: Path, figures: Path, page: Path, params: ReportParams) -> None:
    """Draw the figures into a folder and the page that shows them."""
    from emotion import figures as draw

    figures.mkdir(parents=True, exist_ok=True)
    draw.training_curves(history, figures)
    draw.confusion_matrix(predictions, figures / "confusion_matrix.png")
    write_file(page, f"<title>{params.title}</title>")


if __name__ == "__main__":
    run_stage(report, READS)
