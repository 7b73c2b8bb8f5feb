"""How the page is served: uvicorn with an end to every wait, and no traceback for what a client does."""

import asyncio
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

HEADER_S = 10.0  # that a request's header may take, from the connection or from its first byte
MAX_CONNECTIONS = 200
MAX_PARTS = 1000  # in which a socket's frame may come; empty ones take memory, too
MAX_UNREAD_BYTES = 1_000_000  # of answers to pings


class PatientProtocol(H11Protocol):
    """HTTP whose header must come in time, on each of a connection's requests."""

    _overdue: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait, or turn away the connection where there are enough."""
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            self.send_400_response("Too many connections; try again in a moment.")
        else:
            self._wait()

    def data_received(self, data: bytes) -> None:
        """Stop to wait when the header is whole."""
        super().data_received(data)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop to wait."""
        self._stop()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """The socket has a patience of its own."""
        self._stop()
        super().handle_websocket_upgrade(event)

    def send_400_response(self, msg: str) -> None:
        """Say what is wrong, unless an answer is under way already: then just end."""
        self._stop()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:
            self.transport.close()

    def _wait(self) -> None:
        is_answered = self.cycle is None or self.cycle.response_complete
        has_header = self.conn.their_state is not h11.IDLE
        if has_header or self.transport.is_closing() or not is_answered:
            self._stop()
        elif self._overdue is None:
            self._overdue = self.loop.call_later(HEADER_S, self.transport.close)

    def _stop(self) -> None:
        if self._overdue is not None:
            self._overdue.cancel()
            self._overdue = None


class FramesOnly(WebSocketsSansIOProtocol):
    """A socket on which text, valid or not, is an empty text to the application, which then closes it."""

    def handle_cont(self, event: Frame) -> None:
        """Take a further part of a frame, unless there are too many."""
        if len(self.frames) < MAX_PARTS:
            super().handle_cont(event)
        elif not self.close_sent:
            self.conn.send_close(1009, f"a frame of more than {MAX_PARTS} parts")
            self.handle_parser_exception()

    def handle_ping(self) -> None:
        """Answer, unless the client reads no answers: they would pile up here."""
        if self.transport.get_write_buffer_size() < MAX_UNREAD_BYTES:
            super().handle_ping()
        else:
            self.transport.abort()

    def send_receive_event_to_app(self) -> None:
        """Pass a message on."""
        if self.curr_msg_data_type == "text":
            self.frames = [b""]
        super().send_receive_event_to_app()


def server_config(app: Any, *, max_frame_bytes: int) -> uvicorn.Config:
    """The settings of the page's server: no compressed frames, which could unpack to a flood."""
    return uvicorn.Config(
        app,
        log_level="error",
        access_log=False,
        http=PatientProtocol,
        ws=FramesOnly,
        ws_max_size=max_frame_bytes,
        ws_per_message_deflate=False,
        ws_ping_interval=None,  # a frame that waits for its turn would keep the answer to a ping unread
        lifespan="off",
        timeout_graceful_shutdown=5,
    )
