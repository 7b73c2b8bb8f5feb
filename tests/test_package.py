"""What `import emotion` offers, and what it costs."""

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import emotion
from tests.support.sample_pictures import canvas_with, png

README = Path(__file__).parents[1] / "README.md"


def test_importing_the_package_imports_no_library() -> None:
    code = (
        "import emotion, sys; print(emotion.__version__, dir(emotion)); "
        "print(*sorted({'tensorflow', 'cv2', 'numpy', 'emotion.inference'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    first, imported = done.stdout.splitlines()
    assert first.startswith(metadata.version("emotion"))
    assert "'Predictor'" in first and "'predict_emotion'" in first
    assert imported == ""


def test_the_package_offers_prediction() -> None:
    from emotion.inference import predictor

    assert emotion.Predictor is predictor.Predictor
    assert emotion.predict_emotion is predictor.predict_emotion
    with pytest.raises(ImportError, match="cannot import name 'Predicter' from 'emotion'"):
        from emotion import Predicter  # noqa: F401


def test_the_readmes_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.S)
    (tmp_path / "photo.jpg").write_bytes(png(canvas_with([(10, 30, 120), (180, 60, 100)])))
    monkeypatch.chdir(tmp_path)
    exec(example, {})
    assert len(capsys.readouterr().out.splitlines()) == 2
