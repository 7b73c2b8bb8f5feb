"""Pictures that belong together without being copies: of one person, one sequence, one camera.

`split.group_by` says how they are told: a plain word is a column of `groups.csv` beside the pictures, anything else a
regular expression on the path in the archive, `train/happy/subject07_take2_0031.png`; its first group in parentheses,
or the whole match where it has none, names the picture's group.
"""

import re
import signal
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from emotion.dataset.archive.faces import Dataset, DatasetError, Face
from emotion.dataset.votes import GROUP_PREFIX, picture_named, read_rows, readable_facts
from emotion.foundation.errors import did_you_mean, shown

FILE = "groups.csv"
_WORD = re.compile(r"\w[\w -]*")  # without a sign that a regular expression could not do without

# How the files of posed sequences are often named: subject07_take2_0031, S005-001-01, KA.AN1.39, AF01ANS.
_USUAL = (r"([^/_]+)_[^/]*$", r"([^/-]+)-[^/]*$", r"([^/.]+)\.[^/]+\.[^/]+$", r"([A-Za-z]+\d+)[A-Za-z][^/]*$")
_MANY = 5  # pictures: smaller groups do not speak for persons or sequences
_MOST = 0.9  # of the pictures are in groups of so many
_WORDS = 4  # so many names without a digit do: FER2013 has Training_, PublicTest_ and PrivateTest_
_MOST_S, _MOST_ALL_S = 10.0, 60.0  # that a regular expression may take for one path, and for all of them
_TOO_MANY = 1000  # names, when most of the first pictures have one of their own


class Likely(NamedTuple):
    """Groups that the file names suggest: how many, the largest, and the regular expression that finds them."""

    groups: int
    example: str
    group_by: str


def is_column(group_by: str) -> bool:
    """Whether a value of `split.group_by` names a column of `groups.csv`, rather than being a regular expression."""
    return _WORD.fullmatch(group_by) is not None


