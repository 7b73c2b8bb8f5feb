"""Serve the page, predict uploaded pictures and webcam frames. Nothing is stored; needs the `app` extra."""

import json
import time
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from emotion.dataset.images import ImageError
from emotion.inference.detector import BlazeFace
from emotion.inference.predictor import Prediction, Predictor, read_picture
from emotion.inference.tracking import FaceTracker
from emotion.inference.writers import as_dict

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
        predictor: used by all requests, one at a time in a thread of its own.
        max_upload_bytes: larger pictures are refused before they are read.
        hosts: names under which the page may be called up, against DNS rebinding; ["*"] for any.
    """

    async def picture(request: Request) -> Response:
        content = await _body(request, max_upload_bytes)
        if content is None:
            return _refusal(413, f"larger than {max_upload_bytes / 1e6:g} MB; choose a smaller picture")
        try:
            return JSONResponse(await run_in_threadpool(_predict, predictor, content))
        except ImageError as error:
            return _refusal(400, str(error))

    async def live(socket: WebSocket) -> None:
        if not _is_same_origin(socket):
            await socket.close(1008)
            return
        await socket.accept()
        tracker = FaceTracker(_for_video(predictor))
        try:
            while True:
                frame = await socket.receive_bytes()
                await socket.send_text(await run_in_threadpool(_label_frame, tracker, frame))
        except (WebSocketDisconnect, KeyError):  # KeyError: a text where a frame was expected
            return

    async def about(request: Request) -> Response:
        return JSONResponse({"labels": predictor.labels, "max_upload_bytes": max_upload_bytes})

    routes = [
        Route("/about", about),
        Route("/predict", picture, methods=["POST"]),
        WebSocketRoute("/live", live),
        Mount("/", StaticFiles(directory=_PAGE, html=True)),
    ]
    return Starlette(
        routes=routes, middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=hosts), Middleware(SafeHeaders)]
    )


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
    if not declared.isdecimal() or int(declared) > limit_bytes:
        return None
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > limit_bytes:
            return None
    return bytes(content)


def _predict(predictor: Predictor, content: bytes) -> dict[str, Any]:
    return as_dict(predictor.predict(content))


def _label_frame(tracker: FaceTracker, content: bytes) -> str:
    try:
        frame = read_picture(content)
    except ImageError as error:
        return json.dumps({"error": str(error)})
    faces = tuple(tracker.describe(track) for track in tracker.update(frame, time.monotonic()))
    return json.dumps(as_dict(Prediction("frame", frame.shape[1], frame.shape[0], faces)))


def _for_video(predictor: Predictor) -> Predictor:
    """The same models with a detector that looks for large faces only, which is what a webcam shows."""
    if predictor.detector is None:
        return predictor
    return predictor.with_detector(BlazeFace(halvings=1))


def _is_same_origin(socket: WebSocket) -> bool:
    """Browsers let any page open a socket to any server, and say which page it was."""
    origin = socket.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == socket.headers.get("host")


def _refusal(status: int, reason: str) -> JSONResponse:
    return JSONResponse({"error": reason}, status_code=status)
