"""How fast a model is used: the command from a cold start, a face alone and in batches, video, a folder.

Every figure is the median of several; the reference is a machine of two cores with nothing else to do.

    python -m benchmarks.speed [--model FILE ...]
    python -m benchmarks.speed --video           # faces followed, or every frame searched; flicker; memory
    python -m benchmarks.speed --folder 10000    # a tenth as many pictures, and as many: rate, memory

Each FILE is measured side by side; the result goes to benchmarks/results/speed.json.

--video measures the shipped model only: frames a second of clips with moving faces (Grace Hopper's, which matplotlib
brings), how often the label of a still face changes under a camera's noise, and the memory that a clip of half an hour
takes. The result goes to benchmarks/results/video.json.

--folder N measures `emotion predict FOLDER --output out.csv` only, with the shipped model. The pictures are parts of
three photographs, 640x480: Grace Hopper's in half of them, scikit-learn's temple and flower in the others. The result
goes to benchmarks/results/folder.json.
"""

import csv
import itertools
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import matplotlib
import numpy as np

from benchmarks.support.processes import RESULTS, begin, figures_of, medians, parser_of, significant
from emotion.commands.terminal.options import add_model_options
from emotion.foundation.files import write_json
from emotion.inference.detector import YuNet
from emotion.inference.frames import FrameSource
from emotion.inference.models import PUBLISHED, open_model
from emotion.inference.predictor import Predictor, read_picture
from emotion.inference.tracking import FaceTracker
from emotion.inference.video import label_video

COLUMNS = (
    "MB",
    "cold start, ms",
    "face alone, ms",
    "face in a batch of 32, ms",
    "video, frames/s",
    "annotated, frames/s",
)
SIZES = ((640, 480), (1280, 720))  # of frames, pixels
FACES = (1, 3, 10)  # in a frame
HEADS = 110  # pixels: the height of a moving head; its face is a third of that
MINUTES = (1, 10, 30)  # of a clip, after which the memory is noted


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


