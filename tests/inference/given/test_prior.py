"""Priors: Bayes' rule worked by hand, and what a person may say."""

import json
from pathlib import Path

import numpy as np
import pytest

from emotion.foundation.errors import UserError
from emotion.inference.given.prior import Prior, parse_prior
from emotion.inference.predictor import Predictor
from emotion.model.about import ModelAbout
from emotion.model.prior import reweighted

ABOUT = ModelAbout(["calm", "cross"], 8, 1, 1.0, {}, [0.8, 0.2])


def test_bayes_rule_worked_by_hand() -> None:
    """0.8 and 0.2 learnt, even here: 0.6/0.8 to 0.4/0.2 is 0.75 to 2."""
    changed = reweighted(np.array([[0.6, 0.4]]), learnt=[0.8, 0.2], here=[1, 1])
    np.testing.assert_allclose(changed, [[0.75 / 2.75, 2 / 2.75]])


def test_the_same_prior_changes_nothing_and_a_label_never_learnt_stays_out() -> None:
    rows = np.array([[0.3, 0.7, 0.0]])
    np.testing.assert_allclose(reweighted(rows, learnt=[0.4, 0.6, 0], here=[4, 6, 0]), rows)
    np.testing.assert_allclose(reweighted(rows, learnt=[0.5, 0.5, 0], here=[1, 1, 1]), rows)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("training", [0.6, 0.4]),
        ("even", [0.75 / 2.75, 2 / 2.75]),
        ("calm=1,cross=0", [1, 0]),
        ("calm=4,cross=1", [0.6, 0.4]),
    ],
)
def test_what_a_person_says_is_applied(text: str, expected: list[float]) -> None:
    np.testing.assert_allclose(parse_prior(text).apply(np.array([[0.6, 0.4]]), ABOUT), [expected])


def test_a_prior_may_lie_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "prior.json").write_text(json.dumps({"calm": 30, "cross": 10}))
    assert parse_prior(str(tmp_path / "prior.json")).shares == {"calm": 30, "cross": 10}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("evn", "expected training, even, label=share"),
        ("calm=x", "the share of 'calm' is 'x'; expected a number from 0 to 1e"),
        ("calm=-1,cross=2", "the share of 'calm' is '-1'"),
        ("calm=nan", "expected a number from 0 to 1e"),
        ("crss=1", "names 'crss', which the model does not know"),
        *((f"calm={text}", "the share of 'calm' is") for text in ("1_0", "１", "٣", "0.٨", "")),
        ("calm=1e13", "the share of 'calm' is '1e13'; expected a number from 0 to 1e"),
        ("calm=1,calm=2", "a label is there twice"),
        ("calm=0,cross=0", "gives no label a share above 0"),
    ],
)
def test_what_cannot_be_a_prior_is_refused_in_one_line(text: str, says: str) -> None:
    with pytest.raises(UserError, match=says) as caught:
        parse_prior(text).apply(np.array([[0.6, 0.4]]), ABOUT)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[" * 100_000, "cannot be read as JSON"),
        ('{"calm": 1' + "0" * 9999 + "}", "cannot be read as JSON .Exceeds the limit [^;]*; expected"),
        (" " * 1_000_001, "is larger than 1 MB"),
        ('{"calm": 1' + "0" * 400 + "}", "the share of 'calm' is '1000"),
        ('{"calm": 1e308, "cross": 1e308}', "the share of 'calm' is '1e"),
    ],
)
def test_a_file_that_cannot_be_a_prior_is_refused_in_one_short_line(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "prior.json").write_text(text)
    with pytest.raises(UserError, match=says) as caught:
        parse_prior(str(tmp_path / "prior.json"))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500 + len(str(tmp_path))


def test_a_model_that_does_not_say_its_prior_keeps_it() -> None:
    silent = ModelAbout(["calm", "cross"], 8, 1, 1.0)
    np.testing.assert_allclose(Prior("training").apply(np.array([[0.6, 0.4]]), silent), [[0.6, 0.4]])
    with pytest.raises(UserError, match="does not say how frequent its labels were"):
        Prior("even").apply(np.array([[0.6, 0.4]]), silent)


def test_the_published_model_says_its_prior() -> None:
    face = np.full((48, 48), 90, np.uint8)
    as_learnt, even = (Predictor(detector=None, prior=prior).predict(face) for prior in ("training", "even"))
    assert (as_learnt.prior, even.prior) == ("training", "even")
    ratio = {label: even.probabilities[label] / as_learnt.probabilities[label] for label in even.probabilities}
    assert max(ratio, key=ratio.__getitem__) == "disgust"  # the rarest
    assert min(ratio, key=ratio.__getitem__) == "happy"  # the most frequent
    assert Predictor(detector=None, prior={"happy": 1}).predict(face).label == "happy"


@pytest.mark.parametrize("share", [float("nan"), float("inf"), -1.0, 1e300, "much"])
def test_shares_from_python_are_checked_as_those_of_the_command_line(share: object) -> None:
    with pytest.raises(UserError, match=r"the share of 'happy' is .*; expected a number from 0 to"):
        parse_prior({"happy": share})  # type: ignore[dict-item]
