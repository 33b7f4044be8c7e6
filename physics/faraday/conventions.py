"""Signs and angles of linear polarization.

P = Q + iU = p I exp(2 i chi), with the position angle chi (EVPA) zero at north and increasing to the east (IAU).
Angles are radians in (-pi/2, pi/2]; files and plots use degrees in [0, 180).
"""

import math
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from physics import units
from physics.constants import DEGREE, SPEED_OF_LIGHT
from physics.errors import UnitsError
from physics.numerics import checks
from physics.numerics.special import safe_sqrt
from physics.types import Real


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


def in_one_unit(named: dict[str, Any]) -> dict[str, Array]:
    """Return arguments whose common unit does not matter as arrays in the unit of the first that has one.

    Args:
        named: the arguments by name, all of them quantities or, in no unit, plain numbers.

    Raises:
        UnitsError: a quantity has another dimension, or a plain number stands beside quantities with a unit.
        ValueError: an argument is not real and numeric.
    """
    unit = next((str(x.unit) for x in named.values() if units.is_quantity(x) and not x.unit.is_equivalent("")), "")
    for name, x in named.items():
        if unit and not units.is_quantity(x):
            raise UnitsError(f"{name}: expected a quantity convertible to {unit}, as beside it, got a plain number")
    return {name: units.array(x, unit, name) for name, x in named.items()}


def polarized_intensity(q: Float[Array, "*shape"], u: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Return sqrt(Q^2 + U^2), not corrected for its noise bias; its gradient at zero is zero."""
    return safe_sqrt(q * q + u * u)


def wrap_angle(angle: Real) -> Float[Array, "*shape"]:
    """Return position angles brought into (-pi/2, pi/2] [rad].

    Args:
        angle: any shape [rad].

    Raises:
        UnitsError: a quantity is not an angle.
        ValueError: `angle` is not real and numeric.
    """
    angle = units.array(angle, "rad", "angle")
    return angle - math.pi * jnp.ceil(angle / math.pi - 0.5)


def evpa(q: Real, u: Real) -> Float[Array, "*shape"]:
    """Return the electric vector position angle 0.5 atan2(U, Q) in (-pi/2, pi/2] [rad].

    Args:
        q: Stokes Q or Q/I, in any one unit.
        u: Stokes U or U/I, same unit, of a shape that broadcasts with it.

    Raises:
        UnitsError: q and u have different dimensions.
        ValueError: q or u is not real and numeric, or their shapes do not match.
    """
    q, u = in_one_unit({"q": q, "u": u}).values()
    checks.broadcastable({"q": q.shape, "u": u.shape})
    # A negative zero in U would give -pi/2.
    return 0.5 * jnp.arctan2(jnp.where(u == 0, jnp.abs(u), u), q)


def degrees_0_180(angle: Real) -> Float[Array, "*shape"]:
    """Return position angles as degrees in [0, 180), the form for files and plots.

    Args:
        angle: any shape [rad].

    Raises:
        UnitsError: a quantity is not an angle.
        ValueError: `angle` is not real and numeric.
    """
    degrees = jnp.mod(units.array(angle, "rad", "angle") / DEGREE, 180.0)
    # A tiny negative angle rounds up to 180 itself.
    return jnp.where(degrees >= 180.0, 0.0, degrees)


def variance_across(
    q: Float[Array, "*shape"],
    u: Float[Array, "*shape"],
    sigma_q: Float[Array, "*shape"],
    sigma_u: Float[Array, "*shape"],
) -> Float[Array, "*shape"]:
    r"""Return the variance of P across its direction, $(Q^2\sigma_U^2 + U^2\sigma_Q^2)/P^2$.

    Over 4P^2 it is the variance of the EVPA. Where P = 0 it is the mean of both variances.
    """
    power = q * q + u * u
    across = (jnp.square(q * sigma_u) + jnp.square(u * sigma_q)) / jnp.where(power > 0, power, 1.0)
    return jnp.where(power > 0, across, 0.5 * (jnp.square(sigma_q) + jnp.square(sigma_u)))
