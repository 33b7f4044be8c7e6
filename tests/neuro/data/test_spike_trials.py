import jax
import numpy as np
import pytest

from neuro.data import SpikeTrials, stratified_split


@pytest.fixture(scope="module")
def trials() -> SpikeTrials:
    rng = np.random.default_rng(0)
    rates = rng.uniform(5.0, 50.0, (12, 10, 8))
    counts = rng.poisson(rates * 0.02).astype(float)
    counts[3, 4:, :] = np.nan
    return SpikeTrials(
        counts,
        bin_width=0.02,
        rates=rates,
        behavior=rng.normal(size=(12, 8, 2)),
        behavior_names=("x", "y"),
        condition=np.repeat(np.arange(3), 4),
        forward_bins=2,
        split=["train", "train", "val", "test"] * 3,
        trial_ids=range(100, 112),
        neuron_ids=range(20, 28),
    )


def test_nan_counts_become_unobserved_and_never_reach_the_counts(trials):
    assert trials.counts.dtype == np.int32
    assert not np.any(trials.mask[3, 4:])
    assert np.all(trials.mask[:3])
    assert np.all(trials.counts[3, 4:] == 0)


def test_inputs_are_the_held_in_neurons_in_the_observed_bins(trials):
    held = trials.hold_out(every=4)
    inputs, target = held.as_inputs()
    assert inputs.shape == (12, 8, 6)
    assert target.shape == (12, 10, 8)
    assert held.neuron_ids == (20, 21, 22, 24, 25, 26, 23, 27)
    np.testing.assert_array_equal(inputs, trials.counts[:, :8][:, :, [0, 1, 2, 4, 5, 6]])
    np.testing.assert_array_equal(held.rates[:, :, 6:], trials.rates[:, :, [3, 7]])
    assert trials.hold_out(ids=[20, 27]).neuron_ids[-2:] == (20, 27)


def test_expected_counts_are_rates_in_hertz_times_the_bin(trials):
    np.testing.assert_allclose(trials.expected_counts, np.asarray(trials.rates) * 0.02, rtol=1e-7)
    with pytest.raises(ValueError, match="not known"):
        _ = SpikeTrials(trials.counts, bin_width=0.02).expected_counts


def test_select_carries_everything_along(trials):
    part = trials.select(split="val")
    assert part.trial_ids == (102, 106, 110)
    assert set(part.split) == {"val"}
    np.testing.assert_array_equal(part.rates, trials.rates[2::4])
    np.testing.assert_array_equal(part.condition, [0, 1, 2])
    assert trials.select(trials=np.array([5, 1])).trial_ids == (105, 101)
    assert len(trials.select(split="train", trials=slice(0, 4))) == 2
    with pytest.raises(ValueError, match="no trial is left"):
        trials.select(split="none")
    with pytest.raises(ValueError, match="split: expected one of"):
        trials.select(split="validation")
    for chosen in ([99], [-13], [0.5], ["first"], np.ones(3, bool), [[0, 1]], 99):
        with pytest.raises(ValueError, match="trials: expected a slice, positions among 12 trials, or a mask of 12"):
            trials.select(trials=chosen)
    assert trials.select(trials=[-1, -1]).trial_ids == (111, 111)


def test_rebin_sums_counts_and_averages_rates(trials):
    coarse = trials.rebin(2)
    assert coarse.counts.shape == (12, 5, 8)
    assert coarse.bin_width == 0.04
    assert (coarse.observed_bins, coarse.forward_bins) == (4, 1)
    np.testing.assert_array_equal(coarse.counts[:, 1], trials.counts[:, 2] + trials.counts[:, 3])
    np.testing.assert_allclose(coarse.expected_counts[:, 4], trials.expected_counts[:, 8:].sum(axis=1), rtol=1e-6)
    assert coarse.behavior.shape == (12, 4, 2)


def test_a_bin_with_an_unobserved_part_is_unobserved():
    fine = SpikeTrials(np.array([1.0, np.nan, 2.0, 3.0]).reshape(1, 4, 1), bin_width=0.005)
    np.testing.assert_array_equal(fine.rebin(2).mask.ravel(), [False, True])


def test_rebin_refuses_a_remainder_unless_told(trials):
    with pytest.raises(ValueError, match="8 observed and 2 forward bins are not multiples of 3"):
        trials.rebin(3)
    dropped = trials.rebin(3, drop_remainder=True)
    assert (dropped.observed_bins, dropped.forward_bins, dropped.counts.shape[1]) == (2, 0, 2)
    with pytest.raises(ValueError, match="factor: expected at most 8, the observed bins; got 9"):
        trials.rebin(9, drop_remainder=True)


