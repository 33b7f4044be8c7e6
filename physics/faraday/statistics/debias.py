r"""The positive noise bias of polarized intensity, and estimates that remove most of it.

The observed intensity P of a source of P_0 follows the Rice distribution
$f(P) = \frac{P}{\sigma^2} e^{-(P^2 + P_0^2)/2\sigma^2} I_0(P P_0/\sigma^2)$. For display and for single pixels: a
likelihood of Q and U needs no correction and must not get one.
"""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from physics.faraday.conventions import in_one_unit, variance_across
from physics.faraday.screens.arrays import together
from physics.numerics import checks
from physics.numerics.special import exprel, safe_sqrt
from physics.types import Real

METHODS = ("mas", "wardle-kronberg", "peak")

PEAK_VARIANCE = 2.3
"""Variances that the maximum over Faraday depths adds to the square of a peak."""


def debias(intensity: Real, sigma: Real, *, method: str = "mas", threshold: float = 8.0) -> Float[Array, "..."]:
    r"""Return the polarized intensity with its noise bias removed, in the unit of `intensity`.

    - "mas": $P - \sigma^2(1 - e^{-P^2/\sigma^2})/2P$, smooth and never negative;
    - "wardle-kronberg": $\sqrt{P^2 - \sigma^2}$, zero below $\sigma$;
    - "peak": $\sqrt{P^2 - 2.3\sigma^2}$ for the maximum of a Faraday spectrum, where $P \geq$ `threshold` $\sigma$;
      weaker peaks stay as they are.

    Args:
        intensity: P, any shape, in any one unit.
        sigma: standard deviation of one real Stokes parameter, of a shape that broadcasts; where Q and U have
            different ones, that of `polarization_sigma`. For "peak" that of the spectrum.
        method: one of the three.
        threshold: for "peak" alone, in units of sigma.

    Raises:
        UnitsError: `intensity` and `sigma` have different dimensions.
        ValueError: an intensity is negative, a sigma not positive, shapes do not match, or the method is unknown.

    Source: Plaszczynski et al. (2014); Wardle and Kronberg (1974); George et al. (2012).
    """
    checks.one_of(method, METHODS, "method")
    plain = in_one_unit({"intensity": intensity, "sigma": sigma})
    checks.broadcastable({name: x.shape for name, x in plain.items()})
    p = checks.nonnegative(plain["intensity"], "intensity")
    p, s = together(p, checks.positive(plain["sigma"], "sigma"))
    if method == "mas":
        return modified_asymptotic(p, s)
    if method == "wardle-kronberg":
        return less_in_quadrature(p, s)
    return jnp.where(p >= threshold * s, less_in_quadrature(p, PEAK_VARIANCE**0.5 * s), p)


def modified_asymptotic(p: Float[Array, "*shape"], sigma: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    r"""Return $P - \sigma^2(1 - e^{-P^2/\sigma^2})/2P$, which tends to P/2 at zero."""
    return p * (1.0 - 0.5 * exprel(-jnp.square(p / sigma)))


def less_in_quadrature(p: Float[Array, "*shape"], sigma: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    r"""Return $\sqrt{\max(P^2 - \sigma^2, 0)}$ without overflow, with a zero gradient where it is zero."""
    return safe_sqrt(p - sigma) * jnp.sqrt(p + sigma)


def polarization_sigma(q: Real, u: Real, sigma: Any) -> Float[Array, "..."]:
    r"""Return the standard deviation across the direction of polarization, $\sqrt{Q^2\sigma_U^2 + U^2\sigma_Q^2}/P$.

    What `debias` and `angle_error` need where Q and U have unequal errors; over 2P it is the error of the EVPA.

    Args:
        q: Stokes Q, any shape, in any one unit.
        u: Stokes U, of a shape that broadcasts, in the same unit.
        sigma: a pair (sigma_q, sigma_u) in that unit, or one for both.

    Raises:
        UnitsError: the arguments have different dimensions.
        ValueError: an argument is not finite, a sigma not positive, or shapes do not match.
    """
    pair = sigma if isinstance(sigma, tuple) else (sigma, sigma)
    checks.sequence_of_shape(pair, 2, "sigma")
    plain = in_one_unit({"q": q, "u": u, "sigma_q": pair[0], "sigma_u": pair[1]})
    checks.broadcastable({name: x.shape for name, x in plain.items()})
    for name in ("q", "u"):
        checks.finite(plain[name], name)
    for name in ("sigma_q", "sigma_u"):
        checks.positive(plain[name], name)
    return jnp.sqrt(variance_across(*together(*plain.values())))
