"""The forms in which people keep labelled face images (folder, zip, FER2013's CSV), each read as a Dataset."""

import os
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Set
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any, NoReturn

from emotion.dataset.archive.faces import Dataset, DatasetError, readable
from emotion.dataset.archive.zip_entries import MAX_PICTURE_BYTES
from emotion.dataset.picture_files import SUFFIXES, entries_below
from emotion.dataset.pixel_table import COLUMNS, check_table_size, header, opened_rows, read_pictures
from emotion.dataset.votes import rename_votes
from emotion.foundation.errors import shown

_SPLIT_FOLDERS = {"train": "train", "val": "val", "validation": "val", "test": "test"}
_LISTED = 10  # files or folders named in an error
_TAKEN = {  # names that the metrics and predictions put beside the labels
    "total": "the sum of all labels",
    "uncertain": "faces for which no label is probable enough",
}
_TAKEN_BESIDE_VOTES = {
    "all": "all votes together",
    "agreed": "the pictures on whose label the crowd agrees",
    "learnable": "the pictures with votes to learn from",
    "pictures": "the pictures with votes",
    "pictures_without": "the pictures without votes",
}
_EXPECTED = (
    "expected train/<label>/<image> with test/<label>/<image> (and optionally val/ or validation/), "
    "or <label>/<image> folders only, or FER2013's CSV (columns emotion, pixels, Usage); "
    f"images end in {', '.join(sorted(SUFFIXES))}"
)


def read_folder(folder: Path, *, scratch: Path | None = None) -> Dataset:
    """Read a folder of labelled images, or one that holds FER2013's CSV (see `read_csv`). Raises DatasetError."""
    found = [entry for entry, _ in entries_below(folder, _raise_unlisted)] if folder.is_dir() else []
    entries = sorted(entry for entry in found if not _is_clutter(entry.relative_to(folder).as_posix()))
    with readable(str(folder), "change its permissions"):
        files = {entry.relative_to(folder).as_posix(): entry for entry in entries if entry.is_file()}
        links = [str(entry) for entry in entries if entry.is_symlink() and not entry.is_file()]
    if links:
        raise DatasetError(
            f"{_listed(links)}: a link to a folder, or a broken link; DVC does not look into linked folders and "
            "misses changes there. Move the folder here, or pack it into a zip (a link to a zip or to a file is fine)"
        )
    if table := _table_among(files, lambda file: file.open("rb"), where=str(folder)):
        return read_csv(files[table], scratch=scratch)
    return _labelled_images(files, _read_file, where=str(folder))


def read_zip(path: Path, *, scratch: Path | None = None) -> Dataset:
    """Read a zip of labelled images, or one that holds FER2013's CSV (see `read_csv`). Raises DatasetError."""
    with readable(str(path), "download or copy the zip again"):
        archive = zipfile.ZipFile(path)  # stays open for as long as the dataset may be read
    files: dict[str, str] = {}
    for member in archive.namelist():
        name = _member_path(member, where=str(path))
        if name and not member.endswith("/") and not _is_clutter(name):  # a damaged zip may have a member without one
            _put(files, name, member, where=str(path))
    if table := _table_among(files, archive.open, where=str(path)):
        with _member_named(archive, table):
            where = f"{path}:{table}"
            check_table_size(archive.getinfo(files[table]).file_size, where=where)
            return _read_table(archive.open(files[table]), where=where, scratch=scratch)
    return _labelled_images(files, partial(_read_member, archive), where=str(path))


def read_csv(path: Path, *, scratch: Path | None = None) -> Dataset:
    """Read FER2013's original `fer2013.csv` or `icml_face_data.csv`; each row becomes a PNG `<Usage>_<row>.png`.

    Columns: emotion (0-6), pixels (2,304 numbers 0-255, row-major 48x48; any square size is taken), Usage. The pixels
    go to a nameless file in `scratch`; None: in the system's folder of temporary files.
    Source: the "Challenges in Representation Learning" data (https://arxiv.org/abs/1307.0414). Raises DatasetError.
    """
    with readable(str(path), "check the disk, or copy the table again"):
        check_table_size(path.stat().st_size, where=str(path))
        return _read_table(path.open("rb"), where=str(path), scratch=scratch)


