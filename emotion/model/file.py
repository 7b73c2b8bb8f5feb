"""Save and load one self-contained, byte-reproducible .keras: pixels 0-255 in, calibrated probabilities out."""

import json
import re
import tempfile
import warnings
import zipfile
from pathlib import Path

import keras

from emotion.foundation.files import write_entry, written_whole
from emotion.model.about import (
    ABOUT_ENTRY,
    ModelAbout,
    check_packed,
    check_shapes,
    format_about,
    not_ours,
    read_about,
)

__all__ = ["ModelAbout", "load_model", "read_about", "save_model"]


def save_model(model: keras.Model, path: Path, about: ModelAbout) -> None:
    """Write the model so that its bytes depend on its weights, its structure and `about` alone.

    A stock .keras carries the date, zip times, and memory addresses (`shared_object_id`). It appears when complete.
    """
    with tempfile.TemporaryDirectory() as folder, written_whole(path) as part:
        stock = Path(folder) / "stock.keras"
        model.save(stock)
        with zipfile.ZipFile(stock) as source, zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as target:
            for name in sorted(source.namelist()):
                write_entry(target, name, _without_chance(name, source.read(name)))
            write_entry(target, ABOUT_ENTRY, format_about(about))


def load_model(path: Path) -> tuple[keras.Model, ModelAbout]:
    """Load a model and what travels with it. Raises UserError when the file is not a model of this project."""
    about = read_about(path)
    check_packed(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Keras warns of what it then refuses
            model = keras.models.load_model(path, compile=False)
        takes, gives = tuple(model.input_shape[1:]), int(model.output_shape[-1])
    except Exception as error:  # an export that carries the same facts, or a damaged file
        raise not_ours(path, error) from None
    check_shapes(path, about, takes=takes, gives=gives)
    return model, about


def _without_chance(name: str, content: bytes) -> bytes:
    if name == "metadata.json":
        return json.dumps({**json.loads(content), "date_saved": "1980-01-01@00:00:00"}).encode()
    if name == "config.json":
        numbers: dict[bytes, bytes] = {}
        return re.sub(
            rb'("shared_object_id": )(\d+)',
            lambda match: match[1] + numbers.setdefault(match[2], str(len(numbers)).encode()),
            content,
        )
    return content
