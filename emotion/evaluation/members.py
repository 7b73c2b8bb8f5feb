"""A trained network as evaluation uses it: pixels -> logits, before and after its temperature."""

from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from emotion.dataset.examples import Targets
from emotion.dataset.records.stored_images import Images
from emotion.foundation.errors import UserError
from emotion.model.batch_norm import with_fused_batch_norm
from emotion.model.batched import predict_in_batches
from emotion.model.file import ModelAbout, load_model
from emotion.runtime.portable import check_portable


@dataclass(frozen=True)
class Member:
    """One member.

    Attributes:
        name: its seed, which is also the model file's name.
        about: what travels with the model.
        network: pixels float32 [n, size, size, channels], 0-255 -> logits divided by the temperature [n, label_count].
    """

    name: str
    about: ModelAbout
    network: keras.Model

    @property
    def temperature(self) -> float:
        """What the logits are divided by: 1 where none was fitted."""
        return self.about.temperature or 1.0

    @property
    def targets(self) -> Targets:
        """What it was trained on, as `train.targets` says it."""
        found: Targets = self.about.made_with.get("train", {}).get("targets", "label")
        return found

    @property
    def network_name(self) -> str:
        """What the network is called in params.yaml."""
        network = self.about.made_with.get("network")
        return str(network.get("name") if isinstance(network, dict) else f"of member {self.name}")

    def logits(self, images: Images) -> np.ndarray:
        """Logits, before the temperature, of uint8 images [n, size, size, channels]: float64 [n, label_count]."""
        return predict_in_batches(self.network, images).astype(np.float64) * self.temperature


def load_member(path: Path) -> Member:
    """Load a member. Raises UserError when the file is not a model of this project."""
    model, about = load_model(path)
    softmax = model.layers[-1]
    if not isinstance(softmax, keras.layers.Softmax):
        raise UserError(f"{path} ends in {type(softmax).__name__}, not in Softmax; train it with `dvc repro`")
    return Member(path.stem, about, with_fused_batch_norm(keras.Model(model.inputs[0], softmax.input)))


def load_members(folder: Path, seeds: list[int], *, portable: bool) -> list[Member]:
    """Load the members with these seeds, to be averaged. Raises UserError, also as `check_agreement` does.

    Args:
        portable: whether to refuse a network that other processors would evaluate to other bits.
    """
    members = [load_member(folder / f"{seed}.keras") for seed in seeds]
    check_agreement(members)
    if portable:
        for member in members:
            check_portable(member.network, member.network_name, setting="evaluate.portable")
    return members


def check_agreement(members: list[Member]) -> None:
    """Raise UserError when members differ in labels, size or channels and so cannot be averaged."""
    first = members[0]
    for other in members[1:]:
        for fact in ("labels", "size_px", "channels", "targets"):
            mine, theirs = (getattr(each if fact == "targets" else each.about, fact) for each in (first, other))
            if mine != theirs:
                raise UserError(
                    f"members {first.name} and {other.name} differ in {fact}: {mine}, {theirs}; train again"
                )
