"""Special functions with finite values and gradients where the textbook form is 0/0 or overflows."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def sinc(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    r"""Return $\sin x / x$, with value 1 and a zero gradient at x = 0.

    The series below |x| = 0.05 keeps derivatives of every order accurate; it is exact to rounding there.
    """
    small = jnp.abs(x) < 0.05
    safe = jnp.where(small, 1.0, x)
    y = jnp.where(small, x * x, 0.0)
    series = 1.0 - y / 6.0 * (1.0 - y / 20.0 * (1.0 - y / 42.0 * (1.0 - y / 72.0)))
    return jnp.where(small, series, jnp.sin(safe) / safe)


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


def integral_differences(x: Float[Array, "*shape"]) -> IntegralDifferences:
    r"""Return the three combinations of Si and Ci that two links of an equilateral triangle share.

    They tend to $\ln 2$, $\ln(3/4)$ and 0 as x tends to 0, to within rounding of $\ln x$.

    Args:
        x: above zero.
    """
    (si_1, ci_1), (si_2, ci_2), (si_3, ci_3) = (jax.scipy.special.sici(n * x) for n in (1.0, 2.0, 3.0))
    return IntegralDifferences(ci_2 - ci_1, ci_1 - 2.0 * ci_2 + ci_3, si_1 - 2.0 * si_2 + si_3)
