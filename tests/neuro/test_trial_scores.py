"""Scores of any recording against the functions they are made of, and by hand."""

import dataclasses

import jax
import numpy as np
import pytest

from neuro import data, metrics
from physics.errors import UnitsError

KEY = jax.random.key(5)
OPTIONS = {"key": KEY, "resamples": 200}


@pytest.fixture(scope="module")
def recording():
    """Rates that two variables drive, one that changes in a trial and one that does not, in three conditions."""
    rng = np.random.default_rng(0)
    condition = np.repeat(np.arange(3), 20)
    time = np.linspace(0.0, 1.0, 24)
    course = np.sin(2 * np.pi * (time + condition[:, None] / 3)) + 0.2 * rng.normal(size=(60, 1))
    level = rng.uniform(-1, 1, (60, 1)) * np.ones(24)
    drive = np.stack([course, level], axis=2)
    weights = rng.uniform(0.5, 1.0, (2, 12)) * rng.choice([-1, 1], (2, 12)) * [[1.0], [0.2]]
    expected = np.exp(1.0 + drive @ weights)
    behavior = np.stack([course, level], axis=2)[:, :20] + 0.01
    behavior[0, :3, 0] = np.nan
    split = np.array(["train", "train", "train", "val", "test"] * 12)
    trials = data.SpikeTrials(
        rng.poisson(expected),
        bin_width=0.02,
        rates=expected / 0.02,
        forward_bins=4,
        held_in=9,
        behavior=behavior,
        behavior_names=["course", "level"],
        condition=condition,
        split=split,
    )
    return trials, np.asarray(trials.expected_counts, float)


def test_scores_are_those_of_the_single_functions(recording):
    trials, rates = recording
    scores = metrics.score_trials(trials, rates, **OPTIONS)
    rows = np.asarray(trials.split) == "test"
    counts = np.asarray(trials.counts, float)
    co = metrics.bits_per_spike(rates=rates[rows, :20, 9:], counts=counts[rows, :20, 9:])
    fp = metrics.bits_per_spike(rates=rates[rows, 20:], counts=counts[rows, 20:])
    assert scores.co_bps.estimate == pytest.approx(co, rel=1e-12)
    assert scores.fp_bps.estimate == pytest.approx(fp, rel=1e-12)
    assert scores.rate_r2.estimate == 1.0
    course = np.asarray(trials.behavior)[:, :, :1]
    train = {"train_rates": rates[~rows, :20], "train_behavior": course[~rows]}
    decoded = metrics.decoding_r2(**train, eval_rates=rates[rows, :20], eval_behavior=course[rows])
    assert scores.behavior_r2.estimate == pytest.approx(decoded, rel=1e-9)
    for score in dataclasses.astuple(scores):
        assert score[1] <= score[0] <= score[2]


def test_what_is_constant_in_a_trial_is_decoded_from_its_course(recording):
    trials, rates = recording
    scores = metrics.score_trials(trials, rates, **OPTIONS)
    assert scores.trial_r2.estimate > 0.95
    stages = np.concatenate([part.mean(axis=1) for part in np.array_split(rates[:, :20], 10, axis=1)], axis=1)
    level = np.asarray(trials.behavior, float)[:, :1, 1]
    rows = np.asarray(trials.split) == "test"
    decoder = metrics.ridge_decoder(stages[~rows], level[~rows])
    residual = level[rows] - decoder(stages[rows])
    assert scores.trial_r2.estimate == pytest.approx(1 - np.var(level[rows]) ** -1 * np.mean(residual**2), rel=1e-9)
    assert (
        metrics.score_trials(trials, rates[:, :, ::-1].mean(axis=(0, 1)) + 0 * rates, **OPTIONS).trial_r2.estimate < 0.1
    )


def test_mean_responses_of_other_trials_are_met_by_the_true_rates_only(recording):
    trials, rates = recording
    truth = metrics.score_trials(trials, rates, **OPTIONS).psth_r2
    assert truth.low > 0.5
    shuffled = np.roll(rates, 20, axis=0)
    assert metrics.score_trials(trials, shuffled, **OPTIONS).psth_r2.high < 0.2


def test_only_the_scored_split_is_scored_and_learns_nothing(recording):
    trials, rates = recording
    rows = np.asarray(trials.split) == "test"
    worse = np.where(rows[:, None, None], rates, 1.0)
    whole, other = (metrics.score_trials(trials, one, **OPTIONS) for one in (rates, worse))
    assert other.co_bps == whole.co_bps
    assert other.psth_r2 == whole.psth_r2
    assert other.behavior_r2.estimate < whole.behavior_r2.estimate
    again = metrics.score_trials(trials, rates, **OPTIONS)
    assert again == whole


def test_what_is_not_there_is_not_scored(recording):
    trials, rates = recording
    bare = data.SpikeTrials(trials.counts, bin_width=0.02, split=trials.split)
    scores = metrics.score_trials(bare, rates, **OPTIONS)
    assert dataclasses.astuple(scores) == (None,) * 6
    nameless = dataclasses.replace(trials, condition=np.full(60, -1), behavior=np.full((60, 20, 2), np.nan))
    scores = metrics.score_trials(nameless, rates, **OPTIONS)
    assert (scores.behavior_r2, scores.trial_r2, scores.psth_r2) == (None, None, None)
    masked = dataclasses.replace(trials, mask=np.arange(24)[:, None] < 20)
    assert metrics.score_trials(masked, rates, **OPTIONS).fp_bps is None


def test_bad_arguments_are_named(recording):
    from astropy import units as u

    trials, rates = recording
    for arguments, error, match in (
        ({"rates": rates[:5]}, ValueError, "rates: expected the shape"),
        ({"rates": -rates}, ValueError, "rates: expected finite values of at least zero"),
        ({"rates": rates * u.Hz}, UnitsError, "rates"),
        ({"evaluation": "none"}, ValueError, "two or more of the split 'none', got 0"),
        ({"evaluation": "eval"}, ValueError, "evaluation: expected one of"),
        ({"psth_width": 0.0}, ValueError, "psth_width"),
        ({"key": 3}, TypeError, "key"),
        ({"trials": rates}, TypeError, "SpikeTrials"),
    ):
        given = {"trials": trials, "rates": rates} | OPTIONS | arguments
        with pytest.raises(error, match=match):
            metrics.score_trials(given.pop("trials"), given.pop("rates"), **given)
