"""Turn the chosen source into the canonical archive of face images."""

from stages._entry.start import START

from dataclasses import replace
from pathlib import Path
from typing import Annotated

from pydantic import Field

from emotion.dataset.archive.faces import write_archive
from emotion.dataset.groups import groups_report, read_groups
from emotion.dataset.index import index_text
from emotion.dataset.layouts import check_labels, relabel
from emotion.dataset.votes import facts_table, votes_report
from emotion.foundation.files import write_file, write_json
from emotion.foundation.params import Params
from stages._entry.stage import Block, Choice, Reads, Values, run_stage

# A label names a folder of the archive.
Label = Annotated[str, Field(pattern=r"^[^/]*[^/.][^/]*$")]


class DataParams(Params):
    """The part of `data` outside the sources' own blocks."""

    labels: dict[str, Label | None]  # old label -> new label, or null to drop it


READS: Reads = {
    "source": Choice("data.source", "emotion.sources", "Source", "source"),
    "votes": Choice("data.votes", "emotion.votes", "VoteSource", "source", has_block=False),
    "params": Values("data", DataParams),
}


def download(
    input_dir: Path,
    cache_dir: Path,
    archive: Path,
    facts: Path,
    report: Path,
    source: Block,
    votes: Block,
    params: DataParams,
) -> None:
    """Collect the source's images into `archive`, votes and groups of them into `facts`, and count both in `report`."""
    found = source.load().dataset(input_dir, cache_dir)
    known = {"votes": votes.load().votes(found, input_dir, cache_dir), "groups": read_groups(found, input_dir)}
    dataset = relabel(replace(found, **known), params.labels)
    check_labels(dataset)
    summary = write_archive(dataset, archive)
    write_file(facts, index_text(facts_table(dataset.votes, dataset.groups, sorted(dataset.keys))))
    origin = {"origin": dict(dataset.origin)} if dataset.origin else {}
    counts = {split: {"total": sum(labels.values()), **labels} for split, labels in summary.images.items()}
    write_json(
        report,
        {
            "images": counts,
            "image_bytes": summary.image_bytes,
            "digest": summary.digest,
            **origin,
            **votes_report(dataset.votes, len(dataset.keys)),
            **groups_report(dataset.groups, len(dataset.keys)),
        },
    )


if __name__ == "__main__":
    run_stage(download, READS, START)
