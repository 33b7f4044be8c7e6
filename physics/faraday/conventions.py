"""Signs and angles of linear polarization.

P = Q + iU = p I exp(2 i chi), with the position angle chi (EVPA) zero at north and increasing to the east (IAU).
Angles are radians in (-pi/2, pi/2]; files and plots use degrees in [0, 180).
"""

import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from physics import units
from physics.constants import DEGREE, FARADAY_ROTATION, PARSEC, SPEED_OF_LIGHT
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
    if bandwidth is None:
        return jnp.square(SPEED_OF_LIGHT / _frequency(frequency))
    nu, half = _channels(frequency, bandwidth)
    return jnp.square(SPEED_OF_LIGHT / nu) / ((1.0 - half) * (1.0 + half))


def lambda_squared_width(frequency: Any, bandwidth: Any) -> Float[Array, "*channel"]:
    r"""Return the full width of each channel in squared wavelength [m^2].

    $c^2/(\nu - b/2)^2 - c^2/(\nu + b/2)^2 = 2 c^2 b \nu/(\nu^2 - b^2/4)^2$.

    Args:
        frequency: centre of each channel, any shape [Hz].
        bandwidth: full width of each channel, a number or one for each channel [Hz].

    Raises:
        UnitsError: a quantity is not a frequency.
        ValueError: a frequency is not finite and positive, or a channel reaches zero frequency.

    Source: derived in docs/theory/faraday.md.
    """
    nu, half = _channels(frequency, bandwidth)
    return 4.0 * half * jnp.square(SPEED_OF_LIGHT / nu / ((1.0 - half) * (1.0 + half)))


def _frequency(frequency: Any) -> Array:
    return checks.positive(units.array(frequency, "Hz", "frequency"), "frequency")


def _channels(frequency: Any, bandwidth: Any) -> tuple[Array, Array]:
    """Return the frequency of each channel, and half its width over it."""
    nu = _frequency(frequency)
    width = checks.nonnegative(units.array(bandwidth, "Hz", "bandwidth"), "bandwidth").astype(nu.dtype)
    shape = checks.broadcastable({"frequency": nu.shape, "bandwidth": width.shape})
    nu = jnp.broadcast_to(nu, shape)
    half = 0.5 * jnp.broadcast_to(width, shape) / nu
    if not checks.is_traced(half) and bool(jnp.any(half >= 1.0)):
        raise ValueError("bandwidth: expected less than twice the frequency, got a channel that reaches zero frequency")
    return nu, half


def in_one_unit(named: dict[str, Any], convert: Callable[[Any, str, str], Array] = units.array) -> dict[str, Array]:
    """Return arguments whose common unit does not matter as arrays in the unit of the first that has one.

    Args:
        named: the arguments by name, all of them quantities or, in no unit, plain numbers.
        convert: from an argument, a unit and its name to an array.

    Raises:
        UnitsError: a quantity has another dimension, or a plain number stands beside quantities with a unit.
        ValueError: an argument is not real and numeric.
    """
    unit = next((str(x.unit) for x in named.values() if units.is_quantity(x) and not x.unit.is_equivalent("")), "")
    for name, x in named.items():
        if unit and not units.is_quantity(x):
            raise UnitsError(f"{name}: expected a quantity convertible to {unit}, as beside it, got a plain number")
    return {name: convert(x, unit, name) for name, x in named.items()}


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


def from_degrees(angle: Real) -> Float[Array, "*shape"]:
    """Return position angles in (-pi/2, pi/2] from degrees of any range, the form of files and tables [rad].

    Args:
        angle: any shape [deg].

    Raises:
        UnitsError: a quantity is not an angle.
        ValueError: `angle` is not real and numeric.
    """
    return wrap_angle(units.array(angle, "deg", "angle") * DEGREE)


def faraday_depth(density: Real, field: Real, length: Real) -> Float[Array, "*shape"]:
    r"""Return the Faraday depth of a uniform piece of plasma [rad/m^2], positive for a field towards the observer.

    $\phi = 0.812\,n_e B_\parallel l$; the depths of pieces along a line of sight add.

    Args:
        density: of electrons, any shape [cm^-3].
        field: component along the line of sight, positive towards the observer [microgauss].
        length: of the path [pc].

    Raises:
        UnitsError: a quantity has the wrong dimension.
        ValueError: an argument is not real and numeric, or shapes do not match.

    Source: Burn (1966); the constant is `constants.FARADAY_ROTATION`.
    """
    named = {
        "density": units.array(density, "1/cm3", "density"),
        "field": units.array(field, "uG", "field"),
        "length": units.array(length, "pc", "length"),
    }
    shape = checks.broadcastable({name: x.shape for name, x in named.items()})
    density, field, length = (jnp.broadcast_to(x, shape) for x in named.values())
    # 1/cm^3 = 1e6 / m^3, and 1 microgauss = 1e-10 T.
    return (FARADAY_ROTATION * 1e6 * 1e-10 * PARSEC) * density * field * length


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
