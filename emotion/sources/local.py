"""The person's own data: the one zip, folder or CSV in `data/local/`."""

from pathlib import Path

from emotion.archive import Dataset, DatasetError
from emotion.layouts import read_csv, read_folder, read_zip
from emotion.params import Params

_IGNORED = {".gitignore", ".DS_Store", "Thumbs.db", "__MACOSX"}


class Source(Params):
    """Parameters of `data.local`: none; what lies in `data/local/` says it all."""

    def dataset(self, input_dir: Path, cache_dir: Path) -> Dataset:
        """Read the one candidate in `input_dir`; `cache_dir` is not used. Raises DatasetError."""
        candidates = sorted(
            entry
            for entry in input_dir.iterdir()
            if entry.name not in _IGNORED and entry.suffix not in (".dvc", ".part")
        )
        if len(candidates) != 1:
            found = ", ".join(entry.name for entry in candidates) or "nothing"
            raise DatasetError(
                f"{input_dir} must hold exactly one zip, one folder or one CSV; found {found}. "
                f"Put the data set there (a link will do), for example FER2013 as {input_dir / 'fer2013.zip'}"
            )
        return _read(candidates[0])


def _read(candidate: Path) -> Dataset:
    if candidate.is_dir():
        return read_folder(candidate)
    match candidate.suffix.lower():
        case ".zip":
            return read_zip(candidate)
        case ".csv":
            return read_csv(candidate)
    raise DatasetError(f"{candidate} is neither a zip, nor a folder, nor a CSV; pack or unpack it first")
