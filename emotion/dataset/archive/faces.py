"""The canonical dataset archive: a plain zip whose bytes depend on the images alone."""

import hashlib
import sys
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, overload

from emotion.dataset.archive.zip_entries import ZipEntries
from emotion.foundation.errors import UserError, reason, shown
from emotion.foundation.files import write_entry, written_whole

SPLITS = ("train", "val", "test")
NO_LABEL = ("unknown", "not_a_face")  # what people may say of a picture instead of a label
_LONGEST_PATH = 2000  # bytes; a file system allows 255 for each of its three names, some of which become %FF


class DatasetError(UserError):
    """A dataset that cannot be used as it is; the message says what was found, what is expected and what to do."""


@dataclass(frozen=True)
class Votes:
    """The votes on the pictures of a data set.

    Attributes:
        labels: what could be voted for, beside NO_LABEL.
        counts: path in the archive -> votes for each label, then for each of NO_LABEL; pictures without votes lack.
    """

    labels: tuple[str, ...]
    counts: Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Dataset:
    """Image files that a source offers, not yet read.

    Attributes:
        keys: archive path (`<split>/<label>/<name>`) -> whatever `read` needs to find that image.
        read: key -> the image file's bytes.
        origin: facts worth recording beside the result (a resolved version, say).
        votes: what several people said of each picture; None where nobody was asked.
        groups: kind of group (`subject`, say) -> path in the archive -> its group; pictures without one lack.
    """

    keys: Mapping[str, Any]
    read: Callable[[Any], bytes]
    origin: Mapping[str, str | int] = field(default_factory=dict)
    votes: Votes | None = None
    groups: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


class Face(NamedTuple):
    """One image of the archive: its member path and the parts of that path."""

    path: str
    split: str
    label: str
    name: str


class ArchiveSummary(NamedTuple):
    """What an archive holds: images per split and label, their bytes, and a digest of names and bytes."""

    images: dict[str, dict[str, int]]
    image_bytes: int
    digest: str


def parse_path(path: str) -> Face:
    """Split `<split>/<label>/<name>` into a Face; raises DatasetError for any other form and odd characters."""
    parts = path.split("/")
    if len(parts) != 3 or parts[0] not in SPLITS or not all(parts) or {".", ".."} & set(parts):
        raise DatasetError(
            f"archive member {shown(path)!r} is not of the form <split>/<label>/<name>, split one of {SPLITS}"
        )
    if shown(path) != path:
        raise DatasetError(f"archive member {shown(path)} holds characters that no table of names can; rename it")
    if (length := len(path.encode())) > _LONGEST_PATH:
        raise DatasetError(f"archive member {path[:80]}... is {length:,} bytes long, over {_LONGEST_PATH:,}; rename it")
    return Face(path, *parts)


def content_digest(dataset: Dataset) -> str:
    """Compute the digest that `write_archive` returns, of the names and image bytes, in hexadecimal."""
    digest = hashlib.sha256()
    for member in sorted(dataset.keys):
        digest.update(_digest_entry(member, dataset.read(dataset.keys[member])))
    return digest.hexdigest()


def write_archive(dataset: Dataset, path: Path) -> ArchiveSummary:
    """Write the dataset as an uncompressed zip, sorted by path, with fixed timestamps.

    The file appears under its name only when complete. Raises DatasetError on an empty dataset or a malformed path.
    """
    if not dataset.keys:
        raise DatasetError("the dataset has no images")
    counts: Counter[tuple[str, str]] = Counter()
    image_bytes, digest = 0, hashlib.sha256()
    with written_whole(path) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
        for member in sorted(dataset.keys):
            face = parse_path(member)
            content = dataset.read(dataset.keys[member])
            write_entry(archive, member, content)
            counts[face.split, face.label] += 1
            image_bytes += len(content)
            digest.update(_digest_entry(member, content))
    images: dict[str, dict[str, int]] = {}
    for (split, label), count in sorted(counts.items()):
        images.setdefault(split, {})[label] = count
    return ArchiveSummary(images, image_bytes, digest.hexdigest())


class ArchivedFaces(Sequence[Face]):
    """The images of an archive, sorted by path; what is said of one is read when it is asked for."""

    def __init__(self, entries: ZipEntries) -> None:
        self._entries = entries

    def __len__(self) -> int:
        return len(self._entries)

    @overload
    def __getitem__(self, row: int) -> Face: ...

    @overload
    def __getitem__(self, row: slice) -> list[Face]: ...

    def __getitem__(self, row: int | slice) -> Face | list[Face]:
        return [_face(path) for path in self._entries[row]] if isinstance(row, slice) else _face(self._entries[row])

    def __iter__(self) -> Iterator[Face]:
        return map(_face, self._entries)


def list_faces(path: Path) -> ArchivedFaces:
    """List the archive's images, sorted by path. Raises DatasetError when the file is not such an archive."""
    entries = _opened(path)
    for name in entries:
        parse_path(name)
    return ArchivedFaces(entries)


def read_faces(path: Path, members: Iterable[str]) -> Iterator[bytes]:
    """Yield the image bytes of `members`, in the order given. Raises DatasetError when one is missing or damaged."""
    entries = _opened(path)
    for member in members:
        with readable(f"{path}: {shown(member)}", "run the download stage again"):
            content = entries.read(entries.find(member))
        yield content


@contextmanager
def readable(what: str, cure: str) -> Iterator[None]:
    """Turn whatever is raised while foreign bytes are read into a DatasetError that names them.

    On damaged bytes zipfile and its decompressors raise anything: BadZipFile, zlib.error, LZMAError, OSError,
    struct.error, UnicodeDecodeError, RuntimeError (a password), NotImplementedError (a compression that Python lacks).
    """
    try:
        yield
    except (UserError, MemoryError):
        raise
    except Exception as error:
        raise DatasetError(f"{what} cannot be read ({reason(error)}); {cure}") from error


def _opened(path: Path) -> ZipEntries:
    with readable(str(path), "run the download stage again"):
        return ZipEntries(path)


def _face(path: str) -> Face:
    """The parts of a good path; the few splits and labels there are take memory once."""
    split, label, name = path.split("/")
    return Face(path, sys.intern(split), sys.intern(label), name)


def _digest_entry(member: str, content: bytes) -> bytes:
    return member.encode() + b"\0" + hashlib.sha256(content).digest()
