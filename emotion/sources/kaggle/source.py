"""A Kaggle dataset, downloaded so that a bad network, half-set credentials or a broken file lose and corrupt nothing.

Of the `kaggle` package this calls its own client library, `kagglesdk`: the sign-in, the end points, the signed address
of the storage. Two parts of the package are replaced, on purpose:

- `import kaggle` signs in at once: it asks the network without a time-out, prints its help, makes folders, deletes a
  refused OAuth login and, where VERBOSE is set, prints the Authorization header. `_find_logins` looks in the same
  places, in the same order, and does none of that.
- `dataset_download_files` trusts what arrives: after a cut and an expired address it appends the storage's error text
  to the partial file, it takes flipped bytes of the right length, and it waits without end for a body that drips.
  `_transfer` asks for a fresh address at each attempt, and `check_archive` believes nothing.

The cache folder holds `<owner>/<slug>/<version>.zip` when finished; before that `….zip.part`, with the identity (ETag
and size) of what it is a part of in `….zip.part.json`. Tokens and signed addresses are never written nor printed.

Environment variables say how patient the download is. They are no parameters: they do not change the result, and a
changed parameter would run the stage again.

    EMOTION_KAGGLE_TIMEOUT_SECONDS  30  wait for an answer; and the time in which 4 KiB/s must arrive on average
    EMOTION_KAGGLE_RETRIES           5  attempts in a row that may fail; one that brought 1 MiB does not count
    EMOTION_KAGGLE_BACKOFF_SECONDS   2  wait after the first failure; doubled after each, up to 60
"""

import errno
import functools
import json
import math
import os
import re
import stat
import struct
import sys
import threading
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests
import urllib3
from filelock import FileLock, Timeout
from pydantic import Field, field_validator
from tqdm import tqdm

from emotion.dataset.archive import Dataset, DatasetError, content_digest
from emotion.dataset.layouts import read_zip
from emotion.errors import UserError
from emotion.params import Params

T = TypeVar("T")
_REFERENCE = re.compile(
    r"([a-z0-9][\w.-]*)/([a-z0-9][\w.-]*)(?:/(?:versions/)?([1-9]\d{0,8}))?", re.ASCII | re.IGNORECASE
)
_CHUNK_BYTES = 1 << 18
_PROGRESS_BYTES = 1 << 20
_SLOWEST_BYTES_PER_S = 4096
_LONGEST_BACKOFF_S = 60
_LONGEST_RETRY_AFTER_S = 120
_MAX_BYTES = 32 << 30  # of a download, and of what it unpacks to
_MAX_RATIO = 50  # of unpacked to packed bytes, where there are more unpacked bytes than:
_RATIO_FREE_BYTES = 256 << 20


class Source(Params):
    """Parameters of `data.kaggle`."""

    reference: str = Field(alias="dataset")  # owner/slug or, pinned, owner/slug/version
    sha256: str | None  # content digest that the download must have

    @field_validator("reference")
    @classmethod
    def _check_reference(cls, value: str) -> str:
        if not _REFERENCE.fullmatch(value):
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
            site = _Site(self.reference, patience)
            version = site.version or site.latest_version()
            archive = cache_dir / site.owner / site.slug / f"{version}.zip"
            if not archive.exists():
                _download(site, version, archive, patience)
            content = _checked(archive, self.sha256)
        except OSError as error:
            raise UserError(
                f"cannot keep the download in {cache_dir}: {error.strerror}; make room on the disk or mend the folder "
                "and run the stage again: it goes on where it stopped"
            ) from None
        origin: dict[str, str | int] = {"dataset": f"{site.owner}/{site.slug}", "version": version}
        return Dataset(content.keys, functools.partial(_read_locked, lock, content.read), origin)


@dataclass(frozen=True)
class Patience:
    """How long to wait and how often to try; set by the environment variables of the module's description."""

    timeout_s: float = 30
    retries: int = 5
    backoff_s: float = 2

    @classmethod
    def from_environment(cls) -> "Patience":
        """Read the environment. Raises UserError when a variable is no number of its range."""
        return cls(
            _number("EMOTION_KAGGLE_TIMEOUT_SECONDS", cls.timeout_s, low=0.1),
            int(_number("EMOTION_KAGGLE_RETRIES", cls.retries, low=0)),
            _number("EMOTION_KAGGLE_BACKOFF_SECONDS", cls.backoff_s, low=0),
        )

    def wait_s(self, failures: int) -> float:
        """Seconds to wait after so many failures in a row."""
        return min(self.backoff_s * 2.0 ** max(failures - 1, 0), _LONGEST_BACKOFF_S)


