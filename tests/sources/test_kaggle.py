"""The Kaggle source against a stand-in for the site: real processes, a real server, the unmodified kaggle package."""

from stages._entry.start import Start

import contextlib
import hashlib
import io
import json
import os
import pty
import re
import resource
import shutil
import signal
import socket
import stat
import subprocess
import sys
import termios
import time
import warnings
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from itertools import repeat
from pathlib import Path
from typing import Any
from unittest import mock

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotion.dataset.archive import DatasetError, content_digest, write_archive
from emotion.dataset.layouts import read_zip
from emotion.errors import UserError
from emotion.sources.kaggle.source import Source, check_archive
from stages._entry.stage import run_stage, validate
from stages.download import READS, download
from tests.support.kaggle_stand_in import (
    BASIC,
    BEARER,
    KEY,
    REFRESH_TOKEN,
    SECRETS,
    STORAGE,
    TOKEN,
    USERNAME,
    Delivery,
    Refusal,
    StandIn,
)

REPOSITORY = Path(__file__).parents[2]
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
ETAG = f'"{hashlib.md5(FACES).hexdigest()}"'  # as the stand-in makes it


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What data/raw/faces.zip has to be: the same zip, read from disk."""
    folder = tmp_path_factory.mktemp("expected")
    (folder / "download.zip").write_bytes(FACES)
    write_archive(read_zip(folder / "download.zip"), folder / "faces.zip")
    return (folder / "faces.zip").read_bytes()


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
        block = {"source": self.source, "labels": {}, "local": {}, "kaggle": kaggle}
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
        return [*folders, "--archive", "data/raw/faces.zip", "--report", "metrics/data.json"]

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


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def origin(project: Project) -> Any:
    return json.loads((project.folder / "metrics/data.json").read_text())["origin"]


# --- The table of faults ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fault:
    """What goes wrong, how the stage must end, and what it must leave in the cache."""

    name: str
    says: str  # a regular expression of the output
    code: int = 1
    left: str = ""  # names in the cache: "zip", "zip.part", "zip.part.json"
    refusals: Callable[[], Any] = tuple
    deliveries: Callable[[], Any] = tuple
    anonymous: bool = True
    settings: dict[str, str] = field(default_factory=dict)
    got: int | None = None  # bytes that must be in the partial file


KEPT = "zip.part zip.part.json"
DONE = "zip"
# Long enough for the healthy answers before the fault, on a machine that is busy.
IMPATIENT = {"EMOTION_KAGGLE_TIMEOUT_SECONDS": "3", "EMOTION_KAGGLE_RETRIES": "0"}
DELETED = "(?s:.*)It was deleted, nothing else was changed: run the stage again"


def always(delivery: Delivery) -> Callable[[], Iterator[Delivery]]:
    return lambda: repeat(delivery)


def once(*deliveries: Delivery) -> Callable[[], tuple[Delivery, ...]]:
    return lambda: deliveries


def refused(*refusals: Refusal) -> Callable[[], tuple[Refusal, ...]]:
    return lambda: refusals


def bad_zip(name: str, content: bytes, says: str) -> Fault:
    return Fault(name, says + DELETED, deliveries=once(Delivery(content=content, etag=ETAG)))


FAULTS = [
    Fault("cut once", "broke off.*trying again", 0, DONE, deliveries=once(Delivery(cut_after=HALF))),
    Fault("cut always", r"gave up after 3.*is kept", 1, KEPT, deliveries=always(Delivery(cut_after=500)), got=1500),
    Fault(
        "cut, then the address has expired",
        "broke off.*trying again",
        0,
        DONE,
        deliveries=once(Delivery(cut_after=HALF, expires_after=2)),
    ),
    Fault(
        "cut, then every address has expired",
        "the storage answered HTTP 400; gave up after 3",
        1,
        KEPT,
        deliveries=lambda: iter([Delivery(cut_after=HALF), *[Delivery(expires_after=0)] * 9]),
        got=HALF,
    ),
    Fault(
        "addresses that expire between the package's request and ours",
        "the storage answered HTTP 400; gave up after 3",
        deliveries=always(Delivery(expires_after=1)),
    ),
    Fault(
        "a storage that hangs up",
        "cannot reach the storage storage.example: .*the connection broke; gave up after 3",
        deliveries=always(Delivery(hangs_up_after=1)),
    ),
    Fault(
        "one flipped byte",
        "no intact zip" + DELETED,
        deliveries=once(Delivery(content=flipped(FACES, HALF), etag=ETAG)),
    ),
    Fault("a length too large", "gave up after 3", 1, KEPT, deliveries=always(Delivery(length_error=7))),
    Fault("a length too small", "no intact zip" + DELETED, deliveries=once(Delivery(length_error=-7))),
    Fault("no length, no etag", "", 0, DONE, deliveries=once(Delivery(headers={"Content-Length": ""}, etag=""))),
    Fault("cut without an etag", "broke off", 0, DONE, deliveries=once(Delivery(cut_after=HALF, etag=""))),
    Fault(
        "cut, then ranges are ignored",
        "broke off",
        0,
        DONE,
        deliveries=once(Delivery(cut_after=HALF), Delivery(ignores_range=True)),
    ),
    Fault(
        "cut, then another object, whole",
        "broke off",
        0,
        DONE,
        deliveries=once(Delivery(cut_after=HALF, content=OTHER_FACES)),
    ),
    Fault(
        "cut, then a part that is too short",
        "bytes came where [0-9,]+ were announced",
        0,
        DONE,
        deliveries=once(Delivery(cut_after=HALF), Delivery(length_error=-7)),
    ),
    Fault(
        "cut, then another object without an etag, cut",
        "gave up after 3",
        1,
        "zip.part",
        deliveries=once(Delivery(cut_after=HALF), *[Delivery(content=OTHER_FACES, etag="", cut_after=500)] * 2),
    ),
    Fault(
        "cut, then a part of another object",
        "another part than the one",
        0,
        DONE,
        deliveries=once(Delivery(cut_after=HALF, content=OTHER_FACES), Delivery(ignores_if_range=True)),
    ),
    Fault(
        "401",
        r"without signing in \(HTTP 401\).*no credentials(?s:.*)settings/api(?s:.*)data.source to synthetic",
        anonymous=False,
    ),
    Fault("403", r"HTTP 403.*terms are not accepted.*kaggle.com/datasets/ada/faces", refusals=refused(Refusal(403))),
    Fault("404", r"no dataset ada/faces, version 1 \(HTTP 404\)", refusals=refused(Refusal(404))),
    Fault("418", "HTTP 418.*not expected", refusals=refused(Refusal(418))),
    Fault(
        "429 with Retry-After",
        r"HTTP 429; trying again in 1\.0 s",
        0,
        DONE,
        refusals=refused(Refusal(429, {"Retry-After": "1"})),
    ),
    Fault(
        "429 that asks for an hour",
        "asks to come back in 3600 s",
        refusals=refused(Refusal(429, {"Retry-After": "3600"})),
    ),
    Fault(
        "429 that asks for a date",
        "asks to come back in 3[56][0-9]{2} s",
        refusals=lambda: [Refusal(429, {"Retry-After": formatdate(time.time() + 3600, usegmt=True)})],
    ),
    Fault(
        "429 that asks in riddles",
        r"HTTP 429; trying again in 0\.0 s",
        0,
        DONE,
        refusals=refused(Refusal(429, {"Retry-After": "later"})),
    ),
    Fault(
        "cut always, with a weak etag",
        "gave up after 3",
        1,
        "zip.part",
        deliveries=always(Delivery(cut_after=500, etag='W/"weak"')),
    ),
    Fault("500 twice", "(?s)HTTP 500; trying.*HTTP 500; trying", 0, DONE, refusals=refused(Refusal(500), Refusal(500))),
    Fault("500 always", "HTTP 500; gave up after 3", refusals=lambda: repeat(Refusal(500))),
    Fault("503 of the storage", "storage answered HTTP 503; trying", 0, DONE, deliveries=once(Delivery(status=503))),
    Fault(
        "an API that never answers",
        "cannot reach Kaggle: no answer in time; gave up after 1",
        refusals=refused(Refusal(0, hangs=True)),
        settings={"EMOTION_KAGGLE_TIMEOUT_SECONDS": "0.3", "EMOTION_KAGGLE_RETRIES": "0"},
    ),
    Fault(
        "an endless slow body",
        "too slow: [0-9]+ bytes in [0-9]+ s; gave up after 1",
        1,
        "zip.part",
        deliveries=always(Delivery(drip_s=0.02)),
        settings=IMPATIENT,
    ),
    Fault(
        "a body that stops",
        "broke off: no answer in time; gave up after 1",
        1,
        KEPT,
        deliveries=always(Delivery(hold_after=HALF)),
        settings=IMPATIENT,
        got=HALF,
    ),
    Fault(
        "HTML instead of a zip",
        "sent text/html instead of a zip; a login page",
        deliveries=once(Delivery(content=b"<!DOCTYPE html>", content_type="text/html; charset=utf-8")),
    ),
    Fault(
        "HTML that claims to be a zip",
        r"no intact zip .*<!DOCTYPE",
        deliveries=once(Delivery(content=b"<!DOCTYPE html><html>login</html>")),
    ),
    Fault(
        "HTML instead of an address",
        "answered with text/html instead of an address",
        refusals=refused(Refusal(200, body=b"<!DOCTYPE html>")),
    ),
    Fault("an error with status 200", "HTTP 403.*terms are not accepted", refusals=refused(Refusal(200, code=403))),
    bad_zip(
        "a member outside the root", with_member("train/happy/../../../evil.png"), "lies outside the archive's root"
    ),
    bad_zip("a link", with_member("train/happy/a.png", b"/etc/passwd", attributes=LINK), "is a link or a device"),
    bad_zip("a zip bomb", with_member("train/happy/a.png", file_size=300 << 20), "would unpack to 314,"),
    bad_zip("a truncated zip", FACES[:-HALF], "no intact zip"),
    bad_zip("an empty file", b"", "no intact zip"),
    bad_zip("a zip of something else", b"PK\5\6" + bytes(18), "no image; found nothing"),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_fault_loses_nothing_and_a_healthy_run_follows(fault: Fault, project: Project, expected: bytes) -> None:
    project.settings = fault.settings
    before = project.data()
    with StandIn(
        FACES, refusals=fault.refusals(), deliveries=fault.deliveries(), anonymous=fault.anonymous
    ) as stand_in:
        code, output = project.run(stand_in)
        assert (code, bool(re.search(fault.says, output))) == (fault.code, True), output
        assert project.left() == set(fault.left.split())
        if fault.got is not None:
            assert project.partial.read_bytes() == FACES[: fault.got]
        if fault.code:
            assert project.data() == before

        stand_in.heal()
        project.settings = {}
        project.run_here(stand_in)
    assert project.archive.read_bytes() == expected
    assert project.left() == {"zip"}
    assert origin(project) == {"dataset": DATASET, "version": 1}


def test_disk_that_fills_up_keeps_what_has_arrived(project: Project, expected: bytes) -> None:
    before = project.data()
    with StandIn(FACES) as stand_in:
        code, output = project.run(stand_in, preexec_fn=lambda: limit_file_size(HALF))
        assert (code, "make room on the disk" in output) == (1, True), output
        assert project.partial.read_bytes() == FACES[:HALF]
        assert project.data() == before
        project.run_here(stand_in)
        assert stand_in.calls(STORAGE)[-1].headers["Range"] == f"bytes={HALF}-"
    assert project.archive.read_bytes() == expected


def test_disk_that_fills_up_under_the_archive_leaves_the_old_one(project: Project, expected: bytes) -> None:
    with StandIn(FACES) as stand_in:
        project.run_here(stand_in)
        project.archive.write_bytes(b"the archive of an earlier run")
        before = project.data()
        code, output = project.run(stand_in, preexec_fn=lambda: limit_file_size(HALF))
        assert (code, "cannot write data/raw/faces.zip: File too large" in output) == (1, True), output
        assert project.data() == before
        project.run_here(stand_in)
    assert project.archive.read_bytes() == expected


def limit_file_size(size_bytes: int) -> None:
    """What a full disk is to a process: no file can grow beyond this."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, size_bytes))


