"""Several trained networks as one, whose answer is the average of theirs. Needs the `pipeline` extra.

Networks may know different labels, or have learnt where other labels were frequent. Then each answer is first made one
about the labels that all know, and moved to the first network's prior by Bayes' rule (`emotion.model.prior`): averaged
as they are, one would say that fear is rare and the other that it is not.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from emotion.foundation.errors import UserError
from emotion.inference.models import KerasModel, import_keras
from emotion.model.about import ModelAbout, read_about
from emotion.model.prior import reweighted


def load_as_one(paths: Sequence[Path]) -> tuple[Any, ModelAbout, Callable[[np.ndarray], np.ndarray]]:
    """Load .keras files of this project as one Keras model.

    Returns the model, what travels with it, and what answers as it should by the files themselves: uint8
    [n, size_px, size_px, channels] -> float [n, labels].
    Raises UserError: no such model, models that cannot be averaged. ImportError without Keras.
    """
    abouts = [read_about(path) for path in paths]
    average = average_about(abouts) if len(paths) > 1 else abouts[0]
    import_keras()
    from emotion.model.file import load_model

    networks, files = [load_model(path)[0] for path in paths], [KerasModel(path) for path in paths]
    if len(paths) == 1:
        return networks[0], average, files[0].probabilities

    def answer(faces: np.ndarray) -> np.ndarray:
        return average_probabilities([file.probabilities(faces) for file in files], abouts, average)

    return average_network(networks, abouts, average), average, answer


def average_about(abouts: Sequence[ModelAbout]) -> ModelAbout:
    """What travels with the average: the labels that all know, in the first one's order, and its prior among them.

    Raises UserError when the networks take other faces than the first, share no label, or cannot be moved to one prior.
    """
    first = abouts[0]
    if any((about.size_px, about.channels) != (first.size_px, first.channels) for about in abouts):
        shapes = ", ".join(f"{about.size_px}x{about.size_px}x{about.channels}" for about in abouts)
        raise UserError(f"the models to average take faces of different shapes, {shapes}; average models of one shape")
    labels = [label for label in first.labels if all(label in about.labels for about in abouts)]
    if not labels:
        raise UserError("the models to average have no label in common; average models that know the same")
    prior = first.prior
    if any((about.labels, about.prior) != (first.labels, first.prior) for about in abouts):
        shares, *_ = [_shares(about, labels) for about in abouts]
        prior = first.prior if labels == first.labels else [round(share / sum(shares), 6) for share in shares]
    made_with = {"average_of": [dict(about.made_with) for about in abouts]}
    return ModelAbout(labels, first.size_px, first.channels, None, made_with, prior)


def average_probabilities(
    answers: Sequence[np.ndarray], abouts: Sequence[ModelAbout], average: ModelAbout
) -> np.ndarray:
    """The average of what networks answered, each float [n, its labels]: float64 [n, labels of the average]."""
    moved = [
        answer.astype(np.float64)
        if _is_as(about, average)
        else reweighted(
            answer[:, _columns(about, average)],
            learnt=_shares(about, average.labels),
            here=average.prior,
        )
        for answer, about in zip(answers, abouts, strict=True)
    ]
    return np.asarray(np.mean(moved, axis=0))


def average_network(networks: Sequence[Any], abouts: Sequence[ModelAbout], average: ModelAbout) -> Any:
    """One Keras model of stock layers that answers as `average_probabilities`.

    Args:
        networks: Keras models that end in a softmax, as `load_model` gives them.
        abouts: what travels with each.
        average: what `average_about` says of them.
    """
    keras = import_keras()
    pixels = keras.Input((average.size_px, average.size_px, average.channels), name="pixels", dtype="float32")
    answers = []
    for number, (network, about) in enumerate(zip(networks, abouts, strict=True)):
        logits = keras.Model(network.input, network.layers[-1].input, name=f"network_{number}")(pixels)
        if not _is_as(about, average):
            chosen = np.eye(len(about.labels), dtype=np.float32)[:, _columns(about, average)]
            shift = np.log(np.divide(average.prior, _shares(about, average.labels))).astype(np.float32)
            layer = keras.layers.Dense(len(average.labels), trainable=False, name=f"prior_{number}")
            logits = layer(logits)
            layer.set_weights([chosen, shift])
        answers.append(keras.layers.Softmax(name=f"probabilities_{number}")(logits))
    return keras.Model(pixels, keras.layers.Average(name="average")(answers), name="emotion")


def _is_as(about: ModelAbout, average: ModelAbout) -> bool:
    return (about.labels, about.prior) == (average.labels, average.prior)


def _columns(about: ModelAbout, average: ModelAbout) -> list[int]:
    return [about.labels.index(label) for label in average.labels]


def _shares(about: ModelAbout, labels: Sequence[str]) -> list[float]:
    """How frequent the labels were where this model learnt. Raises UserError where that is not known, or never."""
    shares = dict(zip(about.labels, about.prior, strict=False))
    for label in labels:
        if not shares.get(label):
            raise UserError(
                "the models to average know other labels, or learnt where other labels were frequent, and one does not "
                f"say how frequent {label!r} was there; train it again with this version"
            )
    return [shares[label] for label in labels]
