"""Windows of trials on the clock of a recording, and the spikes in them."""

import warnings
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from neuro.data.clock import (
    covered,
    end_bin,
    first_bin,
    first_millisecond_covered,
    nanoseconds,
    window_counts,
)
from neuro.data.nwb_file import Table
from physics.types import HostArray

OVERLAPS = ("refuse", "cut", "allow")
"""What is done where a window reaches into the next one."""


@dataclass(frozen=True)
class Windows:
    """Windows of trials, in bins of the clock."""

    row: HostArray
    """Row of the table of trials."""
    first: HostArray
    end: HostArray
    """The bin after the last one, where no other window cuts it."""
    cut: HostArray
    """The bin after the last one that belongs to the trial."""
    zero: HostArray
    """The bin of the alignment."""
    bins: int
    """Bins of the longest window."""

    def known(self) -> Bool[np.ndarray, "window bin"]:
        """Return which bins belong to their trials; the others are padding."""
        return np.arange(self.bins)[None, :] < (self.cut - self.first)[:, None]


def trial_windows(
    table: Table,
    rows: HostArray,
    *,
    align: str,
    window: tuple[int, int] | None,
    width: int,
    overlap: str,
    limits: tuple[str, str] = ("start_time", "stop_time"),
    offset: HostArray | int = 0,
    shift: int = 0,
) -> Windows:
    """Return the windows of some trials; those without an alignment are left out.

    Args:
        table: the trials.
        rows: which of them.
        align: column of the times that windows are relative to.
        window: begin and end relative to `align` [ns]; None: from one of the columns `limits` to the other.
        width: of a bin [ns].
        overlap: "allow", "cut" a window where the next one begins, or "refuse" overlaps.
        limits: columns of begin and end, where `window` is None.
        offset: added to every alignment [ns].
        shift: added to begin and end of every window [ns].

    Raises:
        DataFormatError: windows overlap and may not, a trial ends before it starts, or no trial has an alignment.
    """
    times = {name: table.times(name)[rows] for name in {align, *(limits if window is None else ())}}
    kept = ~np.any([np.isnan(time) for time in times.values()], axis=0)
    if not kept.any():
        raise table.error(align, f"none of {len(rows)} trials has a time")
    at = nanoseconds(times[align][kept]) + np.broadcast_to(offset, rows.shape)[kept]
    if window is None:
        begin, stop = (nanoseconds(times[name][kept]) + shift for name in limits)
        end = end_bin(stop, width)
        if np.any(stop < begin):
            raise table.error(limits[1], f"before {limits[0]!r} in row {rows[kept][(stop < begin).argmax()]}")
    else:
        begin = at + window[0] + shift
        end = first_bin(begin, width) + (window[1] - window[0]) // width
        stop = at + window[1] + shift
    first = first_bin(begin, width)
    cut = end
    if overlap != "allow":
        order = np.argsort(begin, kind="stable")
        after = np.empty_like(begin)
        after[order] = np.append(begin[order][1:], np.iinfo(np.int64).max)
        over = stop > after
        if overlap == "refuse" and over.any():
            raise table.error(
                align,
                f"the windows of {over.sum()} trials overlap the next one, the first in row "
                f"{rows[kept][over.argmax()]}; pass overlap='cut' or overlap='allow', or a shorter window",
            )
        cut = np.where(over, np.maximum(end_bin(np.minimum(after, stop), width), first), end)
    return Windows(rows[kept], first, end, cut, first_bin(at, width), int((end - first).max()))


@dataclass(frozen=True)
class Spikes:
    """Spike times and observed intervals of the units of a file, each read when it is asked for."""

    units: Table
    whole_bins: bool
    """Whether a bin counts as observed only when all of it was; else when its first millisecond was."""

    def __post_init__(self) -> None:
        """Check that there are spikes."""
        self.units.pieces("spike_times")

    @property
    def has_intervals(self) -> bool:
        """Whether the file says when units were observed."""
        return "obs_intervals" in self.units

    def last_observed(self) -> float:
        """Return the end of the last interval of observation [s], 0 if there is none."""
        if not self.has_intervals or not self.units.pieces("obs_intervals").dataset.shape[0]:
            return 0.0
        return float(np.max(self.units.pieces("obs_intervals").dataset[:, 1]))

    def windows(
        self, unit: int, first: Int[np.ndarray, " window"], bins: int, width: int
    ) -> tuple[Int[np.ndarray, "window bin"], Bool[np.ndarray, "window bin"]]:
        """Return the counts of one unit in windows, and which bins were observed."""
        spikes = nanoseconds(self.units.pieces("spike_times")[unit])
        counts = window_counts(spikes, first * width, bins, width)
        if not self.has_intervals:
            return counts, np.ones(counts.shape, bool)
        intervals = self.units.pieces("obs_intervals")[unit].reshape(-1, 2)
        if np.any(intervals[:, 1] < intervals[:, 0]):
            raise self.units.error("obs_intervals", f"an interval of row {unit} ends before it begins")
        if self.whole_bins:
            return counts, covered(first * width, bins, width, intervals)
        return counts, first_millisecond_covered(first, bins, width, intervals)

    def block(
        self, units: HostArray, first: Int[np.ndarray, " window"], bins: int, width: int
    ) -> tuple[Int[np.ndarray, "window bin unit"], Bool[np.ndarray, "window bin unit"]]:
        """Return counts and observed bins of several units; counts are zero where unobserved."""
        counts = np.zeros((len(first), bins, len(units)), np.int32)
        known = np.zeros(counts.shape, bool)
        stray = []
        for place, unit in enumerate(units):
            counts[:, :, place], known[:, :, place] = self.windows(int(unit), first, bins, width)
            if np.any(counts[:, :, place][~known[:, :, place]]):
                stray.append(int(unit))
        if stray:
            warnings.warn(
                f"{self.units.path}: spikes outside the observed intervals are left out, of units in rows {stray}",
                stacklevel=2,
            )
        return np.where(known, counts, 0), known