def test_batches_cover_every_trial_once_and_have_one_shape(trials):
    parts = trials.batches(key=jax.random.key(1), size=5)
    assert [len(indices) for indices, _ in parts] == [5, 5, 5]
    assert sorted(np.concatenate([indices[mask] for indices, mask in parts])) == list(range(12))


def test_psth_is_the_mean_over_the_observed_trials_of_a_condition(trials):
    conditions, mean = trials.psth()
    np.testing.assert_array_equal(conditions, [0, 1, 2])
    np.testing.assert_allclose(mean[0, 5], np.asarray(trials.counts[:3, 5]).mean(axis=0), rtol=1e-6)


def test_splits_are_disjoint_stratified_and_fixed_by_the_key(trials):
    condition = np.repeat([0, 1], [40, 20])
    names = np.array(stratified_split(key=jax.random.key(0), condition=condition))
    for group, size in ((0, 40), (1, 20)):
        assert [np.sum(names[condition == group] == n) for n in ("train", "val", "test")] == [
            0.7 * size,
            0.15 * size,
            0.15 * size,
        ]
    assert tuple(names) == stratified_split(key=jax.random.key(0), condition=condition)
    assert tuple(names) != stratified_split(key=jax.random.key(1), condition=condition)
    assert set(trials.with_split(key=jax.random.key(0), fractions=(0.5, 0.5, 0.0)).split) == {"train", "val"}


def test_a_split_by_condition_keeps_conditions_whole():
    condition = np.repeat(np.arange(10), 4)
    names = np.array(stratified_split(key=jax.random.key(2), condition=condition, by="condition"))
    assert all(len(set(names[condition == c])) == 1 for c in range(10))
    assert set(names) == {"train", "val", "test"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"counts": np.zeros((2, 3))}, r"counts: expected numbers of shape \(trial, time, neuron\)"),
        ({"counts": np.zeros((0, 3, 2))}, "counts: expected at least one value"),
        ({"counts": np.full((2, 4, 3), -1.0)}, "counts: expected finite values of at least zero, got -1.0"),
        ({"counts": np.full((2, 4, 3), 0.5)}, "counts: expected whole numbers"),
        ({"counts": np.full((2, 4, 3), np.inf)}, "counts: expected finite"),
        ({"bin_width": 0.0}, "bin_width: expected finite, positive"),
        ({"rates": np.zeros((2, 4, 2))}, r"rates: expected the shape \(2, 4, 3\)"),
        ({"mask": np.ones((5, 4, 3), bool)}, "mask: expected to broadcast"),
        ({"forward_bins": 4}, "observed_bins, forward_bins"),
        ({"forward_bins": -1}, "forward_bins: expected a whole number of at least zero, got -1"),
        ({"forward_bins": 1.5}, "forward_bins: expected a whole number of at least zero, got 1.5"),
        ({"observed_bins": 3.7}, "observed_bins: expected a positive whole number, got 3.7"),
        ({"observed_bins": 3}, "observed_bins, forward_bins: .* got 3 and 0"),
        ({"held_in": 2.5}, "held_in: expected a positive whole number, got 2.5"),
        ({"counts": np.full((2, 4, 3), 2**31)}, "counts: expected at most 2147483647 spikes per bin, got 2147483648"),
        ({"counts": np.full((2, 4, 3), 1e300)}, "counts: expected at most 2147483647"),
        ({"counts": np.zeros((2, 4, 3), complex)}, "counts: expected an array of real numbers, got .* complex128"),
        ({"counts": None}, "counts: expected an array of real numbers, got .* object"),
        ({"counts": [[[1], [2, 3]]]}, "counts: expected an array of real numbers"),
        ({"counts": np.ma.masked_array(np.zeros((2, 4, 3)), True)}, "counts: .* masked"),
        ({"mask": np.full((2, 4, 3), "no")}, "mask: expected an array of real numbers, got .* <U2"),
        ({"mask": np.full((2, 4, 3), np.nan)}, "mask: expected truth values"),
        ({"condition": [0.5, 1.0]}, "condition: expected 2 elements, whole numbers, got float64"),
        ({"condition": np.zeros((2, 2), int)}, r"condition: expected 2 elements, whole numbers, got .* \(2, 2\)"),
        ({"condition": [0, 2**40]}, "condition: expected numbers of at most"),
        ({"rates": np.full((2, 4, 3), "5 Hz")}, "rates: expected a number or an array of numbers in Hz"),
        ({"behavior": np.zeros((2, 3, 1))}, r"behavior: .* \(2, 4, variables\), got \(2, 3, 1\)"),
        ({"behavior": np.zeros((1, 4, 1))}, r"behavior: .* \(2, 4, variables\), got \(1, 4, 1\)"),
        ({"behavior": np.zeros((2, 4, 2)), "behavior_names": ("x",)}, "behavior_names: expected one for each of 2"),
        ({"behavior_names": ("x",)}, "behavior_names: expected one for each of 0"),
        ({"behavior": np.zeros((2, 4, 1)), "behavior_names": "x"}, "behavior_names: expected a list of names"),
        ({"behavior_names": None}, "behavior_names: expected a list of names, got None"),
        ({"split": None}, "split: expected a list of names, got None"),
        ({"split": [0, 1]}, r"split: expected a list of names, got \[0, 1\]"),
        ({"neuron_ids": (1, 2, 1)}, r"neuron_ids: expected every name once, got \(1, 2, 1\)"),
        ({"neuron_ids": (1.5, 2.5, 3.5)}, "neuron_ids: expected 3 elements, whole numbers"),
        ({"trial_ids": ("a", "b")}, "trial_ids: expected 2 elements, whole numbers"),
        ({"held_in": 4}, "held_in: expected 1 to 3"),
        ({"split": ["train"]}, "split: expected 2 elements"),
        ({"split": "training"}, "split: expected one of"),
        ({"condition": [1]}, "condition: expected 2 elements"),
    ],
)
def test_bad_input_is_named(changes, message):
    with pytest.raises(ValueError, match=message):
        SpikeTrials(**({"counts": np.zeros((2, 4, 3)), "bin_width": 0.02} | changes))


