"""A trained .keras -> other runtimes, and the check that both say the same. Needs the `pipeline` extra."""

import contextlib
import io
import os
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from emotion.dataset.archive.faces import list_faces, read_faces
from emotion.dataset.archive.zip_entries import MAX_PICTURE_BYTES
from emotion.dataset.images import ImageError, decode_face
from emotion.dataset.picture_files import pictures_below
from emotion.foundation.errors import UserError
from emotion.foundation.files import write_entry, written_whole
from emotion.inference.exporting.averaged import load_as_one
from emotion.inference.models import LiteRTModel, OnnxModel, import_keras
from emotion.inference.outputs import check_not_read
from emotion.install_hint import install_command
from emotion.model.about import ABOUT_ENTRY, ModelAbout, format_about
from emotion.model.batched import in_batches, predict_batch
from emotion.runtime.quiet import import_tensorflow, quietly

MAX_DIFFERENCE = {"float32": 1e-3, "float16": 2e-2, "int8": 0.5}  # of a probability, by precision
MAX_FACES = 7500  # compared at most
CALIBRATION_FACES = 300  # enough for the ranges of int8

T = TypeVar("T")
Predict = Callable[[np.ndarray], np.ndarray]  # uint8 [n, size, size, channels] -> float32 [n, labels]


@dataclass(frozen=True)
class Report:
    """What the comparison found.

    Attributes:
        output: what was written.
        size_bytes: its size.
        faces: how many were compared.
        largest: the largest difference of a probability.
        mean: the mean difference.
        same_label: fraction of the faces that keep their most probable label.
        accuracies: before and after, fractions; None without labels.
    """

    output: Path
    size_bytes: int
    faces: int
    largest: float
    mean: float
    same_label: float
    accuracies: tuple[float, float] | None

    def lines(self) -> list[str]:
        """For people."""
        lines = [
            f"{self.output}: {self.size_bytes / 1e6:.2f} MB",
            f"compared on {self.faces} faces: largest difference {self.largest:.2g}, mean {self.mean:.2g}, "
            f"same label {self.same_label:.2%}",
        ]
        if self.accuracies:
            before, after = self.accuracies
            lines.append(f"accuracy {before:.4f} before, {after:.4f} after ({100 * (after - before):+.2f} points)")
        return lines


def export(
    models: Sequence[Path],
    output: Path,
    *,
    format_name: str,
    precision: str = "float32",
    faces_path: Path | None = None,
    max_difference: float | None = None,
) -> Report:
    """Convert a model, or the average of several (as in averaged.py), and compare it with the original.

    Args:
        models: .keras files made by the pipeline; of several, one model is written that answers with their average.
        output: file to write; a folder for savedmodel.
        format_name: one of FORMATS.
        precision: float32, float16 or int8; other than float32 for litert only.
        faces_path: face crops to compare on; None draws some.
        max_difference: bound on the difference of a probability; None takes the one for the precision.

    Raises UserError: no such model, models that cannot be averaged, a missing extra, unusable faces, or a difference
    over the bound.
    """
    if max_difference is not None and not 0 <= max_difference <= 1:
        raise UserError(f"--max-difference is {max_difference}; it must be 0 to 1, a difference of probabilities")
    check_not_read(output, {"the model itself": models, "the file of --faces": [faces_path] if faces_path else []})
    for path in models:
        _check(path, output, format_name, precision)
    try:
        model, about, original = load_as_one(models)
    except ImportError:
        raise UserError(f"exporting needs Keras: {install_command('pipeline')}") from None
    faces, labels = comparison_faces(faces_path, about)
    kind = FORMATS[format_name]
    bound = MAX_DIFFERENCE[precision] if max_difference is None else max_difference
    with _written(output) as temporary:
        kind.write(model, temporary, about, precision=precision, faces=faces)
        before, after = in_batches(original, faces), in_batches(kind.read(temporary, model), faces)
        difference = np.abs(before - after)
        if not np.isfinite(after).all() or difference.max() > bound:
            names = " and ".join(map(str, models))
            raise UserError(
                f"{output} would differ from {names} by up to {difference.max():.3g} in a probability, more than "
                f"{bound:g}; nothing was written. Another --format or precision, or a larger --max-difference, may do"
            )
    accuracies = None
    if labels is not None:
        accuracies = float((before.argmax(1) == labels).mean()), float((after.argmax(1) == labels).mean())
    same = float((before.argmax(1) == after.argmax(1)).mean())
    return Report(
        output, _size(output), len(faces), float(difference.max()), float(difference.mean()), same, accuracies
    )


