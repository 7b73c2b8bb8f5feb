import numpy as np
import pytest
from sklearn import metrics

from emotion.evaluation.intervals import Interval, accuracies, interval, macro_f1s, resample

RNG = np.random.default_rng(1)
TRUE = RNG.integers(0, 3, 300)
SAID = np.where(RNG.random(300) < 0.7, TRUE, RNG.integers(0, 3, 300))
OUTCOMES = np.stack([TRUE, SAID], axis=1)


def test_resampled_scores_are_those_scikit_learn_gives_for_the_same_counts() -> None:
    resamples = resample(OUTCOMES, seed=0)
    for number in (0, 17):
        true, said = np.repeat(resamples.outcomes, resamples.counts[number], axis=0).T
        assert len(true) == 300
        assert accuracies(resamples)[number] == pytest.approx(metrics.accuracy_score(true, said))
        assert macro_f1s(resamples)[number] == pytest.approx(metrics.f1_score(true, said, average="macro"))


def test_intervals_agree_with_resampling_faces_one_by_one() -> None:
    rows = RNG.integers(0, 300, (2000, 300))
    naive = interval((TRUE[rows] == SAID[rows]).mean(axis=1))
    ours = interval(accuracies(resample(OUTCOMES, seed=0)))
    assert ours == pytest.approx(naive, abs=0.012)  # two draws of the same 2.5 % quantile
    assert ours.high - ours.low == pytest.approx(2 * 1.96 * np.std(TRUE == SAID) / np.sqrt(300), rel=0.1)


def test_a_label_missing_from_a_resample_does_not_count() -> None:
    outcomes = np.array([[0, 0]] * 50 + [[1, 1]])
    values = macro_f1s(resample(outcomes, seed=0))
    assert np.all(values == 1.0)


def test_the_seed_alone_decides() -> None:
    first, again, other = (accuracies(resample(OUTCOMES, seed=seed)) for seed in (5, 5, 6))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_interval_is_the_middle_95_percent() -> None:
    assert interval(np.arange(1001) / 1000) == pytest.approx(Interval(0.025, 0.975))
