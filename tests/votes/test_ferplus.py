"""`data.votes: ferplus`: the right row for each picture, checks of the file, and its download."""

import hashlib
import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from emotion.dataset.archive.faces import Dataset
from emotion.foundation.errors import UserError
from emotion.votes.ferplus import fetch as fetching
from emotion.votes.ferplus import source as ferplus
from emotion.votes.ferplus.fetch import fetch
from emotion.votes.ferplus.source import VoteSource, read_ferplus, row_of

HEADER = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
CONTENT = b"the content of a file" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def usage_of(row: int) -> str:
    return "Training" if row < 28_709 else "PublicTest" if row < 32_298 else "PrivateTest"


def write_lines(folder: Path, lines: list[str], header: str = HEADER) -> Path:
    (folder / "fer2013new.csv").write_text("\n".join([header, *lines]) + "\n")
    return folder / "fer2013new.csv"


def lines_of(rows: int = 35_887) -> list[str]:
    """Rows like FER+'s; row n has n % 10 votes for neutral and one for fear."""
    return [f"{usage_of(n)},fer{n:07d}.png,{n % 10},0,0,0,0,0,1,0,0,0" for n in range(rows)]


def write_rows(folder: Path, *, rows: int = 35_887, header: str = HEADER) -> Path:
    return write_lines(folder, lines_of(rows), header)


def dataset(*paths: str) -> Dataset:
    return Dataset(dict.fromkeys(paths), bytes)


def test_kaggles_names_are_found_in_the_mapping_and_those_of_the_csv_are_rows() -> None:
    assert row_of("train/angry/Training_1426440.jpg") == 0
    assert row_of("train/angry/Training_17.png") == 17
    assert row_of("train/angry/anna.jpg") is None


def test_the_mapping_names_each_row_once() -> None:
    rows = ferplus._rows_of_kaggle()
    assert len(rows) == len(set(rows.values())) == 35_710
    assert set(rows.values()) < set(range(35_887))


def test_votes_are_joined_under_fer2013s_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_rows(tmp_path)
    faces = dataset("train/angry/Training_13.png", "train/angry/anna.png")
    votes = VoteSource().votes(faces, tmp_path, tmp_path / "cache")
    assert votes.labels == ("neutral", "happy", "surprise", "sad", "angry", "disgust", "fear", "contempt")
    assert votes.counts == {"train/angry/Training_13.png": (3, 0, 0, 0, 0, 0, 1, 0, 0, 0)}
    printed = capsys.readouterr().out
    assert "no votes: train/angry/anna.png" in printed
    assert "1 pictures have no votes in FER+" in printed


def test_other_pictures_than_fer2013s_are_refused(tmp_path: Path) -> None:
    write_rows(tmp_path)
    with pytest.raises(UserError, match="no picture of this data set is FER2013's by its name"):
        VoteSource().votes(dataset("train/a/b.png"), tmp_path, tmp_path)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"rows": 35_886}, "has 35,886 rows of votes; FER\\+ has 35,887"),
        ({"header": HEADER.replace("NF", "none")}, "is not FER\\+'s: its first line is"),
    ],
)
def test_another_file_of_that_name_is_refused(changes: dict[str, Any], says: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=says):
        read_ferplus(write_rows(tmp_path, **changes))


FACES = dataset("train/angry/Training_13.png", "test/sad/PublicTest_30000.png", "test/sad/PrivateTest_35886.png")


@pytest.mark.parametrize(
    "reorder",
    [sorted, lambda lines: sorted(lines, key=lambda line: line.split(",")[2]), lambda lines: lines[::-1]],
    ids=["by split", "by a column", "upside down"],
)
def test_a_table_that_was_sorted_is_refused(reorder: Callable[[list[str]], list[str]], tmp_path: Path) -> None:
    path = write_lines(tmp_path, reorder(lines_of()))
    with pytest.raises(UserError, match=r"row [\d,]+ of votes is of '\w+', but .*sorting.*get the file again"):
        VoteSource().votes(FACES, tmp_path, tmp_path)
    assert path.exists()


@pytest.mark.parametrize("kept", ["PrivateTest,fer0035886.png,6,0,0", "Priv"])
def test_a_table_that_is_cut_within_a_row_is_refused(kept: str, tmp_path: Path) -> None:
    write_lines(tmp_path, [*lines_of()[:-1], kept])
    with pytest.raises(UserError, match="line 35888: . fields, but the header has 12; the file is cut off"):
        VoteSource().votes(FACES, tmp_path, tmp_path)


def test_a_table_that_is_not_the_published_one_but_fits_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_rows(tmp_path)
    assert len(VoteSource().votes(FACES, tmp_path, tmp_path).counts) == 3
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "is not byte for byte the fer2013new.csv that FER+ publishes" in said
    monkeypatch.setattr(ferplus, "SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    VoteSource().votes(FACES, tmp_path, tmp_path)
    assert capsys.readouterr().err == ""


class Server(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT; the first answers are cut short, or are another file, as `faults` says."""

    faults: list[str]
    asked: list[str | None]

    def do_GET(self) -> None:
        self.asked.append(self.headers["Range"])
        fault = self.faults.pop(0) if self.faults else ""
        start = int((self.headers["Range"] or "bytes=0-").removeprefix("bytes=").rstrip("-"))
        body = (b"x" * len(CONTENT) if fault == "other" else CONTENT)[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if fault == "cut" else body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    Server.faults, Server.asked = [], []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/file"
        server.shutdown()


def test_a_download_is_made_once(address: str, tmp_path: Path) -> None:
    target = tmp_path / "cache" / "file"
    for _ in range(2):
        assert fetch(address, target, sha256=SHA256, put_at=tmp_path / "by hand").read_bytes() == CONTENT
    assert Server.asked == [None]


def test_a_cut_download_goes_on_where_it_stopped(address: str, tmp_path: Path) -> None:
    Server.faults = ["cut"]
    assert fetch(address, tmp_path / "file", sha256=SHA256, put_at=tmp_path).read_bytes() == CONTENT
    assert Server.asked == [None, f"bytes={len(CONTENT) // 2}-"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


def test_other_content_is_never_used(address: str, tmp_path: Path) -> None:
    Server.faults = ["other"]
    assert fetch(address, tmp_path / "file", sha256=SHA256, put_at=tmp_path).read_bytes() == CONTENT
    Server.faults = ["other"] * 5
    with pytest.raises(UserError, match="what came is not the file that is expected, 5 attempts.* put it at"):
        fetch(address, tmp_path / "again", sha256=SHA256, put_at=tmp_path)
    assert not (tmp_path / "again").exists()


def test_without_a_network_it_says_where_to_put_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "_ATTEMPTS", 1)
    monkeypatch.setattr(ferplus, "ADDRESS", "http://127.0.0.1:9/fer2013new.csv")
    with pytest.raises(UserError, match=r"cannot download .*ConnectionError.* put it at .*fer2013new\.csv"):
        VoteSource().votes(dataset("train/angry/Training_1.png"), tmp_path, tmp_path / "cache")
