"""Combinations of the six one-way links: polynomials in the delays with real coefficients.

The link `"12"` is received at spacecraft 1 and was emitted at 2. The delay D12 takes g(t) to g(t - L12(t)/c); delays do
not commute where the arms move, so a product of them is a word that is read from the left, as the light is followed
back. `"-12"` in a word is the inverse, an advance. Nothing here touches a device: it is algebra on the host.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from physics.numerics import checks

LINKS = ("12", "23", "31", "13", "32", "21")
"""(receiver, emitter), in the order of every table of links."""

Word: TypeAlias = tuple[str, ...]
"""Delays ("23") and advances ("-23"), from the left."""

CYCLE = str.maketrans("123", "231")
"""1 -> 2 -> 3 -> 1"""


def word(text: str) -> Word:
    """Return the product of delays that `text` writes, such as `"12 21"` or `"-31 23"`, with inverses cancelled.

    Raises:
        ValueError: a part is not one of the six links, with or without a minus sign.
    """
    parts = text.split()
    for part in parts:
        if part.removeprefix("-") not in LINKS:
            raise ValueError(f"delays: expected links such as '23' or '-23' with blanks between them, got {text!r}")
    return reduced(tuple(parts))


def inverse(delays: Word) -> Word:
    """Return the product that undoes `delays`."""
    return tuple(part[1:] if part.startswith("-") else f"-{part}" for part in reversed(delays))


def reduced(delays: Word) -> Word:
    """Return `delays` without neighbours that undo each other."""
    kept: list[str] = []
    for part in delays:
        if kept and inverse((part,)) == (kept[-1],):
            kept.pop()
        else:
            kept.append(part)
    return tuple(kept)


@dataclass(frozen=True)
class Combination:
    """A sum of delayed one-way links with real coefficients.

    Combinations can be added, subtracted and multiplied by numbers; `delayed` multiplies by delays from the left.

    Args:
        coefficients: for each link, the coefficient of each product of delays, as in
            `{"12": {"": 1, "23 32": -1}, "23": {"-31 12": 0.5}}`; a minus sign before a link is an advance.
        name: for labels and file headers.

    Raises:
        ValueError: a name is not one of the six links, or a coefficient is not a finite number.
    """

    terms: tuple[tuple[str, Word, float], ...]
    """(link, delays, coefficient), without repetitions and zeros, in a fixed order."""
    name: str = field(compare=False)

    def __init__(self, coefficients: Mapping[str, Mapping[str, float | int]], name: str = "combination") -> None:
        terms = [
            (checks.one_of(link, LINKS, "link"), word(delays), _number(value, link))
            for link, polynomial in coefficients.items()
            for delays, value in polynomial.items()
        ]
        object.__setattr__(self, "terms", _collected(terms))
        object.__setattr__(self, "name", name)

    @classmethod
    def of_terms(cls, terms: list[tuple[str, Word, float]], name: str = "combination") -> "Combination":
        """Return the sum of (link, delays, coefficient)."""
        result = cls({}, name)
        object.__setattr__(result, "terms", _collected(terms))
        return result

    @property
    def coefficients(self) -> dict[str, dict[str, float]]:
        """The delay polynomial of each link, as the constructor takes it."""
        result: dict[str, dict[str, float]] = {}
        for link, delays, value in self.terms:
            result.setdefault(link, {})[" ".join(delays)] = value
        return result

    def named(self, name: str) -> "Combination":
        """Return the same combination under another name."""
        return Combination.of_terms(list(self.terms), name)

    def delayed(self, delays: str | Word) -> "Combination":
        """Return the combination with a product of delays to the left of it, such as `"23 32"` or `"-31"`."""
        front = word(delays) if isinstance(delays, str) else delays
        return Combination.of_terms(
            [(link, reduced((*front, *rest)), value) for link, rest, value in self.terms], self.name
        )

    def cycled(self) -> "Combination":
        """Return the combination with the spacecraft renamed 1 -> 2 -> 3 -> 1."""
        return Combination.of_terms(
            [
                (link.translate(CYCLE), tuple(part.translate(CYCLE) for part in rest), value)
                for link, rest, value in self.terms
            ],
            self.name,
        )

    def laser_terms(self) -> list[tuple[str, Word, float]]:
        """Return what is left of the lasers' noise as (spacecraft, delays, coefficient), equal terms cancelled.

        The laser noise of a link is eta_ij = D_ij p_j - p_i; a combination that leaves none for all delays there are
        does not exist, so what matters is how well the terms of one spacecraft coincide in time.
        """
        terms: list[tuple[str, Word, float]] = []
        for link, delays, value in self.terms:
            terms.append((link[1], reduced((*delays, link)), value))
            terms.append((link[0], delays, -value))
        return list(_collected(terms))

    def __add__(self, other: "Combination") -> "Combination":
        return Combination.of_terms([*self.terms, *other.terms], self.name)

    def __sub__(self, other: "Combination") -> "Combination":
        return self + (-other)

    def __neg__(self) -> "Combination":
        return -1.0 * self

    def __mul__(self, factor: float | int) -> "Combination":
        return Combination.of_terms(
            [(link, delays, value * _number(factor, "factor")) for link, delays, value in self.terms], self.name
        )

    __rmul__ = __mul__

    def __truediv__(self, divisor: float | int) -> "Combination":
        return self * (1.0 / divisor)

    def __str__(self) -> str:
        return _written(self, lambda part: f"D{part[1:]}^-1" if part.startswith("-") else f"D{part}", "eta{}", " ")

    def latex(self) -> str:
        """Return the combination as LaTeX, without dollar signs."""
        return _written(
            self,
            lambda part: f"D_{{{part[1:]}}}^{{-1}}" if part.startswith("-") else f"D_{{{part}}}",
            r"\eta_{{{}}}",
            r"\,",
        )

    def _repr_latex_(self) -> str:
        return f"${self.latex()}$"


def link(name: str) -> Combination:
    """Return one link alone, such as `link("12")`, to build combinations from.

    Raises:
        ValueError: it is not one of the six.
    """
    return Combination({name: {"": 1.0}}, f"eta{name}")


def _number(value: float | int, name: str) -> float:
    result = float(value)
    if result - result != 0.0:
        raise ValueError(f"coefficients of {name}: expected finite numbers, got {value}")
    return result


def _collected(terms: list[tuple[str, Word, float]]) -> tuple[tuple[str, Word, float], ...]:
    """Return the sum of terms of equal place and delays, sorted; what rounding leaves of a zero is dropped."""
    sums: dict[tuple[str, Word], list[float]] = {}
    for place, delays, value in terms:
        sums.setdefault((place, delays), []).append(value)
    order = {name: n for n, name in enumerate((*LINKS, "1", "2", "3"))}
    keys = sorted(sums, key=lambda key: (order[key[0]], len(key[1]), key[1]))
    return tuple((*key, sum(sums[key])) for key in keys if abs(sum(sums[key])) > 1e-14 * max(abs(v) for v in sums[key]))


def _written(combination: Combination, delay: Callable[[str], str], eta: str, space: str) -> str:
    pieces = []
    for name, polynomial in combination.coefficients.items():
        values = list(polynomial.values())
        products = [space.join(delay(part) for part in delays.split()) for delays in polynomial]
        # The sign of the first term, and a size that all have, go in front of the bracket.
        common = abs(values[0]) if len({abs(value) for value in values}) == 1 else 1.0
        common = -common if values[0] < 0 else common
        inside = _sum([(value / common, product) for value, product in zip(values, products, strict=True)])
        factor = f"({inside}){space}" if len(products) > 1 else "" if inside == "1" else f"{inside}{space}"
        pieces.append((common, factor + eta.format(name)))
    return _sum(pieces) or "0"


def _sum(pieces: list[tuple[float, str]]) -> str:
    text = ""
    for value, product in pieces:
        size = abs(value)
        number = "" if size == 1.0 and product else f"{size:.6g}" + (" " if product else "")
        sign = (" - " if text else "-") if value < 0 else (" + " if text else "")
        text += sign + number + product
    return text
