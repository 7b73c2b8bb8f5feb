"""The same bits on emulated processors of other makes as on this one, in training and in the whole pipeline."""

import hashlib
import itertools
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from emotion.runtime.processor import features
from tests.support import tiny
from tests.support.portable import emulated
from tests.support.portable.emulated import PROCESSORS, last_line, needs_qemu, run

pytestmark = [needs_qemu, pytest.mark.timeout(3600)]

ADAM = {"learning_rate": 0.001, "warmup_epochs": 0}
FEW: dict[str, dict[str, Any]] = {
    "vgg": {"network": "vgg"},
    "stacked_cnn": {"network": "stacked_cnn", "optimizer": "adam", "schedule": "plateau", **ADAM},
    "resnet": {
        "network": "resnet",
        "optimizer": "adamw",
        "schedule": "constant",
        **ADAM,
        "block": {"attention": "cbam"},
    },
}
ALL = {
    f"{network} {optimizer} {schedule}": {
        "network": network,
        "optimizer": optimizer,
        "schedule": schedule,
        **(ADAM if schedule != "cosine" else {}),
        "block": {"attention": "squeeze_excitation"} if network == "resnet" else {},
    }
    for (network, optimizer), schedule in zip(
        itertools.product((*FEW, "mini_xception"), ("sgd", "adam", "adamw")),
        itertools.cycle(("cosine", "constant", "plateau")),
    )
}
# Three steps of the default network at its own size, then of the published one's.
AT_SIZE = {
    "default": {"network": "vgg", "side_px": 48, "block": {"width": 16, "blocks": 4, "convolutions": 1}},
    "published": {"network": "vgg", "side_px": 48, "block": {"width": 32, "blocks": 4, "dense_units": 256}},
}

# Two epochs of the tiny project without a word of doubt: batches small enough for so few pictures, and a short average.
SETTLED = {"train.epochs": 2, "train.warmup_epochs": 0.5, "train.batch_size": 6, "train.ema_decay": 0.7}


def digests(processors: tuple[str | None, ...], cases: Mapping[str, Any], **changes: str) -> list[dict[str, Any]]:
    """What `tests.support.portable.run` prints on each processor, two at a time."""
    with ThreadPoolExecutor(2) as pool:
        runs = [
            pool.submit(run, processor, "-m", "tests.support.portable.run", json.dumps(cases), **changes)
            for processor in processors
        ]
        return [json.loads(last_line(each.result())) for each in runs]


def check_equal(cases: Mapping[str, Any], processors: tuple[str, ...] = PROCESSORS) -> None:
    here, *there = digests((None, *processors), cases)
    for processor, other in zip(processors, there, strict=True):
        assert "AVX512F" not in other["features"], "emulated, NumPy sees a processor without AVX-512"
        assert {"X86_V3"} == {"X86_V3", "X86_V4", "AVX512_ICL"} & set(other["features"]) == levels(here), "NumPy's pins"
        for case in ("numpy", *cases):
            assert other[case] == here[case], f"{case} on {processor}"


def levels(said: Mapping[str, Any]) -> set[str]:
    """The levels of kernels that NumPy may choose here."""
    return {"X86_V3", "X86_V4", "AVX512_ICL"} & set(said["features"])


@pytest.mark.slow
def test_each_network_has_the_same_bits_on_every_processor() -> None:
    check_equal(FEW)


@pytest.mark.emulated
def test_each_network_has_the_same_bits_with_every_optimizer_and_schedule() -> None:
    check_equal(ALL)


@pytest.mark.emulated
def test_the_default_and_the_published_network_have_the_same_bits_at_their_own_size() -> None:
    check_equal(AT_SIZE)


@pytest.mark.slow
def test_the_proof_notices_the_stock_batch_norm(tmp_path: Path) -> None:
    """With the replaced operation put back, the emulated run differs."""
    stock = "import keras; module.FusedBatchNormalization.call = keras.layers.BatchNormalization.call"
    mutation = tiny.mutation(tmp_path, "emotion.model.batch_norm", stock)
    allowed = tiny.mutation(
        tmp_path, "emotion.runtime.portable", "module.check_portable = lambda *a, **k: None", more=True
    )
    assert mutation == allowed
    here, there = digests((None, PROCESSORS[1]), {"vgg": FEW["vgg"]}, **mutation)
    assert here["numpy"] == there["numpy"]
    assert here["vgg"]["weights"] != there["vgg"]["weights"]


