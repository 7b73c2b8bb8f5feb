"""TFRecords of faces: raw uint8 pixels, uncompressed, sharded, with a description beside them.

Opening them reads all but the pixels, which are read when they are asked for.
"""

import json
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from pydantic import NonNegativeInt, TypeAdapter, ValidationError

from emotion.dataset.records.stored_images import Images, StoredImages
from emotion.foundation.errors import UserError
from emotion.foundation.files import written_whole

IMAGES_PER_SHARD = 8192
_READ_AT_ONCE = (1024, 4 << 20)  # records and bytes, at most
_FRAME_BYTES = (12, 4)  # before a record (its length, and a checksum of that) and after it (its own checksum)
_DAMAGE = (tf.errors.DataLossError, tf.errors.InvalidArgumentError, ValueError)  # ValueError: another size


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

    images: NonNegativeInt
    size_px: NonNegativeInt
    channels: NonNegativeInt
    labels: list[str]
    crowd_labels: list[str] = field(default_factory=list)


_ABOUT = TypeAdapter(RecordsAbout)


@dataclass(frozen=True)
class Faces:
    """Faces, whose pixels may be in memory or in files.

    Attributes:
        images: uint8 [n, size_px, size_px, channels], 0-255.
        label_indexes: int64 [n].
        about: the records' description.
        crowd_indexes: int64 [n], the label that the crowd agrees on, or -1; empty if nobody was asked.
        votes: int64 [n, crowd_labels].
    """

    images: Images
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
    """Read the description of a folder of records. Raises UserError when it is missing or damaged."""
    try:
        return _ABOUT.validate_json((folder / "about.json").read_bytes(), strict=True)
    except FileNotFoundError:
        raise UserError(f"{folder} holds no records (about.json is missing); run the preprocess stage") from None
    except ValidationError as error:
        first = error.errors()[0]
        what = ".".join(map(str, first["loc"])) or "it"
        raise UserError(f"{folder}/about.json is damaged ({what}: {first['msg']}); run preprocess again") from None


def open_records(folder: Path) -> Faces:
    """Open a folder of records, in order: the images stay in their files until they are asked for.

    Every record is read once, and its checksums are verified. Raises UserError when the folder holds no records, when
    one is damaged, or when there are not as many as the folder says.
    """
    about = read_records_about(folder)
    shards = sorted(folder.glob("*.tfrecord"))
    contents = [_read_shard(shard, about) for shard in shards]
    counts = [len(content["label"]) for content in contents]
    if sum(counts) != about.images:
        raise UserError(
            f"{folder} holds {sum(counts)} faces, but its about.json says {about.images}; run preprocess again"
        )
    rest = {name: np.concatenate([empty, *(content[name] for content in contents)]) for name, empty in _empty(about)}
    images = StoredImages(shards, counts, rest.pop("pixels"), (about.size_px, about.size_px, about.channels))
    if not about.crowd_labels:
        return Faces(images, rest["label"], about)
    crowd = np.where(rest["crowd"] < len(about.crowd_labels), rest["crowd"], -1)
    return Faces(images, rest["label"], about, crowd, rest["votes"])


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


def _empty(about: RecordsAbout) -> list[tuple[str, np.ndarray]]:
    """What opening keeps of each record, by name: no rows of it; `pixels` is where they begin."""
    shapes: dict[str, tuple[int, ...]] = {"pixels": (0,), "label": (0,)}
    if about.crowd_labels:
        shapes |= {"crowd": (0,), "votes": (0, len(about.crowd_labels))}
    return [(name, np.empty(shape, np.int64)) for name, shape in shapes.items()]


def _read_shard(shard: Path, about: RecordsAbout) -> dict[str, np.ndarray]:
    """Read a shard once from beginning to end: name -> int64, as in `_empty`. Raises UserError if it is damaged."""
    contents: dict[str, list[np.ndarray]] = {name: [empty] for name, empty in _empty(about)}
    before_pixels, features = _before_pixels(about), _features(about)
    start = 0  # of a record, in bytes
    try:
        # Batch first: parsing one by one is four times slower.
        for batch in tf.data.TFRecordDataset(str(shard)).batch(_records_at_once(about)):
            for name, values in tf.io.parse_example(batch, features).items():
                contents[name].append(values.numpy())
            offsets = []
            for record in batch.numpy():
                offsets.append(start + _FRAME_BYTES[0] + record.index(before_pixels) + len(before_pixels))
                start += sum(_FRAME_BYTES) + len(record)
            contents["pixels"].append(np.array(offsets))
    except _DAMAGE as error:
        number = _first_damaged(shard, about)
        reason = getattr(error, "message", "its picture is of another size")
        raise UserError(f"{shard} is damaged at record {number} ({reason}); run preprocess again") from None
    return {name: np.concatenate(parts) for name, parts in contents.items()}


def _first_damaged(shard: Path, about: RecordsAbout) -> int:
    """The number of the first record that cannot be read, counted from 0."""
    before_pixels, features = _before_pixels(about), _features(about)
    number = 0
    try:
        for record in tf.data.TFRecordDataset(str(shard)):
            tf.io.parse_single_example(record, features)
            record.numpy().index(before_pixels)
            number += 1
    except _DAMAGE:
        pass
    return number


def _features(about: RecordsAbout) -> dict[str, tf.io.FixedLenFeature]:
    return {name: tf.io.FixedLenFeature(empty.shape[1:], tf.int64) for name, empty in _empty(about) if name != "pixels"}


def _before_pixels(about: RecordsAbout) -> bytes:
    """The bytes of a record from the name of its pixels to the first of them, the same in each."""
    pixels = np.zeros((about.size_px, about.size_px, about.channels), np.uint8)
    _, name, content = _encode(Record(pixels, 0)).partition(b"pixels")
    return name + content[: content.index(pixels.tobytes())]


def _records_at_once(about: RecordsAbout) -> int:
    records, size = _READ_AT_ONCE
    return max(1, min(records, size // (about.size_px**2 * about.channels)))
