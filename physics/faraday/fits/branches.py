r"""The n-pi branches of position angles: which there are, and the straight line of each.

An angle is known up to a whole number of half turns. A line chi = c + RM x runs nearest to one set of numbers n, and as
c and RM vary, the sets change where the line passes a quarter turn from a channel,
$c + \mathrm{RM}\,x_i = \chi_i + \pi/2 + k\pi$. These boundaries, one family of parallel lines for each channel, divide
the strip |RM| <= max_rm into cells, one for each branch that any line reaches. A cell begins where two boundaries
cross, or at the edge of the strip: the crossings and the arcs of the edge enumerate the cells, each of them once.

Angles are counted in half turns here and abscissae from a pivot. Written for one pixel of n channels.

Source: derived in docs/theory/faraday.md.
"""

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from physics.types import HostArray

INSIDE = 0.25
"""How far from its boundary, in half turns, a cell is entered: a half decides, anything between does."""

SHIFT = 1e-5
"""Angles are shifted by up to this many half turns so that no three boundaries cross in one point, where angles without
noise make them; only the choice of the cell knows, and only where a residual is a quarter turn."""

ROW = 8
"""Cells are filled up to a multiple of this with rows that no pixel meets: vector instructions leave no rest."""


class Cells(eqx.Module):
    """Where the cells begin, one element for each: a crossing of the boundaries of two channels, or an arc of the edge.

    All of them are numbers, since a loop that reads booleans too is slower.
    """

    upper: list[Float[Array, " cell"]]
    """1 for the channel whose boundary is below the cell: the one of larger x at a crossing."""
    pair: list[Float[Array, " cell"]]
    """`upper`, and -1 for the channel whose boundary is above the cell at a crossing."""
    number: Float[Array, " cell"]
    """Which of the crossings of these two channels within the strip, counted from the edge at -max_rm."""
    reach: Float[Array, " cell"]
    """max_rm (x_upper - x_lower)/pi at a crossing: the turns between both channels at the edge of the strip."""
    last: Float[Array, " cell"]
    """`reach` at a crossing, which lies outside of the strip beyond it; infinite at the edge."""
    lever: list[Float[Array, " cell"]]
    """(x - x_upper)/(x_upper - x_lower) at a crossing; at the edge, -max_rm (x - x_upper)/pi."""
    boundaries: Float[Array, " cell"]
    """Whose boundaries meet there: two channels at a crossing, one at the edge."""


def count_cells(points: HostArray, max_rm: float) -> int:
    """Return the largest number of cells that any angles make."""
    pairs = np.abs(points[:, None] - points[None, :])[np.triu_indices(len(points), 1)]
    crossings = np.floor(2.0 * max_rm * pairs[pairs > 0] / math.pi) + 1.0
    return len(points) + int(crossings.sum())


def cells(points: HostArray, max_rm: float, dtype: np.dtype) -> Cells:
    """Return the cells of the strip |RM| <= max_rm.

    Args:
        points: x [m^2].
        max_rm: [rad/m^2].
        dtype: of the arrays.
    """
    one = np.eye(len(points))
    edge = -max_rm / math.pi * (points[None, :] - points[:, None])
    rows = [(one[i], one[i], 0.0, 0.0, math.inf, edge[i], 1.0) for i in range(len(points))]
    for i in range(len(points)):
        for j in np.flatnonzero(points < points[i]):
            distance = points[i] - points[j]
            reach = max_rm * distance / math.pi
            lever = (points - points[i]) / distance
            crossings = range(math.floor(2.0 * reach) + 1)
            rows += [(one[i], one[i] - one[j], m, reach, reach, lever, 2.0) for m in crossings]
    nothing = 0.0 * one[0]
    rows += [(nothing, nothing, 0.0, 0.0, math.inf, nothing, 1.0)] * (-len(rows) % ROW)
    columns = [np.array(column, dtype).T for column in zip(*rows, strict=True)]
    return Cells(*jax.device_put([list(column) if column.ndim == 2 else column for column in columns]))


