"""The named combinations as loops of light, generations 1 and 2.

A loop of generation 2 is one of generation 1 gone through from a spacecraft, and back again from another of its visits
to that spacecraft, k links earlier: U V U^-1 V^-1 for a loop U V that is split there. Michelson and Sagnac are written
as commutators, which is the same up to a delay that rounds to none.
"""

import math

from physics.tdi.channels import MEMBERS, ZETA_SHIFT, ChannelChoice
from physics.tdi.channels import combination as choose
from physics.tdi.combinations import Combination, link
from physics.tdi.paths import LightPath

LOOPS = {
    "michelson": "1<3<1<2<1>3>1>2>1",
    "sagnac": "1<3<2<1>3>2>1",
    "monitor": "1<2<3<2>1<3>2>3>1",
    "beacon": "2<3<2<1>3>2>3<1>2",
    "relay": "2<1<3<2<3>1>2>3>2",
}
"""The generation-1 loop of the first member of each family."""

COMMUTATORS = {("michelson", 4): ("13121", "12131"), ("sagnac", 3): ("1321", "1231")}
"""The generation-2 combination where it is the commutator of two closed paths."""

ORTHOGONAL = {"A": ((-1, 0, 1), 2), "E": ((1, -2, 1), 6), "T": ((1, 1, 1), 3)}
"""Weights of the members of a triple, and the square of their common divisor."""


def combination(
    channel: str, *, family: str | None = None, generation: int = 2, shift: int | None = None
) -> Combination:
    """Return a named channel as a `Combination` of the six links.

    Args:
        channel: as in `response`, but for "optimal", which is not one combination.
        family: as in `response`.
        generation: 1 or 2. Generation 2 of "zeta" is (1 - D12 D23 D31) zeta, a stand-in that does not cancel more laser
            noise than generation 1.
        shift: links between the two visits where the loop of generation 2 is spliced.

    Raises:
        ValueError: as in `response`; or the loop has no two visits of a spacecraft that are `shift` links apart.

    Source: derived in docs/theory/tdi.md.
    """
    chosen = choose(channel, family, generation, shift)
    if chosen.kind == "optimal":
        raise ValueError('channel: "optimal" is not one combination; its parts are the members of any triple')
    if chosen.kind == "zeta":
        return _zeta(chosen).named("zeta")
    members = triple(chosen)
    if chosen.kind == "single":
        return members[MEMBERS_IN_ORDER[channel] if channel in MEMBERS else 0].named(channel)
    weights, square = ORTHOGONAL[chosen.kind]
    weighted = [weight * member for weight, member in zip(weights, members, strict=True)]
    return ((weighted[0] + weighted[1] + weighted[2]) / math.sqrt(square)).named(f"{channel} ({chosen.family})")


def triple(chosen: ChannelChoice) -> tuple[Combination, Combination, Combination]:
    """Return the three members of a family."""
    first = _first(chosen.family, chosen.generation, chosen.shift)
    return first, first.cycled(), first.cycled().cycled()


MEMBERS_IN_ORDER = {
    name: [other for other, family in MEMBERS.items() if family == MEMBERS[name]].index(name) for name in MEMBERS
}
"""0, 1 or 2: the place of a single channel in its triple."""


def _first(family: str, generation: int, shift: int) -> Combination:
    loop = LightPath(LOOPS[family])
    if generation == 1:
        return _opened(loop)
    if (family, shift) in COMMUTATORS:
        a, b = (LightPath(text) for text in COMMUTATORS[family, shift])
        return a.commutator(b)
    return _spliced(loop, shift, family)


def _opened(loop: LightPath) -> Combination:
    """Return P of a loop; written as the difference of two paths where it turns back in time once only."""
    turn = loop.text.find(">")
    if "<" in loop.text[turn:]:
        return loop.expand()
    back, forth = LightPath(loop.text[:turn]), LightPath(loop.text[turn - 1 :])
    return back - forth.reversed()


def _spliced(loop: LightPath, shift: int, family: str) -> Combination:
    """Return generation 2 of a loop, equal to (1 - D_U) P for static arms, D_U a delay by `shift` links."""
    times, places = loop.times, loop.spacecraft
    visits = [
        (start, stop)
        for start in range(len(times))
        for stop in range(start + 1, len(times))
        if places[start] == places[stop] and abs(times[start] - times[stop]) == shift
    ]
    if not visits:
        possible = sorted(
            {
                abs(times[a] - times[b])
                for a in range(len(times))
                for b in range(a)
                if places[a] == places[b] and times[a] != times[b]
            }
        )
        raise ValueError(
            f"shift: the loop of family {family!r} has no two visits of a spacecraft {shift} links apart, "
            f"only {', '.join(map(str, possible))}"
        )
    start, stop = visits[0]
    last = len(times) - 1
    there = loop.part(start, stop)
    rest = loop.part(stop, last) * loop.part(0, start)
    if times[stop] > times[start]:
        there, rest = rest, there
        start = stop
    whole = there * rest * there.reversed() * rest.reversed()
    # P of `whole` is (1 - 1/D_U) P of the loop from that visit on; a delay and a sign make it (1 - D_U) P.
    return -whole.expand().delayed((*loop.part(0, start).delays, *there.delays))


def _zeta(chosen: ChannelChoice) -> Combination:
    first = (link("12") - link("13")).delayed("23")
    zeta = first + first.cycled() + first.cycled().cycled()
    if chosen.generation == 1:
        return zeta
    if chosen.shift != ZETA_SHIFT:
        raise ValueError(f"shift: zeta is delayed once round the triangle, by {ZETA_SHIFT} links; got {chosen.shift}")
    return zeta - zeta.delayed("12 23 31")
