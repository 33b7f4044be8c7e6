"""Combinations of links in time: each delay is applied by interpolation, at the time at which the light meets it."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from physics import units
from physics.numerics import checks
from physics.tdi import numerical
from physics.tdi.closure import LightTimes
from physics.tdi.combinations import LINKS, Combination, Word
from physics.tdi.interpolation import POINTS, delayed, even_points
from physics.tdi.series import ChannelSeries, LinkSeries
from physics.types import Real


def combine_links(
    links: LinkSeries,
    light_times: LightTimes,
    channel: str | Combination = "X",
    *,
    family: str | None = None,
    generation: int = 2,
    shift: int | None = None,
    doppler: bool = True,
    points: int = POINTS,
    margin: Real | None = None,
) -> ChannelSeries:
    r"""Return the time series of a channel, made of those of the links.

    A product of delays leads from t back to $t - a - bt$, link by link along the light, and
    $D g(t) = (1 - b)\, g(t - a - bt)$: an arm that moves shifts frequencies. The series is differentiable in its
    values and in the light times, for example to find these by making the laser noise least.

    Args:
        links: measured or simulated, in fractional frequency.
        light_times: of the six links, on the clock of `links`.
        channel: as in `response`, or a `Combination`.
        family: as in `response`.
        generation: 1 or 2.
        shift: as in `response`.
        doppler: whether delays have the factor 1 - b; False for phases, which the motion of an arm does not change.
        points: even number of samples that interpolation takes.
        margin: what is left out at both ends [s], where the delays leave the series; as little as possible by default.
            It must be given where light times are traced; values that need more are NaN.

    Returns:
        The channel at the samples of `links` at which all of its parts are known.

    Raises:
        PrecisionError: 64-bit is not enabled.
        TypeError: `links`, `light_times` or `channel` is of another type, or the light times are traced and there is no
            `margin`.
        ValueError: a name is as `response` does not allow, it is "optimal", the series is too short for the delays, or
            `points` is not even.
        UnitsError: `margin` is a quantity that is not a time.

    Source: derived in docs/theory/tdi.md.
    """
    checks.double_precision("a combination that cancels laser noise", "tdi.asd (a sensitivity)")
    if not isinstance(links, LinkSeries):
        raise TypeError(f"links: expected LinkSeries, got {type(links)}")
    if not isinstance(light_times, LightTimes):
        raise TypeError(f"light_times: expected LightTimes, got {type(light_times)}")
    if channel == "optimal":
        raise ValueError('channel: "optimal" is not one combination; it has no time series')
    (chosen,) = numerical.chosen_combinations(channel, family, generation, shift)
    weights = _by_delays(chosen)
    delays = [light_times.delay(word) for word in weights]
    shifts = [(constant + rate * links.start) / links.step for constant, rate in delays]
    rates = [rate for _, rate in delays]
    first, last = _kept(links, shifts, rates, even_points(points), margin)
    coefficients, slopes = jnp.asarray(list(weights.values())), _vector(rates)
    if doppler:
        coefficients = coefficients * (1.0 - slopes)[:, None]
    values = _combined(links.values.astype(float), coefficients, _vector(shifts), slopes, first, last, points)
    return ChannelSeries(values, links.step, links.start + first * links.step, chosen.name)


def _vector(numbers: list[Any]) -> Float[Array, " number"]:
    return jnp.stack([jnp.asarray(one, float) for one in numbers])


def _by_delays(combination: Combination) -> dict[Word, list[float]]:
    """Return the coefficients of the six links by product of delays, which is applied once to their sum."""
    weights: dict[Word, list[float]] = {}
    for link, delays, value in combination.terms:
        weights.setdefault(delays, [0.0] * len(LINKS))[LINKS.index(link)] += value
    return weights


def _kept(links: LinkSeries, shifts: list[Any], rates: list[Any], points: int, margin: Real | None) -> tuple[int, int]:
    """Return the first sample of the result and the one after its last, counted in those of `links`."""
    count = links.values.shape[-1]
    if margin is not None:
        left_out = math.ceil(checks.nonnegative(np.array(units.number(margin, "s", "margin")), "margin") / links.step)
        first, last = left_out, count - left_out
    elif checks.is_traced(shifts, rates):
        raise TypeError("margin: expected a number, because the light times are traced and the delays not known")
    else:
        ends = [float(shift + rate * end) for shift, rate in zip(shifts, rates, strict=True) for end in (0, count)]
        # Samples i - ceil(delay) - points/2 + 1 and the next ones up to i - ceil(delay) + points/2 must be there.
        first = max(0, math.ceil(max(ends)) + points // 2 - 1)
        last = min(count, count + math.ceil(min(ends)) - points // 2)
    if last <= first:
        raise ValueError(
            f"links: expected a series longer than {count} samples of {links.step:g} s, because delays, interpolation "
            f"and margin take {count - last + first} of them at the ends"
        )
    return first, last


@eqx.filter_jit
def _combined(
    values: Float[Array, "link sample"],
    weights: Float[Array, "word link"],
    shifts: Float[Array, " word"],
    rates: Float[Array, " word"],
    first: int,
    last: int,
    points: int,
) -> Float[Array, " kept"]:
    indices = jnp.arange(first, last)

    def add(total: Float[Array, " kept"], word: tuple[Array, Array, Array]) -> tuple[Float[Array, " kept"], None]:
        mixed = jnp.sum(word[0][:, None] * values, axis=0)
        return total + delayed(mixed, word[1], word[2], indices, points=points), None

    return jax.lax.scan(add, jnp.zeros(last - first), (weights, shifts, rates))[0]