def _checked(archive: Path, sha256: str | None) -> Dataset:
    """Read the finished download as a dataset; delete it when anything is wrong, so that the next run starts clean."""
    try:
        check_archive(archive)
        content = read_zip(archive)
        if sha256 is not None and (digest := content_digest(content)) != sha256:
            raise DatasetError(
                f"its content digest is {digest}, but data.kaggle.sha256 asks for {sha256}; if the dataset was changed "
                "on purpose, set the parameter to the new digest"
            )
    except DatasetError as error:
        _Partial(archive).discard()
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


# --- Signing in -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Login:
    """One way to sign in that was found on this machine."""

    name: str
    arguments: Mapping[str, str] = field(repr=False)  # for KaggleClient; none: its OAuth login. A secret


def _find_logins() -> tuple[list[_Login], list[str]]:
    """Look where the kaggle package looks, in its order: the first login is used. Also returns what is half set."""
    notes: list[str] = []
    logins = [login for login in (_access_token(notes), _api_key(notes), _oauth(notes)) if login]
    return logins, notes


def _access_token(notes: list[str]) -> _Login | None:
    from kagglesdk import get_access_token_from_env

    try:
        token, place = get_access_token_from_env()
    except (OSError, UnicodeError) as error:
        if not isinstance(error, OSError) or error.errno != errno.ENAMETOOLONG:
            raise UserError(
                f"the file with Kaggle's access token cannot be read ({type(error).__name__}); make it a readable text "
                "file: the one that KAGGLE_API_TOKEN names, or ~/.kaggle/access_token"
            ) from None
        token, place = os.environ["KAGGLE_API_TOKEN"], "KAGGLE_API_TOKEN"  # too long for the path it was tried as
    place = "~/.kaggle/access_token" if place == "access_token" else place
    if token and not token.strip():  # the client reads the variable itself and would send the blanks
        raise UserError(f"{place} holds nothing but blanks; set it to a token of Kaggle, or unset it")
    if token:
        if "/" in token or "\\" in token:
            notes.append(f"{place} looks like a path, but there is no such file")
        return _Login(f"the access token in {place}", {"api_token": token.strip()})
    if place:
        notes.append(f"the file that {place} names is empty")
    return None


def _api_key(notes: list[str]) -> _Login | None:
    for path in dict.fromkeys([_config_dir() / "kaggle.json", Path.home() / ".kaggle" / "kaggle.json"]):
        saved = _read_json(path, notes)
        found = {}  # name -> value, place
        for name in ("username", "key"):
            variable = f"KAGGLE_{name.upper()}"
            if value := os.environ.get(variable):
                found[name] = value, variable
            elif value := saved.get(name):
                found[name] = str(value), str(path)
        places = " and ".join(dict.fromkeys(place for _, place in found.values()))
        if len(found) == 2:
            return _Login(f"the API key in {places}", {"username": found["username"][0], "password": found["key"][0]})
        if found:
            notes.append(f"of the API key, {places} has the {' '.join(found)} only")
    return None


def _oauth(notes: list[str]) -> _Login | None:
    path = Path.home() / ".kaggle" / "credentials.json"
    return _Login(f"the OAuth login in {path}", {}) if _read_json(path, notes).get("refresh_token") else None


def _config_dir() -> Path:
    """The kaggle package's folder for kaggle.json, found as it does."""
    if folder := os.environ.get("KAGGLE_CONFIG_DIR"):
        return Path(folder)
    folder_at_home = Path.home() / ".kaggle"
    if not sys.platform.startswith("linux") or folder_at_home.exists():
        return folder_at_home
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "kaggle"


def _read_json(path: Path, notes: list[str]) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
        if isinstance(content, dict):
            return content
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        pass
    notes.append(f"{path} cannot be read as JSON of the expected form")
    return {}


# --- Asking Kaggle ----------------------------------------------------------------------------------------------------


