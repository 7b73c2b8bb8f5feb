"""The web page's server, over real sockets."""

import http.client
import json
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

uvicorn = pytest.importorskip("uvicorn", reason="the app extra is not installed")
from websockets.exceptions import ConnectionClosed, InvalidStatus  # noqa: E402
from websockets.sync.client import connect  # noqa: E402

from emotion.commands.app import _bound  # noqa: E402
from emotion.dataset.images import decode_image  # noqa: E402
from emotion.inference.annotation import annotated_name, write_annotated  # noqa: E402
from emotion.inference.predictor import Predictor  # noqa: E402
from emotion.palette import BLUE, BOXES, SKY, UNCERTAIN_GREY  # noqa: E402
from emotion.web.server import allowed_hosts, by_prior, create_app  # noqa: E402
from emotion.web.serving import server_config  # noqa: E402
from tests.support.sample_pictures import canvas_with, png  # noqa: E402
from tools.docs.example_picture import PATH, gallery  # noqa: E402

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
    for path in ("/", "/app.js", "/overlay.js", "/style.css"):
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


def test_the_page_is_told_labels_colours_and_priors(port):
    about = json.loads(ask(port, "GET", "/about")[2])
    assert list(about["colours"]) == about["labels"] and set(about["colours"].values()) == set(BOXES)
    assert about["priors"] == ["training", "even"] and about["prior"] == "training"


def test_the_pages_own_colours_are_the_palettes():
    style, script, icon = ((PATH.parent / name).read_text() for name in ("style.css", "app.js", "icon.svg"))
    assert re.findall(r"--accent: (#\w+)", style) == [BLUE.lower(), SKY.lower()]
    assert re.findall(r"UNCERTAIN_COLOUR = \"(#\w+)\"", script) == [UNCERTAIN_GREY]
    assert f'fill="{SKY.lower()}"' in icon


def test_the_prior_can_be_chosen_and_is_said(port):
    picture = png(canvas_with([(40, 40, 120)]))
    answers = {
        query: json.loads(ask(port, "POST", f"/predict{query}", picture)[2])
        for query in ("", "?prior=training", "?prior=even")
    }
    assert [answer["prior"] for answer in answers.values()] == ["training", "training", "even"]
    usual, same, even = ([*answer["faces"][0]["probabilities"].values()] for answer in answers.values())
    assert usual == same != even
    learnt = Predictor().models[0].about.prior
    moved = [probability / share for probability, share in zip(usual, learnt, strict=True)]
    assert even == pytest.approx([value / sum(moved) for value in moved], abs=1e-4)
    assert ask(port, "POST", "/predict?prior=odd", picture)[0] == 400
    with connect(f"ws://127.0.0.1:{port}/live?prior=even") as socket:
        socket.send(picture)
        assert json.loads(socket.recv())["prior"] == "even"
    with pytest.raises(InvalidStatus), connect(f"ws://127.0.0.1:{port}/live?prior=odd"):
        pass


def test_a_prior_of_ones_own_is_offered_with_the_others():
    offered = by_prior(Predictor(prior="happy=1,sad=1"))
    assert list(offered) == ["happy=1,sad=1", "training", "even"]
    assert [predictor.prior.name for predictor in offered.values()] == list(offered)


def test_a_model_that_does_not_say_what_was_frequent_offers_no_other_prior():
    predictor = Predictor()
    predictor.models = [SimpleNamespace(about=replace(predictor.models[0].about, prior=[]))]
    assert list(by_prior(predictor)) == ["training"]


@pytest.mark.parametrize(("form", "kind"), [("JPEG", "image/jpeg"), ("PNG", "image/png"), ("GIF", "image/png")])
def test_the_annotated_picture_is_as_the_command_writes_it(port, form, kind, tmp_path):
    picture = Image.fromarray(np.repeat(np.repeat(canvas_with([(10, 30, 120), (180, 60, 100)]), 2, axis=0), 2, axis=1))
    path = tmp_path / f"two.{form.lower()}"
    picture.save(path)
    status, headers, content = ask(port, "POST", "/annotated", path.read_bytes())
    assert (status, headers["content-type"]) == (200, kind)
    write_annotated(Predictor().predict(path), tmp_path / annotated_name(Path(f"written{path.suffix}")))
    assert content == (tmp_path / annotated_name(Path(f"written{path.suffix}"))).read_bytes()
    assert ask(port, "POST", "/annotated", b"junk")[0] == 400
    assert ask(port, "POST", "/annotated", b"junk", Origin="http://evil.example")[0] == 403


def test_the_example_has_five_faces_of_five_labels(port):
    status, headers, content = ask(port, "GET", "/example.jpg")
    assert status == 200 and headers["content-type"] == "image/jpeg" and len(content) < 100_000
    faces = json.loads(ask(port, "POST", "/predict", content)[2])["faces"]
    assert [face["face"] for face in faces] == [1, 2, 3, 4, 5] and len({face["label"] for face in faces}) == 5


def test_the_example_is_what_the_tool_draws():
    drawn, kept = gallery().astype(int), decode_image(PATH.read_bytes()).astype(int)
    assert drawn.shape == kept.shape and np.abs(drawn - kept).mean() < 2, "grey levels"


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
            answer = json.loads(socket.recv())
            assert [face["face"] for face in answer["faces"]] == list(range(1, faces + 1))
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