def relabel(dataset: Dataset, names: Mapping[str, str | None]) -> Dataset:
    """Rename, merge (several names to one) or drop (to None) labels, of the pictures and of what is known of them.

    The files of merged labels get the old label before their suffix, so that equal names do not collide.
    Raises DatasetError when `names` mentions a label that the dataset lacks, or when nothing is left.
    """
    if not names:
        return dataset
    present = {path.split("/")[1] for path in dataset.keys}
    known = present | set(dataset.votes.labels if dataset.votes else ())
    if missing := sorted(set(names) - known):
        raise DatasetError(f"data.labels names {missing}, but the dataset's labels are {sorted(known)}")
    origins = Counter(names.get(label, label) for label in present)
    keys: dict[str, Any] = {}
    renamed: dict[str, str] = {}
    for path, key in dataset.keys.items():
        split, label, name = path.split("/")
        if (new := names.get(label, label)) is not None:
            file = PurePosixPath(name)
            name = f"{file.stem}_{label}{file.suffix}" if origins[new] > 1 else name
            renamed[path] = f"{split}/{new}/{name}"
            _put(keys, renamed[path], key, where="data.labels")
    if not keys:
        raise DatasetError("data.labels drops every label; keep at least two")
    votes = dataset.votes and rename_votes(dataset.votes, names, renamed)
    groups = {kind: {new: of[old] for old, new in renamed.items() if old in of} for kind, of in dataset.groups.items()}
    return Dataset(keys, dataset.read, dataset.origin, votes, groups)


def check_labels(dataset: Dataset) -> None:
    """Raise DatasetError when there is only one label, or one has a name that the metrics need for something else."""
    labels = sorted({path.split("/")[1] for path in dataset.keys})
    if len(labels) == 1:
        raise DatasetError(f"every image is labelled {labels[0]!r}; expected at least two labels, a folder for each")
    voted = dataset.votes.labels if dataset.votes else ()
    for taken, among in ((_TAKEN, labels), (_TAKEN_BESIDE_VOTES, voted)):
        if clashes := [name for name in taken if name in among]:
            raise DatasetError(
                f"a label is called {clashes[0]!r}, the name for {taken[clashes[0]]}; "
                f"rename it, or set data.labels: {{{clashes[0]}: another name}}"
            )


def _raise_unlisted(error: OSError) -> NoReturn:
    raise DatasetError(
        f"{shown(error.filename)}: a folder that cannot be read ({error.strerror}); change its permissions, or move it "
        "out of the data set"
    )


def _read_file(path: Path) -> bytes:
    with readable(shown(path), "check the disk, or remove the file"):
        _check_size(path.stat().st_size, shown(path))
        return path.read_bytes()


def _read_member(archive: zipfile.ZipFile, name: str) -> bytes:
    with _member_named(archive, name):
        _check_size(archive.getinfo(name).file_size, f"{archive.filename}: {shown(name)}")
        return archive.read(name)


def _member_named(archive: zipfile.ZipFile, name: str) -> AbstractContextManager[None]:
    return readable(f"{archive.filename}: member {shown(name)}", "get the zip again, or pack a plain one")


def _check_size(size_bytes: int, what: str) -> None:
    if size_bytes > MAX_PICTURE_BYTES:
        raise DatasetError(f"{what} is {size_bytes / 1e6:,.0f} MB large, more than any picture; remove it")


def _member_path(name: str, *, where: str) -> str:
    """A zip member's path with `/` between its parts, none of them empty or `.`; raises DatasetError on `..`."""
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    if ".." in parts:
        raise DatasetError(f"{where}: member {name!r} points outside the zip; do not trust it, get the zip again")
    return "/".join(parts)


def _is_clutter(path: str) -> bool:
    parts = path.split("/")
    return "__MACOSX" in parts or parts[-1].lower() == "thumbs.db" or any(part.startswith(".") for part in parts)


def _kept(name: str) -> str:
    """A name as the archive and its tables can keep it: other bytes than UTF-8 and control characters as %FF."""
    if shown(name) == name:
        return name
    return "".join(
        character if shown(character) == character else "".join(f"%{byte:02X}" for byte in os.fsencode(character))
        for character in name
    )


def _put(keys: dict[str, Any], path: str, key: Any, *, where: str) -> None:
    if path in keys:
        raise DatasetError(
            f"{where}: two files claim {path}: {shown(keys[path])} and {shown(key)}; rename or remove one"
        )
    keys[path] = key


