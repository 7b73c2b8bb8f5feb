"""Model files that are damaged, lie, or are none: one line each, in little memory and without waiting."""

import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emotion.foundation.errors import UserError
from emotion.inference.memory_bound import memory_bound
from emotion.inference.models import PUBLISHED, open_model
from emotion.model.about import _RULES, ABOUT_ENTRY, ModelAbout, format_about, parse_about, read_about

WHOLE = PUBLISHED.read_bytes()
BODY = WHOLE[: WHOLE.rindex(b"PK\x03\x04")]
FACTS = json.loads(format_about(read_about(PUBLISHED)))
SEVEN, EIGHT = FACTS["labels"], [*FACTS["labels"], "contempt"]


def zipped(content: bytes, *, body: bytes = BODY, entry: str = ABOUT_ENTRY) -> bytes:
    """A network with facts appended, as `emotion export` does it."""
    file = io.BytesIO(body)
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(entry, content)
    return file.getvalue()


def saying(**changes: Any) -> bytes:
    return zipped(json.dumps({**FACTS, **changes}).encode())


def lacking(name: str) -> bytes:
    return zipped(json.dumps({key: value for key, value in FACTS.items() if key != name}).encode())


LIES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "not a zip file"),
    "text": (b"hello", "not a zip file"),
    "no facts": (BODY, "not a zip file"),
    "facts alone": (zipped(format_about(ModelAbout(**FACTS)), body=b""), "not a readable LiteRT model"),
    "another body": (zipped(json.dumps(FACTS).encode(), body=b"TFL3" * 999), "not a readable LiteRT model"),
    "cut body": (zipped(json.dumps(FACTS).encode(), body=BODY[: len(BODY) // 2]), "not a readable LiteRT model"),
    "another entry": (zipped(b"{}", entry="other.json"), "no item named"),
    "no JSON": (zipped(b"{"), "Expecting property name"),
    "no text": (zipped(b"\xff\xfe\xfd"), "decode"),
    "a list": (zipped(b"[]"), "no names with values"),
    "deep": (zipped(b"[" * 100_000), "nests too deeply"),
    "long": (zipped(b'"' + b"x" * 2_000_000 + b'"'), "would unpack to 2,000,002 bytes"),
    "bomb": (zipped(bytes(300_000_000)), "would unpack to 300,000,000 bytes"),
    "long number": (zipped(b"9" * 10_000), "integer string conversion"),
    "unknown fact": (saying(extra=1), "unknown 'extra'"),
    **{
        f"without {name}": (lacking(name), f"has {name}: 'missing'")
        for name in sorted(FACTS.keys() - {"made_with", "prior"})
    },
    "size as text": (saying(size_px="48"), "has size_px: '48'; expected a number from 1 to 1024"),
    "size 60,000": (saying(size_px=60_000), "has size_px: 60000"),
    "size 2^63": (saying(size_px=2**63), "has size_px: 9223372036854775808"),
    "size 0": (saying(size_px=0), "has size_px: 0"),
    "size true": (saying(size_px=True), "has size_px: True"),
    "size 48.0": (saying(size_px=48.0), "has size_px: 48.0"),
    "another size": (saying(size_px=64), "says its faces are 64x64x1, but it takes 48x48x1"),
    "two channels": (saying(channels=2), "has channels: 2; expected 1 or 3"),
    "another number of channels": (saying(channels=3), "says its faces are 48x48x3"),
    "eight labels": (saying(labels=EIGHT, prior=[]), "says it has 8 labels, but its answers to two faces are 2x7"),
    "six labels": (saying(labels=SEVEN[:6], prior=[]), "says it has 6 labels"),
    "no labels": (saying(labels=[]), "expected 1 to 1000 different names"),
    "labels as text": (saying(labels="angry"), "has labels: 'angry'"),
    "labels that are numbers": (saying(labels=list(range(7))), "has labels: [0, 1"),
    "a label twice": (saying(labels=[*SEVEN[:6], SEVEN[0]]), "different names"),
    "a label with a line break": (saying(labels=[*SEVEN[:6], "a\nb"]), "different names"),
    "a label that clears the screen": (saying(labels=[*SEVEN[:6], "\x1b[2J"]), "different names"),
    "a million labels": (saying(labels=[str(n) for n in range(100_000)]), "different names"),
    "temperature 0": (saying(temperature=0), "has temperature: 0"),
    "temperature NaN": (saying(temperature=float("nan")), "holds NaN, which is no number"),
    "temperature infinite": (saying(temperature=float("inf")), "holds Infinity, which is no number"),
    "temperature as text": (saying(temperature="1"), "has temperature: '1'"),
    "a prior of other labels": (saying(prior=[0.5, 0.5]), "has a prior of 2 shares where it has"),
    "a prior that is no fraction": (saying(prior=[2.0] * 7), "has prior: [2.0"),
    "a prior of nothing": (saying(prior=[0] * 7), "expected fractions that sum to one"),
    "a prior of 7": (saying(prior=[1] * 7), "expected fractions that sum to one"),
    "a prior below 0": (saying(prior=[-0.5, 1.5, 0, 0, 0, 0, 0]), "expected fractions that sum to one"),
    "a label that means none": (saying(labels=[*SEVEN[:6], "uncertain"]), "none of them 'uncertain'"),
    "NaN": (saying(made_with={"seed": float("nan")}), "holds NaN, which is no number"),
    "infinity": (saying(made_with={"seed": float("-inf")}), "holds -Infinity, which is no number"),
    "a number past all bounds": (zipped(b'{"made_with": {"seed": 1e999}}'), "holds 1e999, which is no number"),
    "made with text": (saying(made_with="hands"), "has made_with: 'hands'"),
}


def damaged_checksum() -> bytes:
    content = bytearray(saying())
    place = content.rindex(b"PK\x01\x02") + 16
    content[place] ^= 0xFF
    return bytes(content)


LIES["bad checksum"] = (damaged_checksum(), "Bad CRC-32")


@pytest.mark.parametrize("name", LIES)
def test_each_lie_is_one_line(name: str, tmp_path: Path) -> None:
    content, says = LIES[name]
    path = tmp_path / "lying.tflite"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        open_model(path)
    assert says in str(caught.value) and str(path) in str(caught.value)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 700


def test_a_true_model_is_opened(tmp_path: Path) -> None:
    (tmp_path / "true.tflite").write_bytes(saying())
    assert open_model(tmp_path / "true.tflite").about == ModelAbout(**FACTS)


def test_what_earlier_versions_did_not_write_may_be_left_out() -> None:
    about = parse_about(json.dumps({key: FACTS[key] for key in ("labels", "size_px", "channels", "temperature")}))
    assert (about.made_with, about.prior) == ({}, [])


def test_every_fact_has_its_rule() -> None:
    assert set(_RULES) == {fact.name for fact in fields(ModelAbout)}


PROGRAM = """
import sys
from emotion.cli import main
status = main(sys.argv[1:])
print(open("/proc/self/status").read(), file=sys.stderr)
sys.exit(status)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
@pytest.mark.parametrize("kind", ["pipe", "folder", "gone", "sparse", "bomb", "device"])
@pytest.mark.parametrize("suffix", [".tflite", ".onnx", ".keras"])
def test_what_is_no_file_is_neither_waited_for_nor_read(kind: str, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"model{suffix}"
    make: dict[str, Callable[[], Any]] = {
        "pipe": lambda: os.mkfifo(path),
        "folder": path.mkdir,
        "gone": lambda: None,
        "sparse": lambda: os.truncate(path.write_bytes(b"") or path, 30_000_000_000),
        "bomb": lambda: path.write_bytes(LIES["bomb"][0]),
        "device": lambda: path.symlink_to("/dev/zero"),
    }
    make[kind]()
    command = [sys.executable, "-c", PROGRAM, "about", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    line, *status = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (2, "") and line.startswith("emotion: "), done.stderr
    (peak,) = [int(found.split()[1]) for found in status if found.startswith("VmHWM")]
    assert peak < 400_000, "KiB"


# --- .keras and .onnx -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def keras_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import keras

    from emotion.model.file import save_model

    pixels = keras.Input((16, 16, 1))
    outputs = keras.layers.Softmax()(keras.layers.Dense(3)(keras.layers.Flatten()(pixels)))
    path = tmp_path_factory.mktemp("keras") / "true.keras"
    save_model(keras.Model(pixels, outputs), path, ModelAbout(["a", "b", "c"], 16, 1, 1.0, {}))
    return path


def rewritten(source: Path, target: Path, method: int = zipfile.ZIP_STORED, **changes: bytes) -> Path:
    """A .keras with the bytes of some entries (`config_json=...`) put in place of others."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", method) as new:
        for name in old.namelist():
            new.writestr(name, changes.get(name.replace(".", "_"), old.read(name)))
        for name in changes.keys() - {name.replace(".", "_") for name in old.namelist()}:
            new.writestr(name, changes[name])
    return target


def facts(**changes: Any) -> bytes:
    about = {"labels": ["a", "b", "c"], "size_px": 16, "channels": 1, "temperature": 1.0, "made_with": {}}
    return json.dumps({**about, **changes}).encode()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"emotion_json": facts(labels=["a", "b"])}, "says it has 2 labels, but it gives 3 numbers"),
        ({"emotion_json": facts(size_px=32)}, "says its faces are 32x32x1, but it takes 16x16x1"),
        ({"config_json": b"{}"}, "not a model made by this pipeline"),
        ({"config_json": b"["}, "not a model made by this pipeline"),
        ({"model_weights_h5": b""}, "not a model made by this pipeline"),
        ({"model_weights_h5": b"\x89HDF\r\n\x1a\n" + bytes(900)}, "not a model made by this pipeline"),
        ({"more": bytes(300_000_000)}, "would unpack to"),
    ],
)
def test_a_keras_file_that_lies_is_one_line(
    changes: dict[str, bytes], says: str, keras_model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    method = zipfile.ZIP_DEFLATED if "more" in changes else zipfile.ZIP_STORED
    path = rewritten(keras_model, tmp_path / "lying.keras", method, **changes)
    with pytest.raises(UserError) as caught:
        open_model(path)
    assert says in str(caught.value) and "\n" not in str(caught.value), str(caught.value)


def test_a_flipped_weight_is_found_by_its_checksum(keras_model: Path, tmp_path: Path) -> None:
    content = bytearray(keras_model.read_bytes())
    content[content.index(b"HDF") + 3000] ^= 0xFF
    (tmp_path / "x.keras").write_bytes(content)
    with pytest.raises(UserError, match=r"its model\.weights\.h5 is damaged"):
        open_model(tmp_path / "x.keras")


def onnx_model(path: Path, weights: np.ndarray, *, copies: int = 1, **changes: Any) -> Path:
    """A network that takes 16x16 pixels, keeps so many copies of them in memory, and gives three numbers."""
    onnx = pytest.importorskip("onnx")
    helper, floats, whole = onnx.helper, onnx.TensorProto.FLOAT, onnx.TensorProto.INT64
    constants = [
        helper.make_tensor("w", floats, [256, 3], weights.astype(np.float32)),
        helper.make_tensor("s", whole, [2], [-1, 256]),
        helper.make_tensor("r", whole, [2], [1, copies]),
    ]
    nodes = [
        helper.make_node("Reshape", ["x", "s"], ["flat"]),
        helper.make_node("Tile", ["flat", "r"], ["many"]),
        helper.make_node("ReduceMax", ["many"], ["most"], keepdims=1, axes=[1]),
        helper.make_node("Add", ["flat", "most"], ["sum"]),
        helper.make_node("MatMul", ["sum", "w"], ["y"]),
        helper.make_node("Softmax", ["y"], ["z"], axis=1),
    ]
    inputs = [helper.make_tensor_value_info("x", floats, ["n", 16, 16, 1])]
    outputs = [helper.make_tensor_value_info("z", floats, ["n", 3])]
    graph = helper.make_graph(nodes, "g", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {ABOUT_ENTRY: facts(**changes).decode()})
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, ""),
        ({"labels": ["a", "b"]}, "says it has 2 labels"),
        ({"size_px": 32}, "says its faces are 32x32x1"),
        ({"size_px": "16"}, "has size_px: '16'"),
        ({"temperature": -1}, "has temperature: -1"),
    ],
)
def test_an_onnx_file_is_held_to_what_it_says(changes: dict[str, Any], says: str, tmp_path: Path) -> None:
    path = onnx_model(tmp_path / "model.onnx", np.zeros(768), **changes)
    if not says:
        assert open_model(path).about.size_px == 16
        return
    with pytest.raises(UserError) as caught:
        open_model(path)
    assert says in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("suffix", [".keras", ".onnx"])
