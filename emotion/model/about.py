"""What travels with a model, and how it is read from a file without any machine-learning library.

A model file may come from anywhere: nothing that it says of itself is believed before it is checked.
"""

import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

from emotion.foundation.errors import UserError, reason, shown

ABOUT_ENTRY = "emotion.json"
MAX_MODEL_BYTES = 2_000_000_000  # of a model file; the largest backbone of keras.applications has 1.5 GB
_MAX_ABOUT_BYTES = 1_000_000
_UNPACKED = 2  # times as large as it is, a .keras may unpack to: the pipeline and Keras pack nothing
MAX_LABEL_CHARACTERS = 200
UNCERTAIN = "uncertain"  # what a face is called for which no label is probable enough
_MAX_LABELS, _MAX_SIZE_PX = 1000, 1024
_OFF_ONE = 0.01  # how far from one the shares of a prior may sum to; they are rounded


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


def _are_labels(value: Any) -> bool:
    texts = isinstance(value, list) and all(isinstance(label, str) and label == shown(label) for label in value)
    differ = texts and 1 <= len(value) <= _MAX_LABELS and len(set(value)) == len(value)
    return differ and UNCERTAIN not in value and all(1 <= len(label) <= MAX_LABEL_CHARACTERS for label in value)


def _are_shares(value: Any) -> bool:
    """A label that training lacks has the share 0."""
    numbers = isinstance(value, list) and all(_is_number(share) and 0 <= share <= 1 for share in value)
    return numbers and (not value or abs(sum(value) - 1) <= _OFF_ONE)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and isfinite(value)


# Fact -> (whether a value will do, what is expected). Without pydantic, which the plain install lacks.
_RULES: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "labels": (
        _are_labels,
        f"1 to {_MAX_LABELS} different names of at most {MAX_LABEL_CHARACTERS} characters, none of them {UNCERTAIN!r}",
    ),
    "size_px": (lambda value: type(value) is int and 1 <= value <= _MAX_SIZE_PX, f"a number from 1 to {_MAX_SIZE_PX}"),
    "channels": (lambda value: type(value) is int and value in (1, 3), "1 or 3"),
    "temperature": (lambda value: value is None or (_is_number(value) and value > 0), "a number over 0, or null"),
    "made_with": (lambda value: isinstance(value, dict), "names with values"),
    "prior": (_are_shares, "fractions that sum to one, or none"),
}
_OPTIONAL: Mapping[str, Any] = {"made_with": {}, "prior": []}


def read_about(path: Path) -> ModelAbout:
    """Read what travels with a .keras, or with a file that has a zip appended, such as an exported .tflite.

    Raises UserError when the file is not a model of this project.
    """
    check_file(path)
    try:
        with zipfile.ZipFile(path) as archive:
            if (size := archive.getinfo(ABOUT_ENTRY).file_size) > _MAX_ABOUT_BYTES:
                raise ValueError(f"its {ABOUT_ENTRY} would unpack to {size:,} bytes")
            return parse_about(archive.read(ABOUT_ENTRY))
    except Exception as error:  # on damaged bytes zipfile and its decompressors raise anything
        raise not_ours(path, error) from None


def parse_about(content: str | bytes) -> ModelAbout:
    """The inverse of `format_about`. Raises ValueError that says in one line what is wrong with anything else."""
    if len(content) > _MAX_ABOUT_BYTES:
        raise ValueError(f"its {ABOUT_ENTRY} holds {len(content):,} bytes")
    try:
        facts = json.loads(content, parse_constant=_finite, parse_float=_finite)
    except RecursionError:
        raise ValueError(f"its {ABOUT_ENTRY} nests too deeply") from None
    if not isinstance(facts, dict):
        raise ValueError(f"its {ABOUT_ENTRY} holds no names with values")
    if strange := sorted(facts.keys() - _RULES.keys()):
        raise ValueError(f"its {ABOUT_ENTRY} has an unknown {strange[0]!r}")
    for name, (will_do, expected) in _RULES.items():
        if not will_do(facts.get(name, _OPTIONAL.get(name, ...))):
            value = repr(facts.get(name, "missing"))[:100]
            raise ValueError(f"its {ABOUT_ENTRY} has {name}: {value}; expected {expected}")
    about = ModelAbout(**facts)
    if len(about.prior) not in (0, len(about.labels)):
        shares = f"{len(about.prior)} shares where it has {len(about.labels)} labels"
        raise ValueError(f"its {ABOUT_ENTRY} has a prior of {shares}; expected one for each label")
    return about


def _finite(text: str) -> float:
    """A number of JSON. Raises ValueError for NaN, and for what is infinite, by its name or its size."""
    if not isfinite(number := float(text)):
        raise ValueError(f"its {ABOUT_ENTRY} holds {text[:20]}, which is no number")
    return number


def format_about(about: ModelAbout) -> bytes:
    """JSON with sorted keys: the same facts, the same bytes."""
    return json.dumps(asdict(about), indent=1, sort_keys=True).encode()


def check_file(path: Path) -> None:
    """Raise UserError unless `path` is a regular file of a model's size: a pipe would be waited for without end."""
    if path.is_dir():
        raise UserError(f"{path} is a folder; name a model file")
    if not path.exists():
        raise UserError(f"{path} does not exist; train it with `dvc repro`, or `dvc pull` it")
    if not path.is_file():
        raise UserError(f"{path} is a pipe or a device; name a model file")
    if path.stat().st_size > MAX_MODEL_BYTES:
        raise UserError(f"{path} is larger than {MAX_MODEL_BYTES / 1e9:g} GB, which no model of this pipeline is")


def check_packed(path: Path) -> None:
    """Read every byte of a .keras. Raises UserError where a checksum is wrong, or where it unpacks to a flood."""
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(info.file_size for info in archive.infolist())
            if unpacked > _UNPACKED * path.stat().st_size + _MAX_ABOUT_BYTES:
                raise ValueError(f"it would unpack to {unpacked:,} bytes")
            if broken := archive.testzip():
                raise ValueError(f"its {broken} is damaged")
    except Exception as error:
        raise not_ours(path, error) from None


def check_shapes(path: Path, about: ModelAbout, *, takes: tuple[Any, ...], gives: int | None = None) -> None:
    """Raise UserError when a network takes or gives another thing than its facts say.

    Args:
        path: of the model.
        about: its facts.
        takes: height, width and channels of what the network takes.
        gives: how many numbers it gives for each face; None where that shows only when it runs.
    """
    expected = (about.size_px, about.size_px, about.channels)
    if takes != expected:
        has, says = ("x".join(map(str, shape)) or "nothing" for shape in (takes, expected))
        raise UserError(f"{path} says its faces are {says}, but it takes {has}; export it again")
    if gives is not None and gives != len(about.labels):
        raise UserError(f"{path} says it has {len(about.labels)} labels, but it gives {gives} numbers; export it again")


def not_ours(path: Path, error: Exception) -> UserError:
    """The error for a file that is no model of this pipeline, with the first line of the reason."""
    first = (str(error).strip().splitlines() or [type(error).__name__])[0]
    why = reason(ValueError(first))[:300]
    return UserError(f"{path} is not a model made by this pipeline ({why}); train one with `dvc repro`")