class _PassingError(Exception):
    """A failure that may pass. Its text is safe to show: no address, no token."""

    def __init__(self, reason: str, retry_after_s: float = 0, gained_bytes: int = 0):
        super().__init__(reason)
        self.retry_after_s, self.gained_bytes = retry_after_s, gained_bytes


class _Site:
    """Kaggle's API for one dataset, asked through the kaggle package's client with the first login that was found."""

    def __init__(self, reference: str, patience: Patience):
        matched = _REFERENCE.fullmatch(reference)
        assert matched
        self.owner, self.slug = matched[1], matched[2]
        self.version = int(matched[3]) if matched[3] else None
        self._patience = patience
        self._logins, self._notes = _find_logins()

    def latest_version(self) -> int:
        """Ask which version is the current one. Raises UserError."""
        from kagglesdk.datasets.types.dataset_api_service import ApiGetDatasetRequest

        request = ApiGetDatasetRequest()
        request.owner_slug, request.dataset_slug = self.owner, self.slug
        answer = _patiently(lambda: self._ask(lambda api: api.get_dataset(request)), self._patience)
        if answer.current_version_number < 1:
            raise UserError(f"Kaggle names no version of {self.owner}/{self.slug}; pin one in data.kaggle.dataset")
        return int(answer.current_version_number)

    def address(self, version: int) -> str:
        """Ask for the storage's signed address of one version: a secret. Raises UserError, _PassingError."""
        from kagglesdk.datasets.types.dataset_api_service import ApiDownloadDatasetRequest

        request = ApiDownloadDatasetRequest()
        request.owner_slug, request.dataset_slug, request.dataset_version_number = self.owner, self.slug, version
        # The client follows the redirect, but sets no time-out on the body: only the address is of use.
        with self._ask(lambda api: api.download_dataset(request)) as response:
            if not response.history:
                raise UserError(
                    f"Kaggle's API answered with {_content_type(response)} instead of an address to download from; a "
                    "login page of this network, or a proxy, is probably in between: mend that and run the stage again"
                )
            return str(response.url)

    def _ask(self, question: Callable[[Any], T]) -> T:
        try:
            return _within(self._patience.timeout_s, lambda: question(self._client.datasets.dataset_api_client))
        except requests.HTTPError as error:
            assert error.response is not None  # the package sets it
            raise self._refusal(error.response) from None
        except (
            requests.ConnectionError,
            requests.Timeout,
            requests.exceptions.ChunkedEncodingError,
            TimeoutError,
        ) as error:
            raise _PassingError(f"cannot reach {_host(error) or 'Kaggle'}: {_reason(error)}") from None
        except Exception as error:  # whatever it is, its text or traceback may hold the token or the address
            raise UserError(
                f"the kaggle package failed ({type(error).__name__}): Kaggle's answer, or the credentials it found, "
                f"are not of the form it expects{self._help()}"
            ) from None

    @functools.cached_property
    def _client(self) -> Any:
        from kagglesdk import KaggleClient, KaggleCredentials

        if not self._logins or self._logins[0].arguments:
            return KaggleClient(**(self._logins[0].arguments if self._logins else {}))
        login = KaggleCredentials.load(KaggleClient())
        # Always anew: the package's own test of the expiry takes a token for valid until half an hour after it.
        login.refresh_access_token()
        return KaggleClient(api_token=login.get_access_token())

    def _refusal(self, response: requests.Response) -> Exception:
        """The error for a status that is no success: one that may pass, or one that explains what to do."""
        status = _status(response)
        if response.history:
            return _PassingError(f"the storage answered HTTP {status}", _retry_after_s(response))
        if status in (408, 429) or status >= 500:
            return _PassingError(f"Kaggle answered HTTP {status}", _retry_after_s(response))
        if "GenerateAccessToken" in response.url:
            status = 401  # a refused OAuth login, whatever its status
        return UserError(self._explanation(status) + self._help())

    def _explanation(self, status: int) -> str:
        name = f"{self.owner}/{self.slug}" + (f", version {self.version}" if self.version else "")
        login = self._logins[0].name if self._logins else None
        if status == 401:
            return (
                f"Kaggle refused {login} (HTTP 401): it is wrong, expired or revoked"
                if login
                else f"Kaggle does not give {name} without signing in (HTTP 401), and no credentials were found"
            )
        if status == 403:
            return (
                f"Kaggle forbids to download {name} {'with ' + login if login else 'without signing in'} (HTTP 403): "
                f"its terms are not accepted yet (open {self._page()} in a browser, signed in to the same account, and "
                "accept them), or it is private, or there is no such dataset"
            )
        if status == 404:
            return (
                f"Kaggle has no dataset {name} (HTTP 404): compare data.kaggle.dataset with the address {self._page()}"
            )
        return f"Kaggle answered HTTP {status} when asked for {name}, which was not expected"

    def _help(self) -> str:
        """What was tried to sign in, how to do it better, and how to do without."""
        lines = [f"{self._logins[0].name} was used" if self._logins else "asked without signing in"]
        shadowed = (login.name for login in self._logins[1:])
        lines += [f"it shadows {name}, which was not tried: if it is stale, remove it" for name in shadowed]
        lines += dict.fromkeys(self._notes)
        if not self._logins:
            lines.append(
                f"looked for KAGGLE_API_TOKEN, ~/.kaggle/access_token, KAGGLE_USERNAME with KAGGLE_KEY, "
                f"{_config_dir() / 'kaggle.json'} and ~/.kaggle/credentials.json (of `kaggle auth login`)"
            )
        lines += [
            'a token is made at https://www.kaggle.com/settings/api ("Generate New Token"); set KAGGLE_API_TOKEN '
            "to it in the environment, or save it as ~/.kaggle/access_token",
            f"it works without Kaggle, too: set data.source to synthetic; or get the zip by hand from {self._page()}, "
            "put it into data/local/ and set data.source to local",
        ]
        return "".join(f"\n  - {line}" for line in lines)

    def _page(self) -> str:
        return f"https://www.kaggle.com/datasets/{self.owner}/{self.slug}"


