"""The folder of --annotate: no copy replaces a file that is there, and the same copy is not written twice."""

import filecmp
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from emotion.commands.terminal.options import new_folder
from emotion.inference.annotation import annotated_name, write_annotated
from emotion.inference.predictor import Prediction


class AnnotatedFolder:
    """Writes annotated copies into a folder, which is made where there is none. Raises UserError when it cannot be."""

    def __init__(self, path: Path) -> None:
        self._path = new_folder(path)
        there = sorted(self._path.iterdir())
        self._names = NumberedNames(file.name for file in there)
        self._before: dict[int, list[str]] = defaultdict(list)  # size in bytes -> the files of before
        for file in there:
            if file.is_file():
                self._before[file.stat().st_size].append(file.name)

    def write(self, prediction: Prediction) -> None:
        """Write the copy of one picture, with a number where its name is taken, unless it was there before."""
        wanted = annotated_name(Path(prediction.source))
        name = self._names.name(wanted)
        write_annotated(prediction, self._path / name)
        if name != wanted:
            self._remove_if_again(name, wanted)

    def _remove_if_again(self, name: str, wanted: str) -> None:
        """Remove the copy where a run before wrote the same; each of those counts once."""
        copy, path = self._path / name, Path(wanted)
        alike = re.compile(rf"{re.escape(path.stem)}(-\d+)?{re.escape(path.suffix)}", re.IGNORECASE)
        there = self._before[copy.stat().st_size]
        for other in there:
            if alike.fullmatch(other) and filecmp.cmp(self._path / other, copy, shallow=False):
                there.remove(other)
                copy.unlink()
                return


class NumberedNames:
    """File names that do not collide with one another, nor with those `taken`: a.png, a-2.png, a-3.png."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._used = {name.lower() for name in taken}
        self._last: dict[str, int] = {}  # number that a name got; or 10,000 names alike take a minute

    def name(self, wanted: str) -> str:
        """The name, with a number where it is taken."""
        name, number = wanted, self._last.get(wanted.lower(), 1)
        while name.lower() in self._used:
            number += 1
            name = f"{Path(wanted).stem}-{number}{Path(wanted).suffix}"
        self._used.add(name.lower())
        self._last[wanted.lower()] = number
        return name
