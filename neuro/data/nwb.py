"""Reader of NWB files: spikes and behaviour in windows about the events of a table of trials."""

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from neuro.data.clock import whole_nanoseconds
from neuro.data.nlb_sets import FORWARD, nlb_set
from neuro.data.nwb_file import NwbFile, Table, open_nwb
from neuro.data.nwb_trials import (
    Cut,
    behavior_windows,
    benchmark_cut,
    bin_nanoseconds,
    condition_keys,
    held_out_units,
    jitter,
    split_labels,
    unit_ids,
    whole_bins,
    window_nanoseconds,
)
from neuro.data.spike_list import MOST_ENTRIES
from neuro.data.splits import SPLITS
from neuro.data.trials import SpikeTrials
from neuro.data.windows import OVERLAPS, Spikes, trial_windows
from physics.errors import DataFormatError
from physics.numerics import checks
from physics.types import HostArray, Real
from physics.units import number

PathLike = str | os.PathLike[str]


def read_nwb(
    path: PathLike | Sequence[PathLike],
    *,
    bin_width: Any,
    align: str | None = None,
    window: Any = None,
    held_out: Any = None,
    conditions: str | Sequence[str] | None = None,
    behavior: str | Sequence[str] | None = None,
    lag: Real = 0.0,
    split: str | Sequence[str] | None = None,
    forward: Real = FORWARD,
    nlb: str | None = None,
    table: str = "trials",
    overlap: str | None = None,
    interpolate: bool = False,
    jitter_seed: int | None = 0,
) -> SpikeTrials:
    """Return the binned spikes of an NWB file in windows about the events of its trials.

    Bins lie on the clock of the file, 0, w, 2w and so on; the first bin of a trial is the first that starts in its
    window. Bins that were not observed, or lie behind the end of a shorter trial, are masked. Spike times are read unit
    by unit, signals window by window.

    Args:
        path: the file; or a folder or list of files, whose trials follow one another and whose units are the same where
            their ids are.
        bin_width: s; whole milliseconds where there is behaviour or `nlb`.
        align: column of the events; `start_time` by default.
        window: begin and end about the event [s]; from `start_time` to `stop_time` by default.
        held_out: column of truth values of the table `units`, or ids of units; by default the column `heldout`, where
            there is one, and otherwise none.
        conditions: columns that name a condition, numbered from 0 in sorted order; -1 where a value is missing.
        behavior: name of a time series; or columns of the table of trials, whose values hold for the whole trial.
        lag: by how much behaviour follows the spikes [s].
        split: the splits to read, "train", "val", "test", "none", by the column `split`; all by default.
        forward: time after the window that is to be forecast [s]; 0 for none.
        nlb: a data set of the Neural Latents Benchmark, such as "mc_maze_small": fills in the arguments above.
        table: name of the table of trials, such as "epochs".
        overlap: "refuse" windows that overlap, "cut" them where the next one begins, or "allow" them.
        interpolate: whether a signal off the millisecond clock is interpolated linearly; otherwise it is an error.
        jitter_seed: of the random alignment of dmfc_rsg, as in the benchmark's tools; None: no jitter.

    Raises:
        FileNotFoundError: there is no such file.
        DataFormatError: the file is no NWB file, is damaged, lacks a table, column or series, or what it holds is not
            what its name says; the message lists what is there.
        UnitsError: a time is a quantity of another dimension.
        ValueError: windows are not a multiple of the bin width, or another argument is out of range.
    """
    lag_seconds, forward_seconds = number(lag, "s", "lag"), number(forward, "s", "forward")
    if nlb is not None:
        given = any(one is not None for one in (align, window, conditions, behavior))
        if given or lag_seconds != 0.0 or forward_seconds != FORWARD:
            raise ValueError(
                "nlb: the data set defines align, window, conditions, behavior, lag and forward; pass none of them"
            )
        cut = benchmark_cut(nlb_set(nlb, "nlb"), bin_width)
    else:
        width = bin_nanoseconds(bin_width)
        cut = Cut(
            width=width,
            align=align or "start_time",
            window=None if window is None else window_nanoseconds(window, width),
            forward=whole_bins(whole_nanoseconds(forward_seconds), width, _FORWARD),
            conditions=_names(conditions),
            behavior=behavior if isinstance(behavior, str) or behavior is None else tuple(behavior),
            lag=whole_nanoseconds(lag_seconds),
        )
    cut = replace(
        cut,
        table=table,
        held_out=held_out,
        splits=cut.splits if split is None else tuple(checks.one_of(s, SPLITS, "split") for s in _names(split)),
        overlap=cut.overlap if overlap is None else checks.one_of(overlap, OVERLAPS, "overlap"),
        interpolate=interpolate,
        seed=jitter_seed,
    )
    files = paths(path)
    parts = [part for one in files for part in _parts(one, cut)]
    if not parts:
        raise DataFormatError(f"{', '.join(map(str, files))}: no trial in the splits {cut.splits}")
    return _join(parts, cut)


_FORWARD = f"forward ({FORWARD} s unless given, 0 for no forecast)"


def paths(path: PathLike | Sequence[PathLike]) -> list[Path]:
    """Return the files that a path, a folder or a list of paths names; of a folder those in and below it, in order."""
    listed = [Path(path)] if isinstance(path, str | os.PathLike) else [Path(one) for one in path]
    found = [file for one in listed for file in (sorted(one.rglob("*.nwb")) if one.is_dir() else [one])]
    if not found:
        raise FileNotFoundError(f"no NWB file (*.nwb) in {path}")
    return found


