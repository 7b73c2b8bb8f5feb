"""The one entry helper of the stages: paths from the command line, parameters from params.yaml, errors in one place."""

from stages._entry.start import PARAMS_FILE, Start

import argparse
import errno
import importlib
import inspect
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from emotion.foundation.errors import UserError, did_you_mean, disk_problem
from emotion.foundation.params import Params, in_params, parse_params, read_params, value_at
from emotion.foundation.part_folders import final_name
from stages._entry.environment import warn_if_unlocked
from stages._entry.known_keys import declared_keys, tree, unknown_keys
from stages._entry.unchanged import changed_code, check_unchanged

P = TypeVar("P", bound=Params)

_KEPT = (
    "Nothing is half-written; what earlier stages made and a training's last state are kept. Then run `dvc repro` again"
)
_OUT_OF_MEMORY = "the memory is full; make train.batch_size, the network or preprocess.size_px smaller"
_NUMBERS = {os.strerror(number): number for number in errno.errorcode}


class Section(NamedTuple):
    """A whole section (or one block or value) of params.yaml, validated by a class of parameters or a plain type."""

    key: str
    params_class: type[Params]


class Values(NamedTuple):
    """Single values of a section that also holds other stages' keys: `model.members` without the networks' blocks."""

    section: str
    params_class: type[Params]

    def dotted_keys(self) -> list[str]:
        """The dotted keys that are read."""
        return [f"{self.section}.{field}" for field in self.params_class.model_fields]


class Later(NamedTuple):
    """A section whose parameter class lies in a module that imports TensorFlow; resolves to a Block."""

    key: str
    module: str
    attribute: str


class Choice(NamedTuple):
    """A parameter that names a file or folder of a package: `model.network` a file of emotion/networks.

    `model.<network>` is its block. The parameter class lies in the file, or in the folder's file `module`.
    """

    key: str  # such as data.source
    package: str  # such as emotion.sources
    attribute: str  # the parameter class, such as Source
    module: str = ""  # of a folder, such as source; empty where the choice is among single files
    has_block: bool = True  # whether the choice has its own parameters

    def names(self) -> list[str]:
        """Every name that may be chosen, sorted."""
        folder = Path(__file__).parents[2].joinpath(*self.package.split("."))
        found = folder.glob(f"*/{self.module}.py") if self.module else folder.glob("[!_]*.py")
        return sorted(file.parent.name if self.module else file.stem for file in found)

    def block(self, name: str) -> Later:
        """The block of params.yaml for the choice `name`."""
        module = f"{self.package}.{name}.{self.module}".rstrip(".")
        return Later(f"{self.key.rpartition('.')[0]}.{name}", module, self.attribute)


class Shown(NamedTuple):
    """Values as written, for display only: the stages that use them validate them."""

    keys: tuple[str, ...]  # dotted; `data.${data.source}` is the chosen block

    def filled(self, document: Mapping[str, Any]) -> list[str]:
        """The keys, each `${...}` replaced by the value it names."""
        return [re.sub(r"\$\{([^}]+)\}", lambda found: str(value_at(document, found[1])), key) for key in self.keys]


Reading = Section | Values | Later | Choice | Shown
Reads = Mapping[str, Reading]  # argument of the stage -> where it is read from


@dataclass(frozen=True)
class Block:
    """A block of params.yaml, validated only when asked for: its module may import TensorFlow."""

    reading: Later
    value: Any

    @property
    def name(self) -> str:
        """The last part of its key: for a choice's block, what was chosen."""
        return self.reading.key.rpartition(".")[2]

    def load(self) -> Any:
        """Import the module and return its parameter object. Raises UserError when the block is invalid."""
        params_class = getattr(importlib.import_module(self.reading.module), self.reading.attribute)
        return validate(params_class, self.value, self.reading.key)


