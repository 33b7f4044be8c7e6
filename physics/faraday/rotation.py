"""Rotation measures from Q and U: the likelihood searched on a grid of rotation measures, for any number of pixels."""

import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from physics import units
from physics.constants import SPEED_OF_LIGHT
from physics.faraday.calibration import EvpaError, evpa_error_of
from physics.faraday.depth import depth_grid, frequency_bands
from physics.faraday.likelihood import Offsets
from physics.faraday.maxima import Prior
from physics.faraday.pixel import RotationFit, Search, fit_pixel
from physics.numerics import checks
from physics.numerics.batching import chunked_map
from physics.types import HostArray, Real

CHUNK_NUMBERS = 4_000_000
"""Numbers that the grids of one chunk of pixels hold together."""


@dataclass(frozen=True)
class NormalPrior:
    """A normal prior of the rotation measure, in the observed frame.

    Args:
        mean: [rad/m^2].
        sd: standard deviation, positive [rad/m^2].
    """

    mean: Real = 0.0
    sd: Real = 5000.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "mean", float(units.value(self.mean, "rad/m2", "rm_prior.mean")))
        object.__setattr__(self, "sd", float(units.value(self.sd, "rad/m2", "rm_prior.sd")))
        if not (math.isfinite(self.mean) and math.isfinite(self.sd) and self.sd > 0):
            raise ValueError(f"rm_prior: expected a finite mean and a finite sd above zero, got {self}")


DEFAULT_PRIOR = NormalPrior()


