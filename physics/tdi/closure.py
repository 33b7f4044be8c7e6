"""How well a combination cancels laser noise: the light times of its terms, followed from event to event.

After the algebra has cancelled what it can, the laser of a spacecraft is left at a few times with coefficients that sum
to zero. The residual is how far these times are apart; the laser phase noise that is left is its derivative times that.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from physics import units
from physics.constants import SPEED_OF_LIGHT
from physics.numerics import checks
from physics.tdi.combinations import LINKS, Combination, Word
from physics.tdi.detector import Detector

LIGHT_TIMES = {"12": 8.3, "23": 8.5, "31": 8.1}
"""Light times along the arms [s], of the size of LISA's."""

SAGNAC = {"12": 1e-4, "23": 0.7e-4, "31": 0.9e-4, "13": -0.9e-4, "32": -0.7e-4, "21": -1e-4}
"""What rotation adds to the light time of each link [s]: 2e-4 s between the two ways along an arm."""

RATES = {"12": 1.0e-8, "23": -0.4e-8, "31": -1.0e-8}
"""Change of the light time along each arm [s/s], the same both ways: what rotation adds changes much more slowly."""

CLOSED = 1e-11
"""Residual [s] below which a combination counts as closed: it holds what is of second order in the rates above."""


@dataclass(frozen=True)
class LightTimes:
    """Light times of the six links that change linearly.

    `LightTimes.of(det)` are those of a detector.

    Args:
        at_zero: light time at t = 0 [s], by link.
        rate: its change [s/s], by link; none by default.

    Raises:
        ValueError: a link is missing or unknown, a light time is not finite and positive, or a rate is not between -1
            and 1.
        UnitsError: a quantity has another dimension.
    """

    at_zero: Mapping[str, Any]
    rate: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        for name, table in (("at_zero", self.at_zero), ("rate", self.rate)):
            if table is not None and set(table) != set(LINKS):
                raise ValueError(f"{name}: expected the links {', '.join(LINKS)}, got {', '.join(map(str, table))}")
        for name, unit in (("at_zero", "s"), ("rate", "")):
            if (table := getattr(self, name)) is not None:
                plain = {link: units.value(one, unit, name) for link, one in table.items()}
                object.__setattr__(self, name, plain)
        checks.positive(_known(self.at_zero), "at_zero")
        rates = checks.finite(_known(self.rate or dict.fromkeys(LINKS, 0.0)), "rate")
        if np.max(np.abs(rates)) >= 1.0:
            raise ValueError(f"rate: expected rates between -1 and 1 s/s, got {rates[np.argmax(np.abs(rates))]:g}")

    @classmethod
    def of(cls, det: Detector, rate: Mapping[str, Any] | None = None) -> "LightTimes":
        """Return the light times of a detector, the same both ways at t = 0.

        Args:
            det: one arm length or three.
            rate: change of the light time [s/s], by arm (`"12"`, `"23"`, `"31"`), which stands for both ways unless the
                other way is given too; links that are not named do not change.

        Raises:
            ValueError: a name is not one of the six links.
            TypeError: `det` is not a `Detector`.
        """
        if not isinstance(det, Detector):
            raise TypeError(f"det: expected a Detector, got {type(det)}")
        arms = det.arm_length if isinstance(det.arm_length, tuple) else (det.arm_length,) * 3
        lengths = dict(zip(LINKS[:3], arms, strict=True))
        given = {checks.one_of(link, LINKS, "rate"): value for link, value in (rate or {}).items()}
        return cls(
            {link: length / SPEED_OF_LIGHT for link, length in _of_links(lengths).items()},
            {link: given.get(link, given.get(link[::-1], 0.0)) for link in LINKS},
        )

    def delay(self, delays: Word) -> tuple[Any, Any]:
        """Return (a, b) of a product of delays and advances: at time t it leads back by a + b t [s]."""
        constant, slope = 0.0, 0.0
        for part in delays:
            link = part.removeprefix("-")
            time, rate = self.at_zero[link], self.rate[link] if self.rate else 0.0
            if part.startswith("-"):
                constant = constant - (time - rate * constant) / (1.0 - rate)
                slope = slope - (rate - rate * slope) / (1.0 - rate)
            else:
                constant = constant + time - rate * constant
                slope = slope + rate - rate * slope
        return constant, slope

    def emitted(self, link: str, received: float) -> float:
        """Return when the light was emitted that arrives at `received` [s]."""
        return received - self.at_zero[link] - (self.rate[link] if self.rate else 0.0) * received

    def received(self, link: str, emitted: float) -> float:
        """Return when the light arrives that was emitted at `emitted` [s]."""
        return (emitted + self.at_zero[link]) / (1.0 - (self.rate[link] if self.rate else 0.0))

    def follow(self, delays: Word, start: float = 0.0) -> float:
        """Return the time [s] at the end of a product of delays and advances that begins at `start`."""
        time = start
        for part in delays:
            time = self.received(part[1:], time) if part.startswith("-") else self.emitted(part, time)
        return time


