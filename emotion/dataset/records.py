"""TFRecords of faces: raw uint8 pixels, uncompressed, sharded, with a description beside them."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from emotion.errors import UserError
from emotion.files import written_whole

IMAGES_PER_SHARD = 8192
_BATCH = 1024
_FEATURES = {
    "pixels": tf.io.FixedLenFeature([], tf.string),
    "label": tf.io.FixedLenFeature([], tf.int64),
}


@dataclass(frozen=True)
class RecordsAbout:
    """What a folder of records holds; written beside them as about.json.

    Attributes:
        images: how many faces.
        size_px: side of each square face.
        channels: 1 or 3.
        labels: label names present, in label order.
    """

    images: int
    size_px: int
    channels: int
    labels: list[str]


@dataclass(frozen=True)
class Faces:
    """Faces in memory.

    Attributes:
        images: uint8 [n, size_px, size_px, channels], 0-255.
        label_indexes: int64 [n].
        about: what the records say of themselves.
    """

    images: np.ndarray
    label_indexes: np.ndarray
    about: RecordsAbout


def write_records(
    faces: Iterable[tuple[np.ndarray, int]], folder: Path, *, labels: list[str], size_px: int, channels: int
) -> RecordsAbout:
    """Write faces (uint8 [size_px, size_px, channels], label index) to shards of IMAGES_PER_SHARD.

    The folder appears under its name only when complete; what was there is replaced.
    """
    with written_whole(folder) as part:
        part.mkdir()
        about = RecordsAbout(_write_shards(faces, part), size_px, channels, labels)
        (part / "about.json").write_text(json.dumps(asdict(about), indent=2) + "\n")
    return about


def read_records_about(folder: Path) -> RecordsAbout:
    """Read what a folder of records says of itself. Raises UserError when it is not there."""
    try:
        return RecordsAbout(**json.loads((folder / "about.json").read_text()))
    except FileNotFoundError:
        raise UserError(f"{folder} holds no records (about.json is missing); run the preprocess stage") from None


def load_records(folder: Path) -> Faces:
    """Read a whole folder of records into memory, in their order."""
    about = read_records_about(folder)
    shape = (about.size_px, about.size_px, about.channels)
    images = np.empty((about.images, *shape), np.uint8)
    label_indexes = np.empty(about.images, np.int64)
    start = 0
    try:
        for pixels, labels in _batches(sorted(folder.glob("*.tfrecord")), shape):
            if start + len(labels) > about.images:
                raise UserError(_miscounted(folder, f"at least {start + len(labels)}", about))
            images[start : start + len(labels)] = pixels
            label_indexes[start : start + len(labels)] = labels
            start += len(labels)
    except (tf.errors.DataLossError, tf.errors.InvalidArgumentError) as error:
        raise UserError(f"{folder} is damaged ({error.message}); run preprocess again") from None
    if start != about.images:
        raise UserError(_miscounted(folder, str(start), about))
    return Faces(images, label_indexes, about)


def _write_shards(faces: Iterable[tuple[np.ndarray, int]], folder: Path) -> int:
    """Write the faces to the folder's shards, and count them."""
    images = 0
    with ExitStack() as shards:
        for images, (image, label_index) in enumerate(faces, start=1):
            if (images - 1) % IMAGES_PER_SHARD == 0:
                shards.close()
                name = f"{(images - 1) // IMAGES_PER_SHARD:05d}.tfrecord"
                writer = shards.enter_context(tf.io.TFRecordWriter(str(folder / name)))
            writer.write(_encode(image, label_index))
    return images


def _miscounted(folder: Path, found: str, about: RecordsAbout) -> str:
    return f"{folder} holds {found} faces, its about.json says {about.images}; run preprocess again"


def _encode(image: np.ndarray, label_index: int) -> bytes:
    feature = {
        "pixels": tf.train.Feature(bytes_list=tf.train.BytesList(value=[image.tobytes()])),
        "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label_index])),
    }
    message = tf.train.Example(features=tf.train.Features(feature=feature))
    return bytes(message.SerializeToString(deterministic=True))


def _batches(shards: Sequence[Path], shape: tuple[int, int, int]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    if not shards:
        return
    records = tf.data.TFRecordDataset([str(shard) for shard in shards])
    for batch in records.batch(_BATCH).prefetch(2):  # batch first: parsing one by one is four times slower
        parsed = tf.io.parse_example(batch, _FEATURES)
        pixels = tf.reshape(tf.io.decode_raw(parsed["pixels"], tf.uint8), (-1, *shape))
        yield pixels.numpy(), parsed["label"].numpy()
