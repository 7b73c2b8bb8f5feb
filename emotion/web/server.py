"""Serve the page, predict uploaded pictures and webcam frames. Nothing is stored; needs the `app` extra.

Whoever calls may be slow, hostile or many: pictures are decoded one at a time, within a bound of memory that is known
before decoding; what waits is bounded; every wait has its end (emotion/web/serving.py, for what comes before a request
is whole).
"""

import asyncio
import copy
import io
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import numpy as np
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from emotion.dataset.images import ImageError, decode_image
from emotion.foundation.errors import UserError
from emotion.inference.annotation import label_colours, save_annotated
from emotion.inference.given.prior import EVEN, TRAINING, parse_prior
from emotion.inference.predictor import Prediction, Predictor
from emotion.inference.tracking import FaceTracker
from emotion.inference.writers import as_dict

T = TypeVar("T")
MAX_DECODING_BYTES = 500_000_000  # of one picture: 25 million pixels of a photograph
MAX_WAITING = 16  # requests with a picture at once: one is predicted, the others are read or wait
MAX_SOCKETS = 64
MAX_FRAME_BYTES = 2_000_000  # of a webcam's frame; the page sends about 50,000
UPLOAD_S = 60.0  # that an upload may take
IDLE_S = 120.0  # between two frames
_TOO_BUSY = "the server is busy; try again in a moment"
_PAGE = Path(__file__).parent / "page"
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob:; media-src blob:; frame-ancestors 'none'",
    "Permissions-Policy": "camera=(self), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


def create_app(predictor: Predictor, *, max_upload_bytes: int, hosts: list[str]) -> Starlette:
    """Build the application.

    Args:
        predictor: used by all requests, one at a time, in a thread.
        max_upload_bytes: larger pictures are refused before they are read.
        hosts: names under which the page may be called up, against DNS rebinding; ["*"] for any.
    """
    answers = Answers(predictor, max_upload_bytes)
    routes = [
        Route("/about", answers.about),
        Route("/predict", answers.picture, methods=["POST"]),
        Route("/annotated", answers.picture, methods=["POST"]),
        WebSocketRoute("/live", answers.live),
        Mount("/", StaticFiles(directory=_PAGE, html=True)),
    ]
    return Starlette(
        routes=routes, middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=hosts), Middleware(SafeHeaders)]
    )


class Answers:
    """What is answered at the addresses that the page asks."""

    def __init__(self, predictor: Predictor, max_upload_bytes: int) -> None:
        self._predictor, self._max_upload_bytes = predictor, max_upload_bytes
        self._predictors, self._gate = by_prior(predictor), Gate()

    async def about(self, request: Request) -> Response:
        """Answer with what the page must know before the first picture."""
        labels = self._predictor.labels
        return JSONResponse(
            {
                "labels": labels,
                "colours": label_colours(labels),
                "max_upload_bytes": self._max_upload_bytes,
                "priors": list(self._predictors),
                "prior": self._predictor.prior.name,
            }
        )

    async def picture(self, request: Request) -> Response:
        """Answer a picture with JSON, or with its annotated copy."""
        if not _is_same_origin(request):
            return _refusal(403, "this page answers to itself alone")
        chosen = self._chosen(request)
        if chosen is None:
            return _refusal(400, f"prior must be one of {', '.join(self._predictors)}")
        if not self._gate.has_room:
            return _refusal(503, _TOO_BUSY, {"Retry-After": "2"})
        with self._gate.place():
            try:
                return await self._predicted(request, chosen)
            except ImageError as error:
                return _refusal(400, str(error))
            except TimeoutError:
                return _refusal(408, f"the upload took more than {UPLOAD_S:.0f} seconds", {"Connection": "close"})
            except ClientDisconnect:
                return Response(status_code=400)  # which nobody reads

    async def live(self, socket: WebSocket) -> None:
        """Answer a webcam's frames, as long as they come."""
        chosen = self._chosen(socket)
        if chosen is None or not _is_same_origin(socket):
            await socket.close(1008)
            return
        await socket.accept()
        with suppress(WebSocketDisconnect, RuntimeError):  # a client that leaves, also while it is answered
            if self._gate.sockets >= MAX_SOCKETS:
                await socket.close(1013, _TOO_BUSY)
                return
            with self._gate.socket():
                code, reason = await _label_frames(socket, FaceTracker(chosen.for_video()), self._gate)
            await socket.close(code, reason)

    def _chosen(self, connection: HTTPConnection) -> Predictor | None:
        """The predictor with the prior that is asked for; None where there is none."""
        return self._predictors.get(connection.query_params.get("prior", self._predictor.prior.name))

    async def _predicted(self, request: Request, chosen: Predictor) -> Response:
        """Read the upload in time, and predict it. Raises ImageError, TimeoutError, ClientDisconnect."""
        async with asyncio.timeout(UPLOAD_S):
            content = await _body(request, self._max_upload_bytes)
        if content is None:
            return _refusal(413, f"larger than {self._max_upload_bytes / 1e6:g} MB; choose a smaller picture")
        if request.url.path == "/annotated":
            return Response(*await self._gate.run(_annotated, chosen, content))
        return JSONResponse(await self._gate.run(_predict, chosen, content))


