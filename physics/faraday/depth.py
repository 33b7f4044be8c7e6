"""Which rotation measures a set of channels can tell apart: the search grid, its range, and the bands."""

import math
from typing import Any

import numpy as np

from physics.constants import SPEED_OF_LIGHT
from physics.types import HostArray

BAND_GAP = 0.1
"""Two neighbouring channels belong to different bands if their frequencies differ by more than this fraction."""

SEARCH_RANGE = 40_000.0
"""Largest default search range [rad/m^2]: beyond the observed cores and the first alias (29,000) of 12-43 GHz sets."""


MAX_POINTS = 10_000_000
"""Points of the largest search grid: more are a mistake of units."""


def frequency_bands(frequency: HostArray) -> HostArray:
    """Return the number of the band of each channel, counted up from 0 with the frequency.

    A new band begins where the frequency steps up by more than a tenth.

    Args:
        frequency: of each channel, in any order [Hz].
    """
    order = np.argsort(frequency)
    ascending = np.asarray(frequency)[order]
    starts = np.diff(ascending) > BAND_GAP * ascending[:-1]
    band = np.empty(len(ascending), int)
    band[order] = np.concatenate([[0], np.cumsum(starts)])
    return band


def depth_step(lambda_squared: HostArray) -> float:
    r"""Return a step in rotation measure [rad/m^2] that resolves every maximum: a tenth of the narrowest RMSF width.

    Of all sets of channels with one span $\Delta L$, the narrowest main lobe belongs to two channels at its ends,
    $|R(\phi)| = |\cos(\phi\,\Delta L)|$, whose full width at half maximum is $2\pi/(3\Delta L)$.

    Source: derived in docs/theory/faraday.md.
    """
    return 0.1 * 2.0 * math.pi / (3.0 * float(np.ptp(lambda_squared)))


def band_labels(frequency: HostArray, band: Any) -> HostArray:
    """Return the label of the band of each channel; None is `frequency_bands`.

    Args:
        frequency: of each channel [Hz].
        band: None or one label for each channel.

    Raises:
        ValueError: there is not one label for each channel.
    """
    if band is None:
        return frequency_bands(frequency)
    expected = f"band: expected one label for each of {len(frequency)} channels"
    try:
        labels = np.asarray(band)
    except ValueError as error:
        raise ValueError(f"{expected}, got {band!r}") from error
    if labels.shape != frequency.shape:
        raise ValueError(f"{expected}, got shape {labels.shape}")
    return labels


def depth_grid(lambda_squared: HostArray, max_rm: float, step: float | None = None) -> HostArray:
    """Return rotation measures from -max_rm to max_rm [rad/m^2], with one point more on each side.

    The grid is symmetric and holds zero. The outer points let a maximum at the limit have two neighbours.

    Args:
        lambda_squared: of the channels [m^2].
        max_rm: the limit [rad/m^2].
        step: at most this far apart [rad/m^2]; `depth_step` by default.

    Raises:
        ValueError: the grid would have more than `MAX_POINTS`.
    """
    half = max_rm / (depth_step(lambda_squared) if step is None else step)
    if not 2.0 * half < MAX_POINTS:
        raise ValueError(
            f"max_rm, step, lambda_squared: expected a grid of at most {MAX_POINTS} points, got {2.0 * half:.3g} for "
            f"max_rm = {max_rm:g} rad/m^2 and lambda_squared up to {np.max(lambda_squared):g} m^2"
        )
    count = max(1, math.ceil(half))
    return np.arange(-count - 1, count + 2) * (max_rm / count)


def carried_rm(lambda_squared: HostArray) -> float:
    r"""Return the largest rotation measure that the channels can carry [rad/m^2], infinite if nothing limits it.

    Two things do. A channel of width $\delta L$ is half depolarized at $\sqrt3/\delta L$; it cannot be wider than the
    distance to its neighbour, so $\delta L$ is the least distance within a band, in the band where that is largest.
    And if all distances are multiples of one $\delta L$, every rotation measure repeats after $\pi/\delta L$ in all
    channels: half of that can be told from its alias.

    Args:
        lambda_squared: of the channels, in any order; at least two different ones [m^2].

    Source: the first is customary (Brentjens and de Bruyn 2005), the second derived in docs/theory/faraday.md.
    """
    L = np.unique(np.asarray(lambda_squared, float))
    band = frequency_bands(SPEED_OF_LIGHT / np.sqrt(L))
    distance = np.diff(L)
    inside = np.diff(band) == 0
    widths = [distance[inside & (band[1:] == label)].min() for label in np.unique(band[1:][inside])]
    depolarized = math.sqrt(3.0) / float(max(widths)) if widths else math.inf
    return min(depolarized, 0.5 * math.pi / common_spacing(L))


def common_spacing(points: HostArray, tolerance: float = 1e-4) -> float:
    """Return the largest distance of which all distances between the points are multiples, by Euclid's algorithm.

    Args:
        points: at least two different ones.
        tolerance: remainders below this fraction of the whole span are rounding; the least distance returned.
    """
    from_first = np.sort(points) - np.min(points)
    least = tolerance * from_first[-1]
    common = 0.0
    for distance in from_first:
        rest = float(distance)
        while rest > least:
            common, rest = rest, abs(common - rest * round(common / rest))
    return common


def default_max_rm(frequency: HostArray) -> float:
    r"""Return the search range that suits the channels [rad/m^2].

    Within a band, neighbouring channels a distance $\delta L$ apart follow a rotation up to $\sqrt3/\delta L$. The
    range is that value for the widest $\delta L$, but never more than `SEARCH_RANGE`, which is also the answer for
    bands of one channel each, or than `carried_rm`.

    Args:
        frequency: of each channel [Hz].
    """
    ascending = np.sort(np.asarray(frequency))
    inside = np.diff(frequency_bands(ascending)) == 0
    spacing = -np.diff((SPEED_OF_LIGHT / ascending) ** 2)[inside]
    followed = math.sqrt(3.0) / float(spacing.max()) if spacing.size else math.inf
    return min(SEARCH_RANGE, followed, carried_rm((SPEED_OF_LIGHT / ascending) ** 2))


def channel_widths(lambda_squared: HostArray) -> HostArray:
    """Return the width of each channel [m^2]: the distance to its nearest neighbour, so that gaps do not count.

    Args:
        lambda_squared: of the channels, in any order [m^2].
    """
    order = np.argsort(lambda_squared)
    gaps = np.diff(np.asarray(lambda_squared)[order])
    width = np.empty(len(order))
    width[order] = np.minimum(np.append(gaps, np.inf), np.append(np.inf, gaps))
    return width
