"""Signs, angles and elementary products of linear polarization.

P = Q + iU = p I exp(2 i chi), with the position angle chi (EVPA) zero at north and increasing to the east (IAU).
Angles are radians in (-pi/2, pi/2]; files and plots use degrees in [0, 180).
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from physics import units
from physics.constants import DEGREE, SPEED_OF_LIGHT
from physics.numerics import checks
from physics.numerics.special import safe_sqrt


def lambda_squared(frequency: Any, bandwidth: Any = None) -> Float[Array, "*channel"]:
    r"""Return the squared wavelength of each channel [m^2].

    $L = c^2/\nu^2$, or its mean over a channel of uniform response and full width $b$,
    $\langle L \rangle = c^2/(\nu^2 - b^2/4)$.

    Args:
        frequency: centre of each channel, any shape [Hz].
        bandwidth: full width of each channel, a number or one for each channel [Hz]; None for the value at the centre.

    Raises:
        UnitsError: a quantity is not a frequency.
        ValueError: a frequency is not finite and positive, or a channel reaches zero frequency.

    Source: derived in docs/theory/faraday.md.
    """
    nu = checks.positive(units.array(frequency, "Hz", "frequency"), "frequency")
    if bandwidth is None:
        return jnp.square(SPEED_OF_LIGHT / nu)
    width = checks.nonnegative(units.array(bandwidth, "Hz", "bandwidth"), "bandwidth").astype(nu.dtype)
    checks.broadcastable({"frequency": nu.shape, "bandwidth": width.shape})
    half = 0.5 * jnp.broadcast_to(width, jnp.broadcast_shapes(nu.shape, width.shape)) / nu
    if not checks.is_traced(half) and bool(jnp.any(half >= 1.0)):
        raise ValueError("bandwidth: expected less than twice the frequency, got a channel that reaches zero frequency")
    return jnp.square(SPEED_OF_LIGHT / nu) / ((1.0 - half) * (1.0 + half))


def polarization(q: Float[Array, "*shape"], u: Float[Array, "*shape"]) -> Complex[Array, "*shape"]:
    """Return Q + iU."""
    return jax.lax.complex(q, u)


def polarized_intensity(q: Float[Array, "*shape"], u: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Return sqrt(Q^2 + U^2), not corrected for its noise bias; its gradient at zero is zero."""
    return safe_sqrt(q * q + u * u)


def wrap_angle(angle: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Return position angles brought into (-pi/2, pi/2] [rad]."""
    return angle - math.pi * jnp.ceil(angle / math.pi - 0.5)


def evpa(q: Float[Array, "*shape"], u: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Return the electric vector position angle 0.5 atan2(U, Q) in (-pi/2, pi/2] [rad]."""
    # A negative zero in U would give -pi/2.
    return 0.5 * jnp.arctan2(jnp.where(u == 0, jnp.abs(u), u), q)


def degrees_0_180(angle: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Return position angles [rad] as degrees in [0, 180), the form for files and plots."""
    degrees = jnp.mod(angle / DEGREE, 180.0)
    # A tiny negative angle rounds up to 180 itself.
    return jnp.where(degrees >= 180.0, 0.0, degrees)


def evpa_variance(
    q: Float[Array, "*shape"],
    u: Float[Array, "*shape"],
    sigma_q: Float[Array, "*shape"],
    sigma_u: Float[Array, "*shape"],
) -> Float[Array, "*shape"]:
    r"""Return the variance of the EVPA, $(Q^2\sigma_U^2 + U^2\sigma_Q^2)/(4P^4)$ [rad^2]; infinite where P = 0.

    The limit of high signal-to-noise: low by 9 per cent in the standard deviation at P = 3 sigma.
    """
    power = q * q + u * u
    safe = jnp.where(power > 0, power, 1.0)
    return jnp.where(power > 0, (jnp.square(q * sigma_u) + jnp.square(u * sigma_q)) / (4.0 * safe * safe), jnp.inf)


def polarized_intensity_variance(
    q: Float[Array, "*shape"],
    u: Float[Array, "*shape"],
    sigma_q: Float[Array, "*shape"],
    sigma_u: Float[Array, "*shape"],
) -> Float[Array, "*shape"]:
    r"""Return the variance of P, $(Q^2\sigma_Q^2 + U^2\sigma_U^2)/P^2$; the mean of both variances where P = 0."""
    power = q * q + u * u
    safe = jnp.where(power > 0, power, 1.0)
    along = (jnp.square(q * sigma_q) + jnp.square(u * sigma_u)) / safe
    return jnp.where(power > 0, along, 0.5 * (jnp.square(sigma_q) + jnp.square(sigma_u)))