Values = Sequence[Float[Array, ""]]
"""One number for each channel. Kept apart: a loop over many pixels then runs over pixels and cells, not channels."""


class Line(eqx.Module):
    r"""What the lines of one pixel share: with $M = C^{-1}$ and $\bar x = 1^T M x/1^T M 1$, $\xi = x - \bar x$.

    The covariance C holds variances on its diagonal and one common variance in the block of each band, so that M is
    $D - \sum_b g_b D B_b B_b^T D$ (Sherman-Morrison), with D of the inverse variances.
    """

    angle: list[Float[Array, ""]]
    """[half turns]."""
    seen: list[Float[Array, ""]]
    """1 where a channel is used."""
    precision: list[Float[Array, ""]]
    """D [half turns^-2]; zero where a channel is not used."""
    from_mean: list[Float[Array, ""]]
    r"""$\xi$ [m^2]."""
    mean_of: list[Float[Array, ""]]
    r"""M 1/(1^T M 1), whose product with the angles is that at $\bar x$."""
    slope_of: list[Float[Array, ""]]
    r"""$M\xi/\xi^T M\xi$, whose product with the angles is the slope."""
    shared: list[Float[Array, ""]]
    r"""$g_b = \sigma_b^2/(1 + \sigma_b^2 \sum_b D)$ [half turns^2]."""
    centre: Float[Array, ""]
    r"""$\bar x$ [m^2]."""
    mean_variance: Float[Array, ""]
    slope_variance: Float[Array, ""]
    determined: Bool[Array, ""]
    """Whether two different x are used."""
    bands: tuple[tuple[int, ...], ...] = eqx.field(static=True)
    """The channels of each band that has a common error and more than one channel."""


class Branch(NamedTuple):
    """The line of one branch."""

    slope: Float[Array, ""]
    """[half turns/m^2]."""
    mean: Float[Array, ""]
    """Angle at the centre [half turns]."""
    chi2: Float[Array, ""]
    """Infinite if the strip has no such cell."""


def dot(a: Values, b: Values) -> Float[Array, ""]:
    """Return the sum of products."""
    return sum((x * y for x, y in zip(a, b, strict=True)), jnp.zeros_like(b[0]))


def line_of(
    points: Float[Array, " n"],
    angle: Float[Array, " n"],
    variance: Float[Array, " n"],
    used: Bool[Array, " n"],
    band_variance: Float[Array, ""],
    bands: tuple[tuple[int, ...], ...],
) -> Line:
    """Return what the lines of one pixel share.

    Args:
        points: x [m^2].
        angle: [half turns].
        variance: of each channel alone [half turns^2].
        used: whether a channel is used.
        band_variance: common to the channels of each of `bands` [half turns^2].
        bands: their channels.
    """
    precision = list(jnp.where(used, 1.0 / jnp.where(used, variance, 1.0), 0.0))
    stiffness = [sum(precision[k] for k in band) for band in bands]
    shared = [band_variance / (1.0 + band_variance * s) for s in stiffness]

    def weighted(values: Values) -> list[Array]:
        result = [d * v for d, v in zip(precision, values, strict=True)]
        for band, g in zip(bands, shared, strict=True):
            common = g * sum(result[k] for k in band)
            for k in band:
                result[k] = result[k] - precision[k] * common
        return result

    x, one = list(points), [jnp.ones_like(p) for p in precision]
    total = sum(weighted(one))
    safe_total = jnp.where(total > 0, total, 1.0)
    mean_of = [w / safe_total for w in weighted(one)]
    centre = dot(mean_of, x)
    from_mean = [v - centre for v in x]
    spread = dot(weighted(from_mean), from_mean)
    determined = _two_different(points, used) & (spread > 0)
    safe_spread = jnp.where(determined, spread, 1.0)
    return Line(
        angle=list(jnp.where(used, angle, 0.0)),
        seen=list(used.astype(angle.dtype)),
        precision=precision,
        from_mean=from_mean,
        mean_of=mean_of,
        slope_of=[jnp.where(determined, w / safe_spread, 0.0) for w in weighted(from_mean)],
        shared=shared,
        centre=centre,
        mean_variance=jnp.where(total > 0, 1.0 / safe_total, jnp.inf),
        slope_variance=jnp.where(determined, 1.0 / safe_spread, jnp.inf),
        determined=determined,
        bands=bands,
    )