def _status(response: requests.Response) -> int:
    """The status of an error; the package also makes one of an answer 200 whose JSON has a `code`."""
    return response.status_code if response.status_code >= 400 else int(response.json()["code"])


def _retry_after_s(response: requests.Response) -> float:
    """Seconds that the server asks to wait, given as a number or a date; 0 when it does not say."""
    value = response.headers.get("Retry-After", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):  # no date, or one without a time zone
        return 0.0


def _content_type(response: requests.Response) -> str:
    return response.headers.get("Content-Type", "no content type").partition(";")[0]


def _reason(error: BaseException) -> str:
    """Why a connection failed. Made from the kinds of the errors alone: their texts quote the address."""
    causes: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    proxied = _any(causes, requests.exceptions.ProxyError)
    through = "the proxy of the environment (HTTPS_PROXY, HTTP_PROXY): " if proxied else ""
    if _any(causes, urllib3.exceptions.NameResolutionError):
        return f"{through}its name is not known: is this machine online?"
    if _any(causes, ConnectionRefusedError):
        return f"{through}the connection was refused"
    if _any(causes, requests.exceptions.SSLError):
        return f"{through}its certificate was not accepted (REQUESTS_CA_BUNDLE names that of a proxy in between)"
    if _any(causes, TimeoutError, requests.Timeout, urllib3.exceptions.TimeoutError):
        return f"{through}no answer in time"
    return f"{through}the connection broke"


def _host(error: BaseException) -> str | None:
    """The host that was asked: all that may be shown of an address."""
    request = getattr(error, "request", None)
    return urlsplit(request.url).hostname if request is not None else None


def _any(errors: list[BaseException], *kinds: type[BaseException]) -> bool:
    return any(isinstance(error, kinds) for error in errors)


def _within(seconds: float, action: Callable[[], T]) -> T:
    """Call `action` and return its result; raises TimeoutError after so many seconds.

    In a thread, because nothing else bounds a name look-up, headers that drip, and a client that sets no time-out. A
    thread that is late is left behind and ends with the process.
    """
    outcome: Future[T] = Future()

    def act() -> None:
        try:
            outcome.set_result(action())
        except BaseException as error:
            outcome.set_exception(error)

    threading.Thread(target=act, daemon=True).start()
    return outcome.result(timeout=seconds)


