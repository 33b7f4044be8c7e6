"""The fit of one line of sight: write for one pixel; it is mapped over all of them."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Complex, Float

from physics.faraday import conventions
from physics.faraday.fits.circular import angle_likelihood
from physics.faraday.fits.coherent import CoherentLikelihood
from physics.faraday.fits.likelihood import Likelihood, Offsets, PixelData
from physics.faraday.fits.maxima import Maximum, Prior, local_maxima, polish
from physics.faraday.fits.rotation_fit import RotationFit


class Search(eqx.Module):
    """What all pixels share."""

    points: Float[Array, " n"]
    pivot: Float[Array, ""]
    depth: Float[Array, " k"]
    offsets: Offsets | None
    prior: Prior
    odds_limit: Float[Array, ""]
    free: bool = eqx.field(static=True)
    equal_errors: bool = eqx.field(static=True)
    maxima: int = eqx.field(static=True)


def pixel_likelihood(search: Search, data: PixelData) -> Likelihood:
    """Return the likelihood of one line of sight: exact in Q and U where that is possible, else of the angles."""
    if search.offsets is None and not search.free:
        return CoherentLikelihood(search.points, data, search.equal_errors)
    return angle_likelihood(search.points, data, search.offsets, free=search.free)


def fit_pixel(
    search: Search,
    q: Float[Array, " n"],
    u: Float[Array, " n"],
    weight_q: Float[Array, " n"],
    weight_u: Float[Array, " n"],
    shape: Float[Array, " n"],
) -> RotationFit:
    """Return the fit of one line of sight; a channel of weight zero is not used, and holds zeros."""
    data = PixelData(q, u, weight_q, weight_u, shape)
    likelihood = pixel_likelihood(search, data)
    depth = search.depth
    place, found, inside = local_maxima(likelihood.heights(depth) + search.prior.log_density(depth), search.maxima)
    maximum = jax.vmap(lambda low, r, high: polish(likelihood, search.prior, low, r, high))(
        depth[place - 1], depth[place], depth[place + 1]
    )
    mass = jnp.where(found, maximum.log_mass, -jnp.inf)
    order = jnp.argsort(-mass)
    maximum, mass = jax.tree.map(lambda x: x[order], (maximum, mass))
    odds = mass - mass[0]
    flat = maximum.log_mass_flat - maximum.log_mass_flat[0]
    kept = jnp.isfinite(odds) & (jnp.maximum(odds, flat) >= -search.odds_limit)
    best = jax.tree.map(lambda x: x[0], maximum)
    used = weight_q > 0
    points = search.points
    spread = jnp.max(jnp.where(used, points, -jnp.inf)) - jnp.min(jnp.where(used, points, jnp.inf))
    # The outermost points lie beyond the limit of the search, and so may a maximum beside them.
    inside = inside & (jnp.abs(best.rm) <= depth[-2])
    determined = (spread > 0) & jnp.isfinite(best.rm_variance) & inside
    rm = jnp.where(determined, best.rm, 0.0)
    aliases = (
        jnp.where(kept & determined, maximum.rm, rm),
        jnp.where(kept, odds, -jnp.inf),
        jnp.where(kept, flat, -jnp.inf),
    )
    parameters, numbers = (2, 1) if search.free else (3, 2)
    dof = jnp.maximum(numbers * jnp.sum(used) - parameters, 0).astype(rm.dtype)
    return _assemble(likelihood, best, search.pivot, determined, dof, aliases)


def _assemble(
    likelihood: Likelihood,
    best: Maximum,
    pivot: Float[Array, ""],
    determined: Bool[Array, ""],
    dof: Float[Array, ""],
    aliases: tuple[Array, Array, Array],
) -> RotationFit:
    rm, nuisance = best.rm, best.nuisance

    def phasor(r: Float[Array, ""]) -> Complex[Array, ""]:
        return likelihood.phasor(r, nuisance)

    value, change = jax.jvp(phasor, (rm,), (jnp.ones_like(rm),))
    power = value.real**2 + value.imag**2
    determined = determined & (power > 0)
    safe = jnp.where(power > 0, power, 1.0)
    # How the EVPA at zero wavelength follows the rotation measure: minus the wavelength at which they are independent.
    lever = 0.5 * (jnp.conj(value) * change).imag / safe - pivot
    variance = jnp.where(determined, best.rm_variance, 0.0)
    evpa_variance = likelihood.evpa_variance(rm, nuisance) + lever**2 * variance
    undefined = jnp.where(jnp.eye(2, dtype=bool), jnp.inf, 0.0).astype(rm.dtype)
    covariance = jnp.stack([jnp.stack([variance, lever * variance]), jnp.stack([lever * variance, evpa_variance])])
    covariance = jnp.where(determined, covariance, undefined)
    angle = 0.5 * jnp.arctan2(value.imag, jnp.where(power > 0, value.real, 1.0))
    size, size_error = likelihood.amplitude(rm, nuisance)
    return RotationFit(
        rm=jnp.where(determined, rm, 0.0),
        rm_error=jnp.sqrt(covariance[0, 0]),
        evpa0=jnp.where(determined, conventions.wrap_angle(angle - rm * pivot), 0.0),
        evpa0_error=jnp.sqrt(covariance[1, 1]),
        covariance=covariance,
        amplitude=size,
        amplitude_error=size_error,
        chi2=likelihood.misfit(rm, nuisance),
        dof=dof,
        alias_rm=aliases[0],
        alias_log_odds=aliases[1],
        alias_log_odds_flat=aliases[2],
    )