@dataclass(frozen=True)
class Part:
    """Trials of one file."""

    counts: HostArray
    known: HostArray
    observed_bins: int
    unit_ids: tuple[int, ...]
    held_out: tuple[bool, ...]
    behavior: HostArray | None
    behavior_names: tuple[str, ...]
    conditions: list[tuple[Any, ...] | None]
    split: list[str]
    trial_ids: HostArray
    file: Path


def _parts(path: Path, cut: Cut) -> list[Part]:
    with open_nwb(path) as nwb:
        table = nwb.table(cut.table)
        spikes = Spikes(nwb.table("units"), whole_bins=cut.benchmark is None)
        if not spikes.has_intervals:
            warnings.warn(
                f"{path}: table 'units' has no column 'obs_intervals'; all of the recording counts as observed",
                stacklevel=3,
            )
        splits = split_labels(table, cut)
        wanted = [name for name in SPLITS if np.any(splits == name) and (cut.splits is None or name in cut.splits)]
        # The benchmark looks at each split alone; elsewhere no trial may overlap one of another split unnoticed.
        groups = [[name] for name in wanted] if cut.benchmark else [wanted] if wanted else []
        return [_part(path, nwb, table, spikes, cut, splits, names) for names in groups]


def _part(
    path: Path, nwb: NwbFile, table: Table, spikes: Spikes, cut: Cut, splits: HostArray, names: list[str]
) -> Part:
    rows = np.flatnonzero(np.isin(splits, names))
    offset = jitter(table, rows, names[0], cut) * cut.width
    windows = trial_windows(
        table, rows, align=cut.align, window=cut.window, width=cut.width, overlap=cut.overlap, offset=offset
    )
    ids = unit_ids(spikes.units)
    held_out = held_out_units(spikes.units, ids, cut)
    size = len(windows.row) * (windows.bins + cut.forward) * len(ids)
    if not 0 < size <= MOST_ENTRIES:
        raise ValueError(
            f"bin_width: {len(windows.row)} trials of {windows.bins + cut.forward} bins and {len(ids)} units; "
            f"expected 1 to {MOST_ENTRIES:.0e} counts"
        )
    units = np.arange(len(ids))
    counts, known = spikes.block(units, windows.first, windows.bins, cut.width)
    known = known & windows.known()[:, :, None]
    later, later_known = spikes.block(units, windows.end, cut.forward, cut.width)
    behavior, behavior_names = behavior_windows(nwb, table, spikes, cut, windows, offset[np.isin(rows, windows.row)])
    return Part(
        counts=np.concatenate([np.where(known, counts, 0), later], axis=1),
        known=np.concatenate([known, later_known], axis=1),
        observed_bins=windows.bins,
        unit_ids=tuple(ids.tolist()),
        held_out=tuple(held_out.tolist()),
        behavior=behavior,
        behavior_names=behavior_names,
        conditions=condition_keys(table, cut.conditions, windows.row),
        split=splits[windows.row].tolist(),
        trial_ids=table.column("id")[windows.row].astype(np.int64),
        file=path,
    )


def _join(parts: list[Part], cut: Cut) -> SpikeTrials:
    """Return the trials of all parts; units are the same where their ids are, and unobserved where they are missing."""
    held_out: dict[int, bool] = {}
    for part in parts:
        for unit, out in zip(part.unit_ids, part.held_out, strict=True):
            if held_out.setdefault(unit, out) != out:
                raise DataFormatError(
                    f"{part.file}: table 'units', column 'heldout': unit {unit} differs between files"
                )
    order = sorted(held_out, key=lambda unit: held_out[unit])
    bins = max(part.observed_bins for part in parts)
    blocks = [_placed(part, order, bins, cut.forward) for part in parts]
    behavior = None
    if parts[0].behavior is not None:
        behavior = np.concatenate([_padded(part.behavior, bins) for part in parts])
    keys = [key for part in parts for key in part.conditions]
    known = sorted({key for key in keys if key is not None})
    number_of = {key: place for place, key in enumerate(known)}
    files = list(dict.fromkeys(part.file for part in parts))
    return SpikeTrials(
        np.concatenate([counts for counts, _ in blocks]),
        mask=np.concatenate([mask for _, mask in blocks]),
        bin_width=cut.width / 1e9,
        forward_bins=cut.forward,
        held_in=sum(not out for out in held_out.values()),
        behavior=behavior,
        behavior_names=parts[0].behavior_names,
        condition=[-1 if key is None else number_of[key] for key in keys] if cut.conditions else None,
        split=[label for part in parts for label in part.split],
        neuron_ids=order,
        trial_ids=np.concatenate([part.trial_ids for part in parts]) if len(files) == 1 else None,
        alignment=cut.align,
        source=" + ".join(file.name for file in files),
    )


def _placed(part: Part, order: list[int], bins: int, forward: int) -> tuple[HostArray, HostArray]:
    """Return counts and mask of a part with the units in a common order and the bins of the longest part."""
    column = {unit: place for place, unit in enumerate(part.unit_ids)}
    here = [place for place, unit in enumerate(order) if unit in column]
    source = [column[order[place]] for place in here]
    counts = np.zeros((len(part.counts), bins + forward, len(order)), np.int32)
    mask = np.zeros(counts.shape, bool)
    for whole, given in ((counts, part.counts), (mask, part.known)):
        whole[:, : part.observed_bins, here] = given[:, : part.observed_bins, source]
        whole[:, bins:, here] = given[:, part.observed_bins :, source]
    return counts, mask


def _padded(values: HostArray | None, bins: int) -> HostArray:
    if values is None:
        raise DataFormatError("behavior: missing in one of the files")
    return np.pad(values, ((0, 0), (0, bins - values.shape[1]), (0, 0)), constant_values=np.nan)


def _names(given: str | Sequence[str] | None) -> tuple[str, ...]:
    return () if given is None else (given,) if isinstance(given, str) else tuple(given)
