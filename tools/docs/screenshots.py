"""Take the pictures of the web page in docs/: its example, on a desktop and on a telephone. Needs Chromium.

python -m tools.docs.screenshots
"""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "docs/pictures"
SCREENS: dict[str, dict[str, Any]] = {  # in CSS pixels
    "page-desktop.png": {"viewport": {"width": 1000, "height": 760}},
    "page-phone.png": {"viewport": {"width": 360, "height": 760}, "device_scale_factor": 1.5, "color_scheme": "dark"},
}


def take_screenshots(folder: Path) -> None:
    """Start the page, click the example, and write a PNG for each screen."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    command = [sys.executable, "-u", "-m", "emotion.cli", "app", "--port", "0"]
    folder.mkdir(exist_ok=True)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server, sync_playwright() as runner:
        assert server.stdout is not None
        address = server.stdout.readline().split()[0]
        browser = runner.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for name, screen in SCREENS.items():
            page = browser.new_page(**screen)
            page.goto(address)
            page.click("#example")
            page.wait_for_selector("#faces li:nth-child(5)")
            page.screenshot(path=folder / name)
        browser.close()
        server.terminate()


if __name__ == "__main__":
    take_screenshots(FOLDER)
