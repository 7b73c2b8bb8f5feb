"""Merged labels: sums by hand, in the place of their first label."""

import numpy as np
import pytest

from emotion.foundation.errors import UserError
from emotion.inference.given.merging import Merging, parse_groups

LABELS = ["angry", "fear", "happy", "sad"]


def test_probabilities_add_up_in_the_place_of_the_first_label() -> None:
    merging = Merging(LABELS, {"bad": ["sad", "fear"], "joy": ["happy"]})
    assert merging.labels == ["angry", "bad", "joy"]
    assert merging.group_of == {"angry": "angry", "fear": "bad", "happy": "joy", "sad": "bad"}
    np.testing.assert_allclose(merging.apply(np.array([[0.1, 0.2, 0.3, 0.4]])), [[0.1, 0.6, 0.3]])


def test_without_groups_every_bit_stays() -> None:
    rows = np.random.default_rng(0).dirichlet(np.ones(4), size=50)
    merging = Merging(LABELS, {})
    assert merging.labels == LABELS
    np.testing.assert_array_equal(merging.apply(rows), rows)


def test_a_group_may_be_called_like_a_label_of_its_own_or_like_one_that_goes() -> None:
    assert Merging(LABELS, {"sad": ["sad", "fear"]}).labels == ["angry", "sad", "happy"]
    assert Merging(LABELS, {"happy": ["sad"], "glad": ["happy"]}).labels == ["angry", "fear", "glad", "happy"]


@pytest.mark.parametrize(
    ("groups", "says"),
    [
        ({"bad": ["sadd"]}, "names 'sadd', which the model does not know; did you mean 'sad'"),
        ({"bad": ["x"]}, "it knows angry, fear, happy, sad"),
        ({"a": ["sad"], "b": ["sad"]}, "'sad' is in 'a' too"),
        ({"a": ["sad", "sad"]}, "'sad' is twice"),
        ({"a": []}, "expected NAME=label"),
        ({"a": ["sad", ""]}, "expected NAME=label"),
        ({"a": "sad"}, "expected NAME=label"),
        ({"": ["sad"]}, "cannot be a label's name"),
        ({"a\nb": ["sad"]}, "cannot be a label's name"),
        ({"uncertain": ["sad"]}, "cannot be a label's name"),
        ({"a" * 201: ["sad"]}, "a name of 201 characters; expected at most 200"),
        ({"happy": ["sad", "fear"]}, "has a label 'happy' of its own"),
    ],
)
def test_what_cannot_be_merged_says_why(groups: dict[str, list[str]], says: str) -> None:
    with pytest.raises(UserError, match=says):
        Merging(LABELS, groups)


def test_groups_are_read_from_the_command_line() -> None:
    assert parse_groups(["bad=angry, sad", " joy =happy"]) == {"bad": ["angry", "sad"], "joy": ["happy"]}
    with pytest.raises(UserError, match="expected NAME=label"):
        parse_groups(["bad"])
    with pytest.raises(UserError, match="'bad' was given before"):
        parse_groups(["bad=angry", "bad=sad"])
