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
    spikes: Int[np.ndarray, " spike"], begin: Int[np.ndarray, " window"], bins: int, width: int
) -> Int[np.ndarray, "window bin"]:
    """Return how many spikes of one neuron are in each bin of each window, which may overlap.

    Args:
        spikes: time of every spike, in any order [ns].
        begin: begin of every window [ns].
        bins: bins of a window.
        width: of a bin [ns].
    """
    ordered = np.sort(spikes)
    low, high = np.searchsorted(ordered, begin), np.searchsorted(ordered, begin + bins * width)
    number = high - low
    window = np.repeat(np.arange(len(begin)), number)
    # The spikes of a window follow one another in `ordered`, from `low` on.
    spike = np.arange(number.sum()) - np.repeat(np.cumsum(number) - number - low, number)
    place = window * bins + (ordered[spike] - begin[window]) // width
    return np.bincount(place, minlength=len(begin) * bins).reshape(len(begin), bins)


def covered(
    begin: Int[np.ndarray, " window"], bins: int, width: int, intervals: Float[np.ndarray, "interval 2"]
) -> Bool[np.ndarray, "window bin"]:
    """Return which bins of windows lie wholly in an interval of observation [s]; the other times are in ns."""
    starts, ends = _joined(nanoseconds(intervals[:, 0]), nanoseconds(intervals[:, 1]))
    at = begin[:, None] + width * np.arange(bins)[None, :]
    if not len(starts):
        return np.zeros(at.shape, bool)
    place = np.searchsorted(starts, at, side="right") - 1
    return (place >= 0) & (at + width <= ends[np.maximum(place, 0)])


def first_millisecond_covered(
    first: Int[np.ndarray, " window"], bins: int, width: int, intervals: Float[np.ndarray, "interval 2"]
) -> Bool[np.ndarray, "window bin"]:
    """Return which bins of the clock have their first millisecond in an interval [s], the rule of the benchmark.

    An interval (a, b) covers the milliseconds from ceil(a) to floor(b) - 1.
    """
    starts = first_bin(first_bin(nanoseconds(intervals[:, 0]), MILLISECOND) * MILLISECOND, width)
    stops = first_bin(nanoseconds(intervals[:, 1]) // MILLISECOND * MILLISECOND, width)
    kept = stops > starts
    grid = first[:, None] + np.arange(bins)[None, :]
    opened, closed = np.sort(starts[kept]), np.sort(stops[kept])
    return np.searchsorted(opened, grid, side="right") > np.searchsorted(closed, grid, side="right")


def _joined(begin: HostArray, end: HostArray) -> tuple[HostArray, HostArray]:
    """Return intervals with those that touch or overlap made one."""
    order = np.argsort(begin, kind="stable")
    begin, end = begin[order], np.maximum.accumulate(end[order])
    opens = np.concatenate([[True], begin[1:] > end[:-1]])[: len(begin)]
    return begin[opens], end[np.roll(opens, -1)] if len(begin) else end
