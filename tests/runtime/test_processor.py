"""What the processor is called, from made-up /proc/cpuinfo files."""

import platform
from pathlib import Path

import pytest

from emotion.runtime import processor

EPYC = """processor\t: 0
vendor_id\t: AuthenticAMD
cpu family\t: 26
model\t\t: 2
model name\t: AMD EPYC
flags\t\t: fpu sse2 fma avx avx2 avx512f avx512_bf16
bugs\t\t: spectre_v1

"""
XEON = """processor\t: 1
vendor_id\t: GenuineIntel
cpu family\t: 6
model\t\t: 63
model name\t: Intel(R) Xeon(R) CPU E5-2680 v3 @ 2.50GHz
flags\t\t: fpu sse2 fma avx avx2

"""
ARM = """processor\t: 0
Features\t: fp asimd sve
CPU implementer\t: 0x41

"""


@pytest.fixture
def cpuinfo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that is read instead of /proc/cpuinfo; not there yet."""
    monkeypatch.setattr(processor, "_CPUINFO", tmp_path / "cpuinfo")
    return tmp_path / "cpuinfo"


def test_a_bare_name_gets_numbers_and_instructions(cpuinfo: Path) -> None:
    cpuinfo.write_text(EPYC)
    assert processor.name() == "AMD EPYC (AuthenticAMD family 26 model 2), AVX2 FMA AVX-512"
    assert processor.features() == {"fpu", "sse2", "fma", "avx", "avx2", "avx512f", "avx512_bf16"}


def test_what_a_processor_lacks_is_not_in_its_name(cpuinfo: Path) -> None:
    cpuinfo.write_text(XEON)
    assert processor.name() == "Intel(R) Xeon(R) CPU E5-2680 v3 @ 2.50GHz (GenuineIntel family 6 model 63), AVX2 FMA"
    cpuinfo.write_text(XEON.replace(" fma avx avx2", ""))
    assert processor.name().endswith(", without AVX2")


def test_the_first_processor_of_several_counts(cpuinfo: Path) -> None:
    cpuinfo.write_text(EPYC + XEON)
    assert processor.name().startswith("AMD EPYC (")


@pytest.mark.parametrize("content", [None, ARM])
def test_elsewhere_it_is_named_as_python_does_and_nothing_is_said_of_features(
    content: str | None, cpuinfo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if content:
        cpuinfo.write_text(content)
    monkeypatch.setattr(platform, "processor", lambda: "arm")
    assert (processor.name(), processor.features()) == ("arm", frozenset())
    monkeypatch.setattr(platform, "processor", lambda: "")
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert processor.name() == "aarch64"