def _two_different(points: Float[Array, " n"], used: Bool[Array, " n"]) -> Bool[Array, ""]:
    highest = functools.reduce(jnp.maximum, [jnp.where(u, x, -jnp.inf) for x, u in zip(points, used, strict=True)])
    lowest = functools.reduce(jnp.minimum, [jnp.where(u, x, jnp.inf) for x, u in zip(points, used, strict=True)])
    return highest > lowest


def branch(line: Line, cell: Cells) -> Branch:
    """Return the line of the branch of one cell.

    Args:
        line: of the pixel.
        cell: one row of the cells.
    """
    return _fitted(line, *half_turns(line, cell))


def stored_branch(line: Line, cell: Cells) -> Branch:
    """Return `branch`, found in a loop over the channels: what uses it reads the half turns and finds none again."""
    place, start, along, met = _beginning(line, cell)
    channels = (jnp.stack(place), jnp.stack(cell.lever), jnp.stack(cell.pair))
    _, numbers = jax.lax.scan(lambda _, channel: (None, _half_turns(start, along, *channel)), None, channels)
    return _fitted(line, list(numbers), met)


def half_turns(line: Line, cell: Cells) -> tuple[list[Float[Array, ""]], Bool[Array, ""]]:
    """Return those that bring each angle next to a line just inside the cell, and whether the strip has such a cell."""
    place, start, along, met = _beginning(line, cell)
    channels = zip(place, cell.lever, cell.pair, strict=True)
    return [_half_turns(start, along, *channel) for channel in channels], met


def _beginning(line: Line, cell: Cells) -> tuple[list[Array], Array, Array, Bool[Array, ""]]:
    # The angles, and where the cell begins: at the angle `start` of one channel, `along` as many levers for the others.
    golden = 0.5 * (math.sqrt(5.0) - 1.0)
    place = [jax.lax.stop_gradient(a) + SHIFT * (k * golden % 1.0) for k, a in enumerate(line.angle)]
    start, difference = dot(cell.upper, place), dot(cell.pair, place)
    turns = difference + jnp.ceil(-cell.reach - difference) + cell.number
    seen = dot([jnp.abs(side) for side in cell.pair], line.seen)
    met = (turns <= cell.last) & (seen > cell.boundaries - 0.5)
    return place, start, jnp.where(cell.boundaries > 1.5, turns, 1.0), met


def _half_turns(start: Array, along: Array, place: Array, lever: Array, side: Array) -> Array:
    # Half a turn decides; the two boundaries of the cell are passed on its own side.
    return jnp.round((start - place) + along * lever + (INSIDE * side + 0.5))


def _fitted(line: Line, numbers: Values, met: Bool[Array, ""]) -> Branch:
    angle = [a + n for a, n in zip(line.angle, numbers, strict=True)]
    mean, slope = dot(line.mean_of, angle), dot(line.slope_of, angle)
    residual = [a - mean - slope * x for a, x in zip(angle, line.from_mean, strict=True)]
    pulled = [d * r for d, r in zip(line.precision, residual, strict=True)]
    chi2 = dot(pulled, residual)
    for band, g in zip(line.bands, line.shared, strict=True):
        chi2 = chi2 - g * jnp.square(sum((pulled[k] for k in band), jnp.zeros_like(chi2)))
    return Branch(slope, mean, jnp.where(met, chi2, jnp.inf))
