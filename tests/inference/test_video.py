"""Videos: faces followed, labels smoothed, files whole."""

import csv
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from emotion import cli
from emotion.inference.detector import Box, Found
from emotion.inference.frames import FrameSource
from emotion.inference.predictor import Predictor
from emotion.inference.tracking import FaceTracker
from emotion.inference.video import label_video
from tests.support.sample_pictures import canvas_with


def write_video(path: Path, frames: list[np.ndarray], rate: float = 20.0) -> Path:
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), rate, (width, height))
    for frame in frames:
        writer.write(frame[:, :, ::-1])
    writer.release()
    return path


def read_video(path: Path) -> list[np.ndarray]:
    capture, frames = cv2.VideoCapture(str(path)), []
    while (read := capture.read())[0]:
        frames.append(read[1])
    return frames


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return write_video(tmp_path / "in.avi", [canvas_with([(20 + 2 * step, 40, 120)]) for step in range(24)])


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_a_moving_face_is_one_face_in_every_frame(video, tmp_path, capsys):
    table, output = tmp_path / "out.csv", tmp_path / "out.mp4"
    assert cli.main(["video", str(video), "--csv", str(table), "--output", str(output)]) == 0
    rows = rows_of(table)
    assert [int(row["frame"]) for row in rows] == list(range(24))
    assert {row["face"] for row in rows} == {"1"}
    lefts = [int(row["left"]) for row in rows]
    assert 30 <= lefts[-1] - lefts[0] <= 60
    assert len(read_video(output)) == 24
    assert "read 24 frames" in capsys.readouterr().out


def test_the_table_and_the_summary_say_the_prior(video, tmp_path, capsys):
    table = tmp_path / "out.csv"
    for prior in ("training", "even", "angry=1,happy=3"):
        assert cli.main(["video", str(video), "--csv", str(table), "--every", "12", "--prior", prior]) == 0
        assert list(rows_of(table)[0])[-1] == "prior" and {row["prior"] for row in rows_of(table)} == {prior}
        assert capsys.readouterr().out.endswith(f"followed 1 face, prior {prior}\n")


def test_every_third_frame_is_looked_at_and_every_frame_is_written(video, tmp_path):
    table, output = tmp_path / "out.csv", tmp_path / "out.avi"
    assert cli.main(["video", str(video), "--csv", str(table), "--output", str(output), "--every", "3"]) == 0
    assert [int(row["frame"]) for row in rows_of(table)] == list(range(0, 24, 3))
    assert len(read_video(output)) == 24


def test_a_video_without_faces_comes_back(tmp_path):
    video = write_video(tmp_path / "in.avi", [np.full((120, 160, 3), 90, np.uint8)] * 5)
    assert cli.main(["video", str(video), "--csv", str(tmp_path / "o.csv"), "--output", str(tmp_path / "o.mp4")]) == 0
    assert rows_of(tmp_path / "o.csv") == [] and len(read_video(tmp_path / "o.mp4")) == 5


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (b"junk", ["--csv", "o.csv"], "cannot be opened"),
        (b"", ["--csv", "o.csv"], "cannot be opened"),
        (None, ["--output", "o.txt"], "must end in"),
        (None, ["--output", "no/such/folder/o.mp4"], "folder"),
        (None, ["--csv", "no/such/folder/o.csv"], "cannot be written"),
        (None, ["--csv", "in.avi"], "the video itself"),
    ],
)
def test_bad_videos_and_outputs_are_one_line(video, tmp_path, monkeypatch, capfd, content, options, message):
    monkeypatch.chdir(tmp_path)
    if content is not None:
        video.write_bytes(content)
    assert cli.main(["video", "in.avi", *options]) == 2
    err = capfd.readouterr().err
    assert message in err and err.count("\n") == 1


def test_a_missing_camera_is_one_line(capfd, tmp_path):
    assert cli.main(["video", "87", "--csv", str(tmp_path / "o.csv")]) == 2
    err = capfd.readouterr().err
    assert "camera 87 cannot be opened" in err and err.count("\n") == 1


