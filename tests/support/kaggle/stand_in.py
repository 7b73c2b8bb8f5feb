"""A stand-in for Kaggle: a real HTTP server on loopback that speaks the end points which the kaggle package calls.

The package's own configuration points it here (`StandIn.environment`): KAGGLE_API_ENVIRONMENT=LOCALHOST makes it call
http://localhost, and HTTP_PROXY sends that, and the redirect to the storage, to this server, which answers both.

    python tests/support/kaggle/stand_in.py ZIP [--version 1]     serves ZIP as every dataset until it is interrupted
"""

import argparse
import base64
import hashlib
import json
import re
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

SIGNATURE = "SIGNATURE-THAT-NOBODY-MAY-SEE"  # part of every address of the storage
TOKEN = "TOKEN-THAT-NOBODY-MAY-SEE"
USERNAME, KEY = "ada", "KEY-THAT-NOBODY-MAY-SEE"
REFRESH_TOKEN = "REFRESH-TOKEN-THAT-NOBODY-MAY-SEE"
SECRETS = (SIGNATURE, TOKEN, KEY, REFRESH_TOKEN)
BEARER = f"Bearer {TOKEN}"
BASIC = f"Basic {base64.b64encode(f'{USERNAME}:{KEY}'.encode()).decode()}"
STORAGE = "storage.example"  # another host than the API's, as in reality


class Refusal(NamedTuple):
    """An error of the API."""

    status: int
    headers: Mapping[str, str] = MappingProxyType({})
    body: bytes | None = None  # HTML, instead of the API's JSON
    code: int | None = None  # in the JSON, where it differs from the status
    hangs: bool = False  # never answers


@dataclass(frozen=True)
class Delivery:
    """How the storage serves one signed address; by default as it should."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    content: bytes | None = None  # instead of the dataset
    content_type: str = "application/zip"
    etag: str | None = None  # instead of the content's own; "" for none
    length_error: int = 0  # added to Content-Length
    ignores_range: bool = False
    ignores_if_range: bool = False
    cut_after: int | None = None  # bytes of a body, then the connection breaks
    hold_after: int | None = None  # bytes of a body, then it waits for StandIn.release
    expires_after: int | None = None  # requests, then the address has expired
    hangs_up_after: int | None = None  # requests, then none is answered any more
    drip_s: float | None = None  # an endless body without a length: one byte in each so many seconds
    location: str | None = None  # where the API redirects to, instead of the storage


class Seen(NamedTuple):
    """A request that came in."""

    method: str
    host: str
    path: str
    headers: dict[str, str]


class StandIn:
    """The server, as a context manager.

    Args:
        content: the zip that is every dataset.
        version: the current version of every dataset.
        refusals: what the API answers to its first requests, one each; None is a proper answer.
        deliveries: how the storage serves the first addresses that the API hands out, one each.
        anonymous: whether the API answers to those who do not sign in.
    """

    def __init__(
        self,
        content: bytes,
        *,
        version: int = 1,
        refusals: Iterable[Refusal | None] = (),
        deliveries: Iterable[Delivery] = (),
        anonymous: bool = True,
    ):
        self.content, self.version, self.anonymous = content, version, anonymous
        self.seen: list[Seen] = []
        self.release, self.closing = threading.Event(), threading.Event()
        self._refusals, self._deliveries = iter(refusals), iter(deliveries)
        self._addresses: list[Delivery] = []
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.stand_in = self

    def __enter__(self) -> "StandIn":
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self.release.set()
        self._server.shutdown()
        self._server.server_close()

    def heal(self) -> None:
        """From now on answer everything as it should be."""
        with self._lock:
            self._refusals, self._deliveries, self.anonymous = iter(()), iter(()), True

    def environment(self) -> dict[str, str]:
        """The environment variables that point the unmodified kaggle package here."""
        return {"KAGGLE_API_ENVIRONMENT": "LOCALHOST", "HTTP_PROXY": f"http://127.0.0.1:{self._server.server_port}"}

    def calls(self, name: str) -> list[Seen]:
        """The requests to one of the API's methods, or with the name of the storage to that."""
        return [seen for seen in self.seen if seen.path.endswith(f"/{name}") or seen.host == name]

    def next_refusal(self) -> Refusal | None:
        """What goes wrong with this request to the API."""
        with self._lock:
            return next(self._refusals, None)

    def new_address(self, request: dict[str, Any]) -> str:
        """Hand out a signed address of the dataset's storage."""
        with self._lock:
            delivery = next(self._deliveries, Delivery())
            self._addresses.append(delivery)
            number = len(self._addresses) - 1
        name = f"{request['datasetSlug']}/{request.get('datasetVersionNumber', self.version)}.zip"
        return delivery.location or f"http://{STORAGE}/{name}?address={number}&X-Goog-Signature={SIGNATURE}"

    def delivery(self, address: int) -> Delivery | None:
        """How the address is served at this request; None is no answer."""
        with self._lock:
            delivery = self._addresses[address]
            asked = sum(f"address={address}&" in seen.path for seen in self.seen)
        if delivery.expires_after is not None and asked > delivery.expires_after:
            return EXPIRED
        if delivery.hangs_up_after is not None and asked > delivery.hangs_up_after:
            return None
        return delivery