def head(height: int) -> np.ndarray:
    """Grace Hopper's head and shoulders: uint8 [height, about 0.85 height, 3] RGB."""
    picture = read_picture(Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg")
    return cv2.resize(picture, None, fx=height / len(picture), fy=height / len(picture), interpolation=cv2.INTER_AREA)


def crowd(width: int, height: int, faces: int, number: int) -> np.ndarray:
    """Frame `number` of a clip in which heads sway, each about its own place: uint8 [height, width, 3] RGB."""
    across = 5 if faces > 3 else faces
    side = min(HEADS * height // 240, int(width / across * 0.85))
    canvas, one = np.full((height, width, 3), 150, np.uint8), head(side)
    rooms = -(-faces // across)
    for face in range(faces):
        middle_x = width * (face % across + 0.5) / across + 0.05 * side * np.sin(number / 7 + face)
        middle_y = height * (face // across + 0.5) / rooms + 0.05 * side * np.cos(number / 9 + face)
        left, top = max(0, int(middle_x - one.shape[1] / 2)), max(0, int(middle_y - one.shape[0] / 2))
        part = canvas[top : top + one.shape[0], left : left + one.shape[1]]
        part[:] = one[: part.shape[0], : part.shape[1]]
    return canvas


def tracker_of(predictor: Predictor, *, followed: bool, smoothing_s: float = 0.4) -> FaceTracker:
    """A tracker; without `followed`, one that searches every frame and nothing else."""
    tracker = FaceTracker(predictor, smoothing_s=smoothing_s)
    if not followed:
        tracker.follower.SEARCH_EVERY_S, tracker.follower.MOST = 0.0, 0
    return tracker


def clip_frames_per_second(path: Path, predictor: Predictor, faces: int, *, followed: bool) -> float:
    """Reading a clip, finding, labelling and the CSV, in frames a second. Raises AssertionError: not all faces seen."""
    began = time.perf_counter()
    tracker = tracker_of(predictor, followed=followed)
    summary = label_video(FrameSource(str(path)), tracker, output=None, table=path.with_suffix(".csv"), every=1)
    assert summary.faces == faces, f"{summary.faces} faces where {faces} are"
    return summary.frames / (time.perf_counter() - began)


def measure_following(folder: Path, predictor: Predictor, *, frames: int = 60, rounds: int = 3) -> dict[str, Any]:
    """Frames a second of each size and number of faces, searched and followed in turns: medians of several rounds."""
    figures = {}
    for (width, height), faces in itertools.product(SIZES, FACES):
        path = folder / f"{width}-{faces}.avi"
        write_clip(path, (crowd(width, height, faces, number) for number in range(frames)), 30.0, (width, height))
        speeds = [
            {
                name: clip_frames_per_second(path, predictor, faces, followed=name == "followed")
                for name in ("searched", "followed")
            }
            for _ in range(rounds)
        ]
        figures[f"{width}x{height}, {faces}"] = medians(speeds)
    return figures


def write_clip(path: Path, frames: Iterable[np.ndarray], rate: float, size: tuple[int, int]) -> None:
    """Frames, uint8 [height, width, 3] RGB, -> Motion JPEG."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), rate, size)
    for frame in frames:
        writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    writer.release()


def still_faces() -> dict[str, np.ndarray]:
    """Frames of 640x480 in which nothing moves: a portrait at two sizes, and a drawn face between two labels."""
    from emotion.sources.synthetic.source import Source

    source = Source(seed=0, train_images=28, test_images=7, min_intensity=0.7, noise=0.0)
    between = cv2.addWeighted(source.draw("train", "angry", 0), 0.5, source.draw("train", "happy", 0), 0.5, 0)
    drawn = cv2.cvtColor(cv2.resize(between, (200, 200), interpolation=cv2.INTER_CUBIC), cv2.COLOR_GRAY2RGB)
    pictures = {"portrait, face of 50 px": head(150), "portrait, face of 130 px": head(400), "drawn, 200 px": drawn}
    frames = {}
    for name, picture in pictures.items():
        frames[name] = np.full((480, 640, 3), 150, np.uint8)
        frames[name][40 : 40 + picture.shape[0], 150 : 150 + picture.shape[1]] = picture
    return frames


def measure_flicker(predictor: Predictor, *, seconds: int = 15, rate: int = 25) -> dict[str, Any]:
    """Label changes a minute under noise (8 of 255 a pixel) and flicker (2 % of the brightness), in three ways."""
    ways = {"as_found": (False, 0.0), "followed": (True, 0.0), "followed_and_smoothed": (True, 0.4)}
    figures = {}
    for name, still in still_faces().items():
        rng = np.random.default_rng(0)
        trackers = [tracker_of(predictor, followed=followed, smoothing_s=s) for followed, s in ways.values()]
        labels: list[list[str]] = [[] for _ in ways]
        for number in range(seconds * rate):
            frame = still * rng.normal(1, 0.02) + rng.normal(0, 8, still.shape)
            noisy = np.clip(frame, 0, 255).astype(np.uint8)
            for tracker, shown in zip(trackers, labels, strict=True):
                shown += [tracker.describe(track).label for track in tracker.update(noisy, number / rate)[:1]]
        changes = [sum(one != other for one, other in itertools.pairwise(shown)) * 60 / seconds for shown in labels]
        figures[name] = dict(zip(ways, changes, strict=True))
    return figures


def memory_of_a_long_clip(rate: int = 5) -> dict[str, int]:
    """Minutes of a clip -> peak resident memory so far, MB; with both outputs."""
    marks = {f"{minutes} min": minutes * 60 * rate for minutes in MINUTES}
    peaks = {}

    def note(frame: int) -> None:
        for name, number in marks.items():
            if frame + 1 == number:
                peaks[name] = peak_mb()

    with tempfile.TemporaryDirectory() as name:
        folder, clip = Path(name), [crowd(320, 240, 1, number) for number in range(440)]  # 440: nearly 7 and 9 turns
        frames = (clip[number % len(clip)] for number in range(max(marks.values())))
        write_clip(folder / "long.avi", frames, float(rate), (320, 240))
        source, tracker = FrameSource(str(folder / "long.avi")), FaceTracker(Predictor().for_video())
        label_video(source, tracker, output=folder / "o.mp4", table=folder / "o.csv", every=1, progress=note)
    return peaks


def peak_mb() -> int:
    """This process's peak resident memory; that of its parent isn't counted, as in resource.getrusage."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return round(int(line.split()[1]) / 1024)


def measure_video(here: dict[str, Any]) -> None:
    """Measure following, flicker and memory; write and print them."""
    predictor = Predictor().for_video()
    with tempfile.TemporaryDirectory() as name:
        speeds = measure_following(Path(name), predictor)
    flicker = measure_flicker(predictor)
    memory = figures_of("benchmarks.speed", "memory_of_a_long_clip")
    memory["read back"] = memory.pop("peak_memory_mb")
    figures = {
        "machine": here,
        "frames_per_second": speeds,
        "label_changes_a_minute": flicker,
        "peak_memory_mb": memory,
    }
    write_json(RESULTS / "video.json", figures)
    for title in ("frames_per_second", "label_changes_a_minute"):
        table: dict[str, dict[str, float]] = figures[title]
        print(" | ".join([title, *next(iter(table.values()))]))
        for name, row_of in table.items():
            print(" | ".join([name, *map(str, row_of.values())]))
    print(figures["peak_memory_mb"])


def write_pictures(folder: Path, count: int) -> None:
    """Write `count` JPEG files of 640x480: random parts of three photographs, mirrored or not, darker or lighter."""
    from sklearn.datasets import load_sample_image

    portrait, rng = head(600), np.random.default_rng(0)
    others = [load_sample_image("china.jpg"), load_sample_image("flower.jpg")]
    for number in range(count):
        photograph = portrait if number % 2 else others[number // 2 % 2]
        rows, columns = photograph.shape[:2]
        width = int(rng.uniform(0.75, 1.0) * min(columns, rows * 4 / 3))
        height = width * 3 // 4
        lowest = (rows - height) // (2 if number % 2 else 1)  # the face is in the portrait's upper half
        left, top = rng.integers(0, columns - width + 1), rng.integers(0, lowest + 1)
        part = cv2.resize(photograph[top : top + height, left : left + width], (640, 480))
        part = cv2.convertScaleAbs(part[:, :: rng.choice([-1, 1])], alpha=rng.uniform(0.7, 1.2))
        cv2.imwrite(str(folder / f"{number:05}.jpg"), part[:, :, ::-1])


def predict_folder(folder: str, table: str) -> dict[str, float]:
    """Predict a folder into a CSV in this process: wall-clock seconds, milliseconds of a core a picture, memory."""
    from emotion import cli

    began, busy = time.perf_counter(), time.process_time()
    assert cli.main(["predict", folder, "--output", table]) == 0
    seconds, core_s = time.perf_counter() - began, time.process_time() - busy
    with Path(table).open(newline="") as file:
        rows = list(csv.DictReader(file))
    pictures = len({line["path"] for line in rows})
    return {
        "pictures_per_second": significant(pictures / seconds),
        "core_ms_per_picture": significant(1e3 * core_s / pictures),
        "faces": sum(bool(line["face"]) for line in rows),
        "resident_mb": peak_mb(),
    }


def measure_folders(count: int, here: dict[str, Any]) -> None:
    """Measure a tenth of `count` pictures and `count`, each in a process of its own; write and print the figures."""
    figures: dict[str, Any] = {}
    for pictures in (count // 10, count):
        with tempfile.TemporaryDirectory() as name:
            folder, table = Path(name) / "pictures", Path(name) / "out.csv"
            folder.mkdir()
            write_pictures(folder, pictures)
            found = figures_of("benchmarks.speed", "predict_folder", folder=folder, table=table)
        found.pop("peak_memory_mb")  # in which Linux counts what this process had when it began that one
        figures[str(pictures)] = found
        print(pictures, *(f"{key}: {value}" for key, value in found.items()), sep="  ", flush=True)
    write_json(RESULTS / "folder.json", {"machine": here, "pictures": figures})


def figures(path: Path) -> dict[str, float]:
    """One model's row of the table: COLUMNS."""
    model = open_model(path)
    about = model.about
    faces = np.random.default_rng(0).integers(0, 256, (32, about.size_px, about.size_px, about.channels), np.uint8)
    alone = median_ms(lambda: model.probabilities(faces[:1]), 100)
    batch = median_ms(lambda: model.probabilities(faces), 20) / 32
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cold = cold_start_ms(folder, path)
        video, drawn = (video_frames_per_second(folder, path, annotated=annotated) for annotated in (False, True))
    measured = (path.stat().st_size / 1e6, round(cold), alone, batch, round(video), round(drawn))
    return dict(zip(COLUMNS, map(_three_digits, measured), strict=True))


def _three_digits(value: float) -> float:
    return float(f"{value:.3g}") if value < 100 else value


def measure_models(models: Sequence[Path], here: dict[str, Any]) -> None:
    """Milliseconds of finding faces, and each model's figures."""
    finding = {"pictures": finding_ms(YuNet()), "videos": finding_ms(YuNet().for_video())}
    result: dict[str, Any] = {"machine": here, "finding_ms": {name: round(ms, 1) for name, ms in finding.items()}}
    print(result, "model | " + " | ".join(COLUMNS), sep="\n")
    result["models"] = {}
    for path in models:
        result["models"][path.name] = figures(path)
        print(path.name, *result["models"][path.name].values(), sep=" | ", flush=True)
    write_json(RESULTS / "speed.json", result)


def main() -> None:
    """Print the table."""
    parser = parser_of(__doc__)
    add_model_options(parser)
    parser.add_argument("--video", action="store_true", help="measure video only")
    parser.add_argument("--folder", type=int, metavar="N", help="measure a folder of N pictures only")
    arguments, here = begin(parser)
    if arguments.folder:
        measure_folders(arguments.folder, here)
        return
    if arguments.video:
        measure_video(here)
        return
    measure_models(arguments.model or [PUBLISHED], here)


if __name__ == "__main__":
    main()
