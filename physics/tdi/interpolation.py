r"""Series at times between their samples, by Lagrange's polynomial through the nearest ones.

With n samples at a step h, half of them on either side, a sine of frequency f comes out with a relative error of about
$(\pi f h)^n / \sqrt{\pi n/2}$ at most. A time that crosses a sample changes the samples in use, but not the value; with
an odd number of samples it would jump.
"""

from math import factorial

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from physics.numerics.batching import chunked_map
from physics.numerics.checks import positive_integer

POINTS = 32
"""Samples that a value is made of by default: exact to rounding for frequencies up to 0.12 of the sampling rate."""

CHUNK = 16384
"""Samples at a time: 4 MB of temporaries with 32 points."""


def lagrange_weights(part: Float[Array, ""], points: int) -> list[Float[Array, ""]]:
    r"""Return the weights $\prod_{l \neq j} (u - l)/(j - l)$ of samples at the whole numbers j = 1 - m, ..., m.

    Args:
        part: u, from 0 to 1.
        points: 2 m, even.
    """
    before = points // 2 - 1
    distances = [part + float(before - j) for j in range(points)]
    left, right = [jnp.ones_like(part)], [jnp.ones_like(part)]
    for j in range(points - 1):
        left.append(left[-1] * distances[j])
        right.append(right[-1] * distances[points - 1 - j])
    norm = [(-1.0) ** (points - 1 - j) / (factorial(j) * factorial(points - 1 - j)) for j in range(points)]
    return [norm[j] * left[j] * right[points - 1 - j] for j in range(points)]


class _Delayed(eqx.Module):
    """A series at one of its samples less a delay that changes linearly; NaN beyond the series."""

    series: Float[Array, " sample"]
    shift: Float[Array, ""]
    """delay at sample 0, in samples"""
    rate: Float[Array, ""]
    """its change per sample"""
    points: int = eqx.field(static=True)

    def __call__(self, index: Int[Array, ""]) -> Float[Array, ""]:
        # The position itself, of some million samples, would leave its fraction few digits.
        earlier = -(self.shift + self.rate * index.astype(self.shift.dtype))
        whole = jnp.floor(earlier)
        first = index + whole.astype(index.dtype) - (self.points // 2 - 1)
        inside = (first >= 0) & (first + self.points <= self.series.shape[0])
        # A sum that is written out stays in registers; an array of the weights would take twenty times as long.
        weights = lagrange_weights(earlier - whole, self.points)
        return jnp.where(inside, sum(weight * self.series[first + j] for j, weight in enumerate(weights)), jnp.nan)


def delayed(
    series: Float[Array, " sample"],
    shift: Float[Array, ""],
    rate: Float[Array, ""],
    indices: Int[Array, " index"],
    *,
    points: int,
) -> Float[Array, " index"]:
    """Return `series` at samples `indices` less a delay of shift + rate * index samples; NaN beyond its ends.

    Args:
        series: samples.
        shift: delay at sample 0, in samples; negative for an advance.
        rate: its change per sample.
        indices: of the samples that are wanted.
        points: even number of samples that each value is made of.

    Source: derived in docs/theory/tdi.md.
    """
    return chunked_map(_Delayed(series, shift, rate, points), indices, chunk_size=CHUNK)


def even_points(points: int) -> int:
    """Return `points`; `ValueError` unless it is an even number from 2 to 64."""
    if positive_integer(points, "points") % 2 or points > 64:
        raise ValueError(f"points: expected an even number from 2 to 64, got {points}")
    return points
