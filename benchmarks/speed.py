"""How fast a model is used: the command from a cold start, a face alone and in batches, video.

Every figure is the median of several; the reference is a machine of two cores with nothing else to do.

    python -m benchmarks.speed [--model FILE ...]

Each FILE is measured side by side.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from benchmarks.support.processes import begin, parser_of
from emotion.commands.options import add_model_options
from emotion.inference.detector import YuNet
from emotion.inference.models import PUBLISHED, open_model
from emotion.inference.predictor import Predictor
from emotion.inference.tracking import FaceTracker
from emotion.inference.video import FrameSource, label_video

COLUMNS = (
    "model | MB | cold start, ms | face alone, ms | face in a batch of 32, ms | video, frames/s | annotated, frames/s"
)


def median_ms(work: Callable[[], object], times: int) -> float:
    """Median duration of `work`, after two warm-up calls."""
    durations = []
    for number in range(times + 2):
        began = time.perf_counter()
        work()
        if number >= 2:
            durations.append(time.perf_counter() - began)
    return 1e3 * float(np.median(durations))


def picture_with_a_face(width: int, height: int) -> np.ndarray:
    """A drawn face on a plain background, uint8 RGB."""
    from emotion.sources.synthetic.source import Source

    face = Source(seed=0, train_images=28, test_images=7, min_intensity=0.7, noise=0.0).draw("train", "happy", 3)
    canvas = np.full((height, width), 190, np.uint8)
    side = height // 2
    canvas[side // 2 : side // 2 + side, side : 2 * side] = cv2.resize(
        face, (side, side), interpolation=cv2.INTER_CUBIC
    )
    return cv2.cvtColor(canvas, cv2.COLOR_GRAY2RGB)


def cold_start_ms(folder: Path, model: Path) -> float:
    """`emotion predict one.jpg`, from the start of the process to its end."""
    path = folder / "one.jpg"
    cv2.imwrite(str(path), picture_with_a_face(640, 480))
    command = [sys.executable, "-m", "emotion.cli", "predict", str(path), "--model", str(model)]
    return median_ms(lambda: subprocess.run(command, check=True, capture_output=True), 5)


def video_frames_per_second(folder: Path, model: Path, *, annotated: bool) -> float:
    """300 frames of 640x480 with one moving face, detection included; annotated: drawing and encoding as well."""
    path = folder / "in.avi"
    picture = picture_with_a_face(640, 480)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30.0, (640, 480))
    for number in range(300):
        writer.write(np.roll(picture, number % 60, axis=1))
    writer.release()
    tracker = FaceTracker(Predictor([model]).for_video())
    began = time.perf_counter()
    output = folder / "out.mp4" if annotated else None
    label_video(FrameSource(str(path)), tracker, output=output, table=folder / "out.csv", every=1)
    return 300 / (time.perf_counter() - began)


def finding_ms(detector: YuNet) -> float:
    """Milliseconds to find the faces of a picture of 640x480."""
    picture = picture_with_a_face(640, 480)
    return median_ms(lambda: detector.find(picture), 20)


def row(path: Path) -> str:
    """One model's row of the table."""
    model = open_model(path)
    about = model.about
    faces = np.random.default_rng(0).integers(0, 256, (32, about.size_px, about.size_px, about.channels), np.uint8)
    alone = median_ms(lambda: model.probabilities(faces[:1]), 100)
    batch = median_ms(lambda: model.probabilities(faces), 20) / 32
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cold = cold_start_ms(folder, path)
        video, drawn = (video_frames_per_second(folder, path, annotated=annotated) for annotated in (False, True))
    size = path.stat().st_size / 1e6
    return f"{path.name} | {size:.2f} | {cold:.0f} | {alone:.2f} | {batch:.2f} | {video:.0f} | {drawn:.0f}"


def main() -> None:
    """Print the table."""
    parser = parser_of(__doc__)
    add_model_options(parser)
    arguments, here = begin(parser)
    models = arguments.model or [PUBLISHED]
    print(f"{here['cores']} cores of {here['processor']}; load before: {here['load']}")
    pictures, videos = finding_ms(YuNet()), finding_ms(YuNet().for_video())
    print(f"finding faces: {pictures:.1f} ms, as in pictures; {videos:.1f} ms, as in videos")
    print(COLUMNS)
    print(" | ".join(["---"] * (COLUMNS.count("|") + 1)))
    for path in models:
        print(row(path), flush=True)


if __name__ == "__main__":
    main()
