"""Trials cut out of a continuous recording by windows about events."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from neuro.arguments import positive_number, real_array
from neuro.data.clock import covered, nanoseconds, whole_nanoseconds, window_counts
from neuro.data.nwb_trials import bin_nanoseconds, whole_bins, window_nanoseconds
from neuro.data.spike_list import MOST_ENTRIES
from neuro.data.trials import SpikeTrials
from physics.errors import UnitsError
from physics.numerics import checks
from physics.types import HostArray, Real
from physics.units import number, value


def from_events(
    spike_times: Sequence[Any],
    events: Any,
    *,
    bin_width: Any,
    window: Any,
    forward: Real = 0.0,
    observed: Any = None,
    stop: Any = None,
    signal: tuple[Any, Any] | None = None,
    lag: Real = 0.0,
    **known: Any,
) -> SpikeTrials:
    """Return the binned spikes in windows about events; the first bin begins at the event plus the begin of the window.

    Args:
        spike_times: for each neuron the times of its spikes [s], in any order.
        events: time of the event of each trial [s].
        bin_width: s.
        window: begin and end about the event [s].
        forward: time after the window that is to be forecast [s].
        observed: (interval, 2), begins and ends of the times when neurons were recorded [s], for all neurons or a list
            with one such array for each; bins that are not wholly in one are masked. All times by default.
        stop: (trial,), when each trial ends [s]; bins that end later are masked.
        signal: times [s] (sample,) that do not fall and values (sample, variable) of behaviour; each bin gets the value
            that a line between samples has at its centre, NaN before the first and after the last sample; signals
            that are faster than the bins need filtering before.
        lag: by how much behaviour follows the spikes [s].
        **known: more fields of `SpikeTrials`, such as `condition` or `split`.

    Raises:
        UnitsError: a time is a quantity of another dimension.
        ValueError: a time is not finite, windows are not a multiple of the bin width, there are no neurons or events,
            or shapes disagree.
    """
    width = bin_nanoseconds(bin_width)
    low, high = window_nanoseconds(window, width)
    bins = (high - low) // width
    later = whole_bins(whole_nanoseconds(number(forward, "s", "forward")), width, "forward")
    begin = nanoseconds(_times(events, "events")) + low
    checks.nonempty(begin, "events")
    spikes = [nanoseconds(_times(times, f"spike_times[{place}]")) for place, times in enumerate(spike_times)]
    if not spikes:
        raise ValueError("spike_times: expected the spikes of at least one neuron, got none")
    if len(begin) * (bins + later) * len(spikes) > MOST_ENTRIES:
        raise ValueError(
            f"bin_width: {len(begin)} trials of {bins + later} bins and {len(spikes)} neurons are too many"
        )
    counts = [window_counts(times, begin, bins + later, width) for times in spikes]
    mask = _observed(observed, begin, bins + later, width, len(spikes))
    if stop is not None:
        ends = nanoseconds(checks.same_shape(_times(stop, "stop"), begin, "stop", "events"))
        last = begin[:, None] + width * np.arange(1, bins + later + 1)[None, :]
        mask = mask & (last <= ends[:, None])[:, :, None]
    behavior = None
    if signal is not None:
        centres = begin[:, None] + width * np.arange(bins)[None, :] + width / 2.0
        behavior = _sampled(signal, 1e-9 * centres + number(lag, "s", "lag"))
    defaults = {"alignment": "event", "source": "neuro.data.from_events"}
    return SpikeTrials(
        np.stack(counts, axis=2),
        bin_width=width / 1e9,
        mask=mask,
        forward_bins=later,
        behavior=behavior,
        **(defaults | known),
    )


def tile_windows(start: Any, stop: Any, length: Any, *, gap: Real = 0.0) -> HostArray:
    """Return the begins [s] of windows that follow one another from `start` to `stop`, the last one complete.

    Args:
        start: s.
        stop: s.
        length: of a window [s].
        gap: between the end of a window and the begin of the next one [s].

    Raises:
        ValueError: no window fits, or `gap` is negative.
    """
    first, last = number(start, "s", "start"), number(stop, "s", "stop")
    size, pause = positive_number(length, "s", "length"), number(gap, "s", "gap")
    if pause < 0:
        raise ValueError(f"gap: expected at least 0 s, got {pause}")
    # The rounding errors of start and stop must not cost the last window.
    windows = int(np.floor((last - first + pause) / (size + pause) + 1e-9))
    if windows < 1:
        raise ValueError(f"stop: no window of {size} s fits between {first} and {last} s")
    return first + (size + pause) * np.arange(windows)


def _times(given: Any, name: str) -> HostArray:
    plain = np.asarray(value(given, "s", name))
    times = real_array(np.zeros(0) if plain.size == 0 else plain, name).astype(np.float64)
    if times.ndim != 1:
        raise ValueError(f"{name}: expected a list of finite times in seconds, got shape {times.shape}")
    bad = np.flatnonzero(~np.isfinite(times))
    if bad.size:
        raise ValueError(f"{name}: expected a list of finite times in seconds, got {times[bad[0]]} at {bad[0]}")
    return times


def _observed(given: Any, begin: HostArray, bins: int, width: int, neurons: int) -> HostArray:
    """Return which bins of which neurons were observed, (trial, time, neuron)."""
    if given is None:
        return np.ones((len(begin), bins, neurons), bool)
    one = _intervals(given)
    if one is not None:
        return np.repeat(covered(begin, bins, width, one)[:, :, None], neurons, axis=2)
    each = [_intervals(one) for one in checks.sequence_of_shape(list(given), neurons, "observed")]
    if any(one is None for one in each):
        raise ValueError("observed: expected begins and ends of shape (interval, 2), for all neurons or for each")
    return np.stack([covered(begin, bins, width, one) for one in each if one is not None], axis=2)


def _intervals(given: Any) -> HostArray | None:
    """Return an array (interval, 2) [s], None if it is none."""
    try:
        found = np.asarray(value(given, "s", "observed"), np.float64)
    except UnitsError:
        raise
    except (TypeError, ValueError):
        return None
    if found.ndim != 2 or found.shape[1] != 2:
        return None
    if not np.isfinite(found).all() or np.any(found[:, 1] < found[:, 0]):
        raise ValueError("observed: expected finite intervals that end after they begin")
    return found


def _sampled(signal: tuple[Any, Any], at: HostArray) -> HostArray:
    """Return the values of a signal at some times, (trial, bin, variable)."""
    times = _times(signal[0], "signal: times")
    values = real_array(signal[1], "signal: values").astype(np.float64)
    if values.ndim != 2 or len(values) != len(times) or not len(times):
        raise ValueError(f"signal: expected values of shape ({len(times)}, variables), got {values.shape}")
    if np.any(np.diff(times) < 0):
        raise ValueError("signal: expected times that do not fall")
    columns = [np.interp(at, times, column, left=np.nan, right=np.nan) for column in values.T]
    return np.stack(columns, axis=2)
