"""Times in whole nanoseconds, bins on the clock of a recording, and windows of bins.

Bin k of width w covers [k w, (k + 1) w). Times are rounded to nanoseconds before anything else, so that a spike or an
event on an edge is where the edge says, whatever its last binary digit.
"""

from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from physics.types import HostArray

MILLISECOND = 1_000_000
"""ns"""
SHORT = 1_000
"""ns by which a window ends before its end, as in the tools of the Neural Latents Benchmark."""


def nanoseconds(seconds: Any) -> Int[np.ndarray, "*any"]:
    """Return times [s] as whole nanoseconds; NaN is not allowed."""
    return np.asarray(np.rint(np.asarray(seconds, np.float64) * 1e3 * 1e6)).astype(np.int64)


def whole_nanoseconds(seconds: float) -> int:
    """Return one time [s] as whole nanoseconds."""
    return round(seconds * 1e9)


def first_bin(time: Int[np.ndarray, "*any"], width: int) -> Int[np.ndarray, "*any"]:
    """Return the first bin that starts at or after each time; all in ns."""
    return -(-time // width)


def end_bin(time: Int[np.ndarray, "*any"], width: int) -> Int[np.ndarray, "*any"]:
    """Return the bin after the last one that starts before each time; all in ns."""
    return (time - SHORT) // width + 1


def window_counts(
    spikes: Int[np.ndarray, " spike"], first: Int[np.ndarray, " window"], bins: int
) -> Int[np.ndarray, "window bin"]:
    """Return how many spikes of one neuron are in each bin of each window, which may overlap.

    Args:
        spikes: bin of every spike, in any order.
        first: first bin of every window.
        bins: bins of a window.
    """
    ordered = np.sort(spikes)
    low, high = np.searchsorted(ordered, first), np.searchsorted(ordered, first + bins)
    number = high - low
    window = np.repeat(np.arange(len(first)), number)
    # The spikes of a window follow one another in `ordered`, from `low` on.
    spike = np.arange(number.sum()) - np.repeat(np.cumsum(number) - number - low, number)
    place = window * bins + ordered[spike] - first[window]
    return np.bincount(place, minlength=len(first) * bins).reshape(len(first), bins)


def inside(bins: Int[np.ndarray, "*any"], starts: HostArray, ends: HostArray) -> Bool[np.ndarray, "*any"]:
    """Return whether each bin is in one of the intervals [start, end), given in bins."""
    before, after = np.sort(starts), np.sort(ends)
    return np.searchsorted(before, bins, side="right") > np.searchsorted(after, bins, side="right")


def observed(
    first: Int[np.ndarray, " window"], bins: int, intervals: Float[np.ndarray, "interval 2"], width: int, *, whole: bool
) -> Bool[np.ndarray, "window bin"]:
    """Return which bins of windows were observed.

    Args:
        first: first bin of every window.
        bins: bins of a window.
        intervals: begin and end of each interval of observation [s].
        width: ns.
        whole: a bin counts when all of it was observed; otherwise when its first millisecond was, the benchmark's rule.
    """
    begin, end = (nanoseconds(intervals[:, side]) for side in (0, 1))
    grid = first[:, None] + np.arange(bins)[None, :]
    if whole:
        begin, end = _joined(begin, end)
        starts, stops = first_bin(begin, width), end // width
    else:
        # The first millisecond of bin k starts at k w: it is covered from ceil(begin) to floor(end) - 1 milliseconds.
        starts = first_bin(first_bin(begin, MILLISECOND) * MILLISECOND, width)
        stops = first_bin((end // MILLISECOND) * MILLISECOND, width)
    kept = stops > starts
    return inside(grid, starts[kept], stops[kept])


def _joined(begin: HostArray, end: HostArray) -> tuple[HostArray, HostArray]:
    """Return intervals with those that touch or overlap made one."""
    order = np.argsort(begin, kind="stable")
    begin, end = begin[order], np.maximum.accumulate(end[order])
    opens = np.concatenate([[True], begin[1:] > end[:-1]])[: len(begin)]
    return begin[opens], end[np.roll(opens, -1)] if len(begin) else end
