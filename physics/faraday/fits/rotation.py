"""Rotation measures from Q and U: the likelihood searched on a grid of rotation measures, for any number of pixels."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from physics.constants import SPEED_OF_LIGHT
from physics.faraday.conventions import in_one_unit
from physics.faraday.depth import band_labels, depth_grid
from physics.faraday.fits.arguments import (
    DEFAULT_PRIOR,
    nonnegative_number,
    positive_number,
    prior_of,
    sigma_pair,
    used_channels,
    variances,
    warn_beyond_carried,
    wavelengths,
)
from physics.faraday.fits.calibration import EvpaError, evpa_error_of
from physics.faraday.fits.likelihood import Offsets
from physics.faraday.fits.pixel import Search, fit_pixel
from physics.faraday.fits.rotation_fit import RotationFit
from physics.numerics import checks
from physics.numerics.batching import chunked_map
from physics.types import HostArray, Real

CHUNK_NUMBERS = 4_000_000
"""Numbers that the grids of one chunk of pixels hold together."""


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
    step: Real = None,
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
        u: Stokes U or U/I, in that unit or convertible to it.
        sigma: standard deviation of one real Stokes parameter, an array that broadcasts with `q`, or a pair
            (sigma_q, sigma_u); in that unit too.
        max_rm: largest absolute rotation measure searched [rad/m^2]. Where the posterior has no maximum within it, or
            is higher still at the limit, the errors are infinite.
        mask: booleans, True where a channel is used, broadcasts with `q`; elsewhere the data may be anything, NaN too.
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
        UnitsError: a quantity has the wrong dimension, or `q`, `u` and `sigma` mix quantities with plain numbers.
        ValueError: shapes do not match; a value in use is not finite, or not positive where it must be; an unknown
            amplitude; fewer than two different wavelengths; a grid of more than ten million points.
        TypeError: `lambda_squared` is traced.

    Warns:
        UserWarning: `max_rm` is more than the channels can carry; it names the limit.

    Source: derived in docs/theory/faraday.md; the profile likelihood is the power of Faraday synthesis (Burn 1966;
        Brentjens and de Bruyn 2005).
    """
    L = wavelengths(lambda_squared)
    q, u, weight_q, weight_u, shape = stokes_weights(L, q, u, sigma, mask, amplitude)
    limit = positive_number(max_rm, "rad/m2", "max_rm")
    grid = depth_grid(L, limit, None if step is None else positive_number(step, "rad/m2", "step"))
    warn_beyond_carried(limit, L)
    labels = band_labels(SPEED_OF_LIGHT / np.sqrt(L), band)
    errors = evpa_error_of(evpa_error)
    setup = Search(
        points=jnp.asarray(L - L.mean(), q.dtype),
        pivot=jnp.asarray(L.mean(), q.dtype),
        depth=jnp.asarray(grid, q.dtype),
        offsets=_offsets(labels, errors, q.dtype),
        prior=prior_of(rm_prior, q.dtype),
        odds_limit=jnp.asarray(nonnegative_number(odds_limit, "", "odds_limit"), q.dtype),
        free=isinstance(amplitude, str) and amplitude == "free",
        equal_errors=not isinstance(sigma, tuple | list),
        maxima=min(checks.positive_integer(maxima, "maxima"), len(grid) - 2),
    )
    rows = 1 if setup.offsets is None else len(setup.offsets.membership)
    whole = max(1, CHUNK_NUMBERS // (len(grid) * rows))
    chunk = whole if chunk_size is None else checks.positive_integer(chunk_size, "chunk_size")
    fit = jax.tree_util.Partial(fit_pixel, setup)
    return chunked_map(fit, q, u, weight_q, weight_u, shape, core_ndim=1, chunk_size=chunk)


def stokes_weights(L: HostArray, q: Any, u: Any, sigma: Any, mask: Any, amplitude: Any) -> tuple[Array, ...]:
    """Return q, u, the weights of both and the amplitude, each (..., channel), zero where a channel is not used."""
    apart = sigma_pair(sigma, np.shape(q))
    pair = (sigma, sigma) if apart is None else apart
    names = ("sigma", "sigma") if apart is None else ("sigma_q", "sigma_u")
    # Only that the units agree matters: they cancel.
    plain = in_one_unit({"q": q, "u": u, **dict(zip(names, pair, strict=True))})
    q, u, sigmas = plain["q"], plain["u"], [plain[name] for name in names]
    dtype = jnp.promote_types(q.dtype, u.dtype)
    used = used_channels(mask)
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
    squares = [variances(s.astype(dtype), used, n) for s, n in zip(sigmas, names, strict=True)]
    return q, u, *(jnp.where(used, 1.0 / square, 0.0) for square in squares), shape


def _amplitude_shape(amplitude: Any) -> Array:
    if isinstance(amplitude, str):
        checks.one_of(amplitude, ("constant", "free"), "amplitude")
        return jnp.ones(())
    return in_one_unit({"amplitude": amplitude})["amplitude"]


def _offsets(labels: HostArray, errors: EvpaError, dtype: Any) -> Offsets | None:
    if errors.band == 0.0 and errors.channel == 0.0:
        return None
    membership = np.unique(labels)[:, None] == labels[None, :]
    if errors.band == 0.0:
        membership = np.ones((1, len(labels)))
    return Offsets(jnp.asarray(membership, dtype), jnp.asarray(errors.band, dtype), jnp.asarray(errors.channel, dtype))
