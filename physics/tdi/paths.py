"""Light paths between the spacecraft, and the combinations of links that they stand for.

A path is followed back along the light: P_{i1 i2 ... in} = eta_{i1 i2} + D_{i1 i2} eta_{i2 i3} + ..., whose laser noise
telescopes to D_{i1 i2} ... D_{i(n-1) in} p_in - p_i1.
"""

import re
from dataclasses import dataclass

from physics.tdi.combinations import Combination, Word, reduced


@dataclass(frozen=True, init=False)
class LightPath:
    """A way from event to event along light rays, back in time or forward.

    `a * b` goes on with `b` where `a` ends, `a.reversed()` goes the other way, `a.commutator(b)` is the combination
    [a, b] = P_ab - P_ba of two closed paths, and `a.expand()` is P_a. Paths subtract to combinations: `a - b`.

    Args:
        text: the spacecraft that are met, beginning with the last receiver, as in `"13121"`; or with the direction of
            every step, as in `"1<3<2>1"`: `<` back in time along the light that arrives, `>` forward along the light
            that leaves.

    Raises:
        ValueError: it is empty, holds anything but 1, 2, 3 (and < >), or a step does not leave its spacecraft.

    Source: derived in docs/theory/tdi.md.
    """

    text: str
    """With the direction of every step."""

    def __init__(self, text: str) -> None:
        written = "<".join(text) if text.isdigit() else text
        if not re.fullmatch(r"[123]([<>][123])*", written):
            raise ValueError(f"text: expected a light path such as '13121' or '1<3<2>1', got {text!r}")
        if any(here == there for here, there in zip(written[::2], written[2::2], strict=False)):
            raise ValueError(f"text: every step of a light path leads to another spacecraft, got {text!r}")
        object.__setattr__(self, "text", written)

    @property
    def spacecraft(self) -> str:
        """The spacecraft that are met, in order."""
        return self.text[::2]

    @property
    def closed(self) -> bool:
        """Whether it ends where it begins."""
        return self.text[0] == self.text[-1]

    @property
    def times(self) -> tuple[int, ...]:
        """When each spacecraft is met, in links of equal length, from 0 at the beginning; earlier is negative."""
        times = [0]
        for direction in self.text[1::2]:
            times.append(times[-1] + (-1 if direction == "<" else 1))
        return tuple(times)

    @property
    def delays(self) -> Word:
        """The product of delays along the whole path."""
        return reduced(tuple(_step(self.text[n : n + 3])[1] for n in range(0, len(self.text) - 1, 2)))

    def expand(self, name: str = "") -> Combination:
        """Return the combination of links P that the path stands for; its laser noise is that of its two ends."""
        terms = []
        delays: Word = ()
        for n in range(0, len(self.text) - 1, 2):
            link, delay = _step(self.text[n : n + 3])
            after = reduced((*delays, delay))
            # Forward, the link that the light takes arrives at the end of the step.
            terms.append((link, delays, 1.0) if delay == link else (link, after, -1.0))
            delays = after
        return Combination.of_terms(terms, name or str(self))

    def reversed(self) -> "LightPath":
        """Return the path gone through from its end."""
        return LightPath(self.text[::-1].translate(str.maketrans("<>", "><")))

    def part(self, start: int, stop: int) -> "LightPath":
        """Return the path from one of its meetings with a spacecraft to a later one, counted from 0."""
        return LightPath(self.text[2 * start : 2 * stop + 1])

    def commutator(self, other: "LightPath") -> Combination:
        """Return [self, other] = P_ab - P_ba of two closed paths from the same spacecraft.

        Raises:
            ValueError: a path is not closed, or they begin at different spacecraft.
        """
        if not (self.closed and other.closed):
            raise ValueError(f"commutator: expected two closed paths, got {self} and {other}")
        return ((self * other).expand() - (other * self).expand()).named(f"[{self}, {other}]")

    def __mul__(self, other: "LightPath") -> "LightPath":
        if self.text[-1] != other.text[0]:
            raise ValueError(
                f"paths join at a common spacecraft, but {self} ends at {self.text[-1]}, not where {other} begins"
            )
        return LightPath(self.text + other.text[1:])

    def __add__(self, other: "LightPath | Combination") -> Combination:
        return self.expand() + (other.expand() if isinstance(other, LightPath) else other)

    def __sub__(self, other: "LightPath | Combination") -> Combination:
        return self.expand() - (other.expand() if isinstance(other, LightPath) else other)

    def __str__(self) -> str:
        return self.spacecraft if ">" not in self.text else self.text

    def latex(self) -> str:
        """Return the path as LaTeX, without dollar signs."""
        return f"P_{{{self}}}"

    def _repr_latex_(self) -> str:
        return f"${self.latex()}$"


def _step(text: str) -> tuple[str, str]:
    """Return the link that a step such as "1<2" follows, and the delay or advance on the way."""
    here, direction, there = text[0], text[1], text[2]
    return (here + there, here + there) if direction == "<" else (there + here, f"-{there}{here}")
