"""How likely spikes are under predicted rates."""

import warnings
from typing import Any

import numpy as np

from neuro.arguments import real_array, warn_of_unit
from physics.numerics import checks

RATE_FLOOR = 1e-9
"""Expected count that replaces a predicted zero, so that a spike there costs a finite amount."""


def poisson_nll(*, rates: Any, counts: Any) -> float:
    r"""Return $\sum (r - n \ln r + \ln n!)$ over the observed bins, in nats.

    Args:
        rates: r, expected counts per bin, any shape but a single number; a zero is taken as 1e-9.
        counts: n, spikes per bin, NaN where unobserved, same shape.

    Raises:
        UnitsError: a quantity with a unit, such as rates in Hz.
        ValueError: the arrays are not real or empty, shapes differ, or a rate is negative, or NaN in an observed bin.
    """
    from scipy.special import gammaln

    r, n = _observed(rates, counts)
    return float(np.sum(r - n * np.log(r) + gammaln(n + 1.0)))


def bits_per_spike(*, rates: Any, counts: Any) -> float:
    r"""Return the gain in log likelihood over each neuron's mean rate, in bits per spike.

    $(L_0 - L)/(n_\mathrm{spikes} \ln 2)$ with the Poisson negative log likelihood L of `rates` and $L_0$ of the mean
    over trials and time of the same counts. NaN, with a warning, if there is no spike.

    Args:
        rates: expected counts per bin, (trial, time, neuron); a zero is taken as 1e-9. Not changed.
        counts: spikes per bin, NaN where unobserved, same shape.

    Raises:
        UnitsError: a quantity with a unit, such as rates in Hz.
        ValueError: the arrays are not real or empty or have a single axis, shapes differ, or a rate is negative, or
            NaN in an observed bin.

    Source: Pei et al. (2021), Neural Latents Benchmark '21; compared in the tests with its evaluator.
    """
    n = real_array(counts, "counts", least_axes=2).astype(np.float64)
    r = real_array(rates, "rates", least_axes=2).astype(np.float64)
    nll = poisson_nll(rates=r, counts=n)
    observed = ~np.isnan(n)
    spikes = np.sum(n, where=observed)
    if spikes == 0:
        warnings.warn("counts: there is no spike, so bits per spike are not defined", stacklevel=2)
        return float("nan")
    warn_of_unit(float(np.sum(r, where=observed)), float(spikes), "rates", stacklevel=3)
    axes = tuple(range(n.ndim - 1))
    number = observed.sum(axis=axes)
    mean = np.sum(n, axis=axes, where=observed) / np.maximum(number, 1)
    null = poisson_nll(rates=np.broadcast_to(mean, n.shape), counts=n)
    return float((null - nll) / (spikes * np.log(2.0)))


def _observed(rates: Any, counts: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the checked, floored rates and the counts of the observed bins, flat."""
    r, n = (real_array(x, name, least_axes=1).astype(np.float64) for x, name in ((rates, "rates"), (counts, "counts")))
    checks.same_shape(r, n, "rates", "counts")
    checks.nonempty(n, "counts")
    observed = ~np.isnan(n)
    r, n = r[observed], n[observed]
    if np.any(np.isnan(r)):
        raise ValueError(f"rates: expected a number in every observed bin, got NaN in {int(np.isnan(r).sum())} of them")
    if r.size:
        checks.nonnegative(r, "rates")
        checks.nonnegative(n, "counts")
    return np.where(r == 0, RATE_FLOOR, r), n
