"""How well rates are met, and the simplest estimate of them."""

from typing import Any, Literal, overload

import numpy as np

from neuro.arguments import positive_number, real_array
from physics.numerics import checks


@overload
def rate_r2(*, truth: Any, rates: Any, average: Literal[True] = True) -> float: ...


@overload
def rate_r2(*, truth: Any, rates: Any, average: Literal[False]) -> np.ndarray: ...


def rate_r2(*, truth: Any, rates: Any, average: bool = True) -> float | np.ndarray:
    r"""Return the coefficient of determination of predicted rates, averaged over neurons.

    $1 - \sum (t - r)^2 / \sum (t - \bar t)^2$ over all trials and bins of a neuron. The truth comes first: exchanging
    the two gives another number. A constant truth scores 1 if met exactly, else 0.

    Args:
        truth: t, true expected counts per bin (or both in Hz), (trial, time, neuron).
        rates: r, predicted, same shape and unit.
        average: False returns one value per neuron, shape (neuron,).

    Raises:
        UnitsError: a quantity with a unit: give plain numbers.
        ValueError: the arrays are not real, have no axis of neurons, shapes differ, or a value is not finite.
    """
    t, r = (real_array(x, name, least_axes=2).astype(np.float64) for x, name in ((truth, "truth"), (rates, "rates")))
    checks.finite(t, "truth")
    checks.finite(checks.same_shape(r, t, "rates", "truth"), "rates")
    score = determination(t.reshape(-1, t.shape[-1]), r.reshape(-1, t.shape[-1]))
    return float(score.mean()) if average else score


def determination(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    r"""Return $1 - \sum (t - p)^2 / \sum (t - \bar t)^2$ of each column; a constant truth scores 1 if met, else 0."""
    residual = np.sum((truth - prediction) ** 2, axis=0)
    total = np.sum((truth - truth.mean(axis=0)) ** 2, axis=0)
    constant = np.ptp(truth, axis=0) == 0
    return np.where(constant, np.where(residual == 0, 1.0, 0.0), 1.0 - residual / np.where(constant, 1.0, total))


def gaussian_smoothing(counts: Any, *, width_bins: float) -> np.ndarray:
    """Return counts smoothed over time, the simplest estimate of expected counts per bin.

    Args:
        counts: spikes per bin, (trial, time, neuron), without NaN.
        width_bins: standard deviation of the Gaussian, in bins; the ends are reflected.

    Raises:
        ValueError: a count is not real or not finite, the array has not three axes, or the width is not positive.
    """
    from scipy.ndimage import gaussian_filter1d

    n = checks.finite(real_array(counts, "counts").astype(np.float64), "counts")
    if n.ndim != 3:
        raise ValueError(f"counts: expected the shape (trial, time, neuron), got {n.shape}")
    width = positive_number(width_bins, "", "width_bins")
    return gaussian_filter1d(n, width, axis=1, mode="reflect")
