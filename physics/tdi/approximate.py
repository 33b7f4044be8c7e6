r"""The two response functions in elementary functions only: no sine or cosine integral, and few coefficients.

Below a switch their Taylor polynomials; above it the closed forms with the auxiliary functions of the sine and cosine
integrals replaced by ratios of quadratics in z^2. Every response is a sum of r and R_z with weights that are not
negative, so the bound on the relative error of these two holds for the response and the sensitivity of every channel.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from physics.numerics.sine_integrals import polynomial
from physics.numerics.special import IntegralDifferences
from physics.tdi import taylor
from physics.tdi.correlations import Phase, ResponseFunctions, branches, from_integrals

ERROR = 2.5e-3
"""Bound on the relative error of every response and of every sensitivity, for any x; the tests measure it."""

ORTHOGONAL_SWITCH, ORTHOGONAL_TERMS = 2.0, 7
SYMMETRIC_SWITCH, SYMMETRIC_TERMS = 3.0, 6

F_NUMERATOR, F_DENOMINATOR = (2.463936, 7.241163, 1.0), (7.157433, 9.068580, 1.0)
G_NUMERATOR, G_DENOMINATOR = (1.564072, 7.547478, 1.0), (15.723606, 12.723684, 1.0)
"""Of z f and z^2 g, in rising powers of z^2, for z above 1."""


def response_functions(at: Phase) -> ResponseFunctions:
    r"""Return $r/x^2$ and $R_z/x^6$ to a relative error of `ERROR` at any x.

    $$r \approx x^2 \sum_{n=0}^{6} r_n x^{2n} \;(x < 2), \qquad R_z \approx x^6 \sum_{n=0}^{5} z_n x^{2n} \;(x < 3),$$

    and above the closed forms with Ci(z) = f sin z - g cos z, Si(z) = pi/2 - f cos z - g sin z and

    $$f(z) \approx \frac{1}{z}\,\frac{z^4 + 7.241163 z^2 + 2.463936}{z^4 + 9.068580 z^2 + 7.157433}, \qquad
      g(z) \approx \frac{1}{z^2}\,\frac{z^4 + 7.547478 z^2 + 1.564072}{z^4 + 12.723684 z^2 + 15.723606}.$$

    Source: f and g, Abramowitz & Stegun 5.2.36-5.2.37; the rest derived in docs/theory/tdi.md.
    """
    near, far = branches(at.x, ORTHOGONAL_SWITCH)
    closed = from_integrals(at._replace(x=far), _integral_differences(at._replace(x=far)))
    below, _ = branches(at.x, SYMMETRIC_SWITCH)
    return ResponseFunctions(
        jnp.where(
            at.x < ORTHOGONAL_SWITCH,
            polynomial(taylor.ORTHOGONAL[:ORTHOGONAL_TERMS], near * near),
            closed.orthogonal / far**2,
        ),
        jnp.where(
            at.x < SYMMETRIC_SWITCH,
            polynomial(taylor.SYMMETRIC[:SYMMETRIC_TERMS], below * below),
            closed.symmetric / far**6,
        ),
    )


def _integral_differences(at: Phase) -> IntegralDifferences:
    s, c = at.sine, at.cosine
    multiples = ((s, c), (2.0 * s * c, 1.0 - 2.0 * s * s), (s * (3.0 - 4.0 * s * s), c * (4.0 * c * c - 3.0)))
    ci: list[Float[Array, ""]] = []
    si: list[Float[Array, ""]] = []
    for n, (sine, cosine) in enumerate(multiples, 1):
        z = n * at.x
        square = z * z
        f = polynomial(F_NUMERATOR, square) / polynomial(F_DENOMINATOR, square) / z
        g = polynomial(G_NUMERATOR, square) / polynomial(G_DENOMINATOR, square) / square
        ci.append(f * sine - g * cosine)
        si.append(-f * cosine - g * sine)
    return IntegralDifferences(ci[1] - ci[0], ci[0] - 2.0 * ci[1] + ci[2], si[0] - 2.0 * si[1] + si[2])
