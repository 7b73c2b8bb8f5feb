"""A project whose downloads come from the stand-in for Kaggle, and the zip that it serves."""

from stages._entry.start import Start

import hashlib
import io
import json
import os
import stat
import subprocess
import sys
import time
import warnings
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import cv2
import numpy as np
import pytest

from stages._entry.stage import run_stage
from stages.download import READS, download
from tests.support.kaggle.stand_in import (
    SECRETS,
    STORAGE,
    StandIn,
)

REPOSITORY = Path(__file__).parents[3]
DATASET = "ada/faces"
REFERENCE = f"{DATASET}/1"
UPLOADED = (2023, 5, 13, 15, 38, 0)
CHARACTER_DEVICE = (stat.S_IFCHR | 0o644) << 16
LINK = (stat.S_IFLNK | 0o777) << 16


def faces_zip(*, seed: int = 0, size_px: int = 32) -> bytes:
    """A zip in the layout of msambare/fer2013: drawn noise, 7 labels, three images each, and folder members."""
    rng = np.random.default_rng(seed)
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for split, prefix, count in (("train", "Training", 2), ("test", "PublicTest", 1)):
            for label in ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"):
                archive.writestr(zipfile.ZipInfo(f"{split}/{label}/", UPLOADED), b"")
                for number in range(count):
                    face = rng.integers(0, 255, (size_px, size_px), dtype=np.uint8)
                    info = zipfile.ZipInfo(f"{split}/{label}/{prefix}_{number}.png", UPLOADED)
                    archive.writestr(info, cv2.imencode(".png", face)[1].tobytes(), zipfile.ZIP_DEFLATED)
    return target.getvalue()


def with_member(name: str, content: bytes = b"x", *, attributes: int = 0o644 << 16, **fields: Any) -> bytes:
    """The zip of faces with one member more, written as it is told."""
    target = io.BytesIO(FACES)
    info = zipfile.ZipInfo("placeholder")
    info.filename, info.external_attr, info.compress_type = name, attributes, zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(target, "a") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a double
        archive.writestr(info, content)
        for key, value in fields.items():
            setattr(archive.infolist()[-1], key, value)
    return target.getvalue()


def flipped(content: bytes, position: int, mask: int = 0xFF) -> bytes:
    """The content with some bits of one byte flipped."""
    return content[:position] + bytes([content[position] ^ mask]) + content[position + 1 :]


FACES, OTHER_FACES = faces_zip(), faces_zip(seed=1)
HALF = len(FACES) // 2
IMPATIENT = {"EMOTION_KAGGLE_TIMEOUT_SECONDS": "3", "EMOTION_KAGGLE_RETRIES": "0"}
ETAG = f'"{hashlib.md5(FACES).hexdigest()}"'  # as the stand-in makes it