def _table_among(files: Mapping[str, Any], opened: Callable[[Any], IO[bytes]], *, where: str) -> str | None:
    """The CSV that is the dataset; None when there are images, or no CSV. Raises DatasetError unless just one fits."""
    tables = sorted(name for name in files if name.lower().endswith(".csv"))
    if not tables or any(map(_is_image, files)):
        return None
    fitting = []
    for name in tables:
        named = f"{where}: {shown(name)}"
        with readable(named, "get it again"), opened_rows(opened(files[name]), where=named) as rows:
            fitting += [name] if set(COLUMNS) <= set(header(rows)) else []
    if len(fitting) != 1:
        raise DatasetError(f"{where}: {len(fitting)} of the tables {_listed(tables)} are FER2013's; {_EXPECTED}")
    return fitting[0]


def _labelled_images(files: Mapping[str, Any], read: Callable[[Any], bytes], *, where: str) -> Dataset:
    images = {_kept(name): key for name, key in files.items() if _is_image(name)}
    places = {(*image.split("/")[:-1], "") for image in images}  # far fewer than pictures: without their names
    depth = _wrapping_folders(places)
    has_splits = any(_split_of(parts[depth]) for parts in places)
    keys: dict[str, Any] = {}
    strays: list[str] = []
    for image, key in images.items():
        *folders, name = image.split("/")[depth:]
        split = _split_of(folders.pop(0)) if has_splits and folders else "train"
        if split and len(folders) == 1:
            _put(keys, f"{split}/{folders[0]}/{name}", key, where=where)
        else:
            strays.append(image)
    if strays or not keys:
        lost = f"{len(strays)} of {len(images)} images are not in a label folder, such as {_listed(strays[:3])}"
        raise DatasetError(f"{where}: {lost if strays else 'no image'}; found {_found(files)}; {_EXPECTED}")
    _check_train(keys, where=where)
    _name_left_out(files, where=where)
    return Dataset(keys, read)


def _check_train(keys: Mapping[str, Any], *, where: str) -> None:
    splits = {path.partition("/")[0] for path in keys}
    if "train" not in splits:
        raise DatasetError(f"{where} has images for {' and '.join(sorted(splits))} but none for train; {_EXPECTED}")


def _name_left_out(files: Iterable[str], *, where: str) -> None:
    """Print how many files are not pictures, judging by their names, and of which kinds."""
    kinds = Counter(PurePosixPath(name).suffix.lower() or "no ending" for name in files if not _is_image(name))
    if kinds:
        counted = _listed([f"{count} {kind}" for kind, count in sorted(kinds.items())])
        print(f"{where}: left out {counted} (pictures end in {', '.join(sorted(SUFFIXES))})")


def _is_image(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in SUFFIXES


def _split_of(folder: str) -> str | None:
    return _SPLIT_FOLDERS.get(folder.lower())


def _wrapping_folders(images: Set[tuple[str, ...]]) -> int:
    """How many folders wrap the dataset: 1 in `fer2013/train/happy/1.jpg`, 0 in `train/happy/1.jpg`."""
    shallowest = min(map(len, images), default=1)
    for depth in range(shallowest - 1):
        tops = {parts[depth] for parts in images}
        label_folder_next = any(len(parts) == depth + 2 for parts in images)
        splits_next = any(len(parts) > depth + 2 and _split_of(parts[depth + 1]) for parts in images)
        if len(tops) > 1 or _split_of(min(tops)) or (label_folder_next and not splits_next):
            return depth
    return shallowest - 1


def _found(files: Iterable[str]) -> str:
    """The top-level files, and the folders with their numbers of files; only the first ones if there are many."""
    folders = Counter(PurePosixPath(name).parent.as_posix() for name in files)
    top_files = sorted(name for name in files if "/" not in name)
    counted = [f"{folder}/ ({count} files)" for folder, count in sorted(folders.items()) if folder != "."]
    return _listed(top_files + counted) or "nothing"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more


def _read_table(content: IO[bytes], *, where: str, scratch: Path | None) -> Dataset:
    with opened_rows(content, where=where) as rows:
        columns = header(rows)
        if missing := sorted(set(COLUMNS) - set(columns)):
            has = _listed(columns) or "none"
            raise DatasetError(f"{where} lacks the columns {missing}; it has {has}; {_EXPECTED}")
        keys, read = read_pictures(rows, columns, where=where, scratch=scratch)
    _check_train(keys, where=where)
    return Dataset(keys, read)
