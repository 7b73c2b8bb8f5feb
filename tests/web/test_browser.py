"""The web page in a real browser: a picture is uploaded, a fake webcam shows a drawn face."""

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.support.sample_pictures import canvas_with, png

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: apt-get install chromium"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # Playwright's own sockets
]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    command = [sys.executable, "-u", "-m", "emotion.cli", "app", "--port", "0", "--max-upload-mb", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        yield server.stdout.readline().split()[0]
        server.terminate()
        server.communicate(timeout=20)


@pytest.fixture(scope="module")
def webcam(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A motion-JPEG file, which Chromium shows as its camera: one face that moves a little."""
    path = tmp_path_factory.mktemp("webcam") / "face.mjpeg"
    frames = [canvas_with([(180 + 3 * (step % 20), 100, 240)], height=480, width=640) for step in range(40)]
    path.write_bytes(b"".join(cv2.imencode(".jpg", frame[:, :, ::-1])[1].tobytes() for frame in frames))
    return path


@pytest.fixture
def page(webcam: Path, tmp_path: Path):
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as runner:
        browser = runner.chromium.launch_persistent_context(
            str(tmp_path / "profile"),
            executable_path=CHROMIUM,
            headless=True,
            args=[*FLAGS, f"--use-file-for-fake-video-capture={webcam}"],
            viewport={"width": 1200, "height": 800},
        )
        yield browser.new_page()
        browser.close()


def watched(page) -> tuple[list[str], list[str]]:
    """Everything the page complains of, and every address it asks for."""
    complaints, asked = [], []
    page.on(
        "console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    return complaints, asked


def until(page, expression: str, arg: object = None, timeout_s: float = 20.0) -> None:
    """Wait until a JavaScript expression is true; Playwright's own wait needs `eval`, which the page forbids."""
    deadline = time.monotonic() + timeout_s
    while not page.evaluate(expression, arg):
        assert time.monotonic() < deadline, f"never became true: {expression}"
        page.wait_for_timeout(50)


def coloured_pixels(page) -> int:
    """Pixels of the canvas that are coloured, as boxes and labels are and the grey pictures are not."""
    return page.evaluate(
        """() => { const c = document.getElementById('canvas');
        const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; let n = 0;
        for (let i = 0; i < d.length; i += 4)
          if (Math.max(d[i], d[i+1], d[i+2]) - Math.min(d[i], d[i+1], d[i+2]) > 60) n++;
        return n; }"""
    )


def test_an_uploaded_picture_gets_boxes_and_bars(page, address, tmp_path):
    complaints, asked = watched(page)
    page.goto(address)
    picture = {"name": "two.png", "mimeType": "image/png", "buffer": png(canvas_with([(10, 30, 120), (180, 60, 100)]))}
    page.set_input_files("#file", picture)
    page.wait_for_selector("#faces li:nth-child(2)")
    assert page.inner_text("#status").startswith("2 faces")
    shares = page.eval_on_selector_all(
        "#faces li:first-child .fill", "bars => bars.map(bar => parseFloat(bar.style.width))"
    )
    assert len(shares) == 7 and sum(shares) == pytest.approx(100, abs=0.5)
    assert coloured_pixels(page) > 500
    page.screenshot(path=tmp_path / "picture.png")
    assert complaints == [] and all(url.startswith((address, "blob:")) for url in asked)


def test_a_file_that_is_no_picture_or_too_large_is_explained(page, address):
    page.goto(address)
    page.set_input_files("#file", {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"junk"})
    until(page, "document.getElementById('problem').textContent !== ''")
    assert page.inner_text("#problem") == "notes.txt: not an image"
    page.set_input_files("#file", {"name": "big.png", "mimeType": "image/png", "buffer": bytes(1_100_000)})
    until(page, "document.getElementById('problem').textContent.includes('larger')")


def test_the_webcam_is_labelled_live_and_stops(page, address, tmp_path):
    complaints, asked = watched(page)
    page.goto(address)
    page.click("#webcam")
    page.wait_for_selector("#faces li", timeout=20_000)
    until(page, "document.getElementById('speed').textContent.includes('frames/s')")
    page.wait_for_timeout(2500)
    assert page.inner_text("#status").startswith("1 face")
    assert coloured_pixels(page) > 500
    first = page.evaluate("document.getElementById('canvas').toDataURL()")
    until(page, "first => document.getElementById('canvas').toDataURL() !== first", arg=first)
    page.screenshot(path=tmp_path / "webcam.png")
    assert page.inner_text("#used").startswith("Prior: training ") and not page.is_visible("#save-picture")
    page.select_option("#prior", "even")
    until(page, "document.getElementById('used').textContent.startsWith('Prior: even')")
    page.click("#webcam")
    assert page.inner_text("#webcam") == "Start webcam"
    assert page.evaluate("document.getElementById('video').srcObject") is None
    assert complaints == [] and all(url.startswith((address, "blob:", "ws://127.0.0.1")) for url in asked)


def test_impatient_clicks_leave_no_camera_on(page, address):
    page.goto(address)
    page.evaluate(
        """() => {
            const media = navigator.mediaDevices, ask = media.getUserMedia.bind(media);
            window.streams = [];
            media.getUserMedia = async (wanted) => {
                const stream = await ask(wanted);
                streams.push(stream);
                return stream;
            };
            for (let click = 0; click < 3; click++) document.getElementById("webcam").click();
        }"""
    )
    live = "streams.flatMap((stream) => stream.getTracks()).filter((track) => track.readyState === 'live').length"
    page.wait_for_selector("#faces li", timeout=20_000)
    assert page.evaluate("streams.length") == 3
    assert page.evaluate(live) == 1
    page.click("#webcam")
    assert page.evaluate(live) == 0


def boxes_of(page) -> list[dict]:
    """Where the overlay puts each face's box and label, in CSS pixels."""
    return page.evaluate(
        """() => { const space = { width: document.getElementById('drop').clientWidth, height: 600 };
        const tags = drawOverlay(document.createElement('canvas'), null, shown.result, space, colourOf);
        return tags.map(({ around, place, text }) => ({ around, place, text })); }"""
    )


def touch(one: dict[str, float], other: dict[str, float]) -> bool:
    across = one["left"] < other["left"] + other["width"] and other["left"] < one["left"] + one["width"]
    return across and one["top"] < other["top"] + other["height"] and other["top"] < one["top"] + one["height"]


@pytest.mark.parametrize("width", [360, 1200])
def test_the_example_is_numbered_and_no_label_lies_on_a_face(page, address, width):
    complaints, asked = watched(page)
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(address)
    page.click("#example")
    page.wait_for_selector("#faces li:nth-child(5)")
    assert page.eval_on_selector_all("#faces .number", "all => all.map(one => one.textContent)") == list("12345")
    tags = boxes_of(page)
    assert [tag["text"].split()[0] for tag in tags] == list("12345")
    assert not any(touch(tag["place"], other["around"]) for tag in tags for other in tags)
    assert not any(touch(one["place"], other["place"]) for one, other in combinations(tags, 2))
    names = page.eval_on_selector_all("#faces .name", "all => all.map(one => one.textContent)")
    assert [tag["text"].split()[1] for tag in tags] == names
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert complaints == [] and all(url.startswith((address, "blob:")) for url in asked)


def test_the_result_is_read_out_and_says_its_prior(page, address):
    page.goto(address)
    status = page.locator("#status")
    assert (status.get_attribute("role"), status.get_attribute("aria-live")) == ("status", "polite")
    page.click("#example")
    page.wait_for_selector("#faces li:nth-child(5)")
    assert status.inner_text() == "5 faces: neutral, angry, happy, sad, surprise."
    assert page.get_attribute("#canvas", "aria-label") == f"Picture with {status.inner_text()[:-1]}"
    assert page.inner_text("#used").startswith("Prior: training ")
    before = page.inner_text("#faces li:first-child")
    page.select_option("#prior", "even")
    until(page, "document.getElementById('used').textContent.startsWith('Prior: even')")
    assert page.inner_text("#faces li:first-child") != before


def test_picture_and_json_can_be_saved(page, address, tmp_path):
    complaints, _ = watched(page)
    page.goto(address)
    assert not page.is_visible("#save-picture")
    page.click("#example")
    page.wait_for_selector("#faces li:nth-child(5)")
    for button, name in (("#save-json", "example.json"), ("#save-picture", "example-annotated.jpg")):
        with page.expect_download() as download:
            page.click(button)
        assert download.value.suggested_filename == name
        download.value.save_as(tmp_path / name)
    content = json.loads((tmp_path / "example.json").read_text())
    assert content["path"] == "example.jpg" and content["prior"] == "training"
    assert [face["face"] for face in content["faces"]] == [1, 2, 3, 4, 5]
    assert cv2.imread(str(tmp_path / "example-annotated.jpg")).shape[1] == 960
    assert complaints == []


def test_the_page_can_be_used_by_keyboard_and_on_a_telephone(page, address):
    """Everything is reached by Tab, and seen to be: an outline is drawn around it."""
    page.set_viewport_size({"width": 360, "height": 700})
    page.goto(address)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    until(page, "document.getElementById('prior').options.length > 1")
    outline = "(name) => getComputedStyle(document.querySelector(name)).outlineStyle"
    for name, shown in (("file", ".button"), ("webcam", "#webcam"), ("example", "#example"), ("prior", "#prior")):
        assert page.evaluate(outline, shown) == "none"
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") == name
        assert page.evaluate(outline, shown) == "solid"
    page.focus("#example")
    page.keyboard.press("Enter")
    page.wait_for_selector("#faces li:nth-child(5)")
    for name in ("prior", "save-picture", "save-json"):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") == name
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"
    assert page.is_visible("#faces li:first-child .bars")
    page.keyboard.press("Enter")
    assert not page.is_visible("#faces li:first-child .bars")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_light_and_dark(page, address, scheme):
    """WCAG's contrast of at least 4.5 for every text of the page."""
    page.emulate_media(color_scheme=scheme)
    page.goto(address)
    page.click("#example")
    page.wait_for_selector("#faces li:nth-child(5)")
    names = ["header p", "#status", "#used", "#webcam", ".button", "#prior", ".controls label:not(.button)", ".bars dt"]
    names += [".value", ".name", ".percent", ".number", "#problem"]
    colours = """name => { const ink = document.querySelector(name); let paper = ink;
        const isClear = (one) => getComputedStyle(one).backgroundColor.endsWith(', 0)');
        while (isClear(paper)) paper = paper.parentElement;
        return [getComputedStyle(ink).color, getComputedStyle(paper).backgroundColor]; }"""
    for name in names:
        one, other = (luminance(colour) for colour in page.evaluate(colours, name))
        assert (max(one, other) + 0.05) / (min(one, other) + 0.05) >= 4.5, name


def luminance(colour: str) -> float:
    """WCAG's relative luminance of `rgb(1, 2, 3)`."""
    channels = [int(number) / 255 for number in re.findall(r"\d+", colour)[:3]]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_nothing_is_left_of_a_picture(page, address):
    """The server process has no file open for writing, and its folder gains no file."""
    before = set(Path.cwd().iterdir())
    page.goto(address)
    page.set_input_files(
        "#file", {"name": "a.png", "mimeType": "image/png", "buffer": png(np.full((50, 50), 90, np.uint8))}
    )
    until(page, "document.getElementById('status').textContent === 'No face found.'")
    assert set(Path.cwd().iterdir()) == before