def run_stage(stage: Callable[..., None], reads: Reads, start: Start) -> None:
    """Call `stage` with the arguments named in `reads` taken from params.yaml, all others from the command line.

    An argument `index_dir: Path` is `--index-dir PATH`. Exits 1 with one message when the user can fix what is
    wrong, when a disk is full, broken or forbidden, and when the stage's code or parameters are no longer those of its
    `start`: DVC then records nothing.
    """
    try:
        arguments = _command_line(stage, skip=reads)
        warn_if_unlocked()
        document = parse_params(start.params, PARAMS_FILE)
        check_keys(document, start)
        stage(**arguments, **{name: resolve(document, reading) for name, reading in reads.items()})
        changed = changed_code(start, stage.__name__, document) + changed_params(document, reads)
        check_unchanged(stage.__name__, changed)
    except UserError as error:
        sys.exit(f"{stage.__name__}: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        problem = machine_problem(error)
        if problem is None:
            raise
        sys.exit(f"{stage.__name__}: {problem}. {_KEPT}")


def check_keys(document: Mapping[str, Any], start: Start) -> None:
    """Raise UserError for a key of params.yaml that no stage declares: `data.sorce` would change nothing, silently."""
    if strange := list(unknown_keys(document, tree(declared_keys(start)))):
        raise UserError(in_params(strange))


def machine_problem(error: Exception) -> str | None:
    """Say what a full, broken or forbidden disk or a full memory refused; None for any other error.

    TensorFlow reads and writes files by itself, with errors of its own.
    """
    if isinstance(error, OSError):
        return disk_problem(error)
    if isinstance(error, MemoryError):
        return _OUT_OF_MEMORY
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is None or not isinstance(error, tensorflow.errors.OpError):
        return None
    path, _, reason = str(error.message).partition("\n")[0].rpartition("; ")
    if reason in _NUMBERS:
        return disk_problem(OSError(_NUMBERS[reason], reason, final_name(path) or None))
    return _OUT_OF_MEMORY if isinstance(error, tensorflow.errors.ResourceExhaustedError) else None


def changed_params(document: Mapping[str, Any], reads: Reads) -> list[str]:
    """The keys of `reads` whose values in params.yaml are no longer those of `document`, as `params.yaml (key)`."""
    keys = [key for reading in reads.values() for key in _keys_read(document, reading)]
    now = read_params(PARAMS_FILE)
    return [f"params.yaml ({key})" for key in keys if _value_or_none(now, key) != _value_or_none(document, key)]


def _keys_read(document: Mapping[str, Any], reading: Reading) -> list[str]:
    match reading:
        case Values():
            return reading.dotted_keys()
        case Choice(key):
            return [key, *([reading.block(str(value_at(document, key))).key] if reading.has_block else [])]
        case Shown():
            return reading.filled(document)
        case Section(key) | Later(key):
            return [key]


def _value_or_none(document: Mapping[str, Any], key: str) -> Any:
    try:
        return value_at(document, key)
    except UserError:
        return None


def resolve(document: Mapping[str, Any], reading: Reading) -> Any:
    """Turn one reading into a parameter object or a Block. Raises UserError, naming every full key that is wrong."""
    match reading:
        case Section(key, params_class):
            return validate(params_class, value_at(document, key), key)
        case Values(section, params_class):
            block = {key.rpartition(".")[2]: value_at(document, key) for key in reading.dotted_keys()}
            return validate(params_class, block, section)
        case Choice(key):
            name = value_at(document, key)
            if name not in reading.names():
                raise UserError(in_params([f"{key}: {_one_of(name, reading.names())}"]))
            return resolve(document, reading.block(name)) if reading.has_block else Block(reading.block(name), {})
        case Later(key):
            return Block(reading, value_at(document, key))
        case Shown():
            return {key: value_at(document, key) for key in reading.filled(document)}


def validate(params_class: type[P], block: Any, key: str) -> P:
    """Validate one block of params.yaml. Raises UserError that lists every problem with its full key."""
    try:
        return params_class.model_validate(block)
    except ValidationError as error:
        raise UserError(in_params([_problem(details, key, params_class) for details in error.errors()])) from None


def _command_line(stage: Callable[..., None], skip: Iterable[str]) -> dict[str, Any]:
    parser = argparse.ArgumentParser(prog=f"python -m stages.{stage.__name__}", description=stage.__doc__)
    for name, parameter in inspect.signature(stage).parameters.items():
        if name not in skip:
            parser.add_argument(f"--{name.replace('_', '-')}", type=parameter.annotation, required=True)
    return vars(parser.parse_args())


def _problem(details: ErrorDetails, key: str, params_class: type[Params]) -> str:
    """One line for one of pydantic's errors: the full key, what is there, what is expected."""
    full_key = ".".join([key, *(str(part) for part in details["loc"] if part != "[key]")])  # pydantic's mark for a key
    if details["type"] == "extra_forbidden":
        return f"{full_key}: unknown{did_you_mean(str(details['loc'][-1]), _keys_at(params_class, details['loc']))}"
    if details["type"] == "missing":
        return f"{full_key}: missing; add it"
    if isinstance(details["input"], Mapping):  # a rule between several keys: the message names them
        return f"{full_key}: {details['msg'].removeprefix('Value error, ')}"
    quotable = details["type"] == "string_type" and isinstance(details["input"], int | float)
    quote = f"; quote it: '{str(details['input'])[:100]}'" if quotable else ""
    return f"{full_key}: {_quoted(details['input'])}: {details['msg'].removeprefix('Value error, ')}{quote}"


def _quoted(value: Any) -> str:
    """A value as it is written in Python, its middle left out where it is long."""
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:100]}...{text[-20:]}"


def _keys_at(params_class: type[Params], location: Sequence[int | str]) -> Iterable[str]:
    """The known keys beside the last one of `location`, which leads through nested blocks."""
    for part in location[:-1]:
        inner = params_class.model_fields[str(part)].annotation if part in params_class.model_fields else None
        if not (isinstance(inner, type) and issubclass(inner, Params)):
            return ()
        params_class = inner
    return params_class.model_fields


def _one_of(value: Any, names: list[str]) -> str:
    return f"{_quoted(value)} is not one of {', '.join(names)}{did_you_mean(str(value), names)}"
