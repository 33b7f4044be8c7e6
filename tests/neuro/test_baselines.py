"""Baselines against sums written out, an independent regression, and data whose rates are known."""

import dataclasses

import jax
import numpy as np
import pytest
from astropy import units as u

from neuro import baselines, data, metrics
from neuro.baselines.kernel import PRIOR, kernel_mean
from neuro.baselines.readout import fit_readout
from physics.errors import UnitsError


@pytest.fixture(scope="module")
def trials():
    """A small population of four conditions; every third neuron held out, the last six bins forward."""
    made = data.lorenz(key=jax.random.key(3), conditions=4, trials=15, neurons=15, bins=30, base_hz=15.0)
    kept = {"bin_width": 0.02, "forward_bins": 6, "condition": made.condition, "split": made.split, "rates": made.rates}
    return data.SpikeTrials(made.counts, **kept).hold_out(every=3)


@pytest.fixture(scope="module")
def smoothed(trials):
    return baselines.smoothed_rates(trials)


def parts(trials, rates, split="val"):
    """Rates, counts and truth of held-out neurons and of the forward block in one split."""
    rows = np.asarray([label == split for label in trials.split])
    bins, inner = trials.observed_bins, trials.held_in
    arrays = rates, np.asarray(trials.counts, float), np.asarray(trials.expected_counts)
    return [x[rows][:, :bins, inner:] for x in arrays], [x[rows][:, bins:] for x in arrays]


def gains(rates, counts, truth):
    return metrics.bits_per_spike(rates=rates, counts=counts), metrics.bits_per_spike(rates=truth, counts=counts)


def test_the_kernel_is_its_sum_written_out():
    rng = np.random.default_rng(0)
    counts, known = rng.poisson(1.0, (2, 12, 3)).astype(float), rng.uniform(size=(2, 12, 3)) < 0.7
    mean, width = rng.uniform(0.5, 1.0, 3), 1.7
    offsets = np.arange(-7, 8)
    weight = np.exp(-0.5 * (offsets / width) ** 2)
    weight = dict(zip(offsets.tolist(), weight / weight.sum(), strict=True))
    for own in (True, False):
        found = kernel_mean(counts * known, known.astype(float), mean, width, own=own)
        for trial, time, neuron in np.ndindex(2, 12, 3):
            near = [s for s in range(12) if abs(s - time) <= 7 and known[trial, s, neuron] and (own or s != time)]
            spikes = sum(weight[s - time] * counts[trial, s, neuron] for s in near) + PRIOR * mean[neuron]
            expected = spikes / (sum(weight[s - time] for s in near) + PRIOR)
            assert found[trial, time, neuron] == pytest.approx(expected, rel=1e-9)


def test_the_regression_is_that_of_newtons_method():
    rng = np.random.default_rng(1)
    x = rng.normal(2.0, 3.0, (400, 3)) @ rng.normal(size=(3, 3))
    counts = rng.poisson(np.exp(-0.5 + 0.1 * x @ [1.0, -0.5, 0.3]))[:, None].astype(float)
    known = rng.uniform(size=counts.shape) < 0.8
    readout = fit_readout(x, counts * known, known, width=0.1, penalty=7.0)
    z = np.hstack([np.ones((400, 1)), (x - x.mean(axis=0)) / x.std(axis=0)])
    n, m = (counts * known)[:, 0], known[:, 0]
    start = np.log((n.sum() + 0.5) / m.sum())
    prior, penalty = np.array([start, 0, 0, 0]), np.diag([1.0, 7.0, 7.0, 7.0])
    theta = prior.copy()
    for _ in range(30):
        mu = m * np.exp(z @ theta)
        theta -= np.linalg.solve(z.T @ (mu[:, None] * z) + penalty, z.T @ (mu - n) + penalty @ (theta - prior))
    np.testing.assert_allclose([readout.intercept[0], *readout.weights[:, 0]], theta, atol=2e-4)
    np.testing.assert_allclose(readout(x)[:, 0], np.minimum(np.exp(z @ theta), n.max()), rtol=1e-3)


def test_smoothing_explains_neurons_that_it_has_not_read(trials, smoothed):
    held_out, forward = parts(trials, smoothed.rates)
    gain, most = gains(*held_out)
    assert 0.4 * most < gain < most
    assert gains(*forward)[0] > 0.1
    assert smoothed.held_out.weights.shape == (10, 5)
    assert smoothed.forward.weights.shape == (10, 6 * 15)
    assert smoothed.width == smoothed.held_out.width
    assert np.all(smoothed.rates > 0)