class MotionJpeg(BaseHTTPRequestHandler):
    """What a network camera serves: one JPEG after another."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        for step in range(24):
            jpeg = cv2.imencode(".jpg", canvas_with([(20 + 2 * step, 40, 120)]))[1].tobytes()
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            self.wfile.write(head.encode() + jpeg + b"\r\n")
        self.wfile.write(b"--frame--\r\n")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_a_network_cameras_stream_is_followed_to_its_end(tmp_path, capsys):
    table, output = tmp_path / "out.csv", tmp_path / "out.mp4"
    with ThreadingHTTPServer(("127.0.0.1", 0), MotionJpeg) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/camera"
        try:
            assert cli.main(["video", address, "--csv", str(table), "--output", str(output)]) == 0
        finally:
            server.shutdown()
    frames = [int(row["frame"]) for row in rows_of(table)]
    assert frames == list(range(len(frames))) and len(frames) >= 23  # the reader may spend one on finding the format
    assert {row["face"] for row in rows_of(table)} == {"1"}
    seconds, rate = float(rows_of(table)[-1]["seconds"]), cv2.VideoCapture(str(output)).get(cv2.CAP_PROP_FPS)
    assert len(read_video(output)) == pytest.approx(seconds * rate + 1, abs=1)  # the table's seconds are rounded


class SlowCamera(FrameSource):
    """Says 20 frames a second and gives 5."""

    def __init__(self, frames: list[np.ndarray]) -> None:
        self.rate, self.is_live, self._frames = 20.0, True, frames

    def __iter__(self):
        return iter(self._frames)

    def seconds(self, frame_number: int) -> float:
        return frame_number / 5

    def close(self) -> None:
        """Nothing is open."""


def test_a_camera_slower_than_it_says_is_written_at_the_speed_it_has(tmp_path):
    frames = [np.full((48, 64, 3), grey, np.uint8) for grey in (20, 120, 220)]
    table, output = tmp_path / "out.csv", tmp_path / "out.avi"
    tracker = tracker_of([np.eye(7)[0]] * 3)
    label_video(SlowCamera(frames), tracker, output=output, table=table, every=1)
    assert [float(row["seconds"]) for row in rows_of(table)] == [0.0, 0.2, 0.4]
    assert [round(float(frame[-1, -1].mean()), -1) for frame in read_video(output)] == [20.0] + [120.0] * 4 + [
        220.0
    ] * 4


def test_ctrl_c_leaves_whole_files(tmp_path):
    video = write_video(tmp_path / "in.avi", [canvas_with([(20, 40, 120)])] * 1500)
    table, output = tmp_path / "o.csv", tmp_path / "o.mp4"
    command = [sys.executable, "-m", "emotion.cli", "video", str(video), "--csv", str(table), "--output", str(output)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        begun = tmp_path / ".o.csv.part" / "o.csv"
        while not (begun.exists() and begun.read_text().count("\n") > 5) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert "stopped after" in out
    rows = rows_of(table)
    assert 5 <= len(rows) < 1500 and all(row["surprise"] for row in rows)
    assert len(read_video(output)) >= len(rows) - 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.avi", "o.csv", "o.mp4"]


class Scripted:
    """A model that says what it is told, one row a call."""

    def __init__(self, about, rows):
        self.about, self.rows = about, iter(rows)

    def probabilities(self, faces):
        return np.array([next(self.rows) for _ in faces], np.float32)


class OneFace:
    def find(self, image):
        return [Found(Box(10, 10, 40, 40), 1.0)]


def tracker_of(rows, **options) -> FaceTracker:
    predictor = Predictor(detector=OneFace())
    predictor.models = [Scripted(predictor.models[0].about, rows)]
    return FaceTracker(predictor, **options)


def test_labels_do_not_flicker_and_do_follow_a_change():
    angry, happy = np.eye(7)[0], np.eye(7)[3]
    noisy = [angry] * 10 + [happy if step % 2 else angry for step in range(10)] + [happy] * 30
    tracker = tracker_of(noisy, smoothing_s=0.4)
    frame = np.zeros((60, 60, 3), np.uint8)
    shown = [tracker.describe(tracker.update(frame, step / 20)[0]).label for step in range(50)]
    assert shown[:19] == ["angry"] * 19 and shown[-1] == "happy"
    assert sum(one != other for one, other in pairwise(shown)) == 1


def test_without_smoothing_each_frame_speaks_for_itself():
    rows = [np.eye(7)[step % 7] for step in range(7)]
    rows += [
        np.array([0.26, 0.24, 0.1, 0.1, 0.1, 0.1, 0.1]),
        np.array([0.24, 0.26, 0.1, 0.1, 0.1, 0.1, 0.1]),
    ]  # near ties
    tracker = tracker_of(rows, smoothing_s=0.0)
    frame = np.zeros((60, 60, 3), np.uint8)
    for step, row in enumerate(rows):
        (track,) = tracker.update(frame, step / 20)
        np.testing.assert_allclose(track.probabilities, row)
        assert track.label_index == row.argmax()


def test_a_face_is_the_same_one_however_rarely_it_is_looked_at():
    tracker = tracker_of([np.eye(7)[0]] * 3)
    frame = np.zeros((60, 60, 3), np.uint8)
    assert [tracker.update(frame, float(second))[0].number for second in range(3)] == [1, 1, 1]


def test_a_second_face_that_comes_in_is_found_soon():
    tracker = FaceTracker(Predictor().for_video())
    one, two = canvas_with([(10, 60, 120)]), canvas_with([(10, 60, 120), (180, 60, 120)])
    for step in range(3):
        assert len(tracker.update(one, step / 20)) == 1
    seen = [len(tracker.update(two, step / 20)) for step in range(3, 9)]
    assert seen[-1] == 2
    assert {track.number for track in tracker.tracks} == {1, 2}
