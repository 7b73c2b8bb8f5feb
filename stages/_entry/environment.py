"""The versions that results depend on, compared with the lock."""

from stages._entry.start import LOCK_FILE

import re
import sys
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

PACKAGES = ("dvc", "keras", "numpy", "opencv-python-headless", "pillow", "scikit-learn", "tensorflow")


def versions(*more: str) -> dict[str, str]:
    """What this process runs with: package -> version, of PACKAGES and `more`."""
    return {package: metadata.version(package) for package in (*PACKAGES, *more)}


def locked_versions(lock: Path) -> dict[str, str]:
    """What the lock pins for this Python: package -> version, of those in PACKAGES."""
    pinned: dict[str, str] = {}
    for line in re.findall(r"^[a-z0-9][^\\\n]*==[^\\\n]*", lock.read_text(), re.MULTILINE):
        requirement = Requirement(line.strip())
        if requirement.name in PACKAGES and (requirement.marker is None or requirement.marker.evaluate()):
            pinned[requirement.name] = str(requirement.specifier).removeprefix("==")
    return pinned


def warn_if_unlocked(lock: Path = LOCK_FILE) -> None:
    """Print one warning to stderr when this environment is not the locked one and so may give different bits."""
    if not lock.is_file():
        return
    running = versions()
    differing = {name: pin for name, pin in locked_versions(lock).items() if running[name] != pin}
    if differing:
        listed = ", ".join(f"{name} {running[name]} (locked: {pin})" for name, pin in sorted(differing.items()))
        print(
            f"warning: {listed}: results may differ from those of the locked versions; "
            "`make repro` installs them, or: pip install --require-hashes -r requirements.lock",
            file=sys.stderr,
        )
