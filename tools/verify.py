"""`make verify`: run the committed pipeline from scratch in a temporary clone and compare every byte with dvc.lock.

Its last line is a row for the table of docs/reproducibility.md.
"""

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from emotion.runtime import processor
from tools.git import git


def output_digests(lock: Path) -> dict[tuple[str, str], str]:
    """(stage, output path) -> MD5 of the output's bytes (of a folder: of its listing), from a dvc.lock."""
    stages: Mapping[str, Any] = YAML(typ="safe").load(lock)["stages"]
    return {(name, out["path"]): out["md5"] for name, stage in stages.items() for out in stage.get("outs", [])}


def compare(
    committed: Mapping[tuple[str, str], str], made: Mapping[tuple[str, str], str]
) -> list[tuple[str, str, str]]:
    """One row (verdict, stage, output) per output of either lock; the verdict is `equal` where the bytes are."""

    def verdict(key: tuple[str, str]) -> str:
        if key not in made:
            return "not made"
        if key not in committed:
            return "not committed"
        return "equal" if committed[key] == made[key] else "DIFFERENT"

    return [(verdict(key), *key) for key in sorted({*committed, *made})]


def verify(root: Path) -> bool:
    """Run the commit of `root` from scratch, print each output's verdict, and return whether all are equal."""
    with tempfile.TemporaryDirectory(prefix="verify-") as folder:
        clone = Path(folder) / "clone"
        git(root, "clone", "--quiet", "--no-hardlinks", str(root), str(clone))
        commit = git(clone, "rev-parse", "HEAD").strip()
        print(f"verify: commit {commit} on {processor.name()}", flush=True)
        committed = output_digests(clone / "dvc.lock")
        # A fresh clone has no cache, so nothing can be restored; --force runs what looks unchanged.
        if subprocess.run([sys.executable, "-m", "dvc", "repro", "--force"], cwd=clone, check=False).returncode:
            sys.exit("verify: the pipeline did not finish, for the reason above")
        rows = compare(committed, output_digests(clone / "dvc.lock"))
    for verdict, stage, output in rows:
        print(f"{verdict:<14} {stage:<18} {output}")
    equal = sum(verdict == "equal" for verdict, _, _ in rows)
    print("An output is equal if all its bytes are those of the committed dvc.lock. The row for the table:")
    print(f"| {processor.name()} | {commit[:12]} | {equal} of {len(rows)} outputs equal |")
    return equal == len(rows)


def main() -> None:
    """Exit 0 when every byte is equal, 1 when not."""
    sys.exit(0 if verify(Path(__file__).parent.parent) else 1)


if __name__ == "__main__":
    main()
