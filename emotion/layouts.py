"""The shapes in which people keep labelled face images: a folder, a zip, or FER2013's CSV, each read as a Dataset."""

import csv
import io
import re
import zipfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import numpy as np

from emotion.archive import Dataset, DatasetError
from emotion.labels import FER2013_CODES

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})
_SPLIT_FOLDERS = {"train": "train", "val": "val", "validation": "val", "test": "test"}
_CSV_USAGES = {"Training": "train", "PublicTest": "test", "PrivateTest": "test"}
_EXPECTED = (
    "expected train/<label>/<image> with test/<label>/<image> (and optionally val/ or validation/), "
    "or <label>/<image> folders only, or FER2013's CSV (columns emotion, pixels, Usage); "
    f"images end in {', '.join(sorted(IMAGE_SUFFIXES))}"
)


def read_folder(folder: Path) -> Dataset:
    """Read a folder of labelled images, or one that holds FER2013's CSV. Raises DatasetError."""
    files = {str(PurePosixPath(file.relative_to(folder))): file for file in sorted(folder.rglob("*")) if file.is_file()}
    if tables := _tables(files):
        return read_csv(files[tables[0]])
    return _labelled_images(files, Path.read_bytes, where=str(folder))


def read_zip(path: Path) -> Dataset:
    """Read a zip of labelled images, or one that holds FER2013's CSV. Raises DatasetError."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [info.filename for info in archive.infolist() if not info.is_dir()]
    except zipfile.BadZipFile as error:
        raise DatasetError(f"{path} is not a readable zip ({error}); download or copy it again") from error
    if tables := _tables(names):
        with zipfile.ZipFile(path) as archive, archive.open(tables[0]) as table:
            return _read_table(io.TextIOWrapper(table, encoding="utf-8-sig", newline=""), where=f"{path}:{tables[0]}")
    return _labelled_images(
        {name: name for name in names}, partial(_read_member, zipfile.ZipFile(path)), where=str(path)
    )


def read_csv(path: Path) -> Dataset:
    """Read FER2013's original `fer2013.csv` or `icml_face_data.csv`; each row becomes a PNG `<Usage>_<row>.png`.

    Columns: emotion (0-6), pixels (2,304 numbers 0-255, row-major 48x48; any square size is taken), Usage.
    Source: the "Challenges in Representation Learning" data (https://arxiv.org/abs/1307.0414). Raises DatasetError.
    """
    with path.open(encoding="utf-8-sig", newline="") as table:
        return _read_table(table, where=str(path))


def relabel(dataset: Dataset, names: Mapping[str, str | None]) -> Dataset:
    """Rename, merge (several names to one) or drop (to None) labels.

    Raises DatasetError when `names` mentions a label that the dataset lacks, or when nothing is left.
    """
    present = {path.split("/")[1] for path in dataset.keys}
    if missing := sorted(set(names) - present):
        raise DatasetError(f"data.labels names {missing}, but the dataset's labels are {sorted(present)}")
    sources: dict[str, set[str]] = defaultdict(set)
    for label in present:
        sources[names.get(label, label) or ""].add(label)
    keys = {}
    for path, key in dataset.keys.items():
        split, label, name = path.split("/")
        if (new := names.get(label, label)) is not None:
            # Merged labels may hold the same file name: the old label keeps them apart.
            keys[f"{split}/{new}/{label}_{name}" if len(sources[new]) > 1 else f"{split}/{new}/{name}"] = key
    if not keys:
        raise DatasetError("data.labels drops every label; keep at least two")
    return Dataset(keys, dataset.read, dataset.origin)


def _read_member(archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        return archive.read(name)
    except zipfile.BadZipFile as error:
        raise DatasetError(f"{archive.filename}: member {name} is damaged ({error}); get the zip again") from error


def _is_clutter(path: str) -> bool:
    parts = path.split("/")
    return "__MACOSX" in parts or parts[-1] == "Thumbs.db" or parts[-1].startswith(".")


def _tables(names: Iterable[str]) -> list[str]:
    """The CSV files among `names`, if they are the data: one CSV and no image."""
    names = [name for name in names if not _is_clutter(name)]
    tables = [name for name in names if name.lower().endswith(".csv")]
    images = any(PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES for name in names)
    return tables if len(tables) == 1 and not images else []


def _labelled_images(files: Mapping[str, Any], read: Callable[[Any], bytes], *, where: str) -> Dataset:
    images = [name for name in files if PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES and not _is_clutter(name)]
    root = _root_of(images)
    keys: dict[str, Any] = {}
    for name in images:
        keys[_archive_path(name[len(root) :], where=where)] = files[name]
    if not keys:
        found = ", ".join(sorted(files)[:5]) or "nothing"
        raise DatasetError(f"no labelled image in {where}: found {found}; {_EXPECTED}")
    splits = {path.split("/")[0] for path in keys}
    if "train" not in splits:
        raise DatasetError(f"{where} has {sorted(splits)} but no train/ folder; {_EXPECTED}")
    return Dataset(keys, read)


def _root_of(images: list[str]) -> str:
    """The one wrapping top folder, if there is one: `fer2013/` in `fer2013/train/happy/1.jpg`, else ''."""
    tops = {name.split("/")[0] for name in images}
    depths = Counter(name.count("/") for name in images)
    wrapped = len(tops) == 1 and not tops & set(_SPLIT_FOLDERS) and min(depths, default=0) >= 2
    return f"{tops.pop()}/" if wrapped else ""


def _archive_path(name: str, *, where: str) -> str:
    parts = name.split("/")
    if len(parts) == 3 and parts[0].lower() in _SPLIT_FOLDERS:
        return "/".join((_SPLIT_FOLDERS[parts[0].lower()], *parts[1:]))
    if len(parts) == 2 and parts[0].lower() not in _SPLIT_FOLDERS:
        return f"train/{name}"
    raise DatasetError(f"{where}: {name} does not lie in a label folder; {_EXPECTED}")


def _read_table(table: Iterable[str], *, where: str) -> Dataset:
    rows = csv.reader(table)
    header = [column.strip() for column in next(rows, [])]
    if missing := {"emotion", "pixels", "Usage"} - set(header):
        raise DatasetError(f"{where} lacks the columns {sorted(missing)}; it has {header[:5]}; {_EXPECTED}")
    emotion, pixels, usage = (header.index(column) for column in ("emotion", "pixels", "Usage"))
    keys = {}
    for number, row in enumerate(rows):
        try:
            name = f"{row[usage].strip()}_{number}.png"
            split = _CSV_USAGES[row[usage].strip()]
            keys[f"{split}/{FER2013_CODES[int(row[emotion])]}/{name}"] = _pixels(row[pixels])
        except (KeyError, IndexError, ValueError) as error:
            raise DatasetError(f"{where}, data row {number}: not a FER2013 row ({error!r})") from error
    return Dataset(keys, _png)


def _pixels(text: str) -> np.ndarray:
    """Pixels of one CSV row as a square uint8 array; raises ValueError."""
    if not re.fullmatch(r"\s*\d+(\s+\d+)*\s*", text):
        raise ValueError("pixels are not numbers separated by spaces")
    values = np.array(text.split(), dtype=np.int64)
    size_px = round(len(values) ** 0.5)
    if size_px * size_px != len(values) or values.max() > 255:
        raise ValueError(f"{len(values)} pixels up to {values.max()}: not a square of values 0-255")
    return values.astype(np.uint8).reshape(size_px, size_px)


def _png(face: np.ndarray) -> bytes:
    return cv2.imencode(".png", face)[1].tobytes()
