"""How well mean responses to conditions are met: the PSTH score of the Neural Latents Benchmark."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from neuro.arguments import real_array, whole_numbers
from neuro.metrics.rates import determination


def psth_r2(*, rates: Any, psth: Any, condition_trials: Sequence[Any], jitter: Any = None) -> float:
    """Return R2 of the mean predicted response to each condition, averaged over neurons.

    Every condition counts alike, however many trials it has. Bins where the first neuron of the true PSTH is NaN are
    left out, and so are conditions without a trial.

    Args:
        rates: expected counts per bin, held-in and held-out, (trial, time, neuron).
        psth: true mean counts per bin, (condition, time, neuron), NaN where unknown.
        condition_trials: for each condition the indices of its trials.
        jitter: (trial,), by how many bins each trial starts before the time axis of the PSTH; none by default.

    Raises:
        ValueError: shapes disagree, an index names no trial, no condition has a trial, or a predicted mean is NaN in a
            bin that counts.

    Source: Pei et al. (2021), Neural Latents Benchmark '21; compared in the tests with its evaluator.
    """
    predicted, true = (real_array(x, name).astype(np.float64) for x, name in ((rates, "rates"), (psth, "psth")))
    if predicted.ndim != 3:
        raise ValueError(f"rates: expected the shape (trial, time, neuron), got {predicted.shape}")
    if true.ndim != 3 or true.shape[1:] != predicted.shape[1:]:
        raise ValueError(f"psth: expected (condition, {predicted.shape[1]}, {predicted.shape[2]}), got {true.shape}")
    if len(condition_trials) != len(true):
        raise ValueError(
            f"condition_trials: expected {len(true)} lists, one per condition; got {len(condition_trials)}"
        )
    if jitter is not None:
        predicted = _shifted(predicted, whole_numbers(jitter, "jitter", length=len(predicted)))
    truths, means = [], []
    for condition, (trials, known) in enumerate(zip(condition_trials, ~np.isnan(true[:, :, 0]), strict=True)):
        chosen = _trials(trials, len(predicted), condition)
        if not len(chosen):
            continue
        mean = predicted[chosen].mean(axis=0)[known]
        if np.isnan(mean).any():
            raise ValueError(f"rates: NaN in bins that count in condition {condition}")
        truths.append(true[condition][known])
        means.append(mean)
    if not truths:
        raise ValueError("condition_trials: no condition has a trial")
    return float(determination(np.concatenate(truths), np.concatenate(means)).mean())


def _trials(trials: Any, number: int, condition: int) -> np.ndarray:
    chosen = np.asarray(trials)
    if chosen.size == 0:
        return np.zeros(0, np.int64)
    chosen = whole_numbers(chosen, f"condition_trials[{condition}]")
    if chosen.min() < 0 or chosen.max() >= number:
        raise ValueError(f"condition_trials[{condition}]: expected indices of {number} trials, got {chosen.tolist()}")
    return chosen


def _shifted(rates: np.ndarray, jitter: np.ndarray) -> np.ndarray:
    """Return every trial moved later by its jitter, NaN where nothing is left."""
    result = np.full_like(rates, np.nan)
    bins = rates.shape[1]
    for trial, shift in enumerate(jitter):
        kept = max(bins - abs(shift), 0)
        start, source = max(shift, 0), max(-shift, 0)
        result[trial, start : start + kept] = rates[trial, source : source + kept]
    return result
