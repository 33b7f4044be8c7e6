"""Sky-averaged correlations of the six one-way links of an equilateral triangle, and what TDI channels make of them.

Every function here is written for one x = 2 pi f L / c above zero; it is mapped over frequencies elsewhere.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from physics.numerics import special
from physics.numerics.sine_integrals import polynomial
from physics.tdi import taylor
from physics.tdi.combinations import LINKS

LN2 = math.log(2.0)
LN43 = math.log(4.0 / 3.0)

CORRELATION_SWITCH = 1.0
"""Below this x the links' series are better than their closed forms."""

ORTHOGONAL_SWITCH = 1.5
SYMMETRIC_SWITCH = 3.0
"""R_z cancels from x^2 to x^6 in its closed form, so its own series reaches further."""


class Phase(NamedTuple):
    """The trigonometric functions of one x that all formulas share; one sine and one cosine are evaluated."""

    x: Float[Array, ""]
    sine: Float[Array, ""]
    cosine: Float[Array, ""]
    versine: Float[Array, ""]
    """h = sin^2(x/2); small x and x near 2 pi n keep all digits."""
    sine_over_x: Float[Array, ""]
    """sin x / x"""


class LinkCorrelations(NamedTuple):
    """The five values that the correlation of two links, summed over both polarizations, can take."""

    same: Float[Array, "*frequency"]
    """C_s: a link with itself."""
    reversed: Float[Array, "*frequency"]
    """C_r: a link with its reverse."""
    adjacent: Float[Array, "*frequency"]
    """C_a: two links of one receiver, or of one emitter."""
    chain_real: Float[Array, "*frequency"]
    """Re C_c: a link with the one that feeds it."""
    chain_imag: Float[Array, "*frequency"]
    """Im C_c"""

    def matrix(self) -> Complex[Array, "*frequency 6 6"]:
        """Return the correlations of all pairs of the links 12, 23, 31, 13, 32, 21, a Hermitian matrix."""
        rows = [[self._pair(a, b) for b in LINKS] for a in LINKS]
        return jnp.stack([jnp.stack(row, axis=-1) for row in rows], axis=-2)

    def _pair(self, a: str, b: str) -> Complex[Array, "*frequency"]:
        zero = jnp.zeros_like(self.same)
        if a == b or a == b[::-1]:
            return jax.lax.complex(self.same if a == b else self.reversed, zero)
        if a[0] == b[0] or a[1] == b[1]:
            return jax.lax.complex(self.adjacent, zero)
        # Link b feeds link a, or the other way round.
        return jax.lax.complex(self.chain_real, self.chain_imag if a[1] == b[0] else -self.chain_imag)


class ResponseFunctions(NamedTuple):
    """The two functions of x that every response is made of, without their leading powers."""

    orthogonal: Float[Array, ""]
    """r / x^2, where R_AE = 8 sin^2(x/2) r is the response of A and E of the Sagnac family."""
    symmetric: Float[Array, ""]
    """R_z / x^6, where R_z is the response of zeta."""


def phase(x: Float[Array, ""]) -> Phase:
    """Return the trigonometric functions of `x` from those of x/2."""
    sine, cosine = jnp.sin(0.5 * x), jnp.cos(0.5 * x)
    versine = sine * sine
    return Phase(x, 2.0 * sine * cosine, 1.0 - 2.0 * versine, versine, 2.0 * (sine / x) * cosine)


def of_links(x: Float[Array, ""]) -> LinkCorrelations:
    """Return the correlations of two links' responses, averaged over the sky and summed over polarizations.

    They are in units of the squared strain amplitude of one polarization. Below x = 1 the exact series is used.

    Args:
        x: 2 pi f L / c, above zero.

    Source: derived in docs/theory/tdi.md.
    """
    below = x < CORRELATION_SWITCH
    near, far = branches(x, CORRELATION_SWITCH)
    pairs = zip(
        _series_correlations(near), _closed_correlations(phase(far), special.integral_differences(far)), strict=True
    )
    return LinkCorrelations(*(jnp.where(below, small, large) for small, large in pairs))


