"""The person's own data: the one zip, folder or CSV in `data/local/`, and votes and groups beside it."""

from pathlib import Path

from emotion.dataset.archive.faces import Dataset, DatasetError
from emotion.dataset.layouts import read_csv, read_folder, read_zip
from emotion.foundation.params import Params

_CLUTTER = {"thumbs.db", "desktop.ini", "__macosx"}
_BESIDE = {"fer2013new.csv", "votes.csv", "groups.csv"}  # what `data.votes` and `split.group_by` read


class Source(Params):
    """Parameters of `data.local`: none; what lies in `data/local/` says it all."""

    def dataset(self, input_dir: Path, cache_dir: Path) -> Dataset:
        """Read the one candidate in `input_dir`; the pixels of a CSV pass through `cache_dir`. Raises DatasetError."""
        candidates = sorted(filter(_is_candidate, input_dir.iterdir())) if input_dir.is_dir() else []
        if len(candidates) != 1:
            found = ", ".join(entry.name for entry in candidates) or "nothing"
            raise DatasetError(
                f"{input_dir} must hold exactly one zip, one folder or one CSV; found {found}. Put the data set there, "
                f"for example FER2013 as {input_dir / 'fer2013.zip'} (a link will do); several folders go into one. "
                f"Beside it may lie {' or '.join(sorted(_BESIDE))} (data.votes, split.group_by)"
            )
        return _read(candidates[0], cache_dir)


def _is_candidate(entry: Path) -> bool:
    clutter = entry.name.startswith(".") or entry.name.lower() in _CLUTTER
    return not clutter and entry.name not in _BESIDE and entry.suffix not in (".dvc", ".part")


def _read(candidate: Path, cache_dir: Path) -> Dataset:
    if not candidate.exists():
        raise DatasetError(f"{candidate} is a link to {candidate.readlink()}, which does not exist; link it again")
    if candidate.is_dir() and candidate.is_symlink():
        raise DatasetError(
            f"{candidate} is a link to a folder; DVC does not look into it and would miss a change there. "
            "Move the folder here, or pack it into a zip (a link to a zip is fine)"
        )
    if not candidate.is_dir() and not candidate.is_file():
        raise DatasetError(f"{candidate} is a pipe or a device; put a file here")
    if candidate.is_dir():
        return read_folder(candidate, scratch=cache_dir)
    match candidate.suffix.lower():
        case ".zip":
            return read_zip(candidate, scratch=cache_dir)
        case ".csv":
            return read_csv(candidate, scratch=cache_dir)
    raise DatasetError(f"{candidate} is neither a zip, nor a folder, nor a CSV; pack or unpack it first")