@pytest.mark.skipif(
    subprocess.run(["unshare", "-Urm", "true"], capture_output=True).returncode != 0
    if shutil.which("unshare")
    else True,
    reason="needs the right to mount a file system of its own",
)
def test_file_system_without_room_is_named(project: Project) -> None:
    project.cache.mkdir(parents=True)
    with StandIn(FACES) as stand_in:
        mount = f"mount -t tmpfs -o size=16k none {project.cache}"
        stage = " ".join([sys.executable, "-m", "stages.download", *project.arguments])
        command = ["unshare", "-Urm", "sh", "-c", f"{mount} && exec {stage}"]
        done = subprocess.run(
            command, cwd=project.folder, env=project.environment(stand_in), capture_output=True, text=True
        )
    assert done.returncode == 1
    assert "cannot keep the download in .cache/kaggle: No space left on device; make room" in done.stderr


def test_killed_half_way_goes_on_from_there(project: Project, expected: bytes) -> None:
    before = project.data()
    with StandIn(FACES, deliveries=[Delivery(hold_after=HALF)]) as stand_in:
        with project.start(stand_in) as process:
            project.wait_for(HALF)
            process.send_signal(signal.SIGKILL)
            process.communicate()
        assert project.data() == before
        project.run_here(stand_in)
        asked = stand_in.calls(STORAGE)[-1].headers
        assert (asked["Range"], asked["If-Range"]) == (f"bytes={HALF}-", ETAG)
    assert project.archive.read_bytes() == expected


