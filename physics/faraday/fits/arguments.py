"""Arguments that the fits of a rotation measure share."""

import math
import warnings
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from physics import units
from physics.faraday.depth import carried_rm
from physics.faraday.fits.maxima import Prior
from physics.numerics import checks
from physics.types import HostArray, Real


def positive_number(x: Any, unit: str, name: str) -> float:
    """Return `x` in `unit` as a float; `ValueError` unless it is one finite number above zero."""
    return float(checks.positive(np.asarray(units.number(x, unit, name)), name))


def nonnegative_number(x: Any, unit: str, name: str) -> float:
    """Return `x` in `unit` as a float; `ValueError` unless it is one finite number of at least zero."""
    return float(checks.nonnegative(np.asarray(units.number(x, unit, name)), name))


@dataclass(frozen=True)
class NormalPrior:
    """A normal prior of the rotation measure, in the observed frame.

    Args:
        mean: [rad/m^2].
        sd: standard deviation, positive [rad/m^2].

    Raises:
        UnitsError: a quantity is not a rotation measure.
        ValueError: a value is not one finite number, or `sd` is not above zero.
    """

    mean: Real = 0.0
    sd: Real = 5000.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "mean", units.number(self.mean, "rad/m2", "rm_prior.mean"))
        object.__setattr__(self, "sd", positive_number(self.sd, "rad/m2", "rm_prior.sd"))


DEFAULT_PRIOR = NormalPrior()

LONGEST = 1e6
"""Squares of wavelengths above this [m^2], of a kilometre, are taken for frequencies in Hz."""


def wavelengths(x: Any) -> HostArray:
    """Return `lambda_squared` as numbers on the host [m^2].

    Raises:
        TypeError: it is traced.
        UnitsError: a quantity has the wrong dimension.
        ValueError: it is not one axis of at least two different positive numbers.
    """
    if checks.is_traced(x):
        raise TypeError("lambda_squared: expected known values, which set the grid, got a traced array; close over it")
    # Stays on the host: the grid is made from it, and inside a trace a device array would be traced.
    plain = host_array(units.value(x, "m2", "lambda_squared"), "lambda_squared")
    if plain.dtype.kind not in "fiu":
        raise ValueError(f"lambda_squared: expected real numbers in m2, got an array of {plain.dtype}")
    L = checks.positive(plain.astype(np.float64), "lambda_squared")
    if L.ndim != 1 or np.ptp(L) == 0:
        raise ValueError(
            f"lambda_squared: expected one axis with at least two different values, got {L} of shape {L.shape}"
        )
    if L.min() > LONGEST:
        raise ValueError(
            f"lambda_squared: expected m^2, got {L.min():g} to {L.max():g}, which look like frequencies in Hz: "
            "faraday.lambda_squared turns these into m^2"
        )
    return L


def sigma_pair(sigma: Any, shape: tuple[int, ...]) -> tuple[Any, Any] | None:
    """Return the pair (sigma_q, sigma_u) that `sigma` is, or None if it is an array for both.

    Args:
        sigma: a tuple is a pair; a list of two is one too, unless it would also do as an array for all of the data.
        shape: of the data.

    Raises:
        ValueError: a tuple has not two elements, or a list could be meant either way.
    """
    if isinstance(sigma, list) and len(sigma) == 2:
        if _fits(sigma, shape):
            raise ValueError(
                f"sigma: expected a tuple (sigma_q, sigma_u) or an array, got a list of two, which beside data "
                f"of shape {shape} may be either"
            )
        sigma = tuple(sigma)
    if not isinstance(sigma, tuple):
        return None
    checks.sequence_of_shape(sigma, 2, "sigma")
    return sigma[0], sigma[1]


def _fits(pair: list[Any], shape: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes((2, *np.broadcast_shapes(*(np.shape(x) for x in pair))), shape) == shape
    except ValueError:
        return False


def variances(sigma: Array, used: Array, name: str) -> Array:
    """Return the squares of standard deviations of the shape of `used`, one where a channel is not used.

    Raises:
        ValueError: one in use is not finite and positive, or its square lies outside of the range of its precision.
    """
    sigma = checks.positive(jnp.where(used, jnp.broadcast_to(sigma, used.shape), 1.0), name)
    if not checks.is_traced(sigma):
        known, range_ = np.asarray(sigma), np.finfo(sigma.dtype)
        for extreme in (known.min(), known.max()):
            if not math.sqrt(range_.tiny) < extreme < math.sqrt(range_.max):
                raise ValueError(
                    f"{name}: {extreme:g} squared is out of the range of {sigma.dtype}: take another unit for the "
                    "data, or float64"
                )
    return jnp.square(sigma)


def host_array(x: Any, name: str) -> HostArray:
    """Return `x` as a NumPy array; `ValueError` if it is none."""
    try:
        return np.asarray(x)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: expected an array, got {x!r}") from error


def used_channels(mask: Any) -> Array:
    """Return `mask` as booleans, all True for None; `ValueError` if it holds anything else."""
    if mask is None:
        return jnp.asarray(True)
    mask = mask if checks.is_traced(mask) else host_array(mask, "mask")
    if mask.dtype != bool:
        raise ValueError(f"mask: expected booleans, got an array of {mask.dtype}")
    return jnp.asarray(mask)


def prior_of(prior: Any, dtype: Any) -> Prior:
    """Return `rm_prior` on the device: None is flat, a pair is (mean, sd) [rad/m^2]; `ValueError` if it is none."""
    if prior is None:
        return Prior(jnp.zeros((), dtype), jnp.zeros((), dtype))
    if isinstance(prior, tuple | list) and len(prior) == 2:
        prior = NormalPrior(*prior)
    if not isinstance(prior, NormalPrior):
        raise ValueError(f"rm_prior: expected None, a NormalPrior or a pair (mean, sd) in rad/m^2, got {prior!r}")
    return Prior(jnp.asarray(prior.mean, dtype), jnp.asarray(prior.sd**-2, dtype))


def warn_beyond_carried(max_rm: float, lambda_squared: HostArray) -> None:
    """Warn if a search goes further than the channels can carry; both in the documented units."""
    carried = carried_rm(lambda_squared)
    if max_rm > carried * (1.0 + 1e-9):
        warnings.warn(
            f"max_rm: {max_rm:g} rad/m^2 is more than these channels can carry, {carried:.4g} rad/m^2; beyond it they "
            "are depolarized or repeat themselves",
            stacklevel=3,
        )
