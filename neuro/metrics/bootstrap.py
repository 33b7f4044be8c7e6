"""Intervals of scores from resampled trials."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from neuro.arguments import real_array
from neuro.metrics.rates import rate_r2
from neuro.metrics.spikes import RATE_FLOOR, bits_per_spike
from physics.numerics import checks
from physics.types import PRNGKey


class Interval(NamedTuple):
    """A score with a percentile interval over resampled trials."""

    estimate: float
    low: float
    high: float


def bits_per_spike_interval(
    *, rates: Any, counts: Any, key: PRNGKey, confidence: float = 0.95, resamples: int = 2000
) -> Interval:
    """Return `bits_per_spike` with its bootstrap interval: trials are drawn with replacement, the mean rate with them.

    Resamples without a spike have no score and are left out.

    Args:
        rates: expected counts per bin, (trial, time, neuron).
        counts: spikes per bin, NaN where unobserved, same shape.
        key: of the resamples.
        confidence: probability content of the interval.
        resamples: how many.

    Raises:
        ValueError: as in `bits_per_spike`; fewer than two trials, or a confidence that is no fraction.
        TypeError: `key` is not a typed key.
    """
    n, r = (_trials(x, name) for x, name in ((counts, "counts"), (rates, "rates")))
    estimate = bits_per_spike(rates=r, counts=n)
    observed = ~np.isnan(n)
    r = np.where(observed, np.where(r == 0, RATE_FLOOR, r), 0.0)
    gain = np.sum(np.where(observed, np.nan_to_num(n) * np.log(np.where(observed, r, 1.0)) - r, 0.0), axis=(1, 2))
    spikes, bins = np.nansum(n, axis=1), observed.sum(axis=1)
    drawn = _resampled(len(n), key, resamples)
    total, number = drawn @ spikes, drawn @ bins
    mean = total / np.maximum(number, 1)
    # A silent neuron costs its floor in every bin and nothing per spike.
    null = np.sum(total * np.log(np.where(mean > 0, mean, 1.0)) - number * np.maximum(mean, RATE_FLOOR), axis=1)
    spiking = total.sum(axis=1) > 0
    scores = (drawn @ gain - null)[spiking] / (total.sum(axis=1)[spiking] * np.log(2.0))
    return _interval(estimate, scores, confidence)


def rate_r2_interval(
    *, truth: Any, rates: Any, key: PRNGKey, confidence: float = 0.95, resamples: int = 2000
) -> Interval:
    """Return `rate_r2`, averaged over neurons, with its bootstrap interval over trials.

    Args:
        truth: true expected counts per bin (or both in Hz), (trial, time, neuron).
        rates: predicted, same shape and unit.
        key: of the resamples.
        confidence: probability content of the interval.
        resamples: how many.

    Raises:
        ValueError: as in `rate_r2`; fewer than two trials, or a confidence that is no fraction.
        TypeError: `key` is not a typed key.
    """
    t, r = (_trials(x, name) for x, name in ((truth, "truth"), (rates, "rates")))
    estimate = rate_r2(truth=t, rates=r)
    shift = t.mean(axis=(0, 1))  # variances from sums of squares must not cancel
    drawn = _resampled(len(t), key, resamples)
    residual = drawn @ np.sum((t - r) ** 2, axis=1)
    first, second = drawn @ np.sum(t - shift, axis=1), drawn @ np.sum((t - shift) ** 2, axis=1)
    total = second - first**2 / (len(t) * t.shape[1])
    # A truth that varies may be constant over the trials that are drawn, but for the rounding of these sums.
    varies = total > 1e-12 * second
    met = np.where(residual == 0, 1.0, 0.0)
    scores = np.where(varies, 1.0 - residual / np.where(varies, total, 1.0), met).mean(axis=1)
    return _interval(estimate, scores, confidence)


def interval(
    score: Callable[[np.ndarray], float], number: int, *, key: PRNGKey, confidence: float, resamples: int
) -> Interval:
    """Return a score of trials, or of neurons, with its bootstrap interval; resamples that score NaN are left out.

    Args:
        score: of those at the positions it is given.
        number: how many there are.
        key: of the resamples.
        confidence: probability content of the interval.
        resamples: how many.
    """
    drawn = _generator(key).integers(0, number, (checks.positive_integer(resamples, "resamples"), number))
    scores = np.asarray([score(rows) for rows in drawn])
    return _interval(score(np.arange(number)), scores[~np.isnan(scores)], confidence)


def _trials(x: Any, name: str) -> np.ndarray:
    found = real_array(x, name).astype(np.float64)
    if found.ndim != 3:
        raise ValueError(f"{name}: expected the shape (trial, time, neuron), got {found.shape}")
    return found


def _resampled(trials: int, key: PRNGKey, resamples: int) -> np.ndarray:
    """Return how often each trial is drawn in each resample."""
    checks.positive_integer(resamples, "resamples")
    if trials < 2:
        raise ValueError(f"counts: expected two trials or more to resample, got {trials}")
    return _generator(key).multinomial(trials, np.full(trials, 1.0 / trials), size=resamples).astype(np.float64)


def _generator(key: PRNGKey) -> np.random.Generator:
    return np.random.default_rng(np.asarray(jax.random.key_data(checks.typed_key(key))))


def _interval(estimate: float, scores: np.ndarray, confidence: float) -> Interval:
    tail = 0.5 * (1.0 - checks.fraction(confidence, "confidence"))
    low, high = np.quantile(scores, [tail, 1.0 - tail]) if len(scores) else (np.nan, np.nan)
    return Interval(estimate, float(low), float(high))