def comparison_faces(path: Path | None, about: ModelAbout) -> tuple[np.ndarray, np.ndarray | None]:
    """Face crops for a model: uint8 [n, size_px, size_px, channels], and their label indexes, int [n], if known.

    At most MAX_FACES, spread evenly. Raises UserError when there is none.
    """
    if path is None:
        return _drawn_faces(about), None
    faces, indexes = [], []
    for label, content in _archived(path) if path.is_file() else _filed(path):
        try:
            faces.append(decode_face(content, size_px=about.size_px, channels=about.channels))
        except ImageError:
            continue
        indexes.append(about.labels.index(label) if label in about.labels else -1)
    if not faces:
        raise UserError(f"{path} holds no picture that can be read; name a folder of face crops or data/raw/faces.zip")
    return np.stack(faces), None if -1 in indexes else np.array(indexes)


def append_about(path: Path, about: ModelAbout) -> None:
    """Append the facts to a .tflite as a zip, which its runtime ignores and `read_about` finds."""
    with zipfile.ZipFile(path, "a") as archive:
        write_entry(archive, ABOUT_ENTRY, format_about(about))


def write_litert(model: Any, path: Path, about: ModelAbout, *, precision: str, faces: np.ndarray, **_: Any) -> None:
    """Write a .tflite with the facts appended; any batch size."""
    tf = import_tensorflow()
    with quietly(), contextlib.redirect_stdout(io.StringIO()):  # Keras lists the model's tensors
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        if precision != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if precision == "float16":
            converter.target_spec.supported_types = [tf.float16]
        if precision == "int8":
            chosen = faces[:: max(1, len(faces) // CALIBRATION_FACES)].astype(np.float32)
            converter.representative_dataset = lambda: ([face[None]] for face in chosen)
        path.write_bytes(converter.convert())
    append_about(path, about)


def write_onnx(model: Any, path: Path, about: ModelAbout, **_: Any) -> None:
    """Write a .onnx with the facts in `metadata_props`; any batch size."""
    try:
        import onnx
        import tf2onnx
    except ImportError:
        raise UserError(f"exporting to ONNX needs tf2onnx: {install_command('onnx')}") from None
    tf = import_tensorflow()
    signature = [tf.TensorSpec([None, *model.input_shape[1:]], tf.float32, name="pixels")]
    function = tf.function(lambda pixels: model(pixels, training=False), input_signature=signature)
    with quietly():
        converted, _other = tf2onnx.convert.from_function(function, input_signature=signature, opset=17)
    onnx.helper.set_model_props(converted, {ABOUT_ENTRY: format_about(about).decode()})
    onnx.save(converted, str(path))


def _write_h5(model: Any, path: Path, about: ModelAbout, **_: Any) -> None:
    import h5py

    with quietly():
        model.save(path)
    with h5py.File(path, "a") as file:
        file.attrs[ABOUT_ENTRY] = format_about(about).decode()


def _write_weights(model: Any, path: Path, about: ModelAbout, **_: Any) -> None:
    import h5py

    model.save_weights(path)
    with h5py.File(path, "a") as file:
        file.attrs[ABOUT_ENTRY] = format_about(about).decode()


def _write_savedmodel(model: Any, path: Path, about: ModelAbout, **_: Any) -> None:
    with quietly():
        model.export(str(path), verbose=False)
    (path / "assets.extra").mkdir(exist_ok=True)
    (path / "assets.extra" / ABOUT_ENTRY).write_bytes(format_about(about))


def _read_h5(path: Path, model: Any) -> Predict:
    loaded = import_keras().models.load_model(path, compile=False)
    return partial(predict_batch, loaded)


def _read_weights(path: Path, model: Any) -> Predict:
    fresh = import_keras().models.clone_model(model)
    fresh.load_weights(path)
    return partial(predict_batch, fresh)


def _read_savedmodel(path: Path, model: Any) -> Predict:
    loaded = import_tensorflow().saved_model.load(str(path))
    return lambda faces: np.asarray(loaded.serve(faces.astype(np.float32)))


@dataclass(frozen=True)
class Format:
    """What the model can be exported to.

    Attributes:
        suffix: what the output's name ends in; "" for a folder.
        write: (model, path, facts; precision, faces) -> None.
        read: (path, the original model) -> what predicts with the export.
    """

    suffix: str
    write: Callable[..., None]
    read: Callable[[Path, Any], Predict]


FORMATS = {
    "litert": Format(".tflite", write_litert, lambda path, model: LiteRTModel(path).probabilities),
    "onnx": Format(".onnx", write_onnx, lambda path, model: OnnxModel(path).probabilities),
    "savedmodel": Format("", _write_savedmodel, _read_savedmodel),
    "h5": Format(".h5", _write_h5, _read_h5),
    "weights": Format(".weights.h5", _write_weights, _read_weights),
}


def _check(model_path: Path, output: Path, format_name: str, precision: str) -> None:
    if model_path.suffix != ".keras":
        raise UserError(f"{model_path} is not a .keras; exports are made from the pipeline's models/<member>.keras")
    if precision != "float32" and format_name != "litert":
        raise UserError(f"--{precision} is for --format litert; {format_name} keeps float32")
    if not output.name.endswith(FORMATS[format_name].suffix):
        raise UserError(f"{output}: the name of an export as {format_name} must end in {FORMATS[format_name].suffix}")
    if os.path.lexists(output) and format_name == "savedmodel" and not output.is_dir():
        raise UserError(f"{output} is there and is no folder; a savedmodel is one: name another path")
    if output.is_dir() and (format_name != "savedmodel" or any(output.iterdir())):
        raise UserError(f"{output} is a folder that is in the way; name another path, or remove it")


@contextmanager
def _written(output: Path) -> Iterator[Path]:
    """A path beside the output, renamed to it when all went well; a folder that was filled meanwhile is in the way."""
    try:
        with written_whole(output) as part:
            yield part
            if output.is_dir():
                output.rmdir()
    except OSError as error:
        raise UserError(f"{output} cannot be written ({error.strerror or error})") from None


def _drawn_faces(about: ModelAbout) -> np.ndarray:
    from emotion.sources.synthetic.source import Source

    dataset = Source(seed=0, train_images=210, test_images=7, min_intensity=0.5, noise=0.06).dataset(Path(), Path())
    contents = [dataset.read(dataset.keys[key]) for key in sorted(dataset.keys)]
    return np.stack([decode_face(content, size_px=about.size_px, channels=about.channels) for content in contents])


def _archived(path: Path) -> Iterator[tuple[str, bytes]]:
    """Label and bytes of the test faces of a canonical archive, or of all where there is no test face."""
    every = list_faces(path)
    faces = _spread([face for face in every if face.split == "test"] or list(every))
    contents = read_faces(path, [face.path for face in faces])
    yield from ((face.label, content) for face, content in zip(faces, contents, strict=True))


def _filed(folder: Path) -> Iterator[tuple[str, bytes]]:
    if not folder.is_dir():
        raise UserError(f"{folder} does not exist; name a folder of face crops or data/raw/faces.zip")
    for path in _spread(pictures_below(folder)):
        if not path.is_file():
            raise UserError(f"{path} cannot be read; mend it, or name another folder of face crops")
        if path.stat().st_size <= MAX_PICTURE_BYTES:
            yield path.parent.name, path.read_bytes()


def _spread(every: Sequence[T]) -> Sequence[T]:
    return every[:: max(1, -(-len(every) // MAX_FACES))]


def _size(path: Path) -> int:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)