def test_what_is_to_be_predicted_changes_no_rate(trials, smoothed):
    """Held-out neurons and forward bins of trials that are scored might be anything."""
    counts = np.asarray(trials.counts).copy()
    scored = np.asarray(trials.split) == "val"
    counts[scored, :, trials.held_in :] += 5
    counts[scored, trials.observed_bins :] += 3
    settings = {"width": smoothed.width, "penalty": smoothed.held_out.penalty}
    kept = {"bin_width": 0.02, "forward_bins": 6, "held_in": 10, "condition": trials.condition, "split": trials.split}
    other = data.SpikeTrials(counts, **kept)
    before, after = (baselines.smoothed_rates(one, **settings).rates for one in (trials, other))
    np.testing.assert_array_equal(after, before)
    before, after = (baselines.condition_rates(one).rates for one in (trials, other))
    np.testing.assert_array_equal(after, before)


def test_condition_means_beat_smoothing_where_trials_repeat(trials, smoothed):
    known = baselines.condition_rates(trials)
    _, forward = parts(trials, known.rates)
    gain, most = gains(*forward)
    assert gains(*parts(trials, smoothed.rates)[1])[0] < gain < most


def test_a_narrow_condition_mean_is_the_psth(trials):
    rates = baselines.condition_rates(trials, width=1e-4).rates
    conditions, mean = trials.select(split="train").psth()
    expected = np.asarray(mean)[np.searchsorted(conditions, np.asarray(trials.condition))]
    repeats = sum(label == "train" for label in trials.split) / 4
    np.testing.assert_allclose(rates, expected, atol=1.01 * PRIOR / repeats * expected.max())


def test_trials_of_no_known_condition_get_the_mean_of_all(trials):
    condition = np.asarray(trials.condition).copy()
    row = trials.split.index("val")
    condition[row] = 77
    changed = dataclasses.replace(trials, condition=condition)
    rates = baselines.condition_rates(changed, width=0.05).rates
    nameless = dataclasses.replace(trials, condition=np.full(len(trials), -1))
    np.testing.assert_array_equal(rates[row], baselines.condition_rates(nameless, width=0.05).rates[0])
    assert not np.allclose(rates[row], rates[row - 1])


def test_unobserved_bins_are_neither_spikes_nor_silence():
    """Trials padded to the length of a longer one, and bins lost at random, of a population of constant rate."""
    rng = np.random.default_rng(2)
    counts = rng.poisson(2.0, (60, 20, 4)).astype(float)
    counts[::2, 12:] = np.nan
    counts[rng.uniform(size=counts.shape) < 0.2] = np.nan
    counts[:, :, 3] = 0.0
    lossy = data.SpikeTrials(counts, bin_width=0.02, held_in=2, split=["train", "val", "train"] * 20)
    rates = baselines.smoothed_rates(lossy, width=0.1 * u.s, penalty=1e4).rates
    assert np.isfinite(rates).all()
    np.testing.assert_allclose(rates[:, :, 2].mean(), 2.0, rtol=0.05)
    np.testing.assert_allclose(rates[::2, 12:, 0].mean(), 2.0, rtol=0.2)
    assert rates[:, :, 3].max() < 1e-2


def test_without_held_out_neurons_the_width_is_that_of_the_rates():
    """Rates that change within 0.1 s want a narrow kernel, constant ones the widest."""
    time = 0.02 * np.arange(50)
    rng = np.random.default_rng(4)
    widths = []
    for depth in (1.0, 0.0):
        rate = 4.0 * (1.0 + depth * np.sin(2 * np.pi * 4.0 * time))
        counts = rng.poisson(np.broadcast_to(rate[:, None], (12, 50, 6)))
        found = baselines.smoothed_rates(data.SpikeTrials(counts, bin_width=0.02, split="train"))
        assert found.held_out is None
        assert found.forward is None
        widths.append(found.width)
    assert widths == [0.02, 0.2]


@pytest.mark.parametrize(
    ("changes", "options", "error", "match"),
    [
        ({"split": "val"}, {}, ValueError, "'train', got 0"),
        ({}, {"width": 0.0}, ValueError, "width"),
        ({}, {"width": 3.0 * u.Hz}, UnitsError, "width"),
        ({}, {"penalty": -1.0}, ValueError, "penalty"),
    ],
)
def test_smoothing_names_what_it_cannot_take(trials, changes, options, error, match):
    with pytest.raises(error, match=match):
        baselines.smoothed_rates(dataclasses.replace(trials, **changes), **options)


def test_condition_means_need_conditions(trials):
    with pytest.raises(ValueError, match="no conditions"):
        baselines.condition_rates(dataclasses.replace(trials, condition=None))
    with pytest.raises(ValueError, match="width"):
        baselines.condition_rates(trials, width=-0.1)
    with pytest.raises(ValueError, match="'train', got 0"):
        baselines.condition_rates(trials.select(split="val"))
    for function in (baselines.smoothed_rates, baselines.condition_rates):
        with pytest.raises(TypeError, match="SpikeTrials"):
            function(np.ones((3, 4, 5)))
