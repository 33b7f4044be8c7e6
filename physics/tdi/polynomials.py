r"""Delay polynomials as arrays, for arms at rest: $\sum_k a_k e^{-i w n_k \cdot \tau}$, $n_k$ whole numbers per arm.

At low frequencies such a sum is a small difference of large terms. How many of its moments $\sum_k a_k n_k^j$ vanish
for any arms is known exactly, from whole numbers; the sum is then formed without the Taylor terms that cancel.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Int

from physics.numerics.sine_integrals import polynomial as power_series
from physics.tdi.combinations import LINKS, Combination

ARMS = LINKS[:3]
"""The arms, named after one of their links: (receiver, emitter)."""

HIGHEST_ORDER = 3
"""Taylor terms that are taken out at most: T of generation 2 needs no more."""

LOW = 0.25
"""Below this phase of the longest arm the Taylor terms are taken out; above it they would be the larger error."""

PADDING = 8
"""Terms come in multiples of this, so that similar combinations share compiled code."""

_SINE = tuple((-1) ** n / float(np.prod(np.arange(1.0, 2 * n + 4))) for n in range(9))
_COSINE = tuple((-1) ** n / float(np.prod(np.arange(1.0, 2 * n + 5))) for n in range(9))


class DelayPolynomials(NamedTuple):
    """Polynomials of several combinations (rows), several of each."""

    coefficients: Float[Array | np.ndarray, "row polynomial term"]
    exponents: Float[Array | np.ndarray, "row polynomial term 3"]
    """whole numbers of delays along arms 12, 23 and 31"""
    order: Int[Array | np.ndarray, "row polynomial"]
    """how many moments vanish, at most `HIGHEST_ORDER`"""


def signal_polynomials(combinations: list[Combination], *, equal: bool = False) -> DelayPolynomials:
    """Return, for each arm, half the sum and half the difference of the coefficients of its two links.

    The sum of zeta's cancels for equal arms, here and not in the last digits of its response.

    Args:
        combinations: one per row.
        equal: the arms are known to be equal, and all delays are counted along the first.
    """
    rows = []
    for combination in combinations:
        links = _links(combination, equal)
        row = []
        for arm in ARMS:
            row += [_sum(links[arm], links[arm[::-1]], sign=sign, factor=0.5) for sign in (1.0, -1.0)]
        rows.append(row)
    return _as_arrays(rows)


def noise_polynomials(combinations: list[Combination], *, equal: bool = False) -> DelayPolynomials:
    """Return the coefficient of each of 12 sources: readout by link, then test masses; a_ij enters ij and, later, ji.

    Args:
        combinations: one per row.
        equal: as in `signal_polynomials`.
    """
    rows = []
    for combination in combinations:
        links = _links(combination, equal)
        masses = [_sum(links[link], _delayed(links[link[::-1]], 0 if equal else _arm(link))) for link in LINKS]
        rows.append([links[link] for link in LINKS] + masses)
    return _as_arrays(rows)


def evaluate(polynomials: DelayPolynomials, phases: Float[Array, " 3"]) -> Complex[Array, "row polynomial"]:
    """Return the values of the polynomials.

    Args:
        polynomials: arrays.
        phases: w L/c of the arms 12, 23 and 31.
    """
    theta = sum(polynomials.exponents[..., arm] * phases[arm] for arm in range(3))
    order = jnp.where(jnp.max(phases) < LOW, polynomials.order, 0)[..., None]
    small = jnp.abs(theta) < 1.0
    near = jnp.where(small, theta, 0.0)
    square = near * near
    versine = 2.0 * jnp.sin(0.5 * theta) ** 2
    sine, cosine = jnp.sin(theta), jnp.cos(theta)
    late_sine = jnp.where(small, near * square * power_series(_SINE, square), theta - sine)
    late_cosine = jnp.where(small, square * square * power_series(_COSINE, square), 0.5 * theta * theta - versine)
    real = jnp.where(order == 0, cosine, jnp.where(order < HIGHEST_ORDER, -versine, late_cosine))
    imag = jnp.where(order < 2, -sine, late_sine)
    weights = polynomials.coefficients
    return jax.lax.complex(jnp.sum(weights * real, axis=-1), jnp.sum(weights * imag, axis=-1))


Terms = dict[tuple[int, int, int], float]
"""Exponents of the three arms -> coefficient."""


def _links(combination: Combination, equal: bool) -> dict[str, Terms]:
    """Return the polynomial of each link; delays along an arm at rest are the same both ways and commute."""
    result: dict[str, Terms] = {link: {} for link in LINKS}
    for link, delays, value in combination.terms:
        count = [0, 0, 0]
        for part in delays:
            count[0 if equal else _arm(part.removeprefix("-"))] += -1 if part.startswith("-") else 1
        key = (count[0], count[1], count[2])
        result[link][key] = result[link].get(key, 0.0) + value
    return result


def _arm(link: str) -> int:
    return ARMS.index(link if link in ARMS else link[::-1])


def _delayed(terms: Terms, arm: int) -> Terms:
    step = [int(n == arm) for n in range(3)]
    return {(a + step[0], b + step[1], c + step[2]): value for (a, b, c), value in terms.items()}


def _sum(first: Terms, second: Terms, sign: float = 1.0, factor: float = 1.0) -> Terms:
    keys = sorted(first.keys() | second.keys())
    return {key: factor * (first.get(key, 0.0) + sign * second.get(key, 0.0)) for key in keys}


def _as_arrays(rows: list[list[Terms]]) -> DelayPolynomials:
    cleaned = [[{k: v for k, v in terms.items() if abs(v) > 1e-14} for terms in row] for row in rows]
    longest = max(1, *(len(terms) for row in cleaned for terms in row))
    length = -(-longest // PADDING) * PADDING
    shape = (len(cleaned), len(cleaned[0]), length)
    coefficients, exponents, order = np.zeros(shape), np.zeros((*shape, 3)), np.zeros(shape[:2], np.int32)
    for r, row in enumerate(cleaned):
        for p, terms in enumerate(row):
            coefficients[r, p, : len(terms)] = list(terms.values())
            exponents[r, p, : len(terms)] = np.array(list(terms)).reshape(-1, 3)
            order[r, p] = _vanishing_moments(coefficients[r, p], exponents[r, p])
    return DelayPolynomials(coefficients, exponents, order)


def _vanishing_moments(coefficients: np.ndarray, exponents: np.ndarray) -> int:
    size = np.abs(coefficients).sum() * max(1.0, np.abs(exponents).max()) ** 2
    moments = (
        coefficients.sum(),
        coefficients @ exponents,
        np.einsum("k,ki,kj->ij", coefficients, exponents, exponents),
    )
    for order, moment in enumerate(moments):
        if np.max(np.abs(moment)) > 1e-13 * size:
            return order
    return HIGHEST_ORDER
