import json

import numpy as np
import pytest

from neuro import metrics


@pytest.fixture(scope="module")
def nlb(reference):
    with np.load(reference / "nlb" / "inputs.npz") as archive:
        arrays = {name: archive[name].astype(float) for name in archive.files}
    arrays["true_eval_rates_heldout"] = arrays["true_eval_rates"][:, :26, 13:]
    answers = json.loads((reference / "nlb" / "answers.json").read_text())["functions"]
    return arrays | {f"answer/{name}": np.array(value) for name, value in answers.items()}


@pytest.mark.parametrize(
    ("answer", "rates", "counts"),
    [
        ("co_bps", "eval_rates_heldout", "eval_spikes_heldout"),
        ("co_bps_nan_spikes", "eval_rates_heldout", "dmfc_eval_spikes_heldout"),
        ("co_bps_true_rates", "true_eval_rates_heldout", "eval_spikes_heldout"),
    ],
)
def test_bits_per_spike_equal_those_of_nlb_tools(nlb, answer, rates, counts):
    score = metrics.bits_per_spike(rates=nlb[rates], counts=nlb[counts])
    assert score == pytest.approx(nlb[f"answer/{answer}"], abs=1e-9)


def test_forward_bits_per_spike_equal_those_of_nlb_tools(nlb):
    rates, counts = (
        np.concatenate([nlb[f"eval_{kind}_held{part}_forward"] for part in ("in", "out")], axis=2)
        for kind in ("rates", "spikes")
    )
    assert metrics.bits_per_spike(rates=rates, counts=counts) == pytest.approx(nlb["answer/fp_bps"], abs=1e-9)


@pytest.mark.parametrize(
    ("answer", "counts"),
    [("nll_heldout_sum", "eval_spikes_heldout"), ("nll_heldout_nan_spikes_sum", "dmfc_eval_spikes_heldout")],
)
def test_likelihoods_equal_those_of_nlb_tools(nlb, answer, counts):
    nll = metrics.poisson_nll(rates=nlb["eval_rates_heldout"], counts=nlb[counts])
    assert nll == pytest.approx(nlb[f"answer/{answer}"], rel=1e-12)


def test_the_rates_are_not_changed_by_the_floor(nlb):
    rates = nlb["eval_rates_heldout"].copy()
    assert (rates == 0).sum() == 2
    metrics.bits_per_spike(rates=rates, counts=nlb["eval_spikes_heldout"])
    np.testing.assert_array_equal(rates, nlb["eval_rates_heldout"])


def test_mean_rates_score_zero_and_true_rates_beat_shifted_ones(nlb):
    counts, truth = nlb["eval_spikes_heldout"], nlb["true_eval_rates_heldout"]
    mean = np.broadcast_to(counts.mean(axis=(0, 1)), counts.shape)
    assert metrics.bits_per_spike(rates=mean, counts=counts) == 0.0
    shifted = metrics.bits_per_spike(rates=np.roll(truth, 7, axis=1), counts=counts)
    assert metrics.bits_per_spike(rates=truth, counts=counts) > 0.1 > shifted


def test_the_order_of_trials_and_neurons_does_not_matter(nlb):
    rates, counts = nlb["eval_rates_heldout"], nlb["eval_spikes_heldout"]
    other = metrics.bits_per_spike(rates=rates[::-1, :, ::-1], counts=counts[::-1, :, ::-1])
    assert other == pytest.approx(metrics.bits_per_spike(rates=rates, counts=counts), rel=1e-12)


def test_a_silent_neuron_costs_only_its_predicted_spikes():
    counts, rates = np.zeros((1, 4, 2)), np.full((1, 4, 2), 0.5)
    counts[0, :2, 0] = 1.0
    assert metrics.bits_per_spike(rates=rates, counts=counts) == pytest.approx(-4 * (0.5 - 1e-9) / (2 * np.log(2)))


def test_no_spike_at_all_is_nan_with_a_warning():
    with pytest.warns(UserWarning, match="no spike"):
        assert np.isnan(metrics.bits_per_spike(rates=np.ones((1, 2, 1)), counts=np.zeros((1, 2, 1))))


def test_rates_in_hertz_are_noticed(nlb):
    with pytest.warns(UserWarning, match="not Hz"):
        metrics.bits_per_spike(rates=50.0 * nlb["eval_rates_heldout"], counts=nlb["eval_spikes_heldout"])


