"""Rates from smoothed spikes alone: the least that a model of a population has to beat."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from neuro.arguments import positive_number
from neuro.baselines.kernel import WIDTHS, folds, kernel_mean, mean_counts, poisson_loss, training_rows
from neuro.baselines.readout import PENALTIES, PoissonReadout, best_readout
from neuro.data import SpikeTrials
from neuro.data.trials import some_trials
from physics.types import HostArray


@dataclass(frozen=True)
class SmoothedRates:
    """Rates from smoothed counts of held-in neurons, and what was chosen for them."""

    rates: np.ndarray
    """Expected counts per bin, (trial, time, neuron), above zero."""
    width: float
    """Standard deviation of the smoothing of held-in neurons [s]."""
    held_out: PoissonReadout | None
    """Of the held-out neurons in a bin from the held-in ones there."""
    forward: PoissonReadout | None
    """Of all forward bins and neurons, (time, neuron) in one row, from the last observed bin."""


def smoothed_rates(trials: SpikeTrials, *, width: Any = None, penalty: Any = None) -> SmoothedRates:
    """Return rates from smoothed spikes; those of held-out neurons and forward bins by Poisson regression.

    Held-in neurons get their own counts, smoothed. The regressions read the square roots of these, held-out neurons in
    the same bin, forward bins in the last observed one. They are fitted to the split "train"; widths and penalties are
    those that predict left-out thirds of it best. Without held-out neurons the width is the one at which neighbouring
    bins predict a bin best. Bins that were not observed count neither as spikes nor as silence.

    Args:
        trials: with a split "train" of three trials or more; rates are for all trials.
        width: standard deviation of the smoothing [s]; cross-validated by default, for each block by itself.
        penalty: of the squared weights of the regressions; cross-validated by default.

    Raises:
        TypeError: `trials` are no `SpikeTrials`.
        UnitsError: a quantity of another dimension.
        ValueError: there are fewer than three training trials, or a width or penalty is not above zero.
    """
    rows = training_rows(some_trials(trials))
    widths = WIDTHS if width is None else (positive_number(width, "s", "width"),)
    penalties = PENALTIES if penalty is None else (positive_number(penalty, "", "penalty"),)
    fold, choices = folds(trials, rows), {"widths": widths, "penalties": penalties}
    counts, known = np.asarray(trials.counts, float), np.asarray(trials.mask)
    observed, inner = trials.observed_bins, trials.held_in
    read, readable = counts[:, :observed, :inner], known[:, :observed, :inner]
    mean = mean_counts(read[rows], readable[rows])
    smooth = {one: kernel_mean(read, readable.astype(float), mean, one / trials.bin_width) for one in widths}
    later, held_out = None, None
    if inner < counts.shape[2]:
        target, seen = counts[rows, :observed, inner:], known[rows, :observed, inner:]
        held_out = best_readout(lambda one: np.sqrt(smooth[one][rows]), target, seen, fold, **choices)
    if trials.forward_bins:
        target, seen = (x[rows, observed:].reshape(rows.sum(), 1, -1) for x in (counts, known))
        later = best_readout(lambda one: np.sqrt(smooth[one][rows, -1:]), target, seen, fold, **choices)
    chosen = held_out.width if held_out else _width(read[rows], readable[rows], mean, widths, trials.bin_width)
    rates = np.empty(counts.shape)
    rates[:, :observed, :inner] = smooth[chosen]
    if held_out:
        rates[:, :observed, inner:] = held_out(np.sqrt(smooth[held_out.width]))
    if later:
        rates[:, observed:] = later(np.sqrt(smooth[later.width][:, -1])).reshape(rates[:, observed:].shape)
    return SmoothedRates(rates, chosen, held_out, later)


def _width(counts: HostArray, known: HostArray, mean: HostArray, widths: tuple[float, ...], bin_width: float) -> float:
    """Return the width at which the bins around predict a bin best [s]."""
    seen = known.astype(float)

    def loss(width: float) -> float:
        return poisson_loss(kernel_mean(counts, seen, mean, width / bin_width, own=False), counts, known)

    return min(widths, key=loss)
