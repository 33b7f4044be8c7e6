"""Fractional polarization of each band of many pixels, and how it changes with wavelength."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from physics.faraday.statistics.debias import modified_asymptotic
from physics.numerics.lstsq import weighted_line_fit

SIGNIFICANT = 3.0
"""Standard deviations of the slope from zero that make a class."""


class BandFractions(NamedTuple):
    """Fractional polarization of bands."""

    fraction: Float[Array, "p band"]
    error: Float[Array, "p band"]


def band_fractions(
    rotated: tuple[Float[Array, "p n"], Float[Array, "p n"]],
    intensity: Float[Array, "p n"],
    weight: Float[Array, "p n"],
    sigma_i: Float[Array, " n"],
    membership: Float[Array, "band n"],
) -> BandFractions:
    r"""Return the fractional polarization of each band with its noise bias removed.

    $m = P/I$ of the weighted means over the channels of a band; $\sigma_m^2 = (\sigma_P^2 + m^2\sigma_I^2)/I^2$. The
    flux scale, common to I, Q and U, cancels.

    Args:
        rotated: Q and U with the rotation between the channels of a band undone.
        intensity: I.
        weight: inverse variance of one of Q and U.
        sigma_i: standard deviation of I.
        membership: 1 where a channel belongs to a band.
    """
    total = weight @ membership.T

    def mean(x: Float[Array, "p n"]) -> Float[Array, "p band"]:
        return (weight * x) @ membership.T / total

    q, u, i = mean(rotated[0]), mean(rotated[1]), mean(intensity)
    sigma_p = jnp.sqrt(1.0 / total)
    variance_i = jnp.square(weight * sigma_i[None, :]) @ membership.T / jnp.square(total)
    fraction = modified_asymptotic(jnp.sqrt(q * q + u * u), sigma_p) / i
    return BandFractions(fraction, jnp.sqrt(jnp.square(sigma_p) + jnp.square(fraction) * variance_i) / i)


class Depolarization(NamedTuple):
    """How fractional polarization changes with wavelength."""

    slope: Float[Array, " p"]
    """beta of m ~ wavelength^beta."""
    error: Float[Array, " p"]
    kind: Int[Array, " p"]
    """-1 depolarized towards long wavelengths, 1 inversely, 0 neither."""


def depolarization(lambda_squared: Float[Array, " band"], fractions: BandFractions) -> Depolarization:
    r"""Return the slope of $\ln m$ over $\ln\lambda$, and a class where it is three standard deviations from zero.

    Args:
        lambda_squared: of the bands [m^2].
        fractions: of the bands; a fraction of zero does not count.
    """
    m = fractions.fraction
    safe = jnp.where(m > 0, m, 1.0)
    weight = jnp.where(m > 0, jnp.square(safe / fractions.error), 0.0)
    line = jax.vmap(weighted_line_fit, in_axes=(None, 0, 0))(0.5 * jnp.log(lambda_squared), jnp.log(safe), weight)
    error = jnp.sqrt(line.slope_variance)
    known = jnp.isfinite(error)
    slope = jnp.where(known, line.slope, jnp.nan)
    kind = jnp.where(known & (jnp.abs(slope) > SIGNIFICANT * error), jnp.sign(slope), 0.0).astype(jnp.int32)
    return Depolarization(slope, jnp.where(known, error, jnp.nan), kind)
