"""The zeros that all links of a combination share when the arms are equal, found exactly and divided out.

With one arm length every coefficient is a polynomial in z = exp(-ix). Where all six vanish together, at roots of unity
such as x = 2 pi n, so do PSD and response, and their numerical quotient would be 0/0. A sensitivity does not change
when a combination is divided by a common factor.
"""

from functools import cache

import numpy as np
from numpy.polynomial import polynomial as power

from physics.tdi.combinations import Combination

REMAINDER = 1e-9
"""Of the largest coefficient: above rounding, below any coefficient there is."""


@cache
def without_common_zeros(combination: Combination) -> Combination:
    """Return a combination of the same sensitivity for equal arms, whose links share no root of unity.

    Delays are counted along link 12, as all are the same.
    """
    links = _polynomials(combination)
    degree = max(len(coefficients) for coefficients in links.values()) - 1
    for n in range(1, 6 * degree + 1):  # phi(n) >= n/6 for every n below 10^7
        factor = cyclotomic(n)
        while len(factor) <= degree + 1 and (divided := _divided(links, factor)):
            links = divided
            degree -= len(factor) - 1
    terms = [
        (link, ("12",) * n, float(value)) for link, polynomial in links.items() for n, value in enumerate(polynomial)
    ]
    return Combination.of_terms([term for term in terms if abs(term[2]) > REMAINDER], combination.name)


@cache
def cyclotomic(n: int) -> tuple[float, ...]:
    """Return the polynomial of the primitive n-th roots of unity, coefficients in rising powers."""
    quotient = np.array([-1.0, *np.zeros(n - 1), 1.0])
    for divisor in range(1, n):
        if n % divisor == 0:
            quotient = np.round(power.polydiv(quotient, cyclotomic(divisor))[0])
    return tuple(float(value) for value in quotient)


def _polynomials(combination: Combination) -> dict[str, np.ndarray]:
    """Return the coefficients of each link in rising powers of z, times a power of z that is common to all."""
    exponents = [sum(-1 if part.startswith("-") else 1 for part in delays) for _, delays, _ in combination.terms]
    lowest, length = min(exponents), max(exponents) - min(exponents) + 1
    links = {link: np.zeros(length) for link, _, _ in combination.terms}
    for exponent, (link, _, value) in zip(exponents, combination.terms, strict=True):
        links[link][exponent - lowest] += value
    return links


def _divided(links: dict[str, np.ndarray], factor: tuple[float, ...]) -> dict[str, np.ndarray] | None:
    """Return the quotients, or None if there is a remainder."""
    result = {}
    for link, coefficients in links.items():
        quotient, remainder = power.polydiv(coefficients, factor)
        if np.max(np.abs(remainder)) > REMAINDER * max(np.max(np.abs(coefficients)), REMAINDER):
            return None
        result[link] = np.pad(quotient, (0, len(coefficients) - len(factor) + 1 - len(quotient)))
    return result