@pytest.mark.parametrize(
    ("rates", "counts", "message"),
    [
        (np.ones((2, 3, 1)), np.ones((2, 3, 2)), "rates: expected the shape"),
        (-np.ones((1, 2, 1)), np.ones((1, 2, 1)), "rates: expected finite values of at least zero"),
        (np.full((1, 2, 1), np.nan), np.ones((1, 2, 1)), "rates: expected a number in every observed bin, got NaN"),
        (np.ones((1, 2, 1)), -np.ones((1, 2, 1)), "counts: expected finite values of at least zero"),
        (np.ones((0, 2, 1)), np.ones((0, 2, 1)), "counts: expected at least one value"),
    ],
)
def test_bad_rates_are_named(rates, counts, message):
    with pytest.raises(ValueError, match=message):
        metrics.bits_per_spike(rates=rates, counts=counts)


def test_rate_r2_takes_the_truth_first():
    rng = np.random.default_rng(0)
    truth = rng.gamma(2.0, size=(5, 20, 3))
    rates = 0.5 * truth + 0.1
    score = metrics.rate_r2(truth=truth, rates=rates, average=False)
    flat = truth.reshape(-1, 3)
    expected = 1.0 - ((flat - 0.5 * flat - 0.1) ** 2).sum(axis=0) / ((flat - flat.mean(axis=0)) ** 2).sum(axis=0)
    np.testing.assert_allclose(score, expected, rtol=1e-12)
    assert metrics.rate_r2(truth=truth, rates=rates) == pytest.approx(expected.mean())
    assert metrics.rate_r2(truth=rates, rates=truth) < metrics.rate_r2(truth=truth, rates=rates)
    assert metrics.rate_r2(truth=truth, rates=truth) == 1.0
    mean = np.broadcast_to(truth.mean(axis=(0, 1)), truth.shape)
    np.testing.assert_allclose(metrics.rate_r2(truth=truth, rates=mean, average=False), 0.0, atol=1e-12)


def test_a_constant_truth_scores_one_or_zero():
    truth = np.full((1, 4, 2), 0.1)
    rates = truth.copy()
    rates[0, 0, 1] = 0.2
    np.testing.assert_array_equal(metrics.rate_r2(truth=truth, rates=rates, average=False), [1.0, 0.0])


def test_bad_r2_input_is_named():
    with pytest.raises(ValueError, match="rates: expected the shape"):
        metrics.rate_r2(truth=np.ones((1, 2, 3)), rates=np.ones((1, 2, 2)))
    with pytest.raises(ValueError, match="truth: expected finite"):
        metrics.rate_r2(truth=np.full((1, 2, 3), np.nan), rates=np.ones((1, 2, 3)))


def test_smoothing_keeps_the_total_and_constants():
    counts = np.zeros((1, 41, 2))
    counts[0, 20, 0] = 3.0
    counts[:, :, 1] = 2.0
    smooth = metrics.gaussian_smoothing(counts, width_bins=2.0)
    np.testing.assert_allclose(smooth.sum(axis=1), counts.sum(axis=1), rtol=1e-9)
    np.testing.assert_allclose(smooth[0, :, 1], 2.0, rtol=1e-12)
    assert smooth[0, 20, 0] == pytest.approx(3.0 / (2.0 * np.sqrt(2.0 * np.pi)), rel=0.01)
    with pytest.raises(ValueError, match="width_bins"):
        metrics.gaussian_smoothing(counts, width_bins=0.0)
    with pytest.raises(ValueError, match="counts: expected the shape"):
        metrics.gaussian_smoothing(counts[0], width_bins=1.0)


CALLS = {
    "poisson_nll": lambda rates, counts: metrics.poisson_nll(rates=rates, counts=counts),
    "bits_per_spike": lambda rates, counts: metrics.bits_per_spike(rates=rates, counts=counts),
    "rate_r2": lambda rates, counts: metrics.rate_r2(truth=counts, rates=rates),
}


@pytest.mark.parametrize("name", CALLS)
def test_what_is_no_array_of_real_numbers_is_named(name):
    from astropy import units

    from physics.errors import UnitsError

    good, call = np.ones((1, 2, 1)), CALLS[name]
    for bad in (None, good + 0j, np.full(good.shape, "1"), [[1.0], [1.0, 2.0]], np.ma.masked_array(good, True)):
        with pytest.raises(ValueError, match="rates: expected an array of real numbers"):
            call(bad, good)
    with pytest.raises(ValueError, match=r"(counts|truth): expected an array of real numbers"):
        call(good, None)
    with pytest.raises(UnitsError, match="rates: expected a quantity convertible to a plain number, got one in Hz"):
        call(good * units.Hz, good)
    with pytest.raises(ValueError, match=r"expected [12] or more axes, the last one neurons"):
        call(1.0, 1.0)


def test_smoothing_names_what_it_cannot_take():
    with pytest.raises(ValueError, match="counts: expected an array of real numbers"):
        metrics.gaussian_smoothing(None, width_bins=1.0)
    with pytest.raises(ValueError, match="width_bins: expected one finite number"):
        metrics.gaussian_smoothing(np.ones((1, 2, 1)), width_bins=np.nan)