def _patiently(attempt: Callable[[], T], patience: Patience) -> T:
    """Repeat `attempt` after a _PassingError, with growing waits. Raises UserError when it is time to give up."""
    failures = 0
    while True:
        try:
            return attempt()
        except _PassingError as error:
            failures = failures + 1 if error.gained_bytes < _PROGRESS_BYTES else 0
            if failures > patience.retries:
                problem = f"gave up after {failures} attempts in a row"
            elif error.retry_after_s > _LONGEST_RETRY_AFTER_S:
                problem = f"the server asks to come back in {error.retry_after_s:.0f} s"
            else:
                wait_s = max(error.retry_after_s, patience.wait_s(failures))
                _say(f"{error}; trying again in {wait_s:.1f} s (retry {max(failures, 1)} of {patience.retries})")
                time.sleep(wait_s)
                continue
            raise UserError(
                f"{error}; {problem}. What has arrived is kept: run the stage again later to go on from there; "
                "without a network, data.source=synthetic works"
            ) from None


# --- Receiving --------------------------------------------------------------------------------------------------------


class _Partial:
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


def _download(site: _Site, version: int, archive: Path, patience: Patience) -> None:
    _say(f"downloading {site.owner}/{site.slug}, version {version}, to {archive}")
    partial = _Partial(archive)
    _patiently(lambda: _transfer(site, version, partial, patience), patience)
    partial.finish()


def _transfer(site: _Site, version: int, partial: _Partial, patience: Patience) -> None:
    """Make one attempt to get all bytes that are missing, from a fresh address. Raises UserError, _PassingError."""
    identity = partial.identity()
    if identity and partial.size_bytes() == identity[1]:
        return
    with _open(site.address(version), partial, patience) as response:
        _check_status(response, partial)
        if response.status_code == HTTPStatus.OK:
            partial.start(response.headers.get("ETag"), response.raw.length_remaining)
        _receive(response, partial, patience)


def _open(address: str, partial: _Partial, patience: Patience) -> requests.Response:
    """Ask the storage for the missing bytes, or for all of them if it no longer has the object these are a part of."""
    headers = {"Accept-Encoding": "identity"}
    if identity := partial.identity():
        headers |= {"Range": f"bytes={partial.size_bytes()}-", "If-Range": identity[0]}
    try:
        return _within(
            patience.timeout_s,
            lambda: requests.get(address, headers=headers, stream=True, timeout=patience.timeout_s),
        )
    except (requests.RequestException, TimeoutError) as error:
        raise _PassingError(f"cannot reach the storage {urlsplit(address).hostname}: {_reason(error)}") from None


def _check_status(response: requests.Response, partial: _Partial) -> None:
    """Raises UserError or _PassingError unless the answer is the object, or the very part of it that is missing."""
    if response.status_code not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
        if response.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            partial.discard()
        raise _PassingError(f"the storage answered HTTP {response.status_code}", _retry_after_s(response))
    if re.match(r"text/|application/(json|xml)", _content_type(response)):
        raise UserError(
            f"the storage sent {_content_type(response)} instead of a zip; a login page of this network, or a proxy, "
            "is probably in between: mend that and run the stage again (what had arrived before is kept)"
        )
    if response.status_code == HTTPStatus.PARTIAL_CONTENT:
        identity = partial.identity()
        if not identity or not _continues(response, partial.size_bytes(), *identity):
            partial.discard()
            raise _PassingError("the storage sent another part than the one that was asked for")


def _continues(response: requests.Response, start: int, etag: str, size_bytes: int) -> bool:
    """Whether the body is the rest, from byte `start` on, of the object with this identity."""
    same_part = response.headers.get("Content-Range") == f"bytes {start}-{size_bytes - 1}/{size_bytes}"
    return same_part and response.headers.get("ETag", etag) == etag


def _receive(response: requests.Response, partial: _Partial, patience: Patience) -> None:
    """Append the body to the partial file. Raises _PassingError when it does not bring all that is missing."""
    before, identity = partial.size_bytes(), partial.identity()
    total = identity[1] if identity else response.raw.length_remaining  # None: the end of the body has to do
    done = before
    try:
        with partial.path.open("ab") as file, _progress(before, total) as advance:
            for chunk in _chunks(response, patience):
                file.write(chunk)
                advance(len(chunk))
                done += len(chunk)
                if max(done, total or 0) > _MAX_BYTES:
                    partial.discard()
                    raise UserError(f"the download is larger than {_MAX_BYTES:,} bytes: that is no face dataset")
    except _PassingError as error:
        error.gained_bytes = done - before
        raise
    if total is not None and done != total:
        partial.discard()
        raise _PassingError(f"{done:,} bytes came where {total:,} were announced")


