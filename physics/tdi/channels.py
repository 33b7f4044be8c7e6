"""The channels by name, and the one table that builds them all from four functions of frequency.

With c = cos x and h = sin^2(x/2), and with r, R_z (signal) and s, S_z (noise) of the Sagnac family, a family is given
by three weights (m, p, q):

    R_A = R_E = 8 m p r,    R_T = m q R_z,    R_single = m (16 p r + q R_z) / 3,

and the noise is the same with s and S_z. The factor m holds the zeros that signal and noise share; a sensitivity is
formed without it. Derived in docs/theory/tdi.md.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from physics.numerics import checks
from physics.tdi.correlations import Phase

FAMILIES = ("michelson", "sagnac", "monitor", "beacon", "relay")
"""Triples of combinations that channels A, E and T are made of."""

MEMBERS = {
    "X": "michelson",
    "Y": "michelson",
    "Z": "michelson",
    "alpha": "sagnac",
    "beta": "sagnac",
    "gamma": "sagnac",
    "M1": "monitor",
    "M2": "monitor",
    "M3": "monitor",
    "P": "beacon",
    "Q": "beacon",
    "R": "beacon",
    "U": "relay",
    "V": "relay",
    "W": "relay",
}
"""Family of each single channel."""

OF_A_FAMILY = ("single", "A", "E", "T", "optimal")
"""Channels whose family is an argument."""

CHANNELS = (*MEMBERS, "zeta", *OF_A_FAMILY)
"""Every name that `channel` accepts."""

SHIFTS = {"michelson": 4, "sagnac": 3, "monitor": 2, "beacon": 1, "relay": 3}
"""Links between the two visits at which the generation-2 loop of a family is spliced."""

ZETA_SHIFT = 3


@dataclass(frozen=True)
class ChannelChoice:
    """A channel of a family in a generation.

    Only `kind` and `family` choose a formula, and compile a kernel; the splice is a number in it.
    """

    kind: str
    """ "single", "A", "E", "T", "zeta" or "optimal" """
    family: str
    generation: int
    shift: int
    """k of the factor 4 sin^2(k x/2) of generation 2; 0 in generation 1."""

    @property
    def spectrum(self) -> tuple[str, str]:
        """(kind, family) of its response and noise PSD, alike for channels that share them."""
        return ("A" if self.kind == "E" else self.kind), self.family

    @property
    def ratio(self) -> tuple[str, str]:
        """(kind, family) of its sensitivity, which depends on the family for a single channel only."""
        kind = {"E": "A", "zeta": "T"}.get(self.kind, self.kind)
        return kind, self.family if kind == "single" else ""


def combination(channel: str, family: str | None, generation: int, shift: int | None) -> ChannelChoice:
    """Return the combination that the arguments of a public function name.

    Raises:
        ValueError: an unknown channel or family, a family for a channel that has its own, none for "single",
            a generation other than 1 or 2, or a shift that is not a positive whole number or has no generation 2.
    """
    checks.one_of(channel, CHANNELS, "channel")
    checks.one_of(generation, (1, 2), "generation")
    family = _family(channel, family)
    if shift is not None:
        checks.positive_integer(shift, "shift")
        if generation == 1:
            raise ValueError(f"shift: expected None in generation 1, which has no splice; got {shift}")
    default = ZETA_SHIFT if channel == "zeta" else SHIFTS[family]
    kind = "single" if channel in MEMBERS else channel
    return ChannelChoice(kind, family, generation, 0 if generation == 1 else shift or default)


def _family(channel: str, family: str | None) -> str:
    own = "sagnac" if channel == "zeta" else MEMBERS.get(channel)
    if own is not None:
        if family is not None:
            raise ValueError(f'family: channel {channel!r} has its own; use "single", "A", "E" or "T" with {family!r}')
        return own
    if family is None:
        if channel == "single":
            raise ValueError(f'family: channel "single" needs one of {", ".join(map(repr, FAMILIES))}')
        return "michelson"
    return checks.one_of(family, FAMILIES, "family")


class Weights(NamedTuple):
    """What the table says of one family at one x."""

    common: Float[Array, ""]
    """m"""
    orthogonal: Float[Array, ""]
    """p"""
    symmetric: Float[Array, ""]
    """q"""


def weights(family: str, at: Phase) -> Weights:
    r"""Return (m, p, q) of a family.

    | family | m | p | q |
    |---|---|---|---|
    | Michelson | $\sin^2 x$ | 1 | 16h/3 |
    | Sagnac | 1 | h | $(1+2c)^2/3$ |
    | Monitor, Beacon | h | 1 | 4(5+4c)/3 |
    | Relay | h | 2+c | $4(1+2c)^2/3$ |

    Source: derived in docs/theory/tdi.md.
    """
    one, h, c = jnp.ones_like(at.x), at.versine, at.cosine
    sagnac = (1.0 + 2.0 * c) ** 2
    match family:
        case "michelson":
            return Weights(at.sine**2, one, 16.0 / 3.0 * h)
        case "sagnac":
            return Weights(one, h, sagnac / 3.0)
        case "relay":
            return Weights(h, 2.0 + c, 4.0 / 3.0 * sagnac)
        case _:
            return Weights(h, one, 4.0 / 3.0 * (5.0 + 4.0 * c))


def generation_factor(x: Float[Array, ""], shift: Float[Array, ""]) -> Float[Array, ""]:
    r"""Return $4 \sin^2(k x/2)$ of a generation-2 splice by k links, or 1 for k = 0."""
    return jnp.where(shift > 0, 4.0 * jnp.sin(0.5 * shift * x) ** 2, 1.0)