def response_functions(at: Phase) -> ResponseFunctions:
    r"""Return $r/x^2$ and $R_z/x^6$ to relative rounding at any x.

    $$r = (2 + c)(C_s - \mathrm{Re}\,C_c) + (1 + 2c)(C_r - C_a) - 3 \sin x\,\mathrm{Im}\,C_c,$$
    $$R_z = 6 (C_s - C_r - 2 C_a + 2\,\mathrm{Re}\,C_c), \qquad c = \cos x.$$

    Source: derived in docs/theory/tdi.md.
    """
    x = at.x
    # Below the switch the closed forms must see an x that they can stand; that it is not the x of the sine and cosine
    # does not matter, because the result is not used there.
    near, far = branches(x, ORTHOGONAL_SWITCH)
    closed = from_integrals(at._replace(x=far), special.integral_differences(x))
    below, _ = branches(x, SYMMETRIC_SWITCH)
    return ResponseFunctions(
        jnp.where(x < ORTHOGONAL_SWITCH, _even_series(taylor.ORTHOGONAL, near), closed.orthogonal / far**2),
        jnp.where(x < SYMMETRIC_SWITCH, _even_series(taylor.SYMMETRIC, below), closed.symmetric / far**6),
    )


def from_integrals(at: Phase, integrals: special.IntegralDifferences) -> ResponseFunctions:
    """Return r and R_z themselves from the closed forms of the links, for x that is not small."""
    links = _closed_correlations(at, integrals)
    return ResponseFunctions(
        (2.0 + at.cosine) * (links.same - links.chain_real)
        + (1.0 + 2.0 * at.cosine) * (links.reversed - links.adjacent)
        - 3.0 * at.sine * links.chain_imag,
        6.0 * (links.same - links.reversed - 2.0 * links.adjacent + 2.0 * links.chain_real),
    )


def branches(x: Float[Array, ""], switch: float) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Return x for the branches below and above `switch`, each safe in value and gradient where it is not used."""
    below = x < switch
    return jnp.where(below, x, switch), jnp.where(below, switch, x)


def _even_series(coefficients: tuple[float, ...], x: Float[Array, ""]) -> Float[Array, ""]:
    """Return the sum of coefficients[n] x^(2n)."""
    return polynomial(coefficients, x * x)


def _series_correlations(x: Float[Array, ""]) -> LinkCorrelations:
    square = x * x
    return LinkCorrelations(
        square * _even_series(taylor.SAME, x),
        square * _even_series(taylor.REVERSED, x),
        square * _even_series(taylor.ADJACENT, x),
        square * _even_series(taylor.CHAIN_REAL, x),
        square * square * x * _even_series(taylor.CHAIN_IMAG, x),
    )


def _closed_correlations(at: Phase, integrals: special.IntegralDifferences) -> LinkCorrelations:
    r"""Return the closed forms; C_c = exp(-ix) (p + iq).

    $$C_s = \tfrac23 - \tfrac1{x^2} + \tfrac{\sin 2x}{2x^3}, \qquad
      C_r = \frac{\sin x - x \cos x}{x^3} - \frac{\cos x}{3}$$

    and C_a, p and q as in docs/theory/tdi.md, where they are derived.
    """
    x, s, c = at.x, at.sine, at.cosine
    u = 1.0 / x
    u2 = u * u
    u3 = u2 * u
    sin2, cos2 = 2.0 * s * c, 1.0 - 2.0 * s * s
    sin3, cos3 = s * (3.0 - 4.0 * s * s), c * (4.0 * c * c - 3.0)
    same = 2.0 / 3.0 - u2 + 0.5 * sin2 * u3
    backward = (s - x * c) * u3 - c / 3.0
    adjacent = (
        2.0 * (7.0 - 12.0 * LN2 + 12.0 * integrals.ci_two)
        + 3.0 * u * (11.0 - 8.0 * c) * s
        + 3.0 * u2 * (2.0 * cos2 - 5.0 * c - 10.0)
        + u3 * (15.0 * s + 12.0 * sin2)
    ) / 48.0
    p = (
        2.0 * (18.0 * LN43 - 5.0 + 18.0 * integrals.ci_three)
        + 9.0 * u * (6.0 * s * s + 8.0 * c - 7.0) * s
        - 1.5 * u2 * (9.0 * c + 12.0 * cos2 + cos3 + 4.0)
        + 3.0 * u3 * (8.0 * c + 5.0 * cos2) * s
    ) / 48.0
    q = (
        48.0 * integrals.si_three
        + u * (30.0 * c - 48.0 * cos2 + 18.0 * cos3)
        - 2.0 * u2 * (9.0 * s + 12.0 * sin2 + sin3)
        + u3 * (10.0 * c - 16.0 * cos2 - 10.0 * cos3 + 16.0)
    ) / 64.0
    return LinkCorrelations(same, backward, adjacent, p * c + q * s, q * c - p * s)
