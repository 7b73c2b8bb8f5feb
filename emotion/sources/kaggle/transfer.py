"""The transfer: bytes that arrive, are kept when the connection breaks, and are continued later."""

import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

import requests
import urllib3
from tqdm import tqdm

from emotion.foundation.errors import UserError
from emotion.sources.kaggle.answers import content_type, reason, retry_after_s
from emotion.sources.kaggle.archive_check import MAX_BYTES
from emotion.sources.kaggle.retries import PassingError, Patience, patiently, say, within
from emotion.sources.kaggle.site import Site

_CHUNK_BYTES = 1 << 18
_SLOWEST_BYTES_PER_S = 4096


class Partial:
    """A download in progress: its bytes, and the identity (ETag and size) of what they are the beginning of."""

    def __init__(self, archive: Path):
        self.archive = archive
        self.path = archive.with_name(archive.name + ".part")
        self._marker = archive.with_name(archive.name + ".part.json")

    def identity(self) -> tuple[str, int] | None:
        """ETag and size in bytes of the whole, when they are known and there are bytes: these can be continued."""
        try:
            marker = json.loads(self._marker.read_text())
            return (str(marker["etag"]), int(marker["size_bytes"])) if self.path.exists() else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def size_bytes(self) -> int:
        """Bytes that have arrived."""
        return self.path.stat().st_size

    def start(self, etag: str | None, size_bytes: int | None) -> None:
        """Begin anew with the object of this identity. A weak ETag, or none, cannot be continued later."""
        self.discard()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.touch()
        if etag and etag.startswith('"') and size_bytes is not None:
            temporary = self._marker.with_name(self._marker.name + ".new")
            temporary.write_text(json.dumps({"etag": etag, "size_bytes": size_bytes}))
            temporary.replace(self._marker)

    def discard(self) -> None:
        """Delete bytes and identity, the latter first: bytes of unknown origin are never continued."""
        self._marker.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)

    def finish(self) -> None:
        """Give the complete bytes their final name."""
        self.path.replace(self.archive)
        self._marker.unlink(missing_ok=True)


def download(site: Site, version: int, archive: Path, patience: Patience) -> None:
    """Download one version to `archive`, going on where an earlier attempt stopped. Raises UserError, OSError."""
    say(f"downloading {site.owner}/{site.slug}, version {version}, to {archive}")
    partial = Partial(archive)
    patiently(lambda: _transfer(site, version, partial, patience), patience)
    partial.finish()


def _transfer(site: Site, version: int, partial: Partial, patience: Patience) -> None:
    """Make one attempt to get all bytes that are missing, from a fresh address. Raises UserError, PassingError."""
    identity = partial.identity()
    if identity and partial.size_bytes() == identity[1]:
        return
    with _open(site.address(version), partial, patience) as response:
        _check_status(response, partial)
        if response.status_code == HTTPStatus.OK:
            partial.start(response.headers.get("ETag"), response.raw.length_remaining)
        _receive(response, partial, patience)


def _open(address: str, partial: Partial, patience: Patience) -> requests.Response:
    """Ask the storage for the missing bytes, or for all of them if it no longer has the object these are a part of."""
    headers = {"Accept-Encoding": "identity"}
    if identity := partial.identity():
        headers |= {"Range": f"bytes={partial.size_bytes()}-", "If-Range": identity[0]}
    try:
        return within(
            patience.timeout_s,
            lambda: requests.get(address, headers=headers, stream=True, timeout=patience.timeout_s),
        )
    except (requests.RequestException, TimeoutError) as error:
        raise PassingError(f"cannot reach the storage {urlsplit(address).hostname}: {reason(error)}") from None


def _check_status(response: requests.Response, partial: Partial) -> None:
    """Raises UserError or PassingError unless the answer is the object, or the very part of it that is missing."""
    if response.status_code not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
        if response.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            partial.discard()
        raise PassingError(f"the storage answered HTTP {response.status_code}", retry_after_s(response))
    if re.match(r"text/|application/(json|xml)", content_type(response)):
        raise UserError(
            f"the storage sent {content_type(response)} instead of a zip; a login page of this network, or a proxy, "
            "is probably in between: mend that and run the stage again (what had arrived before is kept)"
        )
    if response.status_code == HTTPStatus.PARTIAL_CONTENT:
        identity = partial.identity()
        if not identity or not _continues(response, partial.size_bytes(), *identity):
            partial.discard()
            raise PassingError("the storage sent another part than the one that was asked for")


def _continues(response: requests.Response, start: int, etag: str, size_bytes: int) -> bool:
    """Whether the body is the rest, from byte `start` on, of the object with this identity."""
    same_part = response.headers.get("Content-Range") == f"bytes {start}-{size_bytes - 1}/{size_bytes}"
    return same_part and response.headers.get("ETag", etag) == etag


def _receive(response: requests.Response, partial: Partial, patience: Patience) -> None:
    """Append the body to the partial file. Raises PassingError when it does not bring all that is missing."""
    before, identity = partial.size_bytes(), partial.identity()
    total = identity[1] if identity else response.raw.length_remaining  # None: the end of the body has to do
    done = before
    try:
        with partial.path.open("ab") as file, _progress(before, total) as advance:
            for chunk in _chunks(response, patience):
                file.write(chunk)
                advance(len(chunk))
                done += len(chunk)
                if max(done, total or 0) > MAX_BYTES:
                    partial.discard()
                    raise UserError(f"the download is larger than {MAX_BYTES:,} bytes: that is no face dataset")
    except PassingError as error:
        error.gained_bytes = done - before
        raise
    if total is not None and done != total:
        partial.discard()
        raise PassingError(f"{done:,} bytes came where {total:,} were announced")


def _chunks(response: requests.Response, patience: Patience) -> Iterator[bytes]:
    """The body as it arrives. Raises PassingError when it breaks off, pauses, or is too slow for a whole time-out."""
    window_bytes, window_start = 0, time.monotonic()
    while True:
        try:
            chunk = response.raw.read1(_CHUNK_BYTES, decode_content=False)
        except urllib3.exceptions.HTTPError as error:
            raise PassingError(f"the download broke off: {reason(error)}") from None
        if not chunk:
            return
        yield chunk
        window_bytes += len(chunk)
        elapsed_s = time.monotonic() - window_start
        if elapsed_s > patience.timeout_s:
            if window_bytes < _SLOWEST_BYTES_PER_S * elapsed_s:
                raise PassingError(f"the download is too slow: {window_bytes:,} bytes in {elapsed_s:.0f} s")
            window_bytes, window_start = 0, time.monotonic()


@contextmanager
def _progress(done: int, total: int | None) -> Iterator[Callable[[int], object]]:
    """Show arriving bytes: as a bar on a terminal, else as a line for each tenth. Yields what to tell each count."""
    if sys.stderr.isatty():
        with tqdm(total=total, initial=done, unit="B", unit_scale=True, desc="kaggle") as bar:
            yield bar.update
        return
    step = max(1, total // 10) if total else 10_000_000

    def advance(count: int) -> None:
        nonlocal done
        done += count
        if done // step > (done - count) // step:
            say(f"{done / 1e6:.1f} MB" + (f" of {total / 1e6:.1f}" if total else ""))

    yield advance
