"""TFRecords of faces: raw uint8 pixels, uncompressed, sharded, with a description beside them."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from emotion.errors import UserError
from emotion.files import written_whole

IMAGES_PER_SHARD = 8192
_BATCH = 1024


class Record(NamedTuple):
    """One face as it is written.

    Attributes:
        image: uint8 [size_px, size_px, channels].
        label_index: of the data set's own label.
        crowd_index: of the label that the crowd agrees on, among `crowd_labels`; -1 where there is none.
        votes: for each of `crowd_labels`, those that a network can learn from; all 0 where it cannot.
    """

    image: np.ndarray
    label_index: int
    crowd_index: int = -1
    votes: Sequence[int] = ()


@dataclass(frozen=True)
class RecordsAbout:
    """What a folder of records holds; written beside them as about.json.

    Attributes:
        images: how many faces.
        size_px: side of each square face.
        channels: 1 or 3.
        labels: label names present, in label order.
        crowd_labels: what people could vote for, in label order; empty where nobody was asked.
    """

    images: int
    size_px: int
    channels: int
    labels: list[str]
    crowd_labels: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Faces:
    """Faces in memory.

    Attributes:
        images: uint8 [n, size_px, size_px, channels], 0-255.
        label_indexes: int64 [n].
        about: the records' description.
        crowd_indexes: int64 [n], the label that the crowd agrees on, or -1; empty if nobody was asked.
        votes: int64 [n, crowd_labels].
    """

    images: np.ndarray
    label_indexes: np.ndarray
    about: RecordsAbout
    crowd_indexes: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    votes: np.ndarray = field(default_factory=lambda: np.empty((0, 0), np.int64))


def write_records(
    faces: Iterable[Record | tuple[np.ndarray, int]],
    folder: Path,
    *,
    labels: list[str],
    size_px: int,
    channels: int,
    crowd_labels: Sequence[str] = (),
) -> RecordsAbout:
    """Write faces, whose labels and votes are those of `labels` and `crowd_labels`, to shards of IMAGES_PER_SHARD.

    The folder appears under its name only when complete; what was there is replaced.
    """
    with written_whole(folder) as part:
        part.mkdir()
        about = RecordsAbout(
            _write_shards((Record(*face) for face in faces), part), size_px, channels, labels, list(crowd_labels)
        )
        facts = {name: fact for name, fact in asdict(about).items() if name != "crowd_labels" or fact}
        (part / "about.json").write_text(json.dumps(facts, indent=2) + "\n")
    return about


def read_records_about(folder: Path) -> RecordsAbout:
    """Read the description of a folder of records. Raises UserError when it is missing."""
    try:
        return RecordsAbout(**json.loads((folder / "about.json").read_text()))
    except FileNotFoundError:
        raise UserError(f"{folder} holds no records (about.json is missing); run the preprocess stage") from None


def load_records(folder: Path) -> Faces:
    """Read a whole folder of records into memory, in order."""
    about = read_records_about(folder)
    shape = (about.size_px, about.size_px, about.channels)
    images = np.empty((about.images, *shape), np.uint8)
    label_indexes = np.empty(about.images, np.int64)
    asked = about.images if about.crowd_labels else 0
    crowd_indexes, votes = np.empty(asked, np.int64), np.empty((asked, len(about.crowd_labels)), np.int64)
    start = 0
    try:
        for batch in _batches(sorted(folder.glob("*.tfrecord")), shape, len(about.crowd_labels)):
            rows = slice(start, start + len(batch["label"]))
            if rows.stop > about.images:
                raise UserError(_miscounted(folder, f"at least {rows.stop}", about))
            images[rows] = batch["pixels"]
            label_indexes[rows] = batch["label"]
            if asked:
                crowd_indexes[rows] = np.where(batch["crowd"] < len(about.crowd_labels), batch["crowd"], -1)
                votes[rows] = batch["votes"]
            start = rows.stop
    except (tf.errors.DataLossError, tf.errors.InvalidArgumentError) as error:
        raise UserError(f"{folder} is damaged ({error.message}); run preprocess again") from None
    if start != about.images:
        raise UserError(_miscounted(folder, str(start), about))
    return Faces(images, label_indexes, about, crowd_indexes, votes)


def _write_shards(faces: Iterable[Record], folder: Path) -> int:
    """Write the faces to the folder's shards, and count them."""
    images = 0
    with ExitStack() as shards:
        for images, face in enumerate(faces, start=1):
            if (images - 1) % IMAGES_PER_SHARD == 0:
                shards.close()
                name = f"{(images - 1) // IMAGES_PER_SHARD:05d}.tfrecord"
                writer = shards.enter_context(tf.io.TFRecordWriter(str(folder / name)))
            writer.write(_encode(face))
    return images


def _miscounted(folder: Path, found: str, about: RecordsAbout) -> str:
    return f"{folder} holds {found} faces, but its about.json says {about.images}; run preprocess again"


def _encode(face: Record) -> bytes:
    feature = {
        "pixels": tf.train.Feature(bytes_list=tf.train.BytesList(value=[face.image.tobytes()])),
        "label": _whole_numbers([face.label_index]),
    }
    if len(face.votes):
        # No label is written as the number after the last: a negative one would take ten bytes.
        agreed = face.crowd_index if face.crowd_index >= 0 else len(face.votes)
        feature |= {"crowd": _whole_numbers([agreed]), "votes": _whole_numbers(face.votes)}
    message = tf.train.Example(features=tf.train.Features(feature=feature))
    return bytes(message.SerializeToString(deterministic=True))


def _whole_numbers(values: Sequence[int]) -> Any:
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def _batches(
    shards: Sequence[Path], shape: tuple[int, int, int], crowd_label_count: int
) -> Iterator[dict[str, np.ndarray]]:
    """Yield feature -> values of up to _BATCH records; pixels uint8 [n, *shape]."""
    if not shards:
        return
    features = {"pixels": tf.io.FixedLenFeature([], tf.string), "label": tf.io.FixedLenFeature([], tf.int64)}
    if crowd_label_count:
        features["crowd"] = tf.io.FixedLenFeature([], tf.int64)
        features["votes"] = tf.io.FixedLenFeature([crowd_label_count], tf.int64)
    records = tf.data.TFRecordDataset([str(shard) for shard in shards])
    for batch in records.batch(_BATCH).prefetch(2):  # batch first: parsing one by one is four times slower
        parsed = tf.io.parse_example(batch, features)
        parsed["pixels"] = tf.reshape(tf.io.decode_raw(parsed["pixels"], tf.uint8), (-1, *shape))
        yield {name: values.numpy() for name, values in parsed.items()}
