"""Special functions with finite values and gradients where the textbook form is 0/0 or overflows."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact

from physics.numerics.sine_integrals import FROM_1_5, FROM_3, FROM_4_5, auxiliary, polynomial


def sinc(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    r"""Return $\sin x / x$, with value 1 and a zero gradient at x = 0.

    The series below |x| = 0.05 keeps derivatives of every order accurate; it is exact to rounding there.
    """
    small = jnp.abs(x) < 0.05
    safe = jnp.where(small, 1.0, x)
    y = jnp.where(small, x * x, 0.0)
    series = 1.0 - y / 6.0 * (1.0 - y / 20.0 * (1.0 - y / 42.0 * (1.0 - y / 72.0)))
    return jnp.where(small, series, jnp.sin(safe) / safe)


EXPREL_SWITCH = 0.5
"""Below this modulus the power series of `exprel` is used, above it the quotient."""


def exprel(x: Inexact[Array, "*shape"]) -> Inexact[Array, "*shape"]:
    r"""Return $(e^x - 1)/x$ of a real or complex number, with the value 1 and the derivative 1/2 at x = 0.

    The series near zero keeps derivatives accurate too; it is exact to rounding there.
    """
    small = jnp.abs(x) < EXPREL_SWITCH
    safe, near = jnp.where(small, 1.0, x), jnp.where(small, x, 0.0)
    return jnp.where(small, polynomial(_EXPREL, near), jnp.expm1(safe) / safe)


_EXPREL = tuple(1.0 / math.factorial(n + 1) for n in range(15))


@jax.custom_jvp
def log_i0(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    r"""Return $\ln I_0(x)$ of the modified Bessel function, without overflow for any x; derivative `bessel_ratio`."""
    return jnp.log(jax.scipy.special.i0e(x)) + jnp.abs(x)


@log_i0.defjvp
def _log_i0_jvp(primals: tuple[Any], tangents: tuple[Any]) -> tuple[Any, Any]:
    (x,), (tangent,) = primals, tangents
    return log_i0(x), bessel_ratio(x) * tangent


def bessel_ratio(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    r"""Return $I_1(x)/I_0(x)$, the mean cosine of a von Mises distribution of concentration x."""
    return jax.scipy.special.i1e(x) / jax.scipy.special.i0e(x)


def safe_sqrt(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    r"""Return $\sqrt{\max(x, 0)}$ with a zero gradient, not an infinite one, where x <= 0."""
    above = x > 0
    return jnp.where(above, jnp.sqrt(jnp.where(above, x, 1.0)), 0.0)


class IntegralDifferences(NamedTuple):
    """Combinations of sine and cosine integrals in which the logarithms at zero cancel."""

    ci_two: Float[Array, "*shape"]
    """Ci(2x) - Ci(x)"""
    ci_three: Float[Array, "*shape"]
    """Ci(x) - 2 Ci(2x) + Ci(3x)"""
    si_three: Float[Array, "*shape"]
    """Si(x) - 2 Si(2x) + Si(3x)"""


SERIES_SWITCH = 1.5
"""Below this x the power series of the differences are used, above it the auxiliary functions f and g."""


@jax.custom_jvp
def integral_differences(x: Float[Array, "*shape"]) -> IntegralDifferences:
    r"""Return the three combinations of Si and Ci that two links of an equilateral triangle share.

    They tend to $\ln 2$, $\ln(3/4)$ and 0 as x tends to 0; the error is below 1e-14 in float64. One sine and one cosine
    are evaluated.

    Args:
        x: above zero.
    """
    below = x < SERIES_SWITCH
    near, far = jnp.where(below, x, SERIES_SWITCH), jnp.where(below, SERIES_SWITCH, x)
    # The sine and cosine of x itself, not of `far`: where they do not belong together the result is not used.
    pairs = zip(_differences_by_series(near), _differences_by_auxiliary(far, _multiples(x)), strict=True)
    return IntegralDifferences(*(jnp.where(below, series, closed) for series, closed in pairs))


@integral_differences.defjvp
def _integral_differences_jvp(
    primals: tuple[Array], tangents: tuple[Array]
) -> tuple[IntegralDifferences, IntegralDifferences]:
    (x,), (tangent,) = primals, tangents
    (s1, c1), (s2, c2), _ = _multiples(x)
    half, rate = jnp.sin(0.5 * x), tangent / x
    # (cos 2x - cos x)/x and so on, written as products that do not cancel.
    ci_two = -2.0 * half * (s1 * jnp.cos(0.5 * x) + c1 * half) * rate
    four = -4.0 * half * half * rate
    return integral_differences(x), IntegralDifferences(ci_two, four * c2, four * s2)


def _multiples(x: Array) -> list[tuple[Array, Array]]:
    """Return the sines and cosines of x, 2x and 3x, from those of x/2 that other formulas share."""
    half_sine, half_cosine = jnp.sin(0.5 * x), jnp.cos(0.5 * x)
    s, c = 2.0 * half_sine * half_cosine, 1.0 - 2.0 * half_sine * half_sine
    return [(s, c), (2.0 * s * c, 1.0 - 2.0 * s * s), (s * (3.0 - 4.0 * s * s), c * (4.0 * c * c - 3.0))]


def _differences_by_auxiliary(x: Array, multiples: list[tuple[Array, Array]]) -> IntegralDifferences:
    ci: list[Array] = []
    si: list[Array] = []
    for n, table in ((1.0, FROM_1_5), (2.0, FROM_3), (3.0, FROM_4_5)):
        sine, cosine = multiples[len(ci)]
        f, g = auxiliary(n * x, table)
        ci.append(f * sine - g * cosine)
        si.append(-f * cosine - g * sine)
    return IntegralDifferences(ci[1] - ci[0], ci[0] - 2.0 * ci[1] + ci[2], si[0] - 2.0 * si[1] + si[2])


def _differences_by_series(x: Array) -> IntegralDifferences:
    r"""Return the differences from $\mathrm{Ci}(z) = \gamma + \ln z + \sum_k (-z^2)^k/(2k\,(2k)!)$, and Si alike."""
    y = x * x
    return IntegralDifferences(
        math.log(2.0) + y * polynomial(_CI_TWO, y),
        math.log(0.75) + y * polynomial(_CI_THREE, y),
        x * y * polynomial(_SI_THREE, y),
    )


def _series_term(power: int, weight: int) -> float:
    return (-1) ** (power // 2) * weight / (power * math.factorial(power))


_CI_TWO = tuple(_series_term(n, 2**n - 1) for n in range(2, 30, 2))
_CI_THREE = tuple(_series_term(n, 1 - 2 * 2**n + 3**n) for n in range(2, 36, 2))
_SI_THREE = tuple(_series_term(n, 1 - 2 * 2**n + 3**n) for n in range(3, 37, 2))