def _chunks(response: requests.Response, patience: Patience) -> Iterator[bytes]:
    """The body as it arrives. Raises _PassingError when it breaks off, pauses, or is too slow for a whole time-out."""
    window_bytes, window_start = 0, time.monotonic()
    while True:
        try:
            chunk = response.raw.read1(_CHUNK_BYTES, decode_content=False)
        except urllib3.exceptions.HTTPError as error:
            raise _PassingError(f"the download broke off: {_reason(error)}") from None
        if not chunk:
            return
        yield chunk
        window_bytes += len(chunk)
        elapsed_s = time.monotonic() - window_start
        if elapsed_s > patience.timeout_s:
            if window_bytes < _SLOWEST_BYTES_PER_S * elapsed_s:
                raise _PassingError(f"the download is too slow: {window_bytes:,} bytes in {elapsed_s:.0f} s")
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
            _say(f"{done / 1e6:.1f} MB" + (f" of {total / 1e6:.1f}" if total else ""))

    yield advance


def _say(line: str) -> None:
    print(f"kaggle: {line}", file=sys.stderr, flush=True)


def _number(variable: str, default: float, *, low: float) -> float:
    """A number from the environment. Raises UserError when it is none, or below `low`."""
    text = os.environ.get(variable, "")
    try:
        value = float(text) if text else default
    except ValueError:
        value = math.nan
    if not low <= value < math.inf:
        raise UserError(
            f"the environment variable {variable} is {text!r}; expected a number from {low} up, or unset it"
        )
    return value


# --- Checking ---------------------------------------------------------------------------------------------------------


def check_archive(path: Path) -> None:
    """Read every byte of a downloaded zip. Raises DatasetError when it is damaged or holds what no dataset needs.

    Refused are wrong CRCs, members outside the archive's root, links, doubles, encryption, and more unpacked bytes than
    32 GiB or 50 times the packed ones.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            _check_members(members, path)
            for member in members:
                with archive.open(member) as content:
                    while content.read(_CHUNK_BYTES):  # compares the CRC at the end
                        pass
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, ValueError, OSError) as error:
        with path.open("rb") as file:
            start = file.read(16)
        raise DatasetError(f"it is no intact zip ({error}; it begins with {start!r})") from None


def _check_members(members: list[zipfile.ZipInfo], path: Path) -> None:
    declared = _declared_members(path)
    if declared not in (len(members), 0xFFFF):  # the latter: too many to be counted there
        raise DatasetError(f"it lists {len(members):,} members, but says that it has {declared:,}")
    if len({member.filename for member in members}) < len(members):
        raise DatasetError("it has two members of one name")
    for member in members:
        if problem := _member_problem(member):
            raise DatasetError(f"its member {member.orig_filename!r} {problem}")
    packed, unpacked = path.stat().st_size, sum(member.file_size for member in members)
    if unpacked > min(_MAX_BYTES, max(_RATIO_FREE_BYTES, _MAX_RATIO * packed)):
        raise DatasetError(f"its {packed:,} bytes would unpack to {unpacked:,}: no pictures do that")


def _declared_members(path: Path) -> int:
    """The number of members in the zip's end record, which zipfile does not compare."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 0x10000 - 22))
        tail = file.read()
    record = tail[tail.rfind(b"PK\5\6") :]
    return int.from_bytes(record[10:12], "little")


def _member_problem(member: zipfile.ZipInfo) -> str | None:
    """What makes the member unacceptable, if anything."""
    name, mode = member.orig_filename, member.external_attr >> 16
    if name.startswith("/") or re.match("[A-Za-z]:", name) or ".." in name.split("/") or re.search(r"[\\\0]", name):
        return "lies outside the archive's root"
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a device, not a file"
    if member.flag_bits & 1:
        return "is encrypted"
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return f"is compressed by method {member.compress_type}; only stored and deflated are read"
    return None
