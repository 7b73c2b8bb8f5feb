"""A Kaggle dataset, downloaded so that a bad network, half-set credentials or a broken file lose and corrupt nothing.

Of the `kaggle` package this calls its client library alone, `kagglesdk`: the sign-in, the end points, the signed
address of the storage. What else there is does not serve:

- `import kaggle` signs in at once: it asks the network without a time-out, prints its help, makes folders, deletes a
  refused OAuth login and, where VERBOSE is set, prints the Authorization header. `find_logins` looks in the same
  places, in the same order, and does none of that.
- `dataset_download_files` trusts what arrives: after a cut and an expired address it appends the storage's error text
  to the partial file, it accepts flipped bytes of the right length, and it waits without end for a body that drips.
- `kagglehub` (1.0) appends whatever the storage answers to the partial file without asking whether it is still the
  same object. It then unpacks the zip into loose files, one for each picture, and deletes the zip: the one file that
  this pipeline reads.

`transfer.py` asks for a fresh address at each attempt, and `archive_check.py` believes nothing.

The cache folder holds `<owner>/<slug>/<version>.zip` when finished; before that `….zip.part`, with the identity (ETag
and size) of what it is a part of in `….zip.part.json`. Tokens and signed addresses are never written nor printed.
"""

import functools
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from pydantic import Field, field_validator

from emotion.dataset.archive.faces import Dataset, DatasetError, content_digest
from emotion.dataset.layouts import read_zip
from emotion.foundation.errors import UserError
from emotion.foundation.params import Params
from emotion.sources.kaggle.archive_check import check_archive
from emotion.sources.kaggle.retries import Patience
from emotion.sources.kaggle.site import REFERENCE, Site
from emotion.sources.kaggle.transfer import Partial, download


class Source(Params):
    """Parameters of `data.kaggle`."""

    reference: str = Field(alias="dataset")  # owner/slug or, pinned, owner/slug/version
    sha256: str | None  # content digest that the download must have

    @field_validator("reference")
    @classmethod
    def _check_reference(cls, value: str) -> str:
        if not REFERENCE.fullmatch(value):
            raise ValueError("expected owner/slug or, pinned, owner/slug/version, such as msambare/fer2013/1")
        return value

    @field_validator("sha256")
    @classmethod
    def _check_sha256(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch("[0-9a-f]{64}", value):
            raise ValueError("expected the 64 hexadecimal digits of a content digest, or null to take any content")
        return value

    def dataset(self, input_dir: Path, cache_dir: Path) -> Dataset:
        """Download the dataset unless the cache has it, check every byte and return its images.

        Args:
            input_dir: not used.
            cache_dir: where downloads stay, partial and finished; outside the stage's outs, which DVC deletes.

        The cache stays locked while the returned dataset lives. Raises UserError.
        """
        patience = Patience.from_environment()
        try:
            lock = _lock(cache_dir)
            site = Site(self.reference, patience)
            version = site.version or site.latest_version()
            archive = cache_dir / site.owner / site.slug / f"{version}.zip"
            if not archive.exists():
                download(site, version, archive, patience)
            content = _checked(archive, self.sha256)
        except OSError as error:
            raise UserError(
                f"cannot keep the download in {cache_dir}: {error.strerror}; make room on the disk or mend the folder "
                "and run the stage again: it goes on where it stopped"
            ) from None
        origin: dict[str, str | int] = {"dataset": f"{site.owner}/{site.slug}", "version": version}
        return Dataset(content.keys, functools.partial(_read_locked, lock, content.read), origin)


def _checked(archive: Path, sha256: str | None) -> Dataset:
    """Read the finished download as a dataset; delete it when anything is wrong, so that the next run starts clean."""
    try:
        check_archive(archive)
        content = read_zip(archive, scratch=archive.parent)
        if sha256 is not None and (digest := content_digest(content)) != sha256:
            raise DatasetError(
                f"its content digest is {digest}, but data.kaggle.sha256 asks for {sha256}; if the dataset was changed "
                "on purpose, set the parameter to the new digest"
            )
    except DatasetError as error:
        Partial(archive).discard()
        archive.unlink()
        raise DatasetError(
            f"the download {archive} cannot be used: {error}\n"
            "  It was deleted, nothing else was changed: run the stage again to download it afresh. If it comes like "
            "that again, the dataset is one that this pipeline cannot use: set data.kaggle.dataset to another."
        ) from None
    return content


def _lock(cache_dir: Path) -> FileLock:
    """Lock the cache for this process. Raises UserError, with the holder's process id, when another one has it."""
    cache_dir.mkdir(parents=True, exist_ok=True)
    lock, holder = FileLock(cache_dir / "lock"), cache_dir / "lock.pid"
    try:
        lock.acquire(blocking=False)
    except Timeout:
        pid = holder.read_text().strip() if holder.exists() else ""
        raise UserError(
            f"another run (process {pid or 'unknown'}) is using {cache_dir}; wait until it has ended, or end it, then "
            "run the stage again: it goes on where the other stopped"
        ) from None
    holder.write_text(f"{os.getpid()}\n")
    return lock


def _read_locked(lock: FileLock, read: Callable[[Any], bytes], key: Any) -> bytes:
    """Read an image; having `lock` as an argument keeps the cache locked while images may still be asked for."""
    return read(key)
