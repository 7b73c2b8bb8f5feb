"""Tiny pictures, and zips and folders of them, for the tests of the data half."""

import io
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from PIL import Image


def noise(seed: int, *shape: int) -> np.ndarray:
    """A picture that resembles no other: uint8, 12x12 grey unless `shape` says otherwise."""
    return np.random.default_rng(seed).integers(0, 256, shape or (12, 12), dtype=np.uint8)


def smooth(seed: int, size_px: int = 48) -> np.ndarray:
    """A picture with large forms, so that copies of it can be recognised: uint8, grey."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6), dtype=np.uint8)
    return cv2.resize(coarse, (size_px, size_px), interpolation=cv2.INTER_CUBIC)


def encoded(picture: np.ndarray, kind: str = "png", **options: object) -> bytes:
    """The bytes of an image file; `kind` is one of Pillow's formats, colours are RGB."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, kind, **options)
    return file.getvalue()


def numbered(*folders: str, images: int = 4) -> dict[str, bytes]:
    """`images` pictures in each folder, each path's its own: path -> bytes."""
    paths = [f"{folder}/{number}.png" for folder in folders for number in range(images)]
    return {path: encoded(noise(zlib.crc32(path.encode()))) for path in paths}


def write_zip(path: Path, files: Mapping[str, bytes]) -> Path:
    """Pack the files in their order."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def write_folder(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write the files below the folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def csv_rows(rows: list[tuple[int, np.ndarray, str]], header: str = "emotion,pixels,Usage") -> bytes:
    """FER2013's CSV, of (emotion, picture, usage)."""
    lines = [f"{emotion},{' '.join(map(str, picture.ravel()))},{usage}" for emotion, picture, usage in rows]
    return "\n".join([header, *lines, ""]).encode()
