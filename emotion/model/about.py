"""What travels with a model, and how it is read from a file without any machine-learning library."""

import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from emotion.errors import UserError

ABOUT_ENTRY = "emotion.json"


@dataclass(frozen=True)
class ModelAbout:
    """What travels with a model.

    Attributes:
        labels: names in the order of the outputs.
        size_px: side of the square input.
        channels: 1 or 3.
        temperature: what the logits are divided by before the softmax; None where none was fitted.
        made_with: parameters and versions.
        prior: how frequent each label was where the model learnt, summing to one; empty where that is not known.
    """

    labels: list[str]
    size_px: int
    channels: int
    temperature: float | None
    made_with: Mapping[str, Any] = field(default_factory=dict)
    prior: list[float] = field(default_factory=list)


def read_about(path: Path) -> ModelAbout:
    """Read what travels with a .keras, or with a file that has a zip appended, such as an exported .tflite.

    Raises UserError when the file is not a model of this project.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return parse_about(archive.read(ABOUT_ENTRY))
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; train it with `dvc repro`, or `dvc pull` it") from None
    except IsADirectoryError:
        raise UserError(f"{path} is a folder; name a model file") from None
    except (OSError, zipfile.BadZipFile, KeyError, ValueError, TypeError) as error:
        raise UserError(
            f"{path} is not a model made by this pipeline ({error!r}); train one with `dvc repro`"
        ) from None


def parse_about(content: str | bytes) -> ModelAbout:
    """The inverse of `format_about`. Raises ValueError or TypeError for anything else."""
    return ModelAbout(**json.loads(content))


def format_about(about: ModelAbout) -> bytes:
    """JSON with sorted keys: the same facts, the same bytes."""
    return json.dumps(asdict(about), indent=1, sort_keys=True).encode()