def by_prior(predictor: Predictor) -> dict[str, Predictor]:
    """The predictor with the prior it has, and with each that its models can be moved to: name -> predictor."""
    found = {predictor.prior.name: predictor}
    for name in (TRAINING, EVEN):
        other = copy.copy(predictor)
        other.prior = parse_prior(name)
        with suppress(UserError):  # a model that does not say what was frequent where it learnt
            for model in other.models:
                other.prior.apply(np.full((1, len(other.labels)), 1 / len(other.labels)), model.about)
            found.setdefault(name, other)
    return found


class Gate:
    """Lets one picture at a time be decoded and predicted, and counts who waits."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._places, self.sockets = 0, 0

    @property
    def has_room(self) -> bool:
        """Whether one more picture may be read and wait."""
        return self._places < MAX_WAITING

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place of those that wait."""
        self._places += 1
        try:
            yield
        finally:
            self._places -= 1

    @contextmanager
    def socket(self) -> Iterator[None]:
        """Count an open socket."""
        self.sockets += 1
        try:
            yield
        finally:
            self.sockets -= 1

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call a function in a thread when it is its turn."""
        async with self._turn:
            return await run_in_threadpool(function, *arguments)


async def _label_frames(socket: WebSocket, tracker: FaceTracker, gate: Gate) -> tuple[int, str]:
    """Answer frames until one does not come or is none; returns how the socket is to be closed: code and reason."""
    while True:
        try:
            async with asyncio.timeout(IDLE_S):
                message = await socket.receive()
        except TimeoutError:
            return 1001, f"no frame came for {IDLE_S:.0f} seconds"
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message["code"])
        if message.get("bytes") is None:
            return 1003, "a frame is a picture's bytes, not text"
        await socket.send_text(await gate.run(_label_frame, tracker, message["bytes"]))


def allowed_hosts(host: str) -> list[str]:
    """Names to answer to when bound to `host`: the loopback's own, or any where the page was opened to others."""
    return ["localhost", "127.0.0.1", "[::1]", "::1", host] if is_loopback(host) else ["*"]


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class SafeHeaders:
    """Adds the headers that keep the page to itself: nothing is loaded from elsewhere, nothing is cached."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, with headers."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message.get("headers", []),
                    *((name.lower().encode(), value.encode()) for name, value in _HEADERS.items()),
                ]
            await send(message)

        await self._app(scope, receive, with_headers)


async def _body(request: Request, limit_bytes: int) -> bytes | None:
    """The request's body; None as soon as it is longer than allowed."""
    declared = request.headers.get("content-length", "0")
    if not (declared.isascii() and declared.isdecimal()) or int(declared[:20]) > limit_bytes:
        return None
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > limit_bytes:
            return None
    return bytes(content)


def _predict(predictor: Predictor, content: bytes) -> dict[str, Any]:
    picture = decode_image(content, max_bytes=MAX_DECODING_BYTES)
    return as_dict(replace(predictor.predict(picture), source="bytes"))


def _annotated(predictor: Predictor, content: bytes) -> tuple[bytes, int, dict[str, str], str]:
    """What a Response takes: the picture with boxes and bars, a JPEG if it was one, else a PNG."""
    image, file = decode_image(content, max_bytes=MAX_DECODING_BYTES), io.BytesIO()
    is_jpeg = content.startswith(b"\xff\xd8")
    save_annotated(image, predictor.predict(image), file, is_jpeg=is_jpeg)
    return file.getvalue(), 200, {}, "image/jpeg" if is_jpeg else "image/png"


def _label_frame(tracker: FaceTracker, content: bytes) -> str:
    try:
        frame = decode_image(content, max_bytes=MAX_DECODING_BYTES)
    except ImageError as error:
        return json.dumps({"error": str(error)})
    tracks = tracker.update(frame, time.monotonic())
    faces = tuple(tracker.describe(track) for track in tracks)
    prediction = Prediction("frame", frame.shape[1], frame.shape[0], faces, prior=tracker.predictor.prior.name)
    return json.dumps(as_dict(prediction, [track.number for track in tracks]))


def _is_same_origin(connection: HTTPConnection) -> bool:
    """Browsers let any page send a picture or open a socket to any server, and say which page it was."""
    origin, site = connection.headers.get("origin"), connection.headers.get("sec-fetch-site")
    if site not in (None, "same-origin", "none"):
        return False
    try:
        return origin is None or urlsplit(origin).netloc == connection.headers.get("host")
    except ValueError:  # no address
        return False


def _refusal(status: int, reason: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": reason}, status_code=status, headers=headers)
