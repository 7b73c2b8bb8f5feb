"""What a person says of the pictures: how frequent each label is there, and the probabilities that follow."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emotion.foundation.errors import UserError, did_you_mean, reason, shown
from emotion.foundation.files import number, read_small
from emotion.model.about import ModelAbout
from emotion.model.prior import reweighted

TRAINING, EVEN = "training", "even"
_MOST = 1e12  # of a share: the sums and quotients of such numbers are finite
_MOST_BYTES = 1_000_000  # of a file
_EXPECTED = "expected training, even, label=share,… or a JSON file of label: share"


@dataclass(frozen=True)
class Prior:
    """How frequent each label is.

    Attributes:
        name: what was asked for, to be shown with the result.
        shares: label -> share, of any sum; None for `training` and `even`.
    """

    name: str
    shares: Mapping[str, float] | None = None

    def apply(self, probabilities: np.ndarray, about: ModelAbout) -> np.ndarray:
        """Recompute the probabilities of a model, float [n, labels], for pictures with this prior: float64.

        Raises UserError when the model doesn't say its training prior, or a label of the prior is none of the model's.
        """
        probabilities = probabilities.astype(np.float64)
        if self.name == TRAINING:
            return probabilities
        if len(about.prior) != len(about.labels):
            raise UserError(
                "the model does not say how frequent its labels were in training, so --prior cannot be applied; train "
                "it again with this version, or leave --prior out"
            )
        return reweighted(probabilities, learnt=about.prior, here=self._shares_of(about.labels))

    def _shares_of(self, labels: Sequence[str]) -> list[float]:
        if self.shares is None:
            return [1.0] * len(labels)
        for name in self.shares:
            if name not in labels:
                raise UserError(f"--prior names {name!r}, which the model does not know{did_you_mean(name, labels)}")
        shares = [self.shares.get(label, 0.0) for label in labels]
        if not sum(shares) > 0:
            raise UserError("--prior gives no label a share above 0")
        return shares


def parse_prior(text: str | Mapping[str, float]) -> Prior:
    """Read what a person gives as the prior: a name, `label=share,…`, a JSON file, or shares. Raises UserError."""
    if not isinstance(text, str):
        return Prior("given", _checked(text, str(dict(text))))
    if text in (TRAINING, EVEN):
        return Prior(text)
    if "=" in text:
        parts = [part.partition("=") for part in text.split(",")]
        shares = {label.strip(): share for label, _, share in parts}
        if len(shares) < len(parts):
            raise UserError(f"--prior {shown(text)}: a label is there twice; {_EXPECTED}")
        return Prior(text, _checked(shares, text))
    if not os.path.exists(text):  # noqa: PTH110 (it may be any text)
        raise UserError(f"--prior {shown(text)}: {_EXPECTED}")
    try:
        content = json.loads(read_small(Path(text), _MOST_BYTES).decode())
    except UserError as error:
        raise UserError(f"--prior {error}") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"--prior {shown(text)}: cannot be read as JSON ({reason(error)}); {_EXPECTED}") from None
    if not isinstance(content, dict):
        raise UserError(f"--prior {shown(text)}: {_EXPECTED}")
    return Prior(text, _checked(content, text))


def _checked(shares: Mapping[str, object], text: str) -> dict[str, float]:
    found = {}
    for label, share in shares.items():
        try:
            found[label] = number(share) if isinstance(share, str) else float(share)  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError):
            found[label] = -1.0
        if not 0 <= found[label] <= _MOST:
            expected = f"expected a number from 0 to {_MOST:g}"
            raise UserError(f"--prior {shown(text)}: the share of {label!r} is {str(share)[:50]!r}; {expected}")
    return found
