"""Saliency maps in a file, readable without TensorFlow."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from emotion.foundation.files import write_entry


def heatmap_bytes(maps: Mapping[str, np.ndarray]) -> bytes:
    """Write maps as an .npz whose bytes depend on them alone; those of NumPy's savez differ between Python releases.

    Args:
        maps: path of the face in the archive -> float [rows, columns], 0-1; kept to the nearest 1/255.
    """
    content = io.BytesIO()
    paths = np.array(list(maps), dtype=np.str_)
    shades = np.round(np.array(list(maps.values())) * 255).astype(np.uint8)
    with zipfile.ZipFile(content, "w") as archive:
        for name, array in (("paths", paths), ("maps", shades)):
            entry = io.BytesIO()
            np.save(entry, array, allow_pickle=False)
            write_entry(archive, f"{name}.npy", entry.getvalue())
    return content.getvalue()


def read_heatmaps(path: Path) -> dict[str, np.ndarray]:
    """Read maps: path of the face in the archive -> float32 [rows, columns], 0-1, in the file's order."""
    with np.load(path, allow_pickle=False) as file:
        return dict(zip(file["paths"].tolist(), file["maps"].astype(np.float32) / 255, strict=True))
