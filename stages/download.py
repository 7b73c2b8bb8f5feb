"""Turn the chosen source into the canonical archive of face images."""

from stages._entry.start import START

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from pydantic import Field

from emotion.dataset.archive.faces import NO_LABEL, Dataset, DatasetError, Votes, write_archive
from emotion.dataset.groups import read_groups
from emotion.dataset.index import index_text
from emotion.dataset.layouts import relabel
from emotion.dataset.votes import facts_table
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
            **voted(dataset.votes, len(dataset.keys)),
            **grouped(dataset.groups, len(dataset.keys)),
        },
    )


def voted(votes: Votes | None, pictures: int) -> dict[str, dict[str, int]]:
    """Count the pictures with and without votes, and the votes for each label; nothing where nobody was asked."""
    if votes is None:
        return {}
    sums = map(sum, zip(*votes.counts.values(), strict=True))
    given = len(votes.counts)
    by_label = dict(zip((*votes.labels, *NO_LABEL), sums, strict=True))
    return {"votes": {"pictures": given, "pictures_without": pictures - given, **by_label}}


def grouped(groups: Mapping[str, Mapping[str, str]], pictures: int) -> dict[str, dict[str, dict[str, int]]]:
    """For each kind of group, count the groups and the pictures without one; nothing where no groups are known."""
    counts = {
        kind: {"groups": len(set(of.values())), "pictures_without": pictures - len(of)} for kind, of in groups.items()
    }
    return {"groups": counts} if counts else {}


def check_labels(dataset: Dataset) -> None:
    """Raise DatasetError when there is only one label, or one is called `total`, like the metrics' sum."""
    labels = sorted({path.split("/")[1] for path in dataset.keys})
    if len(labels) == 1:
        raise DatasetError(f"every image is labelled {labels[0]!r}; expected at least two labels, a folder for each")
    if "total" in labels:
        raise DatasetError(
            "a label is called 'total', the metrics' name for the sum of all labels; "
            "rename the folder, or set data.labels: {total: another name}"
        )


if __name__ == "__main__":
    run_stage(download, READS, START)