def test_bad_selections_are_named(trials):
    for arguments, message in (
        ({}, "exactly one"),
        ({"ids": [3]}, "unknown neurons"),
        ({"ids": [20.5]}, "ids: expected a list of whole numbers"),
        ({"every": 0}, "every: expected a positive whole number"),
        ({"every": 9}, "expected to hold out some of 8 neurons"),
    ):
        with pytest.raises(ValueError, match=message):
            trials.hold_out(**arguments)
    with pytest.raises(ValueError, match="three shares that sum to 1"):
        trials.with_split(key=jax.random.key(0), fractions=(0.5, 0.2, 0.2))
    with pytest.raises(ValueError, match=r"fractions: expected three shares that sum to 1, got 0.5"):
        trials.with_split(key=jax.random.key(0), fractions=0.5)
    for condition in (3, [0.5, 1.0], [None], [[0, 1]], [[0], [1, 2]]):
        with pytest.raises(ValueError, match="condition: expected a list of whole numbers"):
            stratified_split(key=jax.random.key(0), condition=condition)
    with pytest.raises(TypeError):
        trials.with_split(key=0)


def test_a_mask_of_zeros_and_ones_is_one_of_truth_values():
    made = SpikeTrials(np.ones((1, 2, 1)), bin_width=0.02, mask=np.array([[[0], [1]]]))
    np.testing.assert_array_equal(made.mask.ravel(), [False, True])


def test_the_bin_width_may_be_a_quantity_of_time():
    from astropy import units

    from physics.errors import UnitsError

    assert SpikeTrials(np.zeros((1, 2, 1)), bin_width=5 * units.ms).bin_width == pytest.approx(0.005)
    with pytest.raises(UnitsError, match="bin_width"):
        SpikeTrials(np.zeros((1, 2, 1)), bin_width=5 * units.Hz)
    with pytest.raises(UnitsError, match="counts: expected a quantity convertible to a plain number, got one in Hz"):
        SpikeTrials(np.zeros((1, 2, 1)) * units.Hz, bin_width=0.005)


def test_rates_in_another_unit_are_warned_of():
    counts = np.ones((2, 50, 3), int)
    with pytest.warns(UserWarning, match="rates: they predict 20 times the spikes of counts or more; expected Hz"):
        SpikeTrials(counts, bin_width=0.02, rates=np.full(counts.shape, 50.0 * 50.0))
    SpikeTrials(counts, bin_width=0.02, rates=np.full(counts.shape, 50.0))
    # Few spikes may be chance: silence of a neuron that fires twice on average.
    SpikeTrials(np.zeros((1, 10, 1), int), bin_width=0.02, rates=np.full((1, 10, 1), 10.0))


def test_infinite_behavior_is_refused():
    behavior = np.zeros((1, 2, 1))
    behavior[0, 1, 0] = np.inf
    with pytest.raises(ValueError, match="behavior: expected finite values, or NaN where unknown"):
        SpikeTrials(np.ones((1, 2, 1), int), bin_width=0.02, behavior=behavior)
