"""Make the model that ships with the package, from published runs: `python -m tools.ship fer2013 ferplus-one`.

Of several runs, the shipped model answers with the average of their first members, as `emotion export` makes it.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from emotion.inference.exporting.export import Report, export
from emotion.inference.models import PUBLISHED, import_keras
from tools.publish import RUNS


def ship(runs: Sequence[Path], output: Path, faces: Path | None) -> Report:
    """Export the runs' first members as one LiteRT file with 16-bit weights.

    Args:
        runs: folders made by `tools.publish record`.
        output: the .tflite to write.
        faces: what the export is compared on; None draws some.
    """
    with tempfile.TemporaryDirectory() as folder:
        models = [_with_prior(run, Path(folder) / f"{number}.keras") for number, run in enumerate(runs)]
        return export(models, output, format_name="litert", precision="float16", faces_path=faces)


def _with_prior(run: Path, path: Path) -> Path:
    """A copy of the run's model; one from before models said their prior gets the shares of its training faces."""
    import_keras()  # quietly, which the next line would not be
    from emotion.model.file import load_model, save_model

    [source] = (run / "models").glob("*.keras")
    network, about = load_model(source)
    if not about.prior:
        images = json.loads((run / "metrics/split.json").read_text())["images"]["train"]
        about = replace(about, prior=[round(images[label] / images["total"], 6) for label in about.labels])
    save_model(network, path, about)
    return path


def main() -> None:
    """Write emotion/published/model.tflite and say how it compares with the runs' models."""
    parser = argparse.ArgumentParser(prog="python -m tools.ship", description=__doc__)
    parser.add_argument("runs", nargs="+", choices=RUNS, help="folders of results/")
    parser.add_argument("--output", type=Path, default=PUBLISHED, help="default: the package's own model")
    parser.add_argument("--faces", type=Path, help="face crops to compare on, such as data/raw/faces.zip")
    arguments = parser.parse_args()
    report = ship([Path("results") / run for run in arguments.runs], arguments.output, arguments.faces)
    print("\n".join(report.lines()))


if __name__ == "__main__":
    main()
