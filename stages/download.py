"""Turn the chosen source into the canonical archive of face images."""

from pathlib import Path

from emotion.archive import write_archive
from emotion.layouts import relabel
from emotion.params import Params
from stages._stage import Block, Choice, Reads, Values, run_stage, write_json


class DataParams(Params):
    """What `data` holds beside the sources' own blocks."""

    labels: dict[str, str | None]  # old label -> new label, or null to drop it


READS: Reads = {
    "source": Choice("data.source", "emotion.sources", "Source"),
    "params": Values("data", DataParams),
}


def download(input_dir: Path, cache_dir: Path, archive: Path, report: Path, source: Block, params: DataParams) -> None:
    """Collect the source's images into `archive` and count them in `report`."""
    dataset = relabel(source.load().dataset(input_dir, cache_dir), params.labels)
    summary = write_archive(dataset, archive)
    origin = {"origin": dict(dataset.origin)} if dataset.origin else {}
    counts = {split: {"total": sum(labels.values()), **labels} for split, labels in summary.images.items()}
    write_json(report, {"images": counts, "image_bytes": summary.image_bytes, "digest": summary.digest, **origin})


if __name__ == "__main__":
    run_stage(download, READS)
