"""Ask Git."""

import subprocess
from pathlib import Path


def git(folder: Path, *arguments: str) -> str:
    """What `git` with these arguments prints, run in `folder`. Raises subprocess.CalledProcessError."""
    return subprocess.run(["git", *arguments], cwd=folder, check=True, stdout=subprocess.PIPE, text=True).stdout
