"""Open any model file, LiteRT, ONNX or Keras, the same way: faces in, calibrated probabilities out."""

from pathlib import Path
from typing import Protocol

import numpy as np

from emotion.errors import UserError
from emotion.model.about import ModelAbout, parse_about, read_about

PUBLISHED = Path(__file__).parents[1] / "published" / "model.tflite"
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
    match path.suffix.lower():
        case ".tflite":
            return LiteRTModel(path)
        case ".onnx":
            return OnnxModel(path)
        case ".keras":
            return KerasModel(path)
    raise UserError(f"model {path} is not a .tflite, .onnx or .keras file; `emotion export` makes one from a .keras")


class LiteRTModel:
    """A .tflite with the facts about it appended; needs the plain install only."""

    def __init__(self, path: Path) -> None:
        from emotion.inference.lite import LiteModel

        self.about = read_about(path)
        self._model = LiteModel(path)
        expected = (self.about.size_px, self.about.size_px, self.about.channels)
        if self._model.input_shape != expected:
            has, says = ("x".join(map(str, shape)) for shape in (self._model.input_shape, expected))
            raise UserError(f"{path} says its faces are {says}, but it takes {has}; export it again")

    def probabilities(self, faces: np.ndarray) -> np.ndarray:
        """uint8 [n, size_px, size_px, channels], 0-255 -> float32 [n, labels]."""
        return self._model.run(faces.astype(np.float32))[0]


class OnnxModel:
    """A .onnx with the facts about it in `metadata_props`; needs the `onnx` extra."""

    def __init__(self, path: Path) -> None:
        try:
            import onnxruntime
        except ImportError:
            raise UserError(f"{path} needs ONNX Runtime: pip install 'emotion[onnx]'") from None
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
            self.about = parse_about(self._session.get_modelmeta().custom_metadata_map[_ABOUT_KEY])
        except Exception as error:  # ONNX Runtime's own exceptions share no other base
            reason = (str(error).splitlines() or [""])[0]
            raise UserError(f"{path} is not an ONNX model made by `emotion export` ({reason})") from None
        self._input = self._session.get_inputs()[0].name

    def probabilities(self, faces: np.ndarray) -> np.ndarray:
        """uint8 [n, size_px, size_px, channels], 0-255 -> float32 [n, labels]."""
        return np.asarray(self._session.run(None, {self._input: faces.astype(np.float32)})[0])


class KerasModel:
    """A .keras as the pipeline writes it; needs the `pipeline` extra."""

    def __init__(self, path: Path) -> None:
        self.about = read_about(path)
        try:
            keras = import_keras()
        except ImportError:
            raise UserError(
                f"{path} needs Keras: pip install 'emotion[pipeline]', "
                f"or export it where that is installed: emotion export --format litert {path} model.tflite"
            ) from None
        self._model = keras.models.load_model(path, compile=False)

    def probabilities(self, faces: np.ndarray) -> np.ndarray:
        """uint8 [n, size_px, size_px, channels], 0-255 -> float32 [n, labels]."""
        return np.asarray(self._model.predict_on_batch(faces.astype(np.float32)))


def import_keras():  # type: ignore[no-untyped-def]  # a module, whose type exists only where it is installed
    """Import Keras on TensorFlow without TensorFlow's greeting. Raises ImportError."""
    import os

    from emotion.runtime.quiet import import_tensorflow

    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    import_tensorflow()
    import keras

    return keras
