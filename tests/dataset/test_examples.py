"""What a network is to learn: labels, agreed labels, votes, labels drawn from them."""

import numpy as np
import pytest

from emotion.dataset.examples import examples
from emotion.dataset.records.tfrecords import Faces, RecordsAbout
from emotion.foundation.errors import UserError
from emotion.model.prior import learnt_prior
from emotion.training.batches import training_batches

LABELS, CROWD = ["a", "b"], ["a", "b", "c"]
FACES = Faces(
    np.arange(4, dtype=np.uint8).reshape(4, 1, 1, 1),
    np.array([0, 1, 1, 0]),
    RecordsAbout(4, 1, 1, LABELS, CROWD),
    np.array([2, -1, 1, -1]),
    np.array([[0, 1, 3], [2, 2, 0], [0, 4, 0], [0, 0, 0]]),
)


def test_labels_are_learnt_of_every_face() -> None:
    learnt = examples(FACES, "label", labels=LABELS)
    assert (learnt.labels, learnt.rows.tolist()) == (LABELS, [0, 1, 2, 3])
    assert learnt.targets.tolist() == [[1, 0], [0, 1], [0, 1], [1, 0]]


def test_what_the_crowd_agrees_on_is_learnt_where_it_does() -> None:
    learnt = examples(FACES, "crowd", labels=LABELS)
    assert (learnt.labels, learnt.rows.tolist()) == (CROWD, [0, 2])
    assert learnt.targets.tolist() == [[0, 0, 1], [0, 1, 0]]
    assert learnt.images[:].ravel().tolist() == [0, 2]


def test_votes_are_learnt_as_shares() -> None:
    learnt = examples(FACES, "votes", labels=LABELS)
    assert learnt.rows.tolist() == [0, 1, 2]
    assert learnt.targets.tolist() == [[0, 0.25, 0.75], [0.5, 0.5, 0], [0, 1, 0]]


def test_drawn_labels_follow_the_votes_and_are_drawn_anew() -> None:
    learnt = examples(FACES, "drawn", labels=LABELS)
    batches = training_batches(
        learnt, batch_size=3, first_epoch=0, epochs=400, seed=0, augment=lambda pictures, seed: pictures
    )
    drawn = np.zeros((3, 3))
    for pictures, answers in batches:
        assert np.isin(answers, (0, 1)).all() and (answers.numpy().sum(axis=1) == 1).all()
        drawn[pictures.numpy().ravel()] += answers.numpy()
    np.testing.assert_allclose(drawn / 400, learnt.targets, atol=0.08)
    assert drawn[2].tolist() == [0, 400, 0]


def test_votes_are_asked_for_where_there_are_none() -> None:
    without = Faces(FACES.images, FACES.label_indexes, RecordsAbout(4, 1, 1, LABELS))
    with pytest.raises(UserError, match=r"train\.targets is `votes`, but the data set has no votes; set data\.votes"):
        examples(without, "votes", labels=LABELS)


def test_the_prior_is_how_often_a_label_is_learnt_and_even_where_weights_balance_it() -> None:
    targets = examples(FACES, "votes", labels=LABELS).targets
    assert learnt_prior(targets, balanced=False) == [0.166667, 0.583333, 0.25]
    assert learnt_prior(targets, balanced=True) == [0.333333, 0.333333, 0.333333]
