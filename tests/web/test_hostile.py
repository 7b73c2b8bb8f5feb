"""The page among slow, hostile and many clients: bounded memory, an end to every wait, and nothing in the log."""

import http.client
import io
import json
import random
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

uvicorn = pytest.importorskip("uvicorn", reason="the app extra is not installed")
from websockets.exceptions import ConnectionClosed, InvalidHandshake  # noqa: E402
from websockets.sync.client import connect  # noqa: E402

from emotion.commands.app import _bound  # noqa: E402
from emotion.inference.predictor import Predictor  # noqa: E402
from emotion.web import server, serving  # noqa: E402
from tests.support.page_process import Page, page  # noqa: E402
from tests.support.sample_pictures import canvas_with, png  # noqa: E402

FACE = png(canvas_with([(40, 40, 120)]))
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[int]:
    """A server that loses its patience soon."""
    monkeypatch.setattr(serving, "HEADER_S", 0.5)
    monkeypatch.setattr(server, "UPLOAD_S", 0.5)
    monkeypatch.setattr(server, "IDLE_S", 0.5)
    monkeypatch.setattr(server, "MAX_WAITING", 2)
    monkeypatch.setattr(server, "MAX_SOCKETS", 2)
    app = server.create_app(Predictor(), max_upload_bytes=200_000, hosts=["127.0.0.1"])
    listener = _bound("127.0.0.1", 0)
    running = uvicorn.Server(serving.server_config(app, max_frame_bytes=200_000))
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not running.started:
        time.sleep(0.02)
    yield listener.getsockname()[1]
    running.should_exit = True
    thread.join(timeout=20)
    listener.close()
    assert not thread.is_alive()
    assert [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL") or record.exc_info] == []


def post(port: int, body: bytes, path: str = "/predict", **headers: str) -> tuple[int, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.request("POST", path, body, {key.replace("_", "-"): value for key, value in headers.items()})
        answer = connection.getresponse()
        answer.read()
        return answer.status, dict(answer.getheaders())
    finally:
        connection.close()


def raw(port: int, content: bytes, *, seconds: float = 10.0) -> bytes:
    """Send bytes, then read until the server closes. Raises TimeoutError when it does not."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as client:
        client.sendall(content)
        received = b""
        while part := client.recv(65536):
            received += part
        return received


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "http://127.0.0.1:{port}"}, 200),
        ({"Origin": "http://127.0.0.1:{port}", "Sec_Fetch_Site": "same-origin"}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "http://evil.example", "Content_Type": "text/plain"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Origin": "http://["}, 403),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Sec_Fetch_Site": "same-site"}, 403),
    ],
)
def test_other_pages_may_not_send_pictures(headers: dict[str, str], status: int, port: int) -> None:
    filled = {name: value.replace("{port}", str(port)) for name, value in headers.items()}
    assert post(port, FACE, **filled)[0] == status


@pytest.mark.parametrize(
    "start",
    [b"", b"GET", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n", b"GET /about HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nGET /ab"],
    ids=["nothing", "a word", "half a header", "half of the second header"],
)
def test_a_header_that_does_not_come_is_not_waited_for(start: bytes, port: int) -> None:
    raw(port, start, seconds=8)


def test_a_body_that_does_not_come_is_408(port: int) -> None:
    head = b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\nabc"
    answer = raw(port, head, seconds=8)
    assert answer.startswith(b"HTTP/1.1 408") and b"more than 0 seconds" in answer


def test_when_all_places_are_taken_the_next_is_told_when_to_come_back(port: int) -> None:
    head = b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\nabc"
    slow = [socket.create_connection(("127.0.0.1", port), timeout=5) for _ in range(2)]
    for client in slow:
        client.sendall(head)
    time.sleep(0.1)
    status, headers = post(port, FACE)
    assert (status, headers.get("retry-after")) == (503, "2")
    for client in slow:
        client.close()
    time.sleep(0.2)
    assert post(port, FACE)[0] == 200, "a client that leaves gives its place back"


@pytest.mark.parametrize(
    "content",
    [
        b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\nabc",
        b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
        b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999999\r\n\r\n" + bytes(10),
        b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1\r\n\r\n",
        b"\x00\xff\x00\xff\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /live HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n",
    ],
)
def test_a_client_that_leaves_or_babbles_is_no_error(content: bytes, port: int) -> None:
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
            client.sendall(content)
            time.sleep(0.05)
    assert post(port, FACE)[0] == 200


def closing(port: int, send: Callable[..., None]) -> tuple[int, str]:
    with connect(f"ws://127.0.0.1:{port}/live") as live:
        send(live)
        with pytest.raises(ConnectionClosed) as caught:
            while True:
                live.recv(timeout=10)
    assert caught.value.rcvd is not None, "closed without a close frame"
    return caught.value.rcvd.code, caught.value.rcvd.reason


@pytest.mark.parametrize(
    ("send", "code", "reason"),
    [
        (lambda live: None, 1001, "no frame came for 0 seconds"),
        (lambda live: live.send("text"), 1003, "a frame is a picture's bytes, not text"),
        (lambda live: live.send(b"\xff\xfe", text=True), 1003, "a frame is a picture's bytes, not text"),
        (lambda live: live.send(bytes(200_001)), 1009, ""),
    ],
    ids=["idle", "text", "text that is none", "too large"],
)
def test_a_socket_is_closed_with_the_reason(send: Callable[..., None], code: int, reason: str, port: int) -> None:
    said = closing(port, send)
    assert said[0] == code and reason in said[1]


def test_sockets_are_counted(port: int) -> None:
    with connect(f"ws://127.0.0.1:{port}/live"), connect(f"ws://127.0.0.1:{port}/live"):
        assert closing(port, lambda live: None) == (1013, "the server is busy; try again in a moment")


def opened(port: int) -> socket.socket:
    """A socket whose frames are written by hand."""
    client = socket.create_connection(("127.0.0.1", port), timeout=20)
    client.sendall(
        b"GET /live HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n" % port
    )
    assert client.recv(65536).startswith(b"HTTP/1.1 101")
    return client


UNMASKED = b"\0\0\0\0"  # the mask that changes nothing


@pytest.mark.parametrize(
    ("content", "code", "reason"),
    [
        (b"\x02\x80" + UNMASKED + (b"\x00\x80" + UNMASKED) * 1001, 1009, b"a frame of more than 1000 parts"),
        (b"\x02\x80" + UNMASKED + (b"\x00\x81" + UNMASKED + b"x") * 1001, 1009, b"a frame of more than 1000 parts"),
        (b"\x82\xff" + (2**62).to_bytes(8) + UNMASKED, 1009, b"exceeds limit"),
        (b"\x00\x80" + UNMASKED, 1002, b"unexpected continuation frame"),
        (b"\xf2\x80" + UNMASKED, 1002, b"reserved bits must be 0"),
        (b"\x82\x05hello", 1002, b"incorrect masking"),
        (b"\x89\xfe\x00\xff" + UNMASKED + bytes(255), 1002, b"control frame too long"),
    ],
    ids=["empty parts", "small parts", "too long", "no first part", "reserved bits", "no mask", "long ping"],
)
def test_a_frame_that_is_none_closes_the_socket(content: bytes, code: int, reason: bytes, port: int) -> None:
    with opened(port) as client:
        client.sendall(content)
        received = client.recv(65536)
    assert received[0] == 0x88 and received[2:4] == code.to_bytes(2) and reason in received
    assert post(port, FACE)[0] == 200


def test_who_reads_no_answers_to_pings_is_left(port: int) -> None:
    pings = (b"\x89\xfd" + UNMASKED + bytes(125)) * 1000
    with opened(port) as client, pytest.raises(ConnectionError):
        for _ in range(400):  # 52 million bytes, of which the system keeps a few
            client.sendall(pings)
    assert post(port, FACE)[0] == 200


# --- memory -----------------------------------------------------------------------------------------------------------


def encoded(shape: tuple[int, ...], form: str = "PNG", dtype: type = np.uint8) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.zeros(shape, dtype)).save(buffer, form)
    return buffer.getvalue()


@on_linux
@pytest.mark.parametrize(("path", "count"), [("/predict", 20), ("/annotated", 10)])
def test_ten_requests_take_at_most_a_gigabyte(path: str, count: int, tmp_path: Path) -> None:
    """Pictures just below the bound, bombs far above it, and uploads as large as they may be."""
    bodies = [
        (encoded((4950, 5000, 3)), 200),
        (encoded((3900, 4000, 4)), 200),
        (encoded((3900, 4000), dtype=np.uint16), 200),
        (encoded((5000, 4950, 3), "JPEG"), 200),
        (encoded((9900, 10_000, 3)), 400),
        (encoded((9900, 10_000), "GIF"), 400),
        (bytes(19_900_000), 400),
    ]
    with page(tmp_path) as running:
        wanted = [bodies[number % len(bodies)] for number in range(count)]
        with ThreadPoolExecutor(10) as pool:
            statuses = list(pool.map(lambda body: post(running.port, body[0], path)[0], wanted))
        assert statuses == [status for _, status in wanted]
        assert running.kib("VmHWM") < 1_000_000


@on_linux
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_thousand_requests_and_fifty_sockets_leave_memory_and_log_flat(tmp_path: Path) -> None:
    with page(tmp_path) as running:
        soak(running, requests=1000, seed=0)  # what is made once and kept
        before = running.kib("VmRSS")
        counts = soak(running, requests=2000, seed=1)
        assert counts["predicted"] > 800 and counts["refused"] > 200 and counts["cut"] > 100
        assert counts["frames"] == 33 * 8 and counts["closed"] >= 8
        assert running.kib("VmRSS") - before < 60_000, "KiB"
        assert running.kib("VmHWM") < 1_000_000
        assert post(running.port, FACE)[0] == 200


def soak(running: Page, *, requests: int, seed: int) -> Counter[str]:
    """Mixed requests, and 50 sockets meanwhile; a third of both hostile. Returns what came of them."""
    counts: Counter[str] = Counter()
    lock = threading.Lock()
    bomb = encoded((9900, 10_000, 3))
    cut = b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\nabc"
    rng = random.Random(seed)

    def count(what: str) -> None:
        with lock:
            counts[what] += 1

    def request(kind: float) -> None:
        if kind < 0.67:
            status = post(running.port, FACE)[0]
            assert status in (200, 503)
            count("predicted" if status == 200 else "busy")
        elif kind < 0.8:
            body = rng.choice([bomb, b"junk", b"", FACE[:500], bytes(21_000_000)])
            try:
                status = post(running.port, body)[0]
            except ConnectionError:  # refused while it was still being sent
                status = 413
            assert status in (400, 413, 503)
            count("busy" if status == 503 else "refused")
        elif kind < 0.9:
            with socket.create_connection(("127.0.0.1", running.port), timeout=5) as client:
                client.sendall(rng.choice([cut, b"\x00\xff\r\n\r\n", b"GET / HT"]))
            count("cut")
        else:
            assert post(running.port, FACE, Origin="http://evil.example")[0] == 403
            count("refused")

    def live(number: int) -> None:
        try:
            with connect(f"ws://127.0.0.1:{running.port}/live", open_timeout=60, ping_interval=None) as frames:
                for _ in range(8):
                    frames.send(FACE if number % 3 else rng.choice([b"junk", "text", bytes(3_000_000)]))
                    answer = json.loads(frames.recv(timeout=120))
                    count("frames" if "faces" in answer else "refused")
        except (ConnectionClosed, InvalidHandshake):
            count("closed")

    with ThreadPoolExecutor(12) as clients, ThreadPoolExecutor(50) as cameras:
        sockets = [cameras.submit(live, number) for number in range(50)]
        done = [clients.submit(request, rng.random()) for _ in range(requests)]
        for future in [*sockets, *done]:
            future.result()
    return counts
