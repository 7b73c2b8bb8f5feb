"""Take the pictures in docs/: the example, annotated and on the web page (desktop, telephone); the report's top.

python -m tools.docs.screenshots

Needs Chromium, and report.html of the default run: `dvc repro` or `dvc checkout`.
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from emotion.foundation.errors import UserError

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs/pictures"
EXAMPLE = ROOT / "emotion/web/page/example.jpg"
SCREENS: dict[str, dict[str, Any]] = {  # in CSS pixels
    "page-desktop.png": {"viewport": {"width": 1000, "height": 760}},
    "page-phone.png": {"viewport": {"width": 360, "height": 760}, "device_scale_factor": 1.5, "color_scheme": "dark"},
}
REPORT_SCREEN: dict[str, Any] = {"viewport": {"width": 1000, "height": 735}}  # down to the contents
_OF_THE_DEFAULT_RUN = "faces that were drawn, not photographed"  # so nobody's photograph comes into the project


def photograph_page(browser: "Browser", folder: Path) -> None:
    """Start the page, click the example, and write a PNG for each screen."""
    command = [sys.executable, "-u", "-m", "emotion.cli", "app", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        address = server.stdout.readline().split()[0]
        for name, screen in SCREENS.items():
            page = browser.new_page(**screen)
            page.goto(address)
            page.click("#example")
            page.wait_for_selector("#faces li:nth-child(5)")
            page.screenshot(path=folder / name)
        server.terminate()


def annotate_example(picture: Path) -> None:
    """Write the web page's example as `emotion predict --annotate` writes it."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "emotion.cli", "predict", str(EXAMPLE), "--annotate", folder]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        shutil.copyfile(Path(folder) / EXAMPLE.name, picture)


def photograph_report(browser: "Browser", report: Path, picture: Path) -> None:
    """Write the top of a report as PNG, whose `Description` is the text in it, so that a test can read the numbers.

    Raises UserError unless the report is there and of drawn faces.
    """
    if not report.exists():
        raise UserError(
            f"{report.name} is not there; `dvc repro` makes it, `dvc checkout` brings back the committed one"
        )
    page = browser.new_page(**REPORT_SCREEN)
    page.goto(report.resolve().as_uri())
    if not page.get_by_text(_OF_THE_DEFAULT_RUN).count():
        raise UserError(
            f"{report.name} is not of the default run; `git checkout dvc.lock && dvc checkout {report.name}`"
        )
    described = PngInfo()
    described.add_itxt("Description", page.inner_text("header"))
    Image.open(BytesIO(page.screenshot())).convert("RGB").save(picture, optimize=True, pnginfo=described)


@contextmanager
def chromium() -> Iterator["Browser"]:
    """The system's Chromium, without a window."""
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_playwright() as runner:
        browser = runner.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


def main() -> None:
    """Exit 2 with one line where the report is not the default run's."""
    FOLDER.mkdir(exist_ok=True)
    annotate_example(FOLDER / "annotated.jpg")
    with chromium() as browser:
        try:
            photograph_report(browser, ROOT / "report.html", FOLDER / "report.png")
        except UserError as error:
            print(error, file=sys.stderr)
            sys.exit(2)
        photograph_page(browser, FOLDER)


if __name__ == "__main__":
    main()
