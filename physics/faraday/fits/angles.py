"""Rotation measures from position angles: a straight line in lambda^2 on each n-pi branch, for any number of pixels."""

import math
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from physics import units
from physics.constants import SPEED_OF_LIGHT
from physics.faraday import conventions
from physics.faraday.depth import band_labels
from physics.faraday.fits.arguments import (
    DEFAULT_PRIOR,
    nonnegative_number,
    positive_number,
    prior_of,
    used_channels,
    warn_beyond_carried,
    wavelengths,
)
from physics.faraday.fits.branches import Branch, Cells, Line, branch, cells, count_cells, line_of, stored_branch
from physics.faraday.fits.calibration import EvpaError, evpa_error_of
from physics.faraday.fits.maxima import Prior
from physics.faraday.fits.rotation_fit import RotationFit
from physics.numerics import checks
from physics.numerics.batching import chunked_map
from physics.types import HostArray, Real

T = TypeVar("T")

MAX_CELLS = 16_384
"""Branches of the largest search: more are a matter for Q and U, whose likelihood needs none."""

CHUNK_NUMBERS = 400_000
"""Branches that one chunk of pixels holds together; they stay in the cache."""


class BranchSearch(eqx.Module):
    """What all pixels share."""

    points: Float[Array, " n"]
    pivot: Float[Array, ""]
    cells: Cells
    channel_variance: Float[Array, " n"]
    """Of the zero point of each channel [rad^2]."""
    band_variance: Float[Array, ""]
    """Common to the channels of each of `bands` [rad^2]."""
    prior: Prior
    max_rm: Float[Array, ""]
    odds_limit: Float[Array, ""]
    bands: tuple[tuple[int, ...], ...] = eqx.field(static=True)
    maxima: int = eqx.field(static=True)


