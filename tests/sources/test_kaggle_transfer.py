"""The transfer: full disks, kills, locks, refused connections, and what is shown meanwhile."""

import contextlib
import os
import pty
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import termios
from itertools import repeat
from pathlib import Path

import pytest

from emotion.foundation.errors import UserError
from emotion.sources.kaggle.source import Source
from tests.support.kaggle.project import ETAG, FACES, HALF, REFERENCE, Project, faces_zip
from tests.support.kaggle.stand_in import (
    KEY,
    STORAGE,
    Delivery,
    StandIn,
)


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
        assert (code, "download: data/raw/faces.zip: File too large" in output) == (1, True), output
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
    monkeypatch.setattr("emotion.sources.kaggle.transfer.MAX_BYTES", HALF)
    with StandIn(FACES) as stand_in, pytest.raises(SystemExit, match=f"larger than {HALF:,} bytes"):
        project.run_here(stand_in)
    assert project.left() == set()


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