def test_weights_that_are_no_numbers_are_noticed(
    suffix: str, value: float, keras_model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"model{suffix}"
    if suffix == ".onnx":
        onnx_model(path, np.full(768, value))
    else:
        from emotion.model.file import load_model, save_model

        model, about = load_model(keras_model)
        model.set_weights([np.full_like(weight, value) for weight in model.get_weights()])
        save_model(model, path, about)
    with pytest.raises(UserError, match="does not answer with probabilities that sum to one"):
        open_model(path)


def test_a_name_that_is_no_text_is_one_line_and_no_noise(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = onnx_model(tmp_path / "model.onnx", np.zeros(768))
    path.write_bytes(path.read_bytes().replace(b"MatMul", b"M\xff\xfeMul"))
    with pytest.raises(UserError) as caught:
        open_model(path)
    assert "\n" not in str(caught.value) and "is not an ONNX model" in str(caught.value)
    assert capsys.readouterr().out == ""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is bounded there")
@pytest.mark.skipif(Path("/dev/nvidiactl").exists(), reason="not beside an NVIDIA driver")
@pytest.mark.parametrize("suffix", [".keras", ".onnx"])
def test_a_small_file_of_a_large_network_is_refused_in_little_memory(
    suffix: str, keras_model: Path, tmp_path: Path
) -> None:
    path = tmp_path / f"model{suffix}"
    if suffix == ".onnx":
        onnx_model(path, np.zeros(768), copies=1_500_000)  # 3 GB for two faces
    else:
        with zipfile.ZipFile(keras_model) as archive:
            config = archive.read("config.json").replace(b'"units": 3', b'"units": 4000000')  # 4 GB
        rewritten(keras_model, path, config_json=config)
    command = [sys.executable, "-c", PROGRAM, "about", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    (said,) = [line for line in done.stderr.splitlines() if line.startswith("emotion: ")]
    assert (done.returncode, done.stdout) == (2, "") and str(path) in said and "Traceback" not in done.stderr
    (peak,) = [int(line.split()[1]) for line in done.stderr.splitlines() if line.startswith("VmHWM")]
    assert peak < 1_500_000, "KiB"


def test_the_bound_of_memory_is_gone_afterwards() -> None:
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_DATA)
    open_model(PUBLISHED)
    with pytest.raises(KeyError), memory_bound(PUBLISHED):
        raise KeyError
    assert resource.getrlimit(resource.RLIMIT_DATA) == before
