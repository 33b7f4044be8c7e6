import dataclasses
import io

import jax
import numpy as np
import pytest

from neuro import data
from neuro.plotting import plot_rasters, plot_rates, plot_scores


@pytest.fixture(scope="module")
def trials():
    rng = np.random.default_rng(0)
    rates = rng.gamma(2.0, 5.0, (4, 12, 6))
    return data.SpikeTrials(rng.poisson(rates * 0.02), bin_width=0.02, rates=rates, forward_bins=3).hold_out(every=3)


def test_panels_show_inferred_and_true_rates_in_hertz(trials):
    figure = plot_rates(trials, 1.1 * trials.expected_counts, neurons=[0, 5], trial_numbers=[1, 3])
    panels = [axes for axes in figure.get_axes() if axes.get_xlabel() != "neuron"]
    assert len(panels) == 4
    lines = {line.get_label(): line.get_ydata() for line in panels[3].get_lines()}
    np.testing.assert_allclose(lines["true rate"], trials.rates[3, :, 5], rtol=1e-6)
    np.testing.assert_allclose(lines["inferred rate"], 1.1 * np.asarray(trials.rates[3, :, 5]), rtol=1e-6)
    assert panels[0].get_ylabel() == "neuron 0\nrate (Hz)"
    assert panels[2].get_ylabel() == "neuron 5, held out\nrate (Hz)"
    assert panels[3].get_xlabel() == "time (s)"
    figure.savefig(io.BytesIO(), format="png")


def test_bars_are_the_scores_of_the_neurons(trials):
    from matplotlib.figure import Figure

    axes = Figure().subplots()
    plot_scores(trials, 1.1 * trials.expected_counts, axes)
    from neuro.metrics import rate_r2

    scores = rate_r2(truth=trials.expected_counts, rates=1.1 * trials.expected_counts, average=False)
    np.testing.assert_allclose([bar.get_height() for bar in axes.patches], np.sort(scores)[::-1], rtol=1e-6)


def test_without_truth_and_with_few_trials_and_neurons():
    counts = np.random.default_rng(0).poisson(1.0, (1, 5, 1))
    figure = plot_rates(data.SpikeTrials(counts, bin_width=0.02), np.ones((1, 5, 1)))
    (axes,) = figure.get_axes()
    assert "true rate" not in axes.get_legend_handles_labels()[1]
    figure.savefig(io.BytesIO(), format="png")


def test_rasters_show_every_spike_and_the_rates_in_one_order(trials):
    """Held-in neurons first, each half by the time of its highest rate; bins that were not observed are grey."""
    rates = np.asarray(trials.expected_counts)
    lost = dataclasses.replace(trials, mask=np.arange(12)[:, None] != 7)
    figure = plot_rasters(lost, rates, trial_numbers=[2])
    above, below, _ = figure.get_axes()
    peak = rates.mean(axis=0).argmax(axis=0)
    order = sorted(range(6), key=lambda one: (one >= 4, peak[one], one))
    (marks,) = above.collections
    spikes = {(round(x / 0.02 - 0.5), int(y)) for x, y in np.asarray(marks.get_offsets())}
    assert spikes == {(t, order.index(n)) for t, n in np.argwhere(np.asarray(lost.counts)[2])}
    drawn = np.asarray(below.images[1].get_array())
    np.testing.assert_allclose(drawn, (rates[2] / rates.max(axis=(0, 1))).T[order], rtol=1e-6)
    assert np.flatnonzero(~np.ma.getmaskarray(above.images[0].get_array())[0]).tolist() == [7]
    figure.savefig(io.BytesIO(), format="png")
    with pytest.raises(ValueError, match="rates: expected the shape"):
        plot_rasters(trials, rates[:2])
    with pytest.raises(ValueError, match="trial_numbers: expected positions"):
        plot_rasters(trials, rates, trial_numbers=[9])


def test_bad_input_is_named(trials):
    with pytest.raises(ValueError, match="rates: expected the shape"):
        plot_rates(trials, trials.expected_counts[:, :5])
    with pytest.raises(ValueError, match="rates: expected finite values"):
        plot_rates(trials, trials.expected_counts * jax.numpy.nan)
    with pytest.raises(ValueError, match="neurons: expected positions from 0 to 5"):
        plot_rates(trials, trials.expected_counts, neurons=[6])
    with pytest.raises(ValueError, match="trial_numbers: expected positions"):
        plot_rates(trials, trials.expected_counts, trial_numbers=[7])
