"""No votes."""

from pathlib import Path

from emotion.dataset.archive.faces import Dataset, Votes
from emotion.foundation.params import Params


class VoteSource(Params):
    """Parameters: none."""

    def votes(self, dataset: Dataset, input_dir: Path, cache_dir: Path) -> Votes | None:
        """Return None: nobody was asked."""
        return None
