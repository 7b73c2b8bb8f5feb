"""Turn the chosen source into the canonical archive of face images."""

from stages._entry.start import START

from pathlib import Path
from typing import Annotated

from pydantic import Field

from emotion.dataset.archive import Dataset, DatasetError, write_archive
from emotion.dataset.layouts import relabel
from emotion.files import write_json
from emotion.params import Params
from stages._entry.stage import Block, Choice, Reads, Values, run_stage

# A label names a folder of the archive.
Label = Annotated[str, Field(pattern=r"^[^/]*[^/.][^/]*$")]


class DataParams(Params):
    """What `data` holds beside the sources' own blocks."""

    labels: dict[str, Label | None]  # old label -> new label, or null to drop it


READS: Reads = {
    "source": Choice("data.source", "emotion.sources", "Source", "source"),
    "params": Values("data", DataParams),
}


def download(input_dir: Path, cache_dir: Path, archive: Path, report: Path, source: Block, params: DataParams) -> None:
    """Collect the source's images into `archive` and count them in `report`."""
    dataset = relabel(source.load().dataset(input_dir, cache_dir), params.labels)
    check_labels(dataset)
    summary = write_archive(dataset, archive)
    origin = {"origin": dict(dataset.origin)} if dataset.origin else {}
    counts = {split: {"total": sum(labels.values()), **labels} for split, labels in summary.images.items()}
    write_json(report, {"images": counts, "image_bytes": summary.image_bytes, "digest": summary.digest, **origin})


def check_labels(dataset: Dataset) -> None:
    """Raise DatasetError when there is nothing to tell apart, or a label has the name of the labels' sum."""
    labels = sorted({path.split("/")[1] for path in dataset.keys})
    if len(labels) == 1:
        raise DatasetError(f"every image is labelled {labels[0]!r}; expected at least two labels, a folder for each")
    if "total" in labels:
        raise DatasetError(
            "a label is called 'total', which the metrics call the sum of all labels; "
            "rename the folder, or set data.labels: {total: another name}"
        )


if __name__ == "__main__":
    run_stage(download, READS, START)
