"""Rates from mean responses: what is known of a trial by its condition alone."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from neuro.arguments import positive_number
from neuro.baselines.kernel import FOLDS, WIDTHS, folds, kernel_mean, mean_counts, poisson_loss, training_rows
from neuro.data import SpikeTrials
from neuro.data.trials import some_trials
from physics.types import HostArray

NONE = -1
"""The number of trials that are of no condition."""


@dataclass(frozen=True)
class ConditionRates:
    """Smoothed mean responses, one to each condition, given to every trial of it."""

    rates: np.ndarray
    """Expected counts per bin, (trial, time, neuron), above zero."""
    width: float
    """Standard deviation of the smoothing [s]."""


def condition_rates(trials: SpikeTrials, *, width: Any = None) -> ConditionRates:
    """Return the smoothed mean over the training trials of the same condition, for every trial.

    Trials of no condition, or of one that no training trial has, get the mean over all training trials. A training
    trial is part of its own mean: score trials of other splits.

    Args:
        trials: with conditions, -1 for none, and a split "train" of three trials or more; rates are for all trials.
        width: standard deviation of the smoothing over time [s]; by default the one that predicts left-out thirds of
            the training trials best.

    Raises:
        TypeError: `trials` are no `SpikeTrials`.
        UnitsError: a quantity of another dimension.
        ValueError: the trials have no conditions, there are fewer than three training trials, or the width is not above
            zero.
    """
    rows = training_rows(some_trials(trials))
    if trials.condition is None:
        raise ValueError("condition: these trials have no conditions")
    condition = np.asarray(trials.condition)
    counts, known = np.asarray(trials.counts, float), np.asarray(trials.mask)

    def rates(learned: HostArray, wanted: HostArray, one: float) -> HostArray:
        return _mean_responses(counts, known, condition, learned, wanted, one / trials.bin_width)

    place, fold = np.flatnonzero(rows), folds(trials, rows)

    def loss(one: float) -> float:
        parts = [(place[fold != left_out], place[fold == left_out]) for left_out in range(FOLDS)]
        return sum(poisson_loss(rates(train, test, one), counts[test], known[test]) for train, test in parts)

    chosen = min(WIDTHS, key=loss) if width is None else positive_number(width, "s", "width")
    return ConditionRates(rates(place, np.arange(len(counts)), chosen), chosen)


def _mean_responses(
    counts: HostArray, known: HostArray, condition: HostArray, learned: HostArray, wanted: HostArray, width_bins: float
) -> HostArray:
    """Return for the wanted trials the smoothed mean response, over the learned ones, to the condition of each."""
    mean = mean_counts(counts[learned], known[learned])

    def response(chosen: HostArray) -> HostArray:
        spikes, bins = (x[chosen].sum(axis=0, keepdims=True, dtype=float) for x in (counts, known))
        return kernel_mean(spikes, bins, mean, width_bins)[0]

    result = np.repeat(response(learned)[None], len(wanted), axis=0)
    for one in np.setdiff1d(condition[learned], [NONE]):
        result[condition[wanted] == one] = response(learned[condition[learned] == one])
    return result
