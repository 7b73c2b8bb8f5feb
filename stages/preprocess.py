"""Decode and resize one split's faces into TFRecords."""

from stages._entry.start import START

from collections.abc import Iterator
from itertools import tee
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from emotion.dataset.archive.faces import read_faces
from emotion.dataset.images import ImageError, decode_faces
from emotion.dataset.index import read_targets, summarize
from emotion.foundation.errors import UserError
from emotion.foundation.files import write_json
from emotion.foundation.params import Params
from emotion.runtime.quiet import import_tensorflow
from stages._entry.stage import Reads, Section, run_stage


class PreprocessParams(Params):
    """The `preprocess` section."""

    size_px: int = Field(ge=8, le=1024)
    channels: Literal[1, 3]
    max_bad_fraction: float = Field(ge=0, le=1)


READS: Reads = {"params": Section("preprocess", PreprocessParams)}


def preprocess(archive: Path, index: Path, records: Path, report: Path, params: PreprocessParams) -> None:
    """Write the faces named in `index` to the folder `records`; bad images are listed and, within limits, skipped."""
    import_tensorflow()
    from emotion.dataset.records.tfrecords import write_records

    bad: dict[str, str] = {}
    listed = summarize(index)
    about = write_records(
        good_faces(archive, index, params, bad),
        records,
        labels=listed.labels,
        size_px=params.size_px,
        channels=params.channels,
        crowd_labels=listed.crowd_labels,
    )
    _check_bad(bad, listed.faces, index, params.max_bad_fraction)
    if bad:
        write_json(records / "skipped.json", bad)  # so that the index's rows can be matched to the records
    write_json(report, {"images": about.images, "skipped": len(bad)})


def good_faces(
    archive: Path, index: Path, params: PreprocessParams, bad: dict[str, str]
) -> Iterator[tuple[np.ndarray, *tuple[Any, ...]]]:
    """Yield the decodable faces (uint8 [size_px, size_px, channels]) as `Record` has them, in the index's order.

    Every other picture goes into `bad`: path -> reason.
    """
    rows, ahead = tee(read_targets(index))
    contents = read_faces(archive, (path for path, _ in ahead))
    faces = decode_faces(contents, size_px=params.size_px, channels=params.channels)
    for face, (path, target) in zip(faces, rows, strict=True):
        if isinstance(face, ImageError):
            bad[path] = str(face)
        else:
            yield face, *target


def _check_bad(bad: dict[str, str], images: int, index: Path, max_bad_fraction: float) -> None:
    for path, reason in bad.items():
        print(f"unusable: {path}: {reason}")
    if len(bad) > max_bad_fraction * images:
        raise UserError(
            f"{len(bad)} of {images} images in {index} are unusable (listed above), more than "
            f"preprocess.max_bad_fraction: {max_bad_fraction} allows; remove them from the data or raise the limit"
        )


if __name__ == "__main__":
    run_stage(preprocess, READS, START)