def fit_rotation(
    lambda_squared: Real,
    q: Real,
    u: Real,
    sigma: Real,
    *,
    max_rm: Real,
    mask: Any = None,
    band: Any = None,
    amplitude: Any = "constant",
    evpa_error: Any = None,
    rm_prior: Any = DEFAULT_PRIOR,
    step: float | None = None,
    maxima: int = 8,
    odds_limit: float = 20.0,
    chunk_size: int | None = None,
) -> RotationFit:
    """Return the rotation measure and intrinsic EVPA that a thin screen needs to explain Q and U.

    The posterior is evaluated on a grid over [-max_rm, max_rm], every local maximum is polished, and the one of the
    highest mass is the answer; the others are returned with their odds. The n-pi ambiguity does not arise.

    Args:
        lambda_squared: shape (channel,), in any order; its values must be known, not traced [m^2].
        q: Stokes Q or Q/I, shape (..., channel), in any one unit.
        u: Stokes U or U/I, same unit.
        sigma: standard deviation of one real Stokes parameter, an array that broadcasts with `q`, or a pair
            (sigma_q, sigma_u).
        max_rm: largest absolute rotation measure searched [rad/m^2].
        mask: True where a channel is used, broadcasts with `q`; elsewhere the data may be anything, NaN too.
        band: label of the band of each channel, shape (channel,); by default a new band begins where the frequency
            steps up by more than a tenth. Only used with `evpa_error`.
        amplitude: "constant" along the channels; "free", one per channel, which leaves the angles; or an array that
            broadcasts with `q`, the amplitude up to a factor.
        evpa_error: `EvpaError`, a pair (band, channel) [rad], or None for data whose zero point is exact. Without it
            `chi2` shows whether the noise alone explains the residuals.
        rm_prior: `NormalPrior`, a pair (mean, sd) [rad/m^2], or None for a flat prior.
        step: of the grid, at most [rad/m^2]; by default a tenth of the narrowest lobe that the channels can form.
        maxima: how many maxima are kept.
        odds_limit: maxima whose log odds against the best are below minus this, with and without the prior, are
            dropped.
        chunk_size: pixels at a time; by default so many that a chunk needs about 100 MB.

    Raises:
        UnitsError: a quantity has the wrong dimension.
        ValueError: shapes do not match; a value in use is not finite, or not positive where it must be; an unknown
            amplitude; fewer than two different wavelengths.
        TypeError: `lambda_squared` is traced.

    Source: derived in docs/theory/faraday.md; the profile likelihood is the power of Faraday synthesis (Burn 1966;
        Brentjens and de Bruyn 2005).
    """
    L = _wavelengths(lambda_squared)
    q, u, weight_q, weight_u, shape = _stokes(L, q, u, sigma, mask, amplitude)
    limit = float(checks.positive(np.asarray(units.value(max_rm, "rad/m2", "max_rm"), np.float64), "max_rm"))
    grid = depth_grid(L, limit, step)
    errors = evpa_error_of(evpa_error)
    setup = Search(
        points=jnp.asarray(L - L.mean(), q.dtype),
        pivot=jnp.asarray(L.mean(), q.dtype),
        depth=jnp.asarray(grid, q.dtype),
        offsets=_offsets(L, band, errors, q.dtype),
        prior=_prior(rm_prior, q.dtype),
        odds_limit=jnp.asarray(odds_limit, q.dtype),
        free=isinstance(amplitude, str) and amplitude == "free",
        equal_errors=not isinstance(sigma, tuple),
        maxima=min(checks.positive_integer(maxima, "maxima"), len(grid) - 2),
    )
    rows = 1 if setup.offsets is None else len(setup.offsets.membership)
    chunk = chunk_size or max(1, CHUNK_NUMBERS // (len(grid) * rows))
    fit = jax.tree_util.Partial(fit_pixel, setup)
    return chunked_map(fit, q, u, weight_q, weight_u, shape, core_ndim=1, chunk_size=chunk)


def _wavelengths(x: Any) -> HostArray:
    if checks.is_traced(x):
        raise TypeError("lambda_squared: expected known values, which set the grid, got a traced array; close over it")
    # Stays on the host: the grid is made from it, and inside a trace a device array would be traced.
    L = np.asarray(units.value(x, "m2", "lambda_squared"), np.float64)
    checks.positive(L, "lambda_squared")
    if L.ndim != 1 or np.ptp(L) == 0:
        raise ValueError(
            f"lambda_squared: expected one axis with at least two different values, got {L} of shape {L.shape}"
        )
    return L


def _stokes(L: HostArray, q: Any, u: Any, sigma: Any, mask: Any, amplitude: Any) -> tuple[Array, ...]:
    q, u = (units.value(x, "", n) if _dimensionless(x) else _plain(x) for x, n in ((q, "q"), (u, "u")))
    q, u = units.array(q, "", "q"), units.array(u, "", "u")
    dtype = jnp.promote_types(q.dtype, u.dtype)
    pair = sigma if isinstance(sigma, tuple) else (sigma, sigma)
    names = ("sigma_q", "sigma_u") if isinstance(sigma, tuple) else ("sigma", "sigma")
    checks.sequence_of_shape(pair, 2, "sigma")
    sigmas = [units.array(_plain(x), "", n) for x, n in zip(pair, names, strict=True)]
    used = jnp.asarray(True if mask is None else mask, bool)
    shape = _amplitude_shape(amplitude)
    named = {"q": q, "u": u, names[0]: sigmas[0], names[1]: sigmas[1], "mask": used, "amplitude": shape}
    common = checks.broadcastable({"lambda_squared": L.shape, **{n: x.shape for n, x in named.items()}})
    if q.shape[-1:] != L.shape or u.shape[-1:] != L.shape:
        raise ValueError(f"q, u: expected {len(L)} channels on the last axis, got shapes {q.shape} and {u.shape}")
    used = jnp.broadcast_to(used, common)
    q, u, shape = (
        checks.finite(jnp.where(used, jnp.broadcast_to(x.astype(dtype), common), 0.0), n)
        for x, n in ((q, "q"), (u, "u"), (shape, "amplitude"))
    )
    weights = [_weight(s.astype(dtype), used, n) for s, n in zip(sigmas, names, strict=True)]
    return q, u, *weights, shape


def _weight(sigma: Array, used: Array, name: str) -> Array:
    sigma = checks.positive(jnp.where(used, jnp.broadcast_to(sigma, used.shape), 1.0), name)
    return jnp.where(used, 1.0 / jnp.square(sigma), 0.0)


def _dimensionless(x: Any) -> bool:
    return units.is_quantity(x) and x.unit.is_equivalent("")


def _plain(x: Any) -> Any:
    # Q, U and sigma may be in any one unit, which cancels.
    return x.value if units.is_quantity(x) else x


def _amplitude_shape(amplitude: Any) -> Array:
    if isinstance(amplitude, str):
        checks.one_of(amplitude, ("constant", "free"), "amplitude")
        return jnp.ones(())
    return units.array(_plain(amplitude), "", "amplitude")


def _offsets(L: HostArray, band: Any, errors: EvpaError, dtype: Any) -> Offsets | None:
    if errors.band == 0.0 and errors.channel == 0.0:
        return None
    labels = np.asarray(frequency_bands(SPEED_OF_LIGHT / np.sqrt(L)) if band is None else band)
    if labels.shape != L.shape:
        raise ValueError(f"band: expected one label for each of {len(L)} channels, got shape {labels.shape}")
    membership = np.unique(labels)[:, None] == labels[None, :]
    if errors.band == 0.0:
        membership = np.ones((1, len(L)))
    return Offsets(jnp.asarray(membership, dtype), jnp.asarray(errors.band, dtype), jnp.asarray(errors.channel, dtype))


def _prior(prior: Any, dtype: Any) -> Prior:
    if prior is None:
        return Prior(jnp.zeros((), dtype), jnp.zeros((), dtype))
    if isinstance(prior, tuple) and len(prior) == 2:
        prior = NormalPrior(*prior)
    if not isinstance(prior, NormalPrior):
        raise ValueError(f"rm_prior: expected None, a NormalPrior or a pair (mean, sd) in rad/m^2, got {prior!r}")
    return Prior(jnp.asarray(prior.mean, dtype), jnp.asarray(prior.sd**-2, dtype))