EXPIRED = Delivery(status=400, content=b"<Error><Code>ExpiredToken</Code></Error>", content_type="application/xml")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    stand_in: StandIn

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        """A call of the API: its method is the last part of the path, its arguments are the body."""
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        self._remember()
        stand_in = self.server.stand_in
        if refusal := stand_in.next_refusal():
            self._refuse(refusal)
        elif not self._may_ask():
            self._refuse(Refusal(401))
        elif self.path.endswith("/DownloadDataset"):
            self._send(302, b"", {"Location": stand_in.new_address(body)})
        else:
            answers: dict[str, dict[str, Any]] = {
                "GetDataset": {"currentVersionNumber": stand_in.version, "ref": "ada/faces"},
                "GetDatasetMetadata": {"info": {}},
                "IntrospectToken": {"active": body.get("token") == TOKEN, "username": USERNAME},
                "GenerateAccessToken": {"token": TOKEN, "expiresIn": 43200, "userName": USERNAME},
            }
            method = self.path.rpartition("/")[2]
            refused = method == "GenerateAccessToken" and body.get("refreshToken") != REFRESH_TOKEN
            if method not in answers or refused:
                self._refuse(Refusal(400 if refused else 404))
            else:
                self._send_json(200, answers[method])

    def do_GET(self) -> None:
        """A request to the storage."""
        self._remember()
        address = parse_qs(urlsplit(self.path).query).get("address")
        if not address:
            self._send(404, b"no such object")
        elif delivery := self.server.stand_in.delivery(int(address[0])):
            self._deliver(delivery)
        else:
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Stay silent."""

    def _remember(self) -> None:
        host = urlsplit(self.path).hostname or self.headers["Host"].partition(":")[0]
        self.server.stand_in.seen.append(Seen(self.command, host, self.path, dict(self.headers)))

    def _may_ask(self) -> bool:
        if self.path.endswith("/GenerateAccessToken"):
            return True  # which is how an OAuth login begins
        authorization = self.headers.get("Authorization")
        return authorization in (BEARER, BASIC) or (authorization is None and self.server.stand_in.anonymous)

    def _refuse(self, refusal: Refusal) -> None:
        if refusal.hangs:
            self.server.stand_in.closing.wait()
        if refusal.body is not None:
            self._send(refusal.status, refusal.body, {"Content-Type": "text/html"})
            return
        # An unkind server: it repeats what it was told in confidence.
        message = f"refused {self.headers.get('Authorization')}"
        self._send_json(refusal.status, {"code": refusal.code or refusal.status, "message": message}, refusal.headers)

    def _send_json(
        self, status: int, content: dict[str, Any], headers: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self._send(status, json.dumps(content).encode(), {"Content-Type": "application/json", **headers})

    def _send(self, status: int, body: bytes, headers: Mapping[str, str] = MappingProxyType({})) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _deliver(self, delivery: Delivery) -> None:
        content = self.server.stand_in.content if delivery.content is None else delivery.content
        etag = f'"{hashlib.md5(content).hexdigest()}"' if delivery.etag is None else delivery.etag
        start = self._start(etag, delivery)
        if delivery.status == 200 and start and start >= len(content):
            self._send(416, b"", {"Content-Range": f"bytes */{len(content)}"})
            return
        self.send_response(206 if start else delivery.status)
        headers = {"Content-Type": delivery.content_type, "Accept-Ranges": "bytes", "ETag": etag, **delivery.headers}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        if delivery.drip_s is None:
            headers["Content-Length"] = str(len(content) - start + delivery.length_error)
        for name, value in headers.items():
            if value:
                self.send_header(name, value)
        self.close_connection = True
        self.end_headers()
        self._send_body(content[start:], delivery)

    def _start(self, etag: str, delivery: Delivery) -> int:
        """The first byte that is asked for: 0 when the client has bytes of another object."""
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        changed = self.headers.get("If-Range", etag) != etag and not delivery.ignores_if_range
        return int(asked[1]) if asked and not changed and not delivery.ignores_range else 0

    def _send_body(self, body: bytes, delivery: Delivery) -> None:
        stand_in = self.server.stand_in
        if delivery.drip_s is not None:
            while not stand_in.closing.wait(delivery.drip_s):
                self.wfile.write(b"P")
        elif delivery.hold_after is not None:
            self.wfile.write(body[: delivery.hold_after])
            self.wfile.flush()
            stand_in.release.wait()
            self.wfile.write(body[delivery.hold_after :])
        else:
            self.wfile.write(body[: delivery.cut_after])


def main() -> None:
    """Serve one zip until interrupted."""
    parser = argparse.ArgumentParser(description="Serve a zip as if it were a Kaggle dataset.")
    parser.add_argument("zip", type=Path)
    parser.add_argument("--version", type=int, default=1)
    arguments = parser.parse_args()
    with StandIn(arguments.zip.read_bytes(), version=arguments.version) as stand_in:
        for name, value in stand_in.environment().items():
            print(f"export {name}={value}", flush=True)
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
