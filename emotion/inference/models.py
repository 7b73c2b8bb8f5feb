"""Open any model file, LiteRT, ONNX or Keras, the same way: faces in, calibrated probabilities out.

Everything between pixels (0-255) and probabilities is in the file: scaling, the network, the temperature that
calibrates it, and the softmax. Nothing is left to do here but to check that the answers are probabilities.
"""

from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Protocol

import numpy as np

from emotion.foundation.errors import UserError, shown
from emotion.inference.memory_bound import memory_bound
from emotion.install_hint import install_command
from emotion.model.about import ModelAbout, check_file, check_shapes, parse_about, read_about
from emotion.model.batched import predict_batch

PUBLISHED = Path(__file__).parents[1] / "published" / "model.tflite"  # made by tools/ship.py of two published runs
_OFF = 0.05  # what rounding to 8 bits may add to a sum of probabilities
_ABOUT_KEY = "emotion.json"  # of an ONNX file's metadata_props


class FaceModel(Protocol):
    """A model, whatever it runs on."""

    about: ModelAbout

    def probabilities(self, faces: np.ndarray) -> np.ndarray:
        """uint8 [n, size_px, size_px, channels], 0-255 -> float32 [n, labels], rows summing to one."""


def open_model(path: Path) -> FaceModel:
    """Open a model by its suffix: .tflite, .onnx or .keras.

    Raises UserError: missing, not made by this project, or its runtime is not installed.
    """
    if not path.exists():
        raise UserError(f"model {path} does not exist; give a .tflite, .onnx or .keras file")
    kinds: dict[str, Callable[[Path], FaceModel]] = {".tflite": LiteRTModel, ".onnx": OnnxModel, ".keras": KerasModel}
    kind = kinds.get(path.suffix.lower())
    if kind is None:
        ways = "`emotion export` makes one from a .keras"
        raise UserError(f"model {path} is not a .tflite, .onnx or .keras file; {ways}")
    check_file(path)
    try:
        with memory_bound(path):
            model = kind(path)
            _check_answers(path, model)
    except MemoryError:
        raise UserError(f"{path} asks for more memory than any model of this pipeline; export it again") from None
    return model


def _check_answers(path: Path, model: FaceModel) -> None:
    """Raise UserError unless a black and a white face each get a probability for every label."""
    about = model.about
    faces = np.zeros((2, about.size_px, about.size_px, about.channels), np.uint8)
    faces[1] = 255
    try:
        answers = model.probabilities(faces)
    except MemoryError:
        raise
    except Exception as error:  # each runtime has exceptions of its own
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"{path} cannot answer for a face ({shown(reason)[:300]}); export it again") from None
    if answers.shape != (2, len(about.labels)):
        says, gives = f"{len(about.labels)} labels", "x".join(map(str, answers.shape))
        raise UserError(f"{path} says it has {says}, but its answers to two faces are {gives}; export it again")
    if not (np.isfinite(answers).all() and answers.min() >= -_OFF and np.abs(answers.sum(axis=1) - 1).max() <= _OFF):
        raise UserError(f"{path} does not answer with probabilities that sum to one; export it again")


class LiteRTModel:
    """A .tflite with the facts about it appended; needs the plain install only."""

    def __init__(self, path: Path) -> None:
        from emotion.inference.lite import LiteModel

        self.about = read_about(path)
        self._model = LiteModel(path)
        check_shapes(path, self.about, takes=self._model.input_shape)

    def probabilities(self, faces: np.ndarray) -> np.ndarray:
        """uint8 [n, size_px, size_px, channels], 0-255 -> float32 [n, labels]."""
        return self._model.run(faces.astype(np.float32))[0]


class OnnxModel:
    """A .onnx with the facts about it in `metadata_props`; needs the `onnx` extra."""

    def __init__(self, path: Path) -> None:
        try:
            import onnxruntime
        except ImportError:
            raise UserError(f"{path} needs ONNX Runtime: {install_command('onnx')}") from None
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        try:
            with redirect_stdout(StringIO()):  # where it prints what it then raises
                self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
            self.about = parse_about(self._session.get_modelmeta().custom_metadata_map[_ABOUT_KEY])
        except Exception as error:  # ONNX Runtime's own exceptions share no other base
            reason = (str(error).splitlines() or [""])[0]
            raise UserError(
                f"{path} is not an ONNX model made by `emotion export` ({shown(reason)[:300]}); export it again"
            ) from None
        inputs = self._session.get_inputs()
        if len(inputs) != 1:
            raise UserError(f"{path} takes {len(inputs)} inputs in place of one, the faces; export it again")
        check_shapes(path, self.about, takes=tuple(inputs[0].shape[1:]))
        self._input = inputs[0].name

    def probabilities(self, faces: np.ndarray) -> np.ndarray:
        """uint8 [n, size_px, size_px, channels], 0-255 -> float32 [n, labels]."""
        return np.asarray(self._session.run(None, {self._input: faces.astype(np.float32)})[0])


class KerasModel:
    """A .keras as the pipeline writes it; needs the `pipeline` extra."""

    def __init__(self, path: Path) -> None:
        read_about(path)  # before Keras, which takes seconds
        try:
            import_keras()
        except ImportError:
            raise UserError(
                f"{path} needs Keras: {install_command('pipeline')}; "
                f"or export it where that is installed: emotion export --format litert {path} model.tflite"
            ) from None
        from emotion.model.file import load_model

        self._model, self.about = load_model(path)

    def probabilities(self, faces: np.ndarray) -> np.ndarray:
        """uint8 [n, size_px, size_px, channels], 0-255 -> float32 [n, labels]."""
        return predict_batch(self._model, faces)


def import_keras():  # type: ignore[no-untyped-def]  # a module, whose type exists only where it is installed
    """Import Keras on TensorFlow without TensorFlow's greeting. Raises ImportError."""
    import os

    from emotion.runtime.quiet import import_tensorflow

    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    import_tensorflow()
    import keras

    return keras