@dataclass
class Project:
    """A folder with a params.yaml, in which the download stage runs as `dvc repro` runs it."""

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    source: str = "kaggle"

    def __post_init__(self) -> None:
        self.home.mkdir()
        self.configure()
        (self.folder / "data/raw").mkdir(parents=True)
        self.archive.write_bytes(b"the archive of an earlier run")

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def archive(self) -> Path:
        return self.folder / "data/raw/faces.zip"

    @property
    def cache(self) -> Path:
        return self.folder / ".cache/kaggle"

    @property
    def finished(self) -> Path:
        return self.cache / DATASET / "1.zip"

    @property
    def partial(self) -> Path:
        return self.cache / DATASET / "1.zip.part"

    def configure(self, dataset: str = REFERENCE, sha256: str | None = None) -> None:
        """Write params.yaml."""
        kaggle = {"dataset": dataset, "sha256": sha256}
        block = {"source": self.source, "votes": "none", "labels": {}, "local": {}, "kaggle": kaggle}
        (self.folder / "params.yaml").write_text(json.dumps({"data": block}))

    def environment(self, stand_in: StandIn | None, **more: str) -> dict[str, str]:
        """Nothing of the person who runs the tests: neither credentials nor a proxy."""
        patience = {
            "EMOTION_KAGGLE_TIMEOUT_SECONDS": "60",
            "EMOTION_KAGGLE_RETRIES": "2",
            "EMOTION_KAGGLE_BACKOFF_SECONDS": "0.01",
        }
        server = stand_in.environment() if stand_in else {}
        system = {"PATH": os.environ["PATH"], "HOME": str(self.home), "PYTHONPATH": str(REPOSITORY)}
        return system | patience | server | self.settings | more

    def start(self, stand_in: StandIn | None, **more: Any) -> "subprocess.Popen[str]":
        """Start the stage."""
        options = {key: more.pop(key) for key in ("preexec_fn",) if key in more}
        return subprocess.Popen(
            [sys.executable, "-m", "stages.download", *self.arguments],
            cwd=self.folder,
            env=self.environment(stand_in, **more),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **options,
        )

    @property
    def arguments(self) -> list[str]:
        """The stage's command line, as dvc.yaml has it."""
        folders = ["--input-dir", f"data/{self.source}", "--cache-dir", f".cache/{self.source}"]
        files = ["--archive", "data/raw/faces.zip", "--facts", "data/raw/facts.csv", "--report", "metrics/data.json"]
        return [*folders, *files]

    def run_on(self, local_zip: bytes) -> bytes:
        """Run the stage on the zip with the source `local`; returns the archive."""
        (self.folder / "data/local").mkdir()
        (self.folder / "data/local/faces.zip").write_bytes(local_zip)
        self.source = "local"
        self.configure()
        self.archive.unlink()
        self.run_here(None)
        return self.archive.read_bytes()

    def run(self, stand_in: StandIn | None, **more: Any) -> tuple[int, str]:
        """Run the stage to its end; returns its exit code and what it printed."""
        with self.start(stand_in, **more) as process:
            try:
                output, _ = process.communicate(timeout=60)
            finally:
                process.kill()  # it has ended, unless it hangs
        self.check_secrets(output, stand_in)
        assert "Traceback" not in output, output
        return process.returncode, output

    def run_here(self, stand_in: StandIn | None) -> None:
        """Run the stage in this process, which is quicker, and expect it to succeed."""
        environment = self.environment(stand_in)
        with pytest.MonkeyPatch.context() as patch, mock.patch.dict(os.environ, environment, clear=True):
            patch.chdir(self.folder)
            patch.setattr(sys, "argv", ["stages.download", *self.arguments])
            run_stage(download, READS, Start.now())

    def check_secrets(self, output: str, stand_in: StandIn | None) -> None:
        """No token, key or signed address is in what was printed or written; none was sent to the storage."""
        written = [path for path in self.folder.rglob("*") if path.is_file() and self.home not in path.parents]
        for secret in SECRETS:
            assert secret not in output
            assert not [path for path in written if secret.encode() in path.read_bytes()]
        assert not stand_in or not [seen for seen in stand_in.calls(STORAGE) if "Authorization" in seen.headers]

    def left(self) -> set[str]:
        """The kinds of files of the dataset that the cache holds."""
        folder = self.finished.parent
        return {path.name.removeprefix("1.") for path in folder.iterdir()} if folder.exists() else set()

    def data(self) -> dict[str, bytes]:
        """Every file below data/ and metrics/, and its bytes."""
        files = [*self.folder.glob("data/**/*"), *self.folder.glob("metrics/**/*")]
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in files if path.is_file()}

    def wait_for(self, size_bytes: int) -> None:
        """Wait until that many bytes of the download have arrived."""
        deadline = time.monotonic() + 60
        while not self.partial.exists() or self.partial.stat().st_size < size_bytes:
            assert time.monotonic() < deadline, "the download did not start"
            time.sleep(0.01)


def origin(project: Project) -> Any:
    return json.loads((project.folder / "metrics/data.json").read_text())["origin"]