def fit_angles(
    lambda_squared: Real,
    evpa: Real,
    evpa_error: Real,
    *,
    max_rm: Real,
    mask: Any = None,
    band: Any = None,
    zero_point_error: Any = None,
    rm_prior: Any = DEFAULT_PRIOR,
    maxima: int = 8,
    odds_limit: float = 20.0,
    chunk_size: int | None = None,
) -> RotationFit:
    r"""Return the rotation measure and intrinsic EVPA of the straight line through position angles.

    The angles are known up to half turns. Every set of half turns that some line within `max_rm` brings nearest to it
    is tried, the line of each is fitted by generalised least squares, and their posterior masses are compared: nothing
    is unwrapped from one channel to the next. With errors that do not depend on the branch the mass of one is
    $e^{-\chi^2/2}$, times the prior averaged over its line.

    The errors of angles are Gaussian only if the polarization is well detected in every channel: `p_value` is
    trustworthy above a signal-to-noise ratio of about 10. `fit_rotation` takes Q and U and has no such limit.

    Args:
        lambda_squared: shape (channel,), in any order; its values must be known, not traced [m^2].
        evpa: position angles, shape (..., channel), each up to half turns [rad].
        evpa_error: standard deviations of the angles from noise, of a shape that broadcasts with `evpa` [rad].
        max_rm: largest absolute rotation measure [rad/m^2]. Where no branch has its maximum within it, or one is
            more probable still at the limit, the errors are infinite.
        mask: booleans, True where a channel is used, broadcasts with `evpa`; elsewhere the data may be anything.
        band: label of the band of each channel, shape (channel,); by default a new band begins where the frequency
            steps up by more than a tenth. Only used with `zero_point_error`.
        zero_point_error: errors of the EVPA calibration: `EvpaError`, a pair (band, channel) [rad], or None for angles
            whose zero point is exact. The part of a band is common to its channels.
        rm_prior: `NormalPrior`, a pair (mean, sd) [rad/m^2], or None for a flat prior.
        maxima: how many branches are kept.
        odds_limit: branches whose log odds against the best are below minus this, with and without the prior, are
            dropped.
        chunk_size: pixels at a time; by default so many that a chunk stays in the cache.

    Returns:
        `RotationFit` without an amplitude; `alias_rm` and the odds are those of the branches.

    Raises:
        UnitsError: a quantity has the wrong dimension.
        ValueError: shapes do not match; a value in use is not finite, or not positive where it must be; angles or
            errors look like degrees; fewer than two different wavelengths; more than 16,384 branches.
        TypeError: `lambda_squared` is traced.

    Warns:
        UserWarning: `max_rm` is more than the channels can carry; it names the limit.

    Source: derived in docs/theory/faraday.md.
    """
    L = wavelengths(lambda_squared)
    angle, error, used = _angles(L, evpa, evpa_error, mask)
    limit = positive_number(max_rm, "rad/m2", "max_rm")
    count = count_cells(L, limit)
    if count > MAX_CELLS:
        raise ValueError(
            f"max_rm, lambda_squared: expected at most {MAX_CELLS} branches, got {count} for {len(L)} channels up to "
            f"{L.max():g} m^2 and {limit:g} rad/m^2: average channels, or take fit_rotation with "
            "amplitude='free', which needs no branches"
        )
    warn_beyond_carried(limit, L)
    errors = evpa_error_of(zero_point_error, "zero_point_error")
    bands = _bands(band_labels(SPEED_OF_LIGHT / np.sqrt(L), band), errors)
    dtype = angle.dtype
    search = BranchSearch(
        points=jnp.asarray(L - L.mean(), dtype),
        pivot=jnp.asarray(L.mean(), dtype),
        cells=cells(L, limit, dtype),
        channel_variance=jnp.asarray(_channel_variance(len(L), bands, errors), dtype),
        band_variance=jnp.asarray(errors.band**2, dtype),
        prior=prior_of(rm_prior, dtype),
        max_rm=jnp.asarray(limit, dtype),
        odds_limit=jnp.asarray(nonnegative_number(odds_limit, "", "odds_limit"), dtype),
        bands=bands,
        maxima=checks.positive_integer(maxima, "maxima"),
    )
    whole = 2 ** math.floor(math.log2(max(1, CHUNK_NUMBERS // count)))
    chunk = whole if chunk_size is None else checks.positive_integer(chunk_size, "chunk_size")
    fit = jax.tree_util.Partial(fit_pixel_angles, search)
    return chunked_map(fit, angle, error, used, core_ndim=1, chunk_size=chunk)


def _angles(L: HostArray, evpa: Any, evpa_error: Any, mask: Any) -> tuple[Array, Array, Array]:
    angle, error = units.array(evpa, "rad", "evpa"), units.array(evpa_error, "rad", "evpa_error")
    error = error.astype(angle.dtype)
    used = used_channels(mask)
    shapes = {"lambda_squared": L.shape, "evpa": angle.shape, "evpa_error": error.shape, "mask": used.shape}
    common = checks.broadcastable(shapes)
    if angle.shape[-1:] != L.shape:
        raise ValueError(f"evpa: expected {len(L)} channels on the last axis, got shape {angle.shape}")
    seen_angle, seen_error = angle, error
    if mask is not None:
        seen_angle = jnp.where(used, jnp.broadcast_to(angle, common), 0.0)
        seen_error = jnp.where(used, jnp.broadcast_to(error, common), 1.0)
    checks.finite(seen_angle, "evpa")
    checks.positive(seen_error, "evpa_error")
    _not_degrees(seen_angle, seen_error)
    error, used = (jnp.broadcast_to(x, jnp.broadcast_shapes(x.shape, L.shape)) for x in (error, used))
    return angle, error, used


def _not_degrees(angle: Array, error: Array) -> None:
    if checks.is_traced(angle, error):
        return
    largest, least = float(np.max(np.abs(np.asarray(angle)))), float(np.min(np.asarray(error)))
    if largest > 2.0 * math.pi:
        raise ValueError(f"evpa: expected radians, got {largest:g}, which looks like degrees")
    if least > 0.5 * math.pi:
        raise ValueError(f"evpa_error: expected radians, got at least {least:g}, which looks like degrees")


def _bands(labels: HostArray, errors: EvpaError) -> tuple[tuple[int, ...], ...]:
    # A band of one channel needs no block: its error is one of the channel.
    if errors.band == 0.0:
        return ()
    members = (np.flatnonzero(labels == label) for label in np.unique(labels))
    return tuple(tuple(int(k) for k in channels) for channels in members if len(channels) > 1)


def _channel_variance(count: int, bands: tuple[tuple[int, ...], ...], errors: EvpaError) -> HostArray:
    alone = np.ones(count, bool)
    alone[[k for band in bands for k in band]] = False
    return np.where(alone, errors.channel**2 + errors.band**2, errors.channel**2)


def fit_pixel_angles(
    search: BranchSearch, angle: Float[Array, " n"], error: Float[Array, " n"], used: Bool[Array, " n"]
) -> RotationFit:
    """Return the fit of one line of sight; where a channel is not used the numbers may be anything."""
    square = math.pi**2
    turns = jnp.where(used, angle, 0.0) / math.pi
    variance = (jnp.square(jnp.where(used, error, 1.0)) + search.channel_variance) / square
    line = line_of(search.points, turns - jnp.round(turns), variance, used, search.band_variance / square, search.bands)
    every = jax.vmap(branch, in_axes=(None, 0))(line, search.cells)
    rm, cost = _posterior(search.prior, line, every.slope, every.chi2)
    within = jnp.where(jnp.abs(rm) <= search.max_rm, cost, jnp.inf)
    place = lowest(within, min(search.maxima, len(cost)))
    best = stored_branch(line, _rows(search.cells, place[0]))
    # What a branch whose best slope lies outside reaches at the limit itself.
    stiffness = search.prior.precision + jnp.where(line.determined, 1.0 / (math.pi**2 * line.slope_variance), 0.0)
    at_limit = cost + stiffness * jnp.square(jnp.maximum(jnp.abs(rm) - search.max_rm, 0.0))
    determined = line.determined & (least(within) <= least(at_limit))
    fit = _assemble(search, line, best, determined, jnp.sum(used))
    aliases = _aliases(search, line, *_rows((every.slope, every.chi2), place), fit)
    return eqx.tree_at(lambda f: (f.alias_rm, f.alias_log_odds, f.alias_log_odds_flat), fit, aliases)


def _rows(tree: T, place: Int[Array, "*count"]) -> T:
    return jax.tree.map(lambda column: column.at[place].get(mode="promise_in_bounds"), tree)


def _aliases(
    search: BranchSearch, line: Line, slope: Float[Array, " count"], chi2: Float[Array, " count"], fit: RotationFit
) -> tuple[Array, Array, Array]:
    rm, cost = _posterior(search.prior, line, slope, chi2)
    cost = jnp.where(jnp.abs(rm) <= search.max_rm, cost, jnp.inf)
    odds, flat = 0.5 * (cost[0] - cost), 0.5 * (chi2[0] - chi2)
    first = jnp.arange(len(rm)) == 0
    kept = jnp.isfinite(cost) & (jnp.maximum(odds, flat) >= -search.odds_limit) & fit.determined
    return (
        jnp.where(kept & ~first, rm, fit.rm),
        jnp.where(first, 0.0, jnp.where(kept, odds, -jnp.inf)),
        jnp.where(first, 0.0, jnp.where(kept, flat, -jnp.inf)),
    )


def _posterior(
    prior: Prior, line: Line, slope: Float[Array, "*k"], chi2: Float[Array, "*k"]
) -> tuple[Float[Array, "*k"], Float[Array, "*k"]]:
    r"""Return the rotation measure of each branch, and minus twice its log posterior mass.

    Prior times likelihood of a slope b of variance v is normal with the mean $(b + v\tau\mu)/(1 + v\tau)$, and its
    integral is that of the likelihood times $\exp[-\tfrac12 \tau(b - \mu)^2/(1 + v\tau)]$ and a common factor.
    """
    slope = math.pi * slope
    stiffness = jnp.where(line.determined, math.pi**2 * line.slope_variance, 0.0) * prior.precision
    # The divisions are by one number of a pixel, and before the branches come in: one each.
    pull, penalty = stiffness / (1.0 + stiffness), prior.precision / (1.0 + stiffness)
    return slope + pull * (prior.mean - slope), chi2 + penalty * jnp.square(slope - prior.mean)


def _whole(x: Float[Array, "*k"]) -> Int[Array, "*k"]:
    # The bits of numbers from zero up have their order, and whole numbers are compared many at a time.
    return jax.lax.bitcast_convert_type(jnp.maximum(x, 0.0), jnp.int64 if x.dtype == jnp.float64 else jnp.int32)


def least(cost: Float[Array, " k"]) -> Float[Array, ""]:
    """Return the lowest of numbers that are not negative."""
    return jax.lax.bitcast_convert_type(jnp.min(_whole(jax.lax.stop_gradient(cost))), cost.dtype)


def lowest(cost: Float[Array, " k"], count: int) -> Int[Array, " count"]:
    """Return the places of the lowest of numbers that are not negative, ascending.

    Differences from the least are compared as whole numbers whose last bits hold the place, which is several times
    faster than sorting; of two that agree in all but these bits, the one that comes first is taken first.
    """
    first = least(cost)
    key = _whole(jax.lax.stop_gradient(cost) - jnp.where(jnp.isfinite(first), first, 0.0))
    last_bits = (1 << max(1, (len(cost) - 1).bit_length())) - 1
    key = (key & jnp.asarray(~last_bits, key.dtype)) | jnp.arange(len(cost), dtype=key.dtype)
    largest = jnp.asarray(jnp.iinfo(key.dtype).max, key.dtype)

    def following(last: Array, _: None) -> tuple[Array, Array]:
        found = jnp.min(jnp.where(key > last, key, largest))
        return found, found

    # A loop, so that the keys are stored: unrolled, each turn makes them again.
    _, found = jax.lax.scan(following, jnp.asarray(-1, key.dtype), length=count)
    return found & jnp.asarray(last_bits, key.dtype)


def _assemble(
    search: BranchSearch, line: Line, best: Branch, determined: Bool[Array, ""], count: Int[Array, ""]
) -> RotationFit:
    prior, square = search.prior, math.pi**2
    slope = math.pi * best.slope
    alone = jnp.where(line.determined, square * line.slope_variance, 1.0)
    rm, _ = _posterior(prior, line, best.slope, best.chi2)
    variance = alone / (1.0 + alone * prior.precision)
    # The angle at the centre does not depend on the slope; at zero wavelength it does.
    lever = -(search.pivot + line.centre)
    level = jnp.where(determined, square * line.mean_variance, 0.0) + lever**2 * variance
    covariance = jnp.stack([variance, lever * variance, lever * variance, level]).reshape(2, 2)
    undefined = jnp.where(jnp.eye(2, dtype=bool), jnp.inf, 0.0).astype(rm.dtype)
    covariance = jnp.where(determined, covariance, undefined)
    evpa0 = jnp.where(determined, conventions.wrap_angle(math.pi * best.mean + lever * rm), 0.0)
    rm = jnp.where(determined, rm, 0.0)
    pulled = jnp.where(determined, jnp.square(rm - slope) / alone, 0.0)
    empty = jnp.zeros((min(search.maxima, len(search.cells.number)),), rm.dtype)
    return RotationFit(
        rm=rm,
        rm_error=jnp.sqrt(covariance[0, 0]),
        evpa0=evpa0,
        evpa0_error=jnp.sqrt(covariance[1, 1]),
        covariance=covariance,
        amplitude=None,
        amplitude_error=None,
        chi2=jnp.where(count > 0, best.chi2, 0.0) + pulled,
        dof=jnp.maximum(count - 2, 0).astype(rm.dtype),
        alias_rm=empty,
        alias_log_odds=empty,
        alias_log_odds_flat=empty,
    )
