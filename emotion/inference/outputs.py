"""What may be written to: never what is read, nor a name that says it is something else."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from emotion.dataset.picture_files import SUFFIXES as PICTURES
from emotion.foundation.errors import UserError
from emotion.foundation.files import is_same

_VIDEOS = {".avi", ".m4v", ".mkv", ".mov", ".mp4", ".webm"}
_MODELS = {".h5", ".keras", ".onnx", ".tflite"}
# What a file without text may be called: a name that ends so is most likely one of the person's, given by mistake.
_NO_TEXT = {
    **dict.fromkeys(PICTURES, "a picture"),
    **dict.fromkeys(_VIDEOS, "a video"),
    **dict.fromkeys(_MODELS, "a model"),
}


def check_output(path: Path, inputs: Mapping[str, Iterable[Path]], *, is_text: bool = False) -> None:
    """Raise UserError where a file must not be written to `path`.

    Args:
        path: of a file.
        inputs: what is read, by what it is: "the model" -> its files.
        is_text: whether it is a table, whose name must not end as that of a picture, a video or a model.
    """
    if os.path.isdir(path):  # noqa: PTH112 (which raises nothing for a name that is too long)
        raise UserError(f"{path} cannot be written: it is a folder; name a file in it")
    check_not_read(path, inputs)
    kind = _NO_TEXT.get(path.suffix.lower()) if is_text else None
    if kind:
        raise UserError(f"{path} ends as the name of {kind}, but a table is written; end it in .csv, .json or .txt")


def check_not_read(path: Path, inputs: Mapping[str, Iterable[Path]]) -> None:
    """Raise UserError where `path` is among what is read; `inputs` as in `check_output`."""
    for what, files in inputs.items():
        if any(is_same(path, file) for file in files):
            raise UserError(f"{path} is {what}; name another file to write")
