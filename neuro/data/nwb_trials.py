"""What a file of trials, or the Neural Latents Benchmark, says of each trial and unit of an NWB file."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from neuro.arguments import positive_number, whole_numbers
from neuro.data.clock import MILLISECOND, whole_nanoseconds
from neuro.data.nlb_sets import FORWARD, NlbSet
from neuro.data.nwb_file import NwbFile, Table
from neuro.data.series import read_series, series_windows
from neuro.data.splits import SPLITS
from neuro.data.windows import Spikes, Windows, trial_windows
from physics.types import HostArray
from physics.units import number

BENCHMARK_SPLITS = ("train", "val", "test")
LONGEST_JITTER, LONGEST_INTERVAL = 300.0, 1500.0
"""ms; of dmfc_rsg."""


@dataclass(frozen=True)
class Cut:
    """How trials are cut out of a recording; times in nanoseconds."""

    width: int
    align: str
    window: tuple[int, int] | None
    forward: int
    """Bins to forecast."""
    table: str = "trials"
    held_out: Any = None
    conditions: tuple[str, ...] = ()
    behavior: str | tuple[str, ...] | None = None
    lag: int = 0
    splits: tuple[str, ...] | None = None
    overlap: str = "refuse"
    interpolate: bool = False
    benchmark: NlbSet | None = None
    seed: int | None = 0
    """Of the jitter, where the data set has one."""


def benchmark_cut(known: NlbSet, bin_width: Any) -> Cut:
    """Return how the benchmark cuts a data set."""
    width = bin_nanoseconds(bin_width)
    if width % MILLISECOND:
        raise ValueError(f"bin_width: expected whole milliseconds for the benchmark, got {bin_width} s")
    return Cut(
        width=width,
        align=known.align,
        window=window_nanoseconds(known.window, width),
        forward=whole_bins(whole_nanoseconds(FORWARD), width, "bin_width: the forward block"),
        conditions=known.conditions,
        behavior=known.behavior or (*known.conditions, "tp"),
        lag=whole_nanoseconds(known.lag),
        splits=BENCHMARK_SPLITS,
        overlap="allow" if known.overlap else "cut",
        benchmark=known,
    )


def bin_nanoseconds(bin_width: Any) -> int:
    """Return a bin width [s] in ns; `ValueError` unless it is a whole number of microseconds."""
    width = positive_number(bin_width, "s", "bin_width")
    found = whole_nanoseconds(width)
    if found < 1000 or found % 1000:
        raise ValueError(f"bin_width: expected whole microseconds, got {width} s")
    return found


def whole_bins(length: int, width: int, name: str) -> int:
    """Return a length [ns] in bins; `ValueError` unless they are a whole number of at least zero."""
    if length < 0 or length % width:
        raise ValueError(f"{name}: expected a multiple of the bin width {width / 1e9} s, got {length / 1e9} s")
    return length // width


def window_nanoseconds(window: Any, width: int) -> tuple[int, int]:
    """Return begin and end of a window in ns; `ValueError` unless it is a multiple of the bin width."""
    try:
        begin, end = window
    except (TypeError, ValueError) as error:
        raise ValueError(f"window: expected begin and end in seconds, got {window!r}") from error
    low, high = (whole_nanoseconds(number(edge, "s", "window")) for edge in (begin, end))
    if high <= low:
        raise ValueError(f"window: expected an end after the begin, got {window!r}")
    whole_bins(high - low, width, "window")
    return low, high


def split_labels(table: Table, cut: Cut) -> HostArray:
    """Return the split of every trial; "none" where the file does not say."""
    if cut.benchmark is None and cut.splits is None and "split" not in table:
        return np.full(len(table), "none", dtype=object)
    labels = table.column("split")
    unknown = sorted({str(label) for label in labels} - set(SPLITS))
    if unknown:
        raise table.error("split", f"expected {', '.join(SPLITS)}; got {', '.join(unknown)}")
    return labels


def unit_ids(units: Table) -> HostArray:
    """Return the ids of the units, which have to differ."""
    ids = units.column("id").astype(np.int64)
    if len(np.unique(ids)) < len(ids):
        raise units.error("id", "expected every id once")
    return ids


def held_out_units(units: Table, ids: HostArray, cut: Cut) -> HostArray:
    """Return which units are held out."""
    if isinstance(cut.held_out, str) or (cut.held_out is None and cut.benchmark is not None):
        return units.truths(cut.held_out or "heldout")
    if cut.held_out is None:
        return units.truths("heldout") if "heldout" in units else np.zeros(len(ids), bool)
    named = whole_numbers(cut.held_out, "held_out") if np.size(cut.held_out) else ids[:0]
    unknown = sorted(set(named.tolist()) - set(ids.tolist()))
    if unknown:
        raise ValueError(f"held_out: unknown units {unknown}; {units.path} has {ids.tolist()}")
    return np.isin(ids, named)


def jitter(table: Table, rows: HostArray, split: str, cut: Cut) -> HostArray:
    """Return by how many bins the alignment of each trial is moved; zero for all data sets but dmfc_rsg.

    The draws are those of NumPy's legacy generator, one per trial, as the benchmark's tools make them.
    """
    if cut.benchmark is None or cut.benchmark.behavior is not None or cut.seed is None or split == "test":
        return np.zeros(len(rows), np.int64)
    produced = table.column("tp")[rows].astype(np.float64)
    if np.isnan(produced).any():
        raise table.error("tp", f"expected the produced interval of every trial of {split!r}, got NaN")
    most = np.clip(LONGEST_INTERVAL - produced, 0.0, LONGEST_JITTER)
    draws = np.random.RandomState(cut.seed).random_sample(len(rows))
    return np.round(draws * np.floor(np.round(most / (cut.width / MILLISECOND), 4))).astype(np.int64)


def condition_keys(table: Table, columns: tuple[str, ...], rows: HostArray) -> list[tuple[Any, ...] | None]:
    """Return the values that name the condition of each trial, None where one is missing."""
    values = [table.column(name)[rows] for name in columns]
    keys = [
        tuple(one.item() if isinstance(one, np.generic) else one for one in row) for row in zip(*values, strict=True)
    ]
    return [None if any(one != one or one == "" for one in key) else key for key in keys]


def behavior_windows(
    nwb: NwbFile, table: Table, spikes: Spikes, cut: Cut, windows: Windows, offset: HostArray
) -> tuple[HostArray | None, tuple[str, ...]]:
    """Return behaviour (trial, bin, variable) in windows, NaN where unknown, and the names of the variables."""
    if cut.behavior is None:
        return None, ()
    if not isinstance(cut.behavior, str):
        values = trial_behavior(table, cut, windows.row)
        held = np.broadcast_to(values[:, None, :], (len(values), windows.bins, values.shape[1]))
        return np.where(windows.known()[:, :, None], held, np.nan), cut.behavior
    if cut.width % MILLISECOND:
        raise ValueError(f"bin_width: expected whole milliseconds where there is behaviour, got {cut.width / 1e9} s")
    series = read_series(nwb.series(cut.behavior), cut.behavior, nwb.path, interpolate=cut.interpolate)
    later = trial_windows(
        table,
        windows.row,
        align=cut.align,
        window=cut.window,
        width=cut.width,
        overlap=cut.overlap,
        offset=offset,
        shift=cut.lag,
    )
    ends = (
        1e3 * spikes.last_observed(),
        1e3 * np.nanmax(table.times("stop_time")),
        0 if spikes.has_intervals else series.last,
    )
    # A window that starts between edges of bins may have one bin less than its spikes.
    values = series_windows(series, later.first, windows.bins, cut.width // MILLISECOND, int(np.round(max(ends))))
    kept = np.arange(windows.bins)[None, :] < (later.cut - later.first)[:, None]
    return np.where(kept[:, :, None], values, np.nan), series.columns


def trial_behavior(table: Table, cut: Cut, rows: HostArray) -> HostArray:
    """Return the columns of behaviour (trial, variable); those of outlier trials are NaN in the benchmark."""
    if cut.behavior is None or isinstance(cut.behavior, str):
        raise ValueError("behavior: expected columns of the table of trials")
    columns = [table.column(name)[rows] for name in cut.behavior]
    for name, values in zip(cut.behavior, columns, strict=True):
        if values.dtype.kind not in "biuf":
            raise table.error(name, f"expected numbers, got {values.dtype}")
    result = np.stack([values.astype(np.float64) for values in columns], axis=1)
    if cut.benchmark is not None:
        result[table.column("is_outlier")[rows] != 0] = np.nan
    return result
