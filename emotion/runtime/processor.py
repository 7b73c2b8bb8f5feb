"""Which processor this is, to record what ran where and to know what it lacks. Standard library only."""

import platform
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
_TOLD = {"avx2": "AVX2", "fma": "FMA", "avx512f": "AVX-512"}  # they decide the kernels: Linux's name -> the usual one


def features() -> frozenset[str]:
    """The processor's features as Linux names them, such as `avx2`; empty where they are unknown."""
    return frozenset(_facts().get("flags", "").split())


def name() -> str:
    """Its name, numbers and widest instructions: `AMD EPYC (AuthenticAMD family 26 model 2), AVX2 FMA AVX-512`."""
    facts = _facts()
    if "model name" not in facts:
        return platform.processor() or platform.machine() or "unknown"
    numbers = f"{facts.get('vendor_id', 'unknown')} family {facts.get('cpu family')} model {facts.get('model')}"
    widest = " ".join(told for feature, told in _TOLD.items() if feature in features())
    return f"{facts['model name']} ({numbers}), {widest or 'without AVX2'}"


def _facts() -> dict[str, str]:
    """What Linux says about the first processor; empty elsewhere."""
    if not _CPUINFO.is_file():
        return {}
    first = _CPUINFO.read_text().split("\n\n")[0]
    pairs = (line.partition(":") for line in first.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}
