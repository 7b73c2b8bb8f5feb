"""The votes on one's own pictures: `votes.csv` beside them.

Its columns: `path`, then one column for each label with the number of people who chose it, and, where people could say
so, `unknown` and `not_a_face`. A path is that in the data set, such as `train/happy/anna_3.jpg`; `happy/anna_3.jpg`
does where the data set has no folders for splits. Pictures that are not named have no votes.
"""

from pathlib import Path

from emotion.dataset.archive.faces import NO_LABEL, Dataset, DatasetError, Votes
from emotion.dataset.votes import picture_named, read_rows, whole_votes
from emotion.foundation.errors import shown
from emotion.foundation.params import Params

FILE = "votes.csv"


class VoteSource(Params):
    """Parameters: none."""

    def votes(self, dataset: Dataset, input_dir: Path, cache_dir: Path) -> Votes:
        """Read `votes.csv` in `input_dir`, which must name pictures of the data set only. Raises UserError."""
        path = input_dir / FILE
        if not path.is_file():
            raise DatasetError(
                f"data.votes is `file`, but there is no {path}; put it there (a column `path` and one for each label), "
                "or set data.votes: none"
            )
        header, rows = read_rows(path, pictures=len(dataset.keys))
        labels = _labels(header, dataset, path)
        place = {name: header.index(name) for name in (*labels, *NO_LABEL) if name in header}
        counts: dict[str, tuple[int, ...]] = {}
        for number, row in enumerate(rows, start=2):
            where = f"{path}, line {number}"
            member = picture_named(row[header.index("path")], dataset, where=where)
            if member in counts:
                raise DatasetError(f"{where}: {member} has votes on an earlier line too; keep one of them")
            columns = [row[place[name]] if name in place else "0" for name in (*labels, *NO_LABEL)]
            counts[member] = whole_votes(columns, where=where)
        return Votes(labels, counts)


def _labels(header: list[str], dataset: Dataset, path: Path) -> tuple[str, ...]:
    labels = tuple(name for name in header if name not in ("path", *NO_LABEL))
    if "path" not in header or not labels or len(set(header)) < len(header) or not all(map(_is_name, header)):
        raise DatasetError(
            f"{path}: its first line is {','.join(header)!r}; expected the column `path` and one for each label, each "
            f"name once (and, if you like, {' and '.join(NO_LABEL)})"
        )
    lacking = {member.split("/")[1] for member in dataset.keys} - set(labels)
    if lacking:
        raise DatasetError(f"{path} has no column for {sorted(lacking)}; it has {sorted(labels)}: one for each folder")
    return labels


def _is_name(column: str) -> bool:
    return column != "" and shown(column) == column