@dataclass(frozen=True)
class Closure:
    """Residual light times [s] of a combination, from still, equal arms to moving ones."""

    equal: float
    """all arms of one length, at rest"""
    static: float
    """three arms at rest, each of the same length both ways"""
    rotating: float
    """three arms at rest, of different length both ways"""
    moving: float
    """the same, and the arms change at rates of up to 1e-8"""

    @property
    def generation(self) -> float | None:
        """2, 1.5, 1 or 0: the last case that closes to 1e-11 s; None if not even equal arms do.

        2 is `moving`, to first order in the rates; 1.5 `rotating`; 1 `static`; 0 `equal`.
        """
        cases = ((0.0, self.equal), (1.0, self.static), (1.5, self.rotating), (2.0, self.moving))
        reached = None
        for generation, residual in cases:
            if residual > CLOSED:
                break
            reached = generation
        return reached


def closure(combination: Combination) -> Closure:
    """Return how well a combination cancels the noise of the three lasers, computed for arms like those of LISA.

    Light times are 8.1 to 8.5 s, the two ways along an arm differ by up to 2e-4 s where rotation counts, and the arms
    change at rates of up to 1e-8, both ways alike.

    Args:
        combination: named or your own.

    Raises:
        TypeError: it is not a `Combination`.

    Source: derived in docs/theory/tdi.md.
    """
    both_ways, rates = _of_links(LIGHT_TIMES), _of_links(RATES)
    with_rotation = {link: both_ways[link] + SAGNAC[link] for link in LINKS}
    return Closure(
        equal=light_time_residual(combination, LightTimes(dict.fromkeys(LINKS, LIGHT_TIMES["12"]))),
        static=light_time_residual(combination, LightTimes(both_ways)),
        rotating=light_time_residual(combination, LightTimes(with_rotation)),
        moving=light_time_residual(combination, LightTimes(with_rotation, rates)),
    )


def light_time_residual(combination: Combination, light_times: LightTimes) -> float:
    r"""Return the residual light time [s] of a combination, infinite where a laser's coefficients do not sum to zero.

    For the difference of two paths it is the difference of their light times. In general it is
    $\sum_s \int |\sum_{k: t_k < t} a_k| \, dt$ with the times $t_k$ and coefficients $a_k$ of laser s: the least
    distance over which the positive coefficients would have to be moved to meet the negative ones.

    Args:
        combination: named or your own.
        light_times: of the six links.

    Source: derived in docs/theory/tdi.md.
    """
    if not isinstance(combination, Combination):
        raise TypeError(f"combination: expected a Combination, got {type(combination)}")
    terms = combination.laser_terms()
    total = 0.0
    for spacecraft in "123":
        events = sorted((light_times.follow(delays), value) for place, delays, value in terms if place == spacecraft)
        times, values = np.array([t for t, _ in events]), np.array([v for _, v in events])
        sums = np.cumsum(values)
        if len(sums) and abs(sums[-1]) > 1e-12 * np.abs(values).sum():
            return float("inf")
        total += float(np.sum(np.abs(sums[:-1]) * np.diff(times)))
    return total


def _known(table: Mapping[str, Any]) -> np.ndarray:
    """Return the numbers of a table that are known, not traced; one where there is none."""
    known = [float(value) for value in table.values() if not isinstance(value, jax.core.Tracer)]
    return np.array(known or [0.5])


def _of_links(of_arms: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table of three arms as one of six links."""
    return {link: of_arms[link if link in of_arms else link[::-1]] for link in LINKS}
