"""The web page's server, over real sockets."""

import http.client
import json
import threading
import time
from collections.abc import Iterator

import pytest

uvicorn = pytest.importorskip("uvicorn", reason="the app extra is not installed")
from websockets.exceptions import ConnectionClosed, InvalidStatus  # noqa: E402
from websockets.sync.client import connect  # noqa: E402

from emotion.commands.app import _bound  # noqa: E402
from emotion.inference.predictor import Predictor  # noqa: E402
from emotion.web.server import allowed_hosts, create_app  # noqa: E402
from emotion.web.serving import server_config  # noqa: E402
from tests.support.sample_pictures import canvas_with, png  # noqa: E402

LIMIT_BYTES = 200_000


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    app = create_app(Predictor(), max_upload_bytes=LIMIT_BYTES, hosts=allowed_hosts("127.0.0.1"))
    listener = _bound("127.0.0.1", 0)
    server = uvicorn.Server(server_config(app, max_frame_bytes=LIMIT_BYTES))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield listener.getsockname()[1]
    server.should_exit = True
    thread.join(timeout=10)
    listener.close()


def ask(
    port: int, method: str, path: str, body: bytes | None = None, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, dict(answer.getheaders()), content


def test_the_page_loads_nothing_from_elsewhere(port):
    for path in ("/", "/app.js", "/style.css"):
        status, headers, content = ask(port, "GET", path)
        assert status == 200 and b"http://" not in content and b"https://" not in content
        assert "default-src 'self'" in headers["content-security-policy"] and headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/server.py", "/../server.py", "/%2e%2e/server.py", "/..%2fserver.py", "/gone"])
def test_nothing_but_the_page_is_served(port, path):
    status, headers, _ = ask(port, "GET", path)
    assert status == 404 and headers["cache-control"] == "no-store"


def test_an_uploaded_picture_is_predicted(port):
    status, _, content = ask(port, "POST", "/predict", png(canvas_with([(40, 40, 120)])))
    assert status == 200
    (face,) = json.loads(content)["faces"]
    assert sum(face["probabilities"].values()) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(("body", "status", "reason"), [(b"junk", 400, "not an image"), (b"", 400, "empty file")])
def test_what_is_no_picture_is_refused_with_the_reason(port, body, status, reason):
    answer = ask(port, "POST", "/predict", body)
    assert answer[0] == status and json.loads(answer[2])["error"] == reason


def test_large_uploads_are_refused_whether_declared_or_not(port):
    assert ask(port, "POST", "/predict", bytes(LIMIT_BYTES + 1))[0] == 413
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request(
        "POST", "/predict", iter([bytes(1000)] * 300), {"Transfer-Encoding": "chunked"}, encode_chunked=True
    )
    assert connection.getresponse().status == 413
    connection.close()


def test_other_host_names_are_refused(port):
    assert ask(port, "GET", "/", Host="evil.example")[0] == 400


def test_webcam_frames_are_labelled_one_by_one(port):
    frame = png(canvas_with([(40, 40, 120)]))
    with connect(f"ws://127.0.0.1:{port}/live") as socket:
        for content, faces in [(frame, 1), (frame, 1)]:
            socket.send(content)
            assert len(json.loads(socket.recv())["faces"]) == faces
        socket.send(b"junk")
        assert json.loads(socket.recv()) == {"error": "not an image"}
        socket.send(frame)
        assert len(json.loads(socket.recv())["faces"]) == 1


def test_other_pages_may_not_use_the_webcam_socket(port):
    with pytest.raises(InvalidStatus), connect(f"ws://127.0.0.1:{port}/live", origin="http://evil.example"):
        pass
    with connect(f"ws://127.0.0.1:{port}/live", origin=f"http://127.0.0.1:{port}") as socket:
        socket.send(b"")
        assert "error" in json.loads(socket.recv())


def test_a_frame_over_the_limit_ends_the_connection(port):
    with pytest.raises(ConnectionClosed), connect(f"ws://127.0.0.1:{port}/live") as socket:
        socket.send(bytes(LIMIT_BYTES + 1))
        socket.recv()
