"""Download one small file of known content, once: a cut connection is continued, other content never used."""

import hashlib
import os
import sys
from http import HTTPStatus
from pathlib import Path

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from emotion.foundation.errors import UserError
from emotion.foundation.files import replace_safely

_TIMEOUT_S = 30
_ATTEMPTS = 5
_MAX_BYTES = 64 << 20
_CHUNK_BYTES = 1 << 16


def fetch(address: str, target: Path, *, sha256: str, put_at: Path) -> Path:
    """Return `target`, downloaded from `address` unless it is there with this SHA-256.

    Args:
        put_at: where a person can put the file by hand, for the error message.

    Raises UserError; what has arrived is kept in `<target>.part`, and the next call goes on from there.
    """
    if target.is_file() and sha256_of(target) == sha256:
        return target
    part = target.with_name(target.name + ".part")
    part.parent.mkdir(parents=True, exist_ok=True)
    print(f"downloading {address}", file=sys.stderr)
    reason = ""
    for _ in range(_ATTEMPTS):
        try:
            _continue(address, part)
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            reason = type(error).__name__  # its text quotes addresses and proxies
            continue
        if sha256_of(part) == sha256:
            with part.open("rb+") as file:
                os.fsync(file.fileno())  # so that a power cut leaves no other content under the name
            replace_safely(part, target)
            return target
        part.unlink()  # another file, or the rest of another: begin anew
        reason = "what came is not the file that is expected"
    raise UserError(
        f"cannot download {address} ({reason}, {_ATTEMPTS} attempts); get it with another machine and put it at "
        f"{put_at}, or run the stage again when the network is back"
    )


def _continue(address: str, part: Path) -> None:
    """Append what is missing of the file. Raises what requests and urllib3 raise."""
    start = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    with _session() as session, session.get(address, headers=headers, stream=True, timeout=_TIMEOUT_S) as response:
        if response.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # it is all there, or it is another file: the digest tells
        response.raise_for_status()
        goes_on = response.status_code == HTTPStatus.PARTIAL_CONTENT
        with part.open("ab" if goes_on else "wb") as file:
            # Not `iter_content`: where the connection breaks it gives nothing of the last chunk.
            while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=False):
                file.write(chunk)
                if file.tell() > _MAX_BYTES:
                    raise UserError(f"{address} sends more than {_MAX_BYTES:,} bytes: that is not the file")


def _session() -> requests.Session:
    session = requests.Session()
    session.mount("http", HTTPAdapter(max_retries=Retry(2, backoff_factor=0.5, status_forcelist=(429, 502, 503, 504))))
    return session


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