def usable_pattern(group_by: str) -> str:
    """Return a value of `split.group_by` as it is. Raises ValueError where it is no regular expression."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of what another version of Python may read otherwise, such as `[[`
            re.compile(group_by)
    except (re.error, RecursionError, OverflowError, Warning) as error:
        raise ValueError(f"is no regular expression ({error})") from None
    return group_by


def read_groups(dataset: Dataset, input_dir: Path) -> dict[str, dict[str, str]]:
    """Read `groups.csv` in `input_dir`: column -> path in the data set -> group; nothing where there is no such file.

    Its columns are `path` and one for each way to group; an empty field is no group. Raises UserError.
    """
    path = input_dir / FILE
    if not path.is_file():
        return {}
    header, rows = read_rows(path, pictures=len(dataset.keys), of="groups")
    kinds = [name for name in header if name != "path"]
    if "path" not in header or not kinds or len(set(header)) < len(header) or not all(map(is_column, kinds)):
        raise DatasetError(
            f"{path}: its first line is {','.join(header)!r}; expected the column `path` and one or more others, such "
            "as `subject`, each name once and of letters, digits, `_`, `-` and spaces"
        )
    groups: dict[str, dict[str, str]] = {kind: {} for kind in kinds}
    seen: set[str] = set()
    for number, row in enumerate(rows, start=2):
        fields = dict(zip(header, row, strict=True))
        where = f"{path}, line {number}"
        member = picture_named(fields["path"], dataset, where=where)
        if member in seen:
            raise DatasetError(f"{where}: {member} is on an earlier line too; keep one of them")
        seen.add(member)
        for kind in kinds:
            if group := fields[kind].strip():
                if shown(group) != group:
                    raise DatasetError(f"{where}: {kind} {shown(group)} holds characters that no table can; rename it")
                groups[kind][member] = group
    return groups


def groups_report(groups: Mapping[str, Mapping[str, str]], pictures: int) -> dict[str, dict[str, dict[str, int]]]:
    """For each kind of group, count the groups and the pictures without one; nothing where no groups are known."""
    counts = {
        kind: {"groups": len(set(of.values())), "pictures_without": pictures - len(of)} for kind, of in groups.items()
    }
    return {"groups": counts} if counts else {}


def number_groups(faces: Sequence[Face], group_by: str, facts: Path) -> np.ndarray | None:
    """Number the pictures so that those of one group share a number: int64 [n]; None where `group_by` is empty.

    Args:
        group_by: a regular expression on the path, or a column of `groups.csv`.
        facts: the table that the download stage wrote.

    Raises DatasetError when a column is not there, a picture has no group, or the groups would change nothing.
    """
    if not group_by:
        return None
    names = _of_column(faces, group_by, facts) if is_column(group_by) else _of_paths(faces, group_by)
    numbers: dict[str, int] = {}
    found = np.fromiter((numbers.setdefault(name, len(numbers)) if name else -1 for name in names), np.int64)
    if (without := np.flatnonzero(found < 0)).size:
        raise DatasetError(
            f"{_quoted(group_by)} gives {len(without):,} of {len(faces):,} pictures no group, such as "
            f"{shown(faces[int(without[0])].path)}; "
            + (f"fill in that column of {FILE}" if is_column(group_by) else "it must find one in every path")
        )
    if len(numbers) in (1, len(faces)):
        each = "all {:,} pictures one group" if len(numbers) == 1 else "each of {:,} pictures a group of its own"
        raise DatasetError(
            f"{_quoted(group_by)} gives {each.format(len(faces))}, such as {shown(next(iter(numbers)))!r}; expected "
            "several groups of several pictures"
        )
    return found


def likely_groups(faces: Iterable[Face]) -> Likely | None:
    """The groups that the file names suggest, as `subject07_take2_0031` does: few names at the front, with many files.

    None where they suggest none, or name the label only.
    """
    counted = [_Counted(pattern) for pattern in _USUAL]
    labels: set[str] = set()
    for face in faces:
        labels.add(face.label)
        counted = [each for each in counted if each.goes_on(face)]
        if not counted:
            return None
    return next((likely for each in counted if (likely := each.judge(len(labels)))), None)


def warn_of_groups(faces: Iterable[Face], report: Mapping[str, Any]) -> None:
    """Print a line to stderr when groups lie on both sides, or the file names suggest groups and none are told.

    Args:
        report: of the split: `split_tables.split_report`.
    """
    if "groups" not in report:
        if likely := likely_groups(faces):
            print(
                f"warning: the file names begin with one of {likely.groups} names, such as {shown(likely.example)!r}; "
                "if those are persons or sequences, they lie on both sides and the scores come out too high: set "
                f"split.group_by: '{likely.group_by}'",
                file=sys.stderr,
            )
    elif seen := report["groups"]["test_images_with_group_in_train_or_val"]:
        print(
            f"warning: {seen:,} of {report['images']['test']['total']:,} test pictures are of a group that train or "
            "val has, too; the data set brings them as they are, so they stay, and subsets.unseen_groups of "
            "metrics/evaluate.json scores the others",
            file=sys.stderr,
        )


class _Counted:
    """How often each name occurs that a regular expression finds."""

    def __init__(self, pattern: str) -> None:
        self._pattern, self._search = pattern, re.compile(pattern).search
        self._counts: Counter[str] = Counter()
        self._label: dict[str, str] = {}  # of all that have this name; empty where they have several
        self._faces = self._without = 0

    def goes_on(self, face: Face) -> bool:
        """Count one more picture; False where too many have a name of their own, or none."""
        self._faces += 1
        if found := self._search(face.name):
            self._counts[found[1]] += 1
            self._label[found[1]] = face.label if self._label.get(found[1], face.label) == face.label else ""
        else:
            self._without += 1
        return len(self._counts) + self._without < max(_TOO_MANY, self._faces // 2)

    def judge(self, labels: int) -> Likely | None:
        groups = {name: count for name, count in self._counts.items() if count >= _MANY}
        if not groups or sum(groups.values()) < _MOST * self._faces:
            return None
        numbered = all(any(map(str.isdigit, name)) for name in groups)
        only_labels = len(groups) <= labels and all(self._label[name] for name in groups)
        if only_labels or len(groups) < (2 if numbered else _WORDS):
            return None
        return Likely(len(groups), max(groups, key=lambda name: groups[name]), self._pattern)


def _of_column(faces: Iterable[Face], kind: str, facts: Path) -> Iterator[str]:
    column = GROUP_PREFIX + kind
    with readable_facts(facts):
        there = [name for name in pd.read_csv(facts, nrows=0).columns if name.startswith(GROUP_PREFIX)]
        if column in there:
            table = pd.read_csv(facts, usecols=["path", column], dtype=str, keep_default_na=False)
            groups = dict(zip(table["path"], table[column], strict=True))
            return (groups.get(face.path, "") for face in faces)
    kinds = [name.removeprefix(GROUP_PREFIX) for name in there]
    found = f"it has {kinds}{did_you_mean(kind, kinds)}" if kinds else f"no {FILE} lies beside the pictures"
    raise DatasetError(
        f"{_quoted(kind)} names a column of {FILE}, but {found}; name one of its columns, or write a regular "
        r"expression such as 'subject(\d+)'"
    )


def _of_paths(faces: Sequence[Face], pattern: str) -> Iterator[str]:
    search = re.compile(pattern).search
    left_s = _MOST_ALL_S
    for number, face in enumerate(faces):
        is_last = left_s < _MOST_S
        with _in_time(min(_MOST_S, left_s), partial(_too_slow, pattern, faces, number, together=is_last)):
            began_s = time.thread_time()
            found = search(face.path)
            left_s -= time.thread_time() - began_s
        if left_s <= 0:  # also where no alarm rings
            raise _too_slow(pattern, faces, number, together=True)
        yield (found[min(1, found.re.groups)] or "") if found else ""


def _too_slow(pattern: str, faces: Sequence[Face], number: int, *, together: bool) -> DatasetError:
    if together:
        most = f"{_MOST_ALL_S:g} s for all paths together: {number:,} of {len(faces):,} are read"
    else:
        most = f"{_MOST_S:g} s for one path, {shown(faces[number].path)}"
    return DatasetError(
        f"{_quoted(pattern)} takes more than {most}; write it without a repeated repetition such as (.*)*"
    )


@contextmanager
def _in_time(seconds: float, error: Callable[[], DatasetError]) -> Iterator[None]:
    """Raise an error when it takes too long: `(.*)*x` tries more ways than there is time for. Windows has no alarm."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        raise error()

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _quoted(group_by: str) -> str:
    return f"split.group_by: {group_by!r}"
