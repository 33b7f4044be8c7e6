"""Trials cut out of continuous recordings, against counts by hand and by `numpy.histogram`."""

import itertools

import jax
import numpy as np
import pytest
from astropy import units as u

from neuro.data import SpikeTrials, block_split, from_events, tile_windows
from physics.errors import UnitsError

RNG = np.random.default_rng(11)
SPIKES = [np.sort(RNG.uniform(0.0, 60.0, n)) for n in (900, 40, 0)]
EVENTS = np.array([1.2345, 20.0, 21.0, 58.9])


def test_counts_about_events_are_histograms():
    trials = from_events(SPIKES, EVENTS, bin_width=0.05, window=(-0.5, 1.0), forward=0.1)
    assert trials.counts.shape == (4, 32, 3)
    assert (trials.observed_bins, trials.forward_bins, trials.bin_width) == (30, 2, 0.05)
    for trial, event in enumerate(EVENTS):
        for neuron, spikes in enumerate(SPIKES):
            edges = event - 0.5 + 0.05 * np.arange(33)
            np.testing.assert_array_equal(np.asarray(trials.counts)[trial, :, neuron], np.histogram(spikes, edges)[0])


def test_a_spike_on_an_edge_is_in_the_bin_that_the_edge_opens():
    spikes = [0.1 * np.arange(30) + 0.3]
    trials = from_events(spikes, [0.0], bin_width=0.1, window=(0.0, 3.0))
    np.testing.assert_array_equal(np.asarray(trials.counts)[0, :, 0], [0] * 3 + [1] * 27)


def test_5_ms_bins_summed_are_20_ms_bins():
    fine, coarse = (from_events(SPIKES, EVENTS, bin_width=w, window=(0.0, 1.0)) for w in (0.005, 0.02))
    np.testing.assert_array_equal(fine.rebin(4).counts, coarse.counts)
    shuffled = [RNG.permutation(times) for times in SPIKES]
    again = from_events(shuffled, EVENTS * u.s, bin_width=20 * u.ms, window=(0 * u.s, 1 * u.s))
    np.testing.assert_array_equal(again.counts, coarse.counts)


def test_what_was_not_recorded_or_lies_behind_the_end_is_masked():
    observed = np.array([[0.0, 20.5], [20.72, 60.0]])
    trials = from_events(SPIKES, EVENTS, bin_width=0.1, window=(0.0, 1.0), observed=observed)
    assert np.asarray(trials.mask)[0].all()
    # 20.7 to 20.8 is recorded in part only.
    np.testing.assert_array_equal(np.asarray(trials.mask)[1, :, 0], [True] * 5 + [False] * 3 + [True] * 2)
    each = from_events(
        SPIKES, EVENTS, bin_width=0.1, window=(0.0, 1.0), observed=[observed, np.zeros((0, 2)), observed]
    )
    np.testing.assert_array_equal(each.mask[:, :, [0, 2]], trials.mask[:, :, [0, 2]])
    assert not np.asarray(each.mask)[:, :, 1].any()
    whole = from_events(SPIKES, EVENTS, bin_width=0.1, window=(0.0, 1.0))
    ragged = from_events(
        SPIKES, EVENTS, bin_width=0.1, window=(0.0, 1.0), stop=EVENTS + np.array([1.0, 0.55, 0.3, 1.0])
    )
    np.testing.assert_array_equal(np.asarray(ragged.mask)[:, :, 0].sum(axis=1), [10, 5, 3, 10])
    for trial, bins in enumerate((10, 5, 3, 10)):
        np.testing.assert_array_equal(ragged.counts[trial, :bins], whole.counts[trial, :bins])
        assert not np.asarray(ragged.counts)[trial, bins:].any()


def test_dense_arrays_with_gaps_are_the_same_trials():
    trials = from_events(SPIKES, EVENTS, bin_width=0.1, window=(0.0, 1.0), stop=EVENTS + 0.7)
    dense = SpikeTrials(np.where(trials.mask, trials.counts, np.nan), bin_width=0.1)
    np.testing.assert_array_equal(dense.counts, trials.counts)
    np.testing.assert_array_equal(dense.mask, trials.mask)