def test_second_run_stops_and_names_the_first(project: Project, expected: bytes) -> None:
    with StandIn(FACES, deliveries=[Delivery(hold_after=HALF)]) as stand_in:
        with project.start(stand_in) as first:
            project.wait_for(HALF)
            code, output = project.run(stand_in)
            assert (code, f"another run (process {first.pid}) is using .cache/kaggle" in output) == (1, True), output
            stand_in.release.set()
            assert first.communicate()[0].count("another run") == 0
        assert first.returncode == 0
    assert project.archive.read_bytes() == expected


def test_cache_stays_locked_while_the_archive_is_written(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    with StandIn(FACES) as stand_in:
        for name, value in project.environment(stand_in).items():
            monkeypatch.setenv(name, value)
        source = Source(dataset=REFERENCE, sha256=None)
        dataset = source.dataset(Path(), project.cache)
        with pytest.raises(UserError, match=f"another run .process {os.getpid()}. is using"):
            source.dataset(Path(), project.cache)
        del dataset
        assert source.dataset(Path(), project.cache).keys


def test_interrupted_by_the_person_goes_on_later(project: Project) -> None:
    with StandIn(FACES, deliveries=[Delivery(hold_after=HALF)]) as stand_in:
        with project.start(stand_in) as process:
            project.wait_for(HALF)
            process.send_signal(signal.SIGINT)
            output, _ = process.communicate()
        assert (process.returncode, "Traceback" in output) == (130, False), output
        assert project.left() == {"zip.part", "zip.part.json"}


def test_cuts_that_bring_progress_do_not_count(project: Project) -> None:
    content = faces_zip(size_px=512)
    assert len(content) > 4 << 20
    cut = Delivery(cut_after=5 << 18)
    with StandIn(content, deliveries=repeat(cut)) as stand_in:
        code, output = project.run(stand_in, EMOTION_KAGGLE_RETRIES="0")
        assert code == 0, output
    assert output.count("broke off") >= 3
    assert project.finished.read_bytes() == content


def test_refused_connection_is_named(project: Project) -> None:
    with contextlib.closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        environment = {"KAGGLE_API_ENVIRONMENT": "LOCALHOST", "HTTP_PROXY": f"http://user:{KEY}@127.0.0.1:{port}"}
        code, output = project.run(None, **environment)
    assert code == 1
    assert (
        "cannot reach localhost: the proxy of the environment (HTTPS_PROXY, HTTP_PROXY): the connection was refused"
        in output
    )
    assert "data.source=synthetic works" in output


def test_machine_without_a_network_is_named(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in project.environment(None).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("KAGGLE_API_ENVIRONMENT", raising=False)

    def no_name(*_: object) -> None:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", no_name)
    with pytest.raises(
        UserError, match=r"cannot reach api\.kaggle\.com: its name is not known: is this machine online"
    ):
        Source(dataset=REFERENCE, sha256=None).dataset(Path(), project.cache)


def test_download_without_end_is_refused(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emotion.sources.kaggle.source._MAX_BYTES", HALF)
    with StandIn(FACES) as stand_in, pytest.raises(SystemExit, match=f"larger than {HALF:,} bytes"):
        project.run_here(stand_in)
    assert project.left() == set()


# --- Versions, digests, the cache -------------------------------------------------------------------------------------


def test_same_zip_in_data_local_gives_the_same_archive(project: Project) -> None:
    with StandIn(FACES) as stand_in:
        project.run_here(stand_in)
    downloaded = project.archive.read_bytes()
    assert project.run_on(FACES) == downloaded


def test_real_dataset_survives_a_cut_and_is_what_data_local_gives(project: Project, fer2013_zip: Path) -> None:
    content = fer2013_zip.read_bytes()
    with StandIn(content, deliveries=[Delivery(cut_after=len(content) // 2)]) as stand_in:
        code, output = project.run(stand_in)
        assert (code, "broke off" in output) == (0, True), output
    downloaded = project.archive.read_bytes()
    assert project.run_on(content) == downloaded


def test_finished_download_needs_no_network(project: Project, expected: bytes) -> None:
    with StandIn(FACES) as stand_in:
        project.run_here(stand_in)
    project.archive.unlink()
    assert project.run(None, KAGGLE_API_ENVIRONMENT="LOCALHOST", HTTP_PROXY="http://127.0.0.1:1")[0] == 0
    assert project.archive.read_bytes() == expected


def test_cached_zip_that_went_bad_is_replaced(project: Project, expected: bytes) -> None:
    with StandIn(FACES) as stand_in:
        project.run_here(stand_in)
        project.finished.write_bytes(flipped(FACES, HALF))
        code, output = project.run(stand_in)
        assert (code, "It was deleted" in output, project.left()) == (1, True, set())
        project.run_here(stand_in)
    assert project.archive.read_bytes() == expected


def test_partial_file_of_unknown_origin_is_not_continued(project: Project, expected: bytes) -> None:
    project.partial.parent.mkdir(parents=True)
    project.partial.write_bytes(b"bytes of who knows what")
    with StandIn(FACES) as stand_in:
        project.run_here(stand_in)
        assert not [seen for seen in stand_in.calls(STORAGE) if "Range" in seen.headers]
    assert project.archive.read_bytes() == expected


def test_pinned_version_is_asked_for_and_recorded(project: Project) -> None:
    project.configure(f"{DATASET}/versions/7")
    with StandIn(FACES, version=9) as stand_in:
        project.run_here(stand_in)
        assert not stand_in.calls("GetDataset")
        assert "/7.zip" in stand_in.calls(STORAGE)[0].path
    assert origin(project) == {"dataset": DATASET, "version": 7}


def test_latest_version_is_resolved_and_a_new_one_noticed(project: Project) -> None:
    project.configure(DATASET)
    found = []
    for version, content in ((3, FACES), (4, OTHER_FACES)):
        with StandIn(content, version=version) as stand_in:
            project.run_here(stand_in)
        found.append(origin(project)["version"])
    assert found == [3, 4]
    assert project.archive.read_bytes() != FACES
    assert project.finished.with_name("4.zip").read_bytes() == OTHER_FACES


def test_content_digest_is_enforced(project: Project, tmp_path: Path, expected: bytes) -> None:
    (tmp_path / "faces.zip").write_bytes(FACES)
    right = content_digest(read_zip(tmp_path / "faces.zip"))
    before = project.data()
    with StandIn(FACES) as stand_in:
        project.configure(sha256="0" * 64)
        code, output = project.run(stand_in)
        assert (code, f"content digest is {right}, but data.kaggle.sha256 asks for 000" in output) == (1, True), output
        assert (project.data(), project.left()) == (before, set())
        project.configure(sha256=right)
        project.run_here(stand_in)
    report = json.loads((project.folder / "metrics/data.json").read_text())
    assert report["digest"] == right


@pytest.mark.parametrize(
    "dataset", ["fer2013", "a/b/c", "a/b/0", "a/b/1/2", "../b", "a/..", "a/b/", "https://x/a/b", "a/b\n"]
)
def test_malformed_reference_is_explained(dataset: str) -> None:
    with pytest.raises(UserError, match=r"data.kaggle.dataset: .*expected owner/slug or, pinned, owner/slug/version"):
        validate(Source, {"dataset": dataset, "sha256": None}, "data.kaggle")


def test_malformed_digest_is_explained() -> None:
    with pytest.raises(UserError, match=r"data\.kaggle\.sha256: 'abc': expected the 64 hexadecimal digits"):
        validate(Source, {"dataset": REFERENCE, "sha256": "abc"}, "data.kaggle")


@pytest.mark.parametrize("value", ["soon", "-1", "nan", "inf"])
def test_malformed_patience_is_explained(value: str, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOTION_KAGGLE_RETRIES", value)
    with pytest.raises(UserError, match=f"EMOTION_KAGGLE_RETRIES is '{value}'; expected a number from 0 up"):
        Source(dataset=REFERENCE, sha256=None).dataset(Path(), project.cache)


# --- Credentials ------------------------------------------------------------------------------------------------------


def write(path: Path, content: str | dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    path.chmod(0o600)


API_KEY = {"username": USERNAME, "key": KEY}
OAUTH = {
    "refresh_token": REFRESH_TOKEN,
    "access_token": "stale",
    "access_token_expiration": "2020-01-01T00:00:00+00:00",
    "username": USERNAME,
    "scopes": [],
}
LOGINS: dict[str, tuple[str | None, dict[str, str], dict[str, str | dict[str, Any]]]] = {
    # name: what the API must get, variables, files at home
    "a token": (BEARER, {"KAGGLE_API_TOKEN": TOKEN}, {}),
    "the path of a token": (BEARER, {"KAGGLE_API_TOKEN": "home/my-token"}, {"my-token": f"{TOKEN}\n"}),
    "a token's file": (BEARER, {}, {".kaggle/access_token": TOKEN}),
    "a token's file on Windows": (BEARER, {}, {".kaggle/access_token.txt": TOKEN}),
    "a token and a key": (BEARER, {"KAGGLE_API_TOKEN": TOKEN}, {".kaggle/kaggle.json": {"username": "x", "key": "y"}}),
    "kaggle.json": (BASIC, {}, {".kaggle/kaggle.json": API_KEY}),
    "kaggle.json of XDG": (BASIC, {}, {".config/kaggle/kaggle.json": API_KEY}),
    "kaggle.json elsewhere": (BASIC, {"KAGGLE_CONFIG_DIR": "home/there"}, {"there/kaggle.json": API_KEY}),
    "variables": (BASIC, {"KAGGLE_USERNAME": USERNAME, "KAGGLE_KEY": KEY}, {}),
    "a variable and a file": (
        BASIC,
        {"KAGGLE_KEY": KEY},
        {".kaggle/kaggle.json": {"username": USERNAME, "key": "old"}},
    ),
    "an OAuth login": (BEARER, {}, {".kaggle/credentials.json": OAUTH}),
    "nothing": (None, {}, {}),
}


@pytest.mark.parametrize("login", LOGINS)
def test_signs_in_as_the_unmodified_package_does(login: str, project: Project) -> None:
    authorization, variables, files = LOGINS[login]
    for name, content in files.items():
        write(project.home / name, content)
    with StandIn(FACES) as stand_in:
        environment = project.environment(stand_in, **variables)
        command = [sys.executable, "-m", "kaggle", "datasets", "download", DATASET, "-p", "by-the-package", "-q"]
        done = subprocess.run(command, cwd=project.folder, env=environment, capture_output=True, text=True)
        assert (project.folder / "by-the-package/faces.zip").read_bytes() == FACES, done.stdout + done.stderr
        shutil.rmtree(project.folder / "by-the-package")
        with mock.patch.dict(project.settings, variables):
            project.run_here(stand_in)
        package, stage = stand_in.calls("DownloadDataset")
    assert stage.headers.get("Authorization") == package.headers.get("Authorization") == authorization


def test_stale_token_that_shadows_valid_keys_is_named(project: Project) -> None:
    write(project.home / ".kaggle/kaggle.json", API_KEY)
    with StandIn(FACES) as stand_in:
        code, output = project.run(stand_in, KAGGLE_API_TOKEN="stale")
        assert code == 1
        assert "Kaggle refused the access token in KAGGLE_API_TOKEN (HTTP 401)" in output
        assert f"it shadows the API key in {project.home}/.kaggle/kaggle.json, which was not tried" in output
        project.run_here(stand_in)


def test_refused_oauth_login_is_named_and_kept(project: Project) -> None:
    write(project.home / ".kaggle/credentials.json", OAUTH | {"refresh_token": "revoked"})
    with StandIn(FACES) as stand_in:
        code, output = project.run(stand_in)
    assert (code, "Kaggle refused the OAuth login in" in output) == (1, True), output
    assert (project.home / ".kaggle/credentials.json").exists()


def test_oauth_login_that_has_just_expired_is_renewed(project: Project) -> None:
    # The package itself would go on using the access token until half an hour after its end.
    just_now = (datetime.now(UTC) - timedelta(minutes=10)).isoformat()
    write(project.home / ".kaggle/credentials.json", OAUTH | {"access_token_expiration": just_now})
    with StandIn(FACES, anonymous=False) as stand_in:
        project.run_here(stand_in)


HALF_SET: dict[str, tuple[dict[str, str], dict[str, str | bytes], str]] = {
    "a key without a name": ({"KAGGLE_KEY": KEY}, {}, "of the API key, KAGGLE_KEY has the key only"),
    "a name without a key": ({}, {".kaggle/kaggle.json": '{"username": "ada"}'}, "kaggle.json has the username only"),
    "kaggle.json that is none": ({}, {".kaggle/kaggle.json": "[]"}, "kaggle.json cannot be read as JSON"),
    "kaggle.json cut off": ({}, {".kaggle/kaggle.json": '{"username": "ada'}, "kaggle.json cannot be read as JSON"),
    "an empty token file": (
        {"KAGGLE_API_TOKEN": "home/empty"},
        {"empty": ""},
        "the file that KAGGLE_API_TOKEN names is empty",
    ),
    "a blank token": ({"KAGGLE_API_TOKEN": " "}, {}, "KAGGLE_API_TOKEN holds nothing but blanks"),
    "a path of no file": ({"KAGGLE_API_TOKEN": "/no/file"}, {}, "KAGGLE_API_TOKEN looks like a path"),
    "a very long token": ({"KAGGLE_API_TOKEN": TOKEN * 20}, {}, r"refused the access token in KAGGLE_API_TOKEN"),
    "a token no header can hold": ({"KAGGLE_API_TOKEN": f"{TOKEN}\n{TOKEN}"}, {}, "the credentials it found, are not"),
    "a UTF-16 token file": ({}, {".kaggle/access_token": TOKEN.encode("utf-16")}, "access token cannot be read"),
}


@pytest.mark.parametrize("half", HALF_SET)
def test_half_set_credentials_are_named(half: str, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    variables, files, says = HALF_SET[half]
    for name, content in files.items():
        (project.home / name).parent.mkdir(exist_ok=True)
        (project.home / name).write_bytes(content.encode() if isinstance(content, str) else content)
    monkeypatch.chdir(project.folder)
    with StandIn(FACES, anonymous=False) as stand_in:
        for name, value in project.environment(stand_in, **variables).items():
            monkeypatch.setenv(name, value)
        with pytest.raises(UserError, match=says) as caught:
            Source(dataset=REFERENCE, sha256=None).dataset(Path(), project.cache)
    assert not [secret for secret in SECRETS if secret in str(caught.value)]
    assert caught.value.__cause__ is None  # whose text, shown in a traceback, may hold the token
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_token_with_blanks_around_it_works(project: Project) -> None:
    with StandIn(FACES, anonymous=False) as stand_in:
        assert project.run(stand_in, KAGGLE_API_TOKEN=f" {TOKEN}\n")[0] == 0


def test_verbose_package_prints_no_secret(project: Project) -> None:
    with StandIn(FACES) as stand_in:
        assert project.run(stand_in, KAGGLE_API_TOKEN=TOKEN, VERBOSE="1")[0] == 0  # run() looks for secrets


def test_package_is_never_imported_nor_home_touched(project: Project) -> None:
    code = (
        "import sys; from pathlib import Path; from emotion.sources.kaggle.source import Source;"
        "assert not {'kaggle', 'kagglesdk'} & set(sys.modules);"
        f"Source(dataset='{REFERENCE}', sha256=None).dataset(Path(), Path('cache'));"
        "assert 'kagglesdk' in sys.modules and 'kaggle' not in sys.modules"
    )
    with StandIn(FACES) as stand_in:
        command = [sys.executable, "-c", code]
        subprocess.run(command, cwd=project.folder, env=project.environment(stand_in), check=True)
    assert not list(project.home.iterdir())


def test_other_sources_know_nothing_of_the_package(project: Project) -> None:
    imports = "import sys, stages.download, emotion.sources.synthetic.source"
    code = f"{imports}; print({{'kaggle', 'kagglesdk', 'requests'}} & set(sys.modules))"
    environment = project.environment(None, KAGGLE_API_TOKEN=TOKEN)
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
    assert not list(project.home.iterdir())


# --- What is shown ----------------------------------------------------------------------------------------------------


def test_log_gets_plain_lines(project: Project) -> None:
    with StandIn(faces_zip(size_px=256)) as stand_in:
        _, output = project.run(stand_in)
    assert "\r" not in output
    assert re.search(r"^kaggle: 0\.\d MB of \d\.\d$", output, re.MULTILINE), output
    assert output.count("\n") < 15


def test_terminal_gets_a_bar(project: Project) -> None:
    with StandIn(FACES) as stand_in:
        controller, terminal = pty.openpty()
        termios.tcsetwinsize(terminal, (24, 100))
        command = [sys.executable, "-m", "stages.download", *project.arguments]
        subprocess.run(command, cwd=project.folder, env=project.environment(stand_in), stderr=terminal, check=True)
        os.close(terminal)
        shown = read_all(controller)
    assert re.search(r"kaggle: +100%\|", shown), shown


def read_all(terminal: int) -> str:
    shown = b""
    with contextlib.suppress(OSError):  # the end, when nobody writes any more
        while part := os.read(terminal, 65536):
            shown += part
    os.close(terminal)
    return shown.decode()


# --- Archives ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (with_member("train/happy/../../../evil.png"), "lies outside the archive's root"),
        (with_member("/etc/passwd"), "'/etc/passwd' lies outside"),
        (with_member("C:/evil.png"), "lies outside"),
        (with_member("train\\evil.png"), "lies outside"),
        (with_member("train/happy/a.png", attributes=LINK), "is a link or a device"),
        (with_member("train/happy/a.png", attributes=CHARACTER_DEVICE), "is a link or a device"),
        (with_member("train/happy/Training_0.png"), "two members of one name"),
        (with_member("train/happy/a.png", flag_bits=1), "is encrypted"),
        (with_member("train/happy/a.png", compress_type=zipfile.ZIP_LZMA), "is compressed by method 14"),
        (with_member("train/happy/a.png", b"123", file_size=2), "no intact zip"),
        (with_member("train/happy/a.png", file_size=300 << 20), "would unpack to 314,"),
        (FACES[:-1], "no intact zip"),
        (FACES[HALF:], "no intact zip"),
    ],
)
def test_bad_archive_is_refused(content: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / "bad.zip").write_bytes(content)
    with pytest.raises(DatasetError, match=says):
        check_archive(tmp_path / "bad.zip")


@settings(max_examples=300, deadline=None, derandomize=True)
@given(position=st.integers(0, len(FACES) - 1), mask=st.integers(1, 255))
def test_no_flipped_byte_changes_what_is_read(
    position: int, mask: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "flipped.zip"
    path.write_bytes(flipped(FACES, position, mask))
    try:
        check_archive(path)
    except DatasetError:
        return
    assert contents(path) == contents_of(FACES)


def contents(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def contents_of(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_flipped_bit_that_hides_a_member_is_noticed(tmp_path: Path) -> None:
    # An entry of the directory is 46 bytes and its name; as the comment of the entry before it, it is not seen.
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name in ("train/happy/aaa.png", "train/happy/1234567"[:18], "train/sad/b.png"):
            archive.writestr(name, b"x")
    content = target.getvalue()
    comment_length = content.index(b"PK\1\2") + 32
    path = tmp_path / "hidden.zip"
    path.write_bytes(flipped(content, comment_length, 64))
    with zipfile.ZipFile(path) as archive:
        assert len(archive.namelist()) == 2  # zipfile itself sees no fault
    with pytest.raises(DatasetError, match="it lists 2 members, but says that it has 3"):
        check_archive(path)


def test_more_members_than_the_end_record_can_count_are_fine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 2)  # makes zipfile write what it writes for more than 65,535
    path = tmp_path / "many.zip"
    path.write_bytes(with_member("train/happy/a.png"))
    content = bytearray(path.read_bytes())
    count = content.rindex(b"PK\5\6") + 8
    content[count : count + 4] = b"\xff" * 4
    path.write_bytes(content)
    assert b"PK\6\6" in content
    check_archive(path)