@pytest.mark.slow
def test_the_proof_notices_another_cap_on_instructions(tmp_path: Path) -> None:
    """Held to what came before AVX2, oneDNN gives other bits, so equal bits are no matter of course."""
    lower = tiny.mutation(tmp_path, "emotion.runtime.pins", "module._PORTABLE['ONEDNN_MAX_CPU_ISA'] = 'SSE41'")
    (here,), (there,) = digests((None,), {"vgg": FEW["vgg"]}), digests((None,), {"vgg": FEW["vgg"]}, **lower)
    assert here["vgg"]["weights"] != there["vgg"]["weights"]


@pytest.mark.slow
@pytest.mark.skipif("avx512f" not in features(), reason="this processor has no AVX-512 that the cap would keep out")
def test_the_proof_notices_the_cap_on_instructions() -> None:
    """Without the cap, oneDNN takes AVX-512 here, and the emulated processor, which has none, gives other bits."""
    here, there = digests((None, PROCESSORS[1]), {"vgg": {**FEW["vgg"], "portable": False}})
    assert here["vgg"]["weights"] != there["vgg"]["weights"]


@pytest.mark.slow
def test_a_tiny_pipeline_has_the_same_bytes_on_an_emulated_processor(tmp_path: Path) -> None:
    check_pipeline(tmp_path, PROCESSORS[1:2])


@pytest.mark.emulated
def test_a_tiny_pipeline_has_the_same_bytes_on_every_emulated_processor(tmp_path: Path) -> None:
    check_pipeline(tmp_path, PROCESSORS)


def check_pipeline(folder: Path, processors: tuple[str, ...]) -> None:
    with ThreadPoolExecutor(2) as pool:
        here, *there = pool.map(lambda case: pipeline(folder / str(case[0]), case[1]), enumerate((None, *processors)))
    assert len(here) > 30
    for processor, other in zip(processors, there, strict=True):
        assert other == here, processor


def pipeline(folder: Path, processor: str | None) -> dict[str, str]:
    """Run every stage as dvc.yaml does, each process on its own under the processor: output -> MD5."""
    (folder / "emotion/report").mkdir(parents=True)
    (folder / "emotion/report/report.html.j2").symlink_to(tiny.ROOT / "emotion/report/report.html.j2")
    (folder / "data/synthetic").mkdir(parents=True)
    tiny.write_params(folder, {**SETTLED, "evaluate.robustness": True})
    for arguments in commands():
        last = run(processor, *arguments, cwd=folder)
        assert last.returncode == 0, last.stderr[-3000:]
        assert said(last.stderr) == [], "a stage says nothing on stderr"
    files = [file for name in ("data", "metrics", "models", "report.html") for file in below(folder / name)]
    return {file.relative_to(folder).as_posix(): hashlib.md5(file.read_bytes()).hexdigest() for file in files}


def said(stderr: str) -> list[str]:
    """What a program wrote to stderr, without what comes of emulation: Linux names the real processor's features."""
    emulation = ("qemu-x86_64: warning", "OPENCV: Trying to disable unavailable CPU feature")
    return [line for line in stderr.splitlines() if not line.startswith(emulation)]


def below(path: Path) -> list[Path]:
    return [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())


def commands() -> list[list[str]]:
    """The stages' command lines, without the leading `python`, in their order; one for each item of a matrix."""
    stages = YAML(typ="safe").load(tiny.ROOT / "dvc.yaml")["stages"]
    source = tiny.TINY["data.source"]
    found = []
    for stage in stages.values():
        matrix = stage.get("matrix", {})
        items = ["0"] if "member" in matrix else matrix.get("split", [""])
        for item in items:
            words = stage["cmd"].replace("${data.source}", source).split()
            found.append([word.replace("${item.split}", item).replace("${item.member}", item) for word in words[1:]])
    return found


def test_emulated_python_is_another_processor() -> None:
    """NumPy's own look at the processor, not what Linux says of it."""
    show = "import numpy; print(numpy._core._multiarray_umath.__cpu_features__['AVX512F'])"
    for processor in emulated.PROCESSORS:
        assert last_line(run(processor, "-c", show)) == "False"
