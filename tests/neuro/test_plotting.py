import io

import jax
import numpy as np
import pytest

from neuro import data
from neuro.plotting import plot_rates, plot_scores


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


def test_bad_input_is_named(trials):
    with pytest.raises(ValueError, match="rates: expected the shape"):
        plot_rates(trials, trials.expected_counts[:, :5])
    with pytest.raises(ValueError, match="rates: expected finite values"):
        plot_rates(trials, trials.expected_counts * jax.numpy.nan)
    with pytest.raises(ValueError, match="neurons: expected positions from 0 to 5"):
        plot_rates(trials, trials.expected_counts, neurons=[6])
    with pytest.raises(ValueError, match="trial_numbers: expected positions"):
        plot_rates(trials, trials.expected_counts, trial_numbers=[7])