def test_behavior_at_the_centres_of_bins():
    times = np.linspace(0.0, 59.5, 1000)
    signal = (times, np.stack([3.0 * times, -times], axis=1))
    trials = from_events(
        SPIKES, EVENTS, bin_width=0.1, window=(0.0, 1.0), signal=signal, lag=0.2, behavior_names=("a", "b")
    )
    centres = EVENTS[:, None] + 0.25 + 0.1 * np.arange(10)[None, :]
    late = centres > 59.5
    assert late.any()
    np.testing.assert_array_equal(np.isnan(np.asarray(trials.behavior)[:, :, 0]), late)
    np.testing.assert_allclose(np.asarray(trials.behavior)[~late, 0], 3.0 * centres[~late], rtol=1e-6)


def test_windows_that_follow_one_another():
    np.testing.assert_allclose(tile_windows(0.3, 0.9, 0.2), [0.3, 0.5, 0.7])
    np.testing.assert_allclose(tile_windows(0.0, 1.0, 0.3, gap=0.1), [0.0, 0.4])
    trials = from_events(SPIKES, tile_windows(0.0, 60.0, 1.5), bin_width=0.02, window=(0.0, 1.5))
    assert int(trials.counts.sum()) == 940
    with pytest.raises(ValueError, match="stop: no window of"):
        tile_windows(0.0, 1.0, 2.0)
    with pytest.raises(ValueError, match="gap: expected at least 0 s"):
        tile_windows(0.0, 1.0, 0.1, gap=-0.1)


def test_blocks_of_time_never_touch():
    split = np.array(block_split(key=jax.random.key(0), windows=400))
    assert set(split) == {"train", "val", "test", "none"}
    assert 0.6 < np.mean(split == "train") < 0.75
    for first, second in itertools.pairwise(split):
        assert first == second or "none" in (first, second)
    # A window that is left out separates two blocks, no two in a row.
    assert not np.any((split[1:] == "none") & (split[:-1] == "none"))
    assert tuple(split) == block_split(key=jax.random.key(0), windows=400)
    trials = SpikeTrials(np.ones((400, 1, 1), int), bin_width=1.0).with_split(key=jax.random.key(0), by="block")
    assert trials.split == tuple(split)
    with pytest.raises(ValueError, match="blocks: expected at most 5"):
        block_split(key=jax.random.key(0), windows=10)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"spike_times": []}, "spike_times: expected the spikes of at least one neuron"),
        ({"spike_times": [[np.nan]]}, r"spike_times\[0\]: expected a list of finite times"),
        ({"spike_times": [[[0.0]]]}, r"spike_times\[0\]: expected a list of finite times"),
        ({"events": []}, "events: expected at least one value"),
        ({"events": [0.0, np.nan]}, "events: expected a list of finite times in seconds, got nan at 1"),
        ({"window": (0.0, 0.25)}, "window: expected a multiple"),
        ({"window": 1.0}, "window: expected begin and end"),
        ({"window": (1.0, 0.0)}, "window: expected an end after the begin"),
        ({"forward": 0.25}, "forward: expected a multiple"),
        ({"stop": [1.0]}, "stop: expected the shape"),
        ({"observed": [[1.0, 0.0]]}, "observed: expected finite intervals that end after they begin"),
        ({"observed": [0.0, 1.0]}, "observed: expected"),
        ({"signal": ([0.0, 1.0], [[1.0]])}, "signal: expected values of shape"),
        ({"signal": ([1.0, 0.5], [[1.0], [2.0]])}, "signal: expected times that do not fall"),
        ({"events": np.arange(1e5), "window": (0.0, 1e5)}, "are too many"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    given = {"spike_times": SPIKES, "events": EVENTS, "window": (0.0, 1.0)} | arguments
    with pytest.raises(ValueError, match=message):
        from_events(given.pop("spike_times"), given.pop("events"), bin_width=0.1, **given)
    with pytest.raises(UnitsError, match="events"):
        from_events(SPIKES, EVENTS * u.m, bin_width=0.1, window=(0.0, 1.0))


@pytest.mark.parametrize("observed", [[[0.0, 1.0]] * u.m, [[[0.0, 1.0]] * u.m] * len(SPIKES)])
def test_observed_times_in_another_unit_are_named(observed):
    with pytest.raises(UnitsError, match="observed: expected a quantity convertible to s"):
        from_events(SPIKES, EVENTS, bin_width=0.1, window=(0.0, 1.0), observed=observed)
