"""Continuous signals of an NWB file on the millisecond clock, filtered and thinned to bins, read only where needed."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from neuro.data.clock import MILLISECOND, nanoseconds
from physics.errors import DataFormatError
from physics.types import HostArray

TAPS = 500
"""Order of the low-pass filter."""
BLOCK = 1_000_000
"""Time stamps read at once."""
TOGETHER = 64
"""Neighbouring windows read at once."""


@dataclass(frozen=True)
class Series:
    """A time series whose samples lie on milliseconds, as runs of equal steps, or that is interpolated there."""

    name: str
    where: str
    data: Any
    columns: tuple[str, ...]
    run_start: HostArray
    """Millisecond of the first sample of every run."""
    run_sample: HostArray
    """Number of the first sample of every run, and at the end the number of samples."""
    step: int
    """Milliseconds between the samples of a run."""
    times: HostArray | None = None
    """Time of every sample [ns] of a series that is to be interpolated."""

    @property
    def last(self) -> int:
        """Return the millisecond after the last sample."""
        if self.times is not None:
            return int(self.times[-1]) // MILLISECOND + 1 if len(self.times) else 0
        if not len(self.run_start):
            return 0
        return int(self.run_start[-1] + (self.run_sample[-1] - self.run_sample[-2] - 1) * self.step) + 1

    def clock(self, begin: int, end: int) -> Float[np.ndarray, "millisecond channel"]:
        """Return the values at the milliseconds from `begin` to `end`, NaN where there is no sample."""
        if self.times is not None:
            return self._interpolated(self.times, begin, end)
        values: np.ndarray | None = None
        length = np.diff(self.run_sample)
        last = self.run_start + (length - 1) * self.step
        for run in range(int(np.searchsorted(last, begin)), int(np.searchsorted(self.run_start, end))):
            skip = max(-(-(begin - int(self.run_start[run])) // self.step), 0)
            start = int(self.run_start[run]) + skip * self.step
            number = min(int(length[run]) - skip, -(-(end - start) // self.step))
            if number > 0:
                first = int(self.run_sample[run]) + skip
                read = _two_axes(self.data[first : first + number])
                if values is None:
                    values = np.full((end - begin, read.shape[1]), np.nan, read.dtype)
                values[start - begin : end - begin : self.step][:number] = read
        return np.full((end - begin, len(self.columns)), np.nan) if values is None else values

    def _interpolated(self, times: HostArray, begin: int, end: int) -> HostArray:
        at = np.arange(begin, end) * MILLISECOND
        low = max(int(np.searchsorted(times, at[0], side="right")) - 1, 0)
        high = int(np.searchsorted(times, at[-1])) + 1
        values, times = _two_axes(self.data[low:high]), times[low:high]
        result = np.full((len(at), len(self.columns)), np.nan)
        if len(times):
            # From the first time on: nanoseconds since 1970 would lose digits as floats.
            since, known = (at - times[0]).astype(float), (times - times[0]).astype(float)
            for channel in range(values.shape[1]):
                result[:, channel] = np.interp(since, known, values[:, channel], left=np.nan, right=np.nan)
        return result


def read_series(group: Any, name: str, path: str, *, interpolate: bool) -> Series:
    """Return a time series, its values not read yet.

    Raises:
        DataFormatError: time stamps are NaN, do not grow, are not one per sample, or lie off the millisecond clock
            while `interpolate` is false.
    """
    where = f"{path}: time series {name!r}"
    data = group["data"]
    if data.ndim not in (1, 2) or data.dtype.kind not in "iuf":
        raise DataFormatError(f"{where}: expected numbers per sample, got {data.dtype} of shape {data.shape}")
    if "timestamps" in group and group["timestamps"].shape[0] != data.shape[0]:
        raise DataFormatError(
            f"{where}: {group['timestamps'].shape[0]} time stamps ('timestamps') for {data.shape[0]} samples ('data')"
        )
    columns = _columns(name, group.attrs.get("comments", ""), 1 if data.ndim == 1 else data.shape[1])
    blocks = _blocks(group, data.shape[0], where)
    if interpolate:
        times = np.concatenate([np.zeros(0, np.int64), *(block for _, block in blocks)])
        return Series(name, where, data, columns, times[:0], times[:0], 1, times)
    return Series(name, where, data, columns, *_runs(blocks, data.shape[0], where))


def _blocks(group: Any, samples: int, where: str) -> Iterator[tuple[int, HostArray]]:
    """Yield the number of the first sample and the times [ns] of successive blocks; they have to grow."""
    before = -(2**63)
    for first in range(0, samples, BLOCK):
        times = _times(group, first, min(first + BLOCK, samples), where)
        stuck = np.flatnonzero(np.concatenate([[times[0] <= before], np.diff(times) <= 0]))
        if stuck.size:
            raise DataFormatError(f"{where}: time stamps ('timestamps') do not grow at sample {first + stuck[0]}")
        before = int(times[-1])
        yield first, times


def _runs(blocks: Iterator[tuple[int, HostArray]], samples: int, where: str) -> tuple[HostArray, HostArray, int]:
    """Return the first milliseconds and samples of runs of equal steps, and the step [ms]."""
    starts, numbers, step = [], [], 1
    for first, times in blocks:
        off = np.flatnonzero(times % MILLISECOND)
        if off.size:
            raise DataFormatError(
                f"{where}: the time stamp of sample {first + off[0]} lies off the millisecond clock; "
                "pass interpolate=True to have the series interpolated linearly"
            )
        ticks = times // MILLISECOND
        if first == 0 and len(ticks) > 1:
            step = int(np.median(np.diff(ticks)))
        # Every block opens a run.
        opens = np.concatenate([[0], np.flatnonzero(np.diff(ticks) != step) + 1])
        starts.append(ticks[opens])
        numbers.append(first + opens)
    none = np.zeros(0, np.int64)
    return np.concatenate([none, *starts]), np.concatenate([none, *numbers, [samples]]), step


def series_windows(
    series: Series, first: Int[np.ndarray, " window"], bins: int, width: int, end: int
) -> Float[np.ndarray, "window bin channel"]:
    """Return a signal in windows of bins, low-pass filtered and thinned to one value at the start of each bin.

    The filter has 501 taps, a Hamming window, its cut-off at 1/width of the Nyquist frequency, and no delay. Gaps are
    bridged by lines before and NaN again after.

    Args:
        series: the signal.
        first: first bin of every window.
        bins: bins of a window.
        width: milliseconds of a bin.
        end: millisecond at which the recording ends: beyond it and before 0 the filter sees zeros.
    """
    result = np.full((len(first), bins, len(series.columns)), np.nan)
    margin = 0 if width == 1 else -(-TAPS // (2 * width)) + 1
    limit = -(-end // width)
    for together in _groups(first, bins + 2 * margin):
        low = max(int(first[together[0]]) - margin, 0)
        high = min(int(first[together[-1]]) + bins + margin, limit)
        if high <= low:
            continue
        thinned = _thinned(series, low, high, width, end)
        for window in together:
            start = int(first[window])
            a, b = max(start, low), min(start + bins, high)
            if b > a:
                result[window, a - start : b - start] = thinned[a - low : b - low]
    return result


def _groups(first: HostArray, reach: int) -> list[HostArray]:
    """Return the windows that are read together: those within reach of each other, some at a time."""
    order = np.argsort(first, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(first[order]) > reach) + 1)
    return [part for group in groups for part in np.split(group, range(TOGETHER, len(group), TOGETHER)) if len(part)]


def _thinned(series: Series, low: int, high: int, width: int, end: int) -> HostArray:
    """Return the filtered signal at the starts of the bins from `low` to `high`."""
    from scipy.signal import decimate

    begin, stop = low * width, min(high * width, end)
    values = series.clock(begin, stop)
    if width == 1:
        return values.astype(np.float64)
    unknown = np.isnan(values[::width])
    if np.isnan(values).any():
        values = _bridged(series, values, begin, stop, end)
    thinned = decimate(values, width, axis=0, n=TAPS, ftype="fir").astype(np.float64)
    thinned[unknown] = np.nan
    return thinned


def _bridged(series: Series, values: HostArray, begin: int, stop: int, end: int) -> HostArray:
    """Return the values with gaps bridged by lines between the nearest samples, at the ends by the nearest one."""
    low, high = begin, stop
    while low > 0 and np.isnan(values[0]).any():
        low = max(low - 2 * len(values), 0)
        values = np.concatenate([series.clock(low, high - len(values)), values])
    while high < end and np.isnan(values[-1]).any():
        high = min(high + 2 * len(values), end)
        values = np.concatenate([values, series.clock(low + len(values), high)])
    at = np.arange(len(values))
    for channel in range(values.shape[1]):
        known = np.flatnonzero(~np.isnan(values[:, channel]))
        if known.size:
            values[:, channel] = np.interp(at, known, values[known, channel])
    return values[begin - low : begin - low + stop - begin]


def _times(group: Any, first: int, end: int, where: str) -> HostArray:
    """Return the times of some samples [ns]."""
    if "timestamps" in group:
        seconds = np.asarray(group["timestamps"][first:end]).astype(np.float64)
        if not np.isfinite(seconds).all():
            bad = first + int((~np.isfinite(seconds)).argmax())
            raise DataFormatError(f"{where}: expected finite time stamps ('timestamps'), got NaN at sample {bad}")
    else:
        starting = group["starting_time"]
        rate = float(starting.attrs.get("rate", np.nan))
        if not (np.isfinite(rate) and rate > 0):
            raise DataFormatError(f"{where}: expected the attribute 'rate' of 'starting_time' in Hz, got {rate}")
        seconds = np.arange(first, end) / rate + float(starting[()])
    return nanoseconds(seconds)


def _columns(name: str, comments: Any, channels: int) -> tuple[str, ...]:
    text = comments.decode() if isinstance(comments, bytes) else str(comments)
    given = text.split("columns=[")[-1].split("]")[0].split(",") if "columns=[" in text else []
    names = given if len(given) == channels else [str(channel) for channel in range(channels)]
    return tuple(f"{name}_{one.strip()}" for one in names)


def _two_axes(values: Any) -> HostArray:
    plain = np.asarray(values)
    return (plain if plain.dtype.kind == "f" else plain.astype(np.float64)).reshape(len(plain), -1)
