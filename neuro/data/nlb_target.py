"""What a submission to the Neural Latents Benchmark is scored against, made from the NWB file of a data set."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from neuro.data.clock import MILLISECOND
from neuro.data.hdf5 import Group, write_groups
from neuro.data.nlb_psth import condition_mean, smoothed_counts, stacked
from neuro.data.nlb_sets import NlbSet, group_name, nlb_set, parse_group
from neuro.data.nwb import PathLike, paths
from neuro.data.nwb_file import NwbFile, Table, open_nwb
from neuro.data.nwb_trials import (
    Cut,
    behavior_windows,
    benchmark_cut,
    condition_keys,
    held_out_units,
    jitter,
    split_labels,
    trial_behavior,
    unit_ids,
)
from neuro.data.splits import SPLITS
from neuro.data.windows import Spikes, Windows, trial_windows
from physics.errors import DataFormatError
from physics.numerics import checks
from physics.types import HostArray

PSTHS = ("nlb", "index", "none")
INTERVAL = ("set_time", "go_time")
"""Columns between which the spikes of dmfc_rsg are scored."""


def nlb_target(
    path: PathLike | Sequence[PathLike],
    *,
    nlb: str,
    bin_width: Any,
    psth: str = "nlb",
    train: str = "train",
    evaluation: str = "val",
    jitter_seed: int | None = 0,
) -> dict[str, Group]:
    """Return the arrays of a target file by group and name, which `neuro.metrics.evaluate_nlb` takes.

    Args:
        path: the NWB file, or a folder or list of files of which one holds both splits.
        nlb: name of the data set.
        bin_width: s.
        psth: "nlb" averages at equal time after the binned alignment, as the benchmark does: where the window does not
            start on a bin, trials that differ by one bin mix; "index" averages at equal place in the arrays, which
            predictions follow; "none" leaves mean responses out. Where the window starts on a bin both agree.
        train: split that decoders are trained on.
        evaluation: split that is scored.
        jitter_seed: as in `read_nwb`.

    Raises:
        FileNotFoundError: there is no such file.
        DataFormatError: as in `read_nwb`; or not exactly one file holds the splits.
        ValueError: an argument is unknown or out of range.

    Source: Pei et al. (2021), Neural Latents Benchmark '21; compared in the tests with its tools.
    """
    known = nlb_set(nlb, "nlb")
    checks.one_of(psth, PSTHS, "psth")
    for name, argument in ((train, "train"), (evaluation, "evaluation")):
        checks.one_of(name, SPLITS, argument)
    cut = replace(benchmark_cut(known, bin_width), seed=jitter_seed)
    files = [file for file in paths(path) if _holds(file, cut, {train, evaluation})]
    if len(files) != 1:
        raise DataFormatError(f"{path}: expected one file with the splits {train} and {evaluation}, got {len(files)}")
    with open_nwb(files[0]) as nwb:
        maker = _Maker(nwb, cut, known)
        parts = {"train": maker.rows(train), "eval": maker.rows(evaluation)}
        jitters = {
            "train": jitter(maker.table, parts["train"], train, cut),
            "eval": jitter(maker.table, parts["eval"], evaluation, cut),
        }
        arrays = maker.scored(parts, jitters)
        if psth != "none" and known.psth_width is not None:
            arrays |= maker.psth(parts, psth)
            if known.behavior is None:
                arrays |= {f"{part}_jitter": values for part, values in jitters.items()}
    return {group_name(nlb, bin_width): arrays}


def write_nlb_target(
    path: str | os.PathLike[str], target: Mapping[str, Mapping[str, Any]], *, overwrite: bool = False
) -> None:
    """Write target arrays by group and name, such as those of `nlb_target`, as the benchmark's tools do.

    Several data sets go into one file: `nlb_target(...) | nlb_target(...)`.

    Raises:
        FileExistsError: the file exists and `overwrite` is false.
        DataFormatError: the benchmark knows no such group.
        ValueError: a group has no held-out spikes to score.
    """
    for group, arrays in target.items():
        parse_group(group, "target")
        if "eval_spikes_heldout" not in arrays:
            raise ValueError(f"target: group {group!r} has no array 'eval_spikes_heldout'; it has {sorted(arrays)}")
    write_groups(path, target, overwrite=overwrite)


class _Maker:
    """The parts of a target, from one open file."""

    def __init__(self, nwb: NwbFile, cut: Cut, known: NlbSet) -> None:
        self.nwb, self.cut, self.known = nwb, cut, known
        self.table: Table = nwb.table(cut.table)
        self.spikes = Spikes(nwb.table("units"), whole_bins=False)
        out = held_out_units(self.spikes.units, unit_ids(self.spikes.units), cut)
        self.held_in, self.held_out = np.flatnonzero(~out), np.flatnonzero(out)
        self.splits = split_labels(self.table, cut)
        self.interval = known.behavior is None

    def rows(self, split: str) -> HostArray:
        return np.flatnonzero(self.splits == split)

    def windows(self, rows: HostArray, offset: HostArray) -> Windows:
        return trial_windows(
            self.table,
            rows,
            align=self.cut.align,
            window=self.cut.window,
            width=self.cut.width,
            overlap=self.cut.overlap,
            offset=offset * self.cut.width,
        )

    def scored(self, parts: dict[str, HostArray], jitters: dict[str, HostArray]) -> Group:
        """Return held-out spikes, behaviour, the forward block and masks of decoders."""
        windows = {part: self.windows(rows, jitters[part]) for part, rows in parts.items()}
        scored = windows["eval"]
        if self.interval:
            arrays: Group = {"eval_spikes_heldout": self._between(parts["eval"], jitters["eval"])}
        else:
            arrays = {"eval_spikes_heldout": self._counts(self.held_out, scored.first, scored.bins, scored.known())}
        for part, rows in parts.items():
            offset = jitters[part][np.isin(rows, windows[part].row)] * self.cut.width
            if self.interval:
                arrays[f"{part}_behavior"] = trial_behavior(self.table, self.cut, windows[part].row)
            else:
                behavior, _ = behavior_windows(self.nwb, self.table, self.spikes, self.cut, windows[part], offset)
                arrays[f"{part}_behavior"] = np.asarray(behavior)
            if self.known.decode_by:
                values = self.table.column(self.known.decode_by)[windows[part].row]
                arrays[f"{part}_decode_mask"] = np.stack([values == 0, values == 1], axis=1)
        for half, units in (("in", self.held_in), ("out", self.held_out)):
            arrays[f"eval_spikes_held{half}_forward"] = self._counts(units, scored.end, self.cut.forward)
        return arrays

    def psth(self, parts: dict[str, HostArray], by: str) -> Group:
        """Return the mean response to every condition and which trials of each part are of it."""
        rows = np.sort(np.concatenate(list(parts.values())))
        keys = condition_keys(self.table, self.known.conditions, rows)
        if self.interval:
            outlier = self.table.column("is_outlier")[rows] == 1
            keys = [None if bad else key for key, bad in zip(keys, outlier, strict=True)]
        aligned = ~np.isnan(self.table.times(self.cut.align))
        units = np.concatenate([self.held_in, self.held_out])
        means, members = [], []
        for key in sorted({key for key in keys if key is not None}):
            chosen = rows[[one == key for one in keys]]
            if not aligned[chosen].any():
                continue
            windows = self._psth_windows(chosen)
            smooth = smoothed_counts(
                self.spikes, units, windows, self.cut.width // MILLISECOND, 1e3 * (self.known.psth_width or 0.0)
            )
            found = condition_mean(smooth, windows, by=by, front=self.interval)
            means.append(found.mean)
            members.append(found.row)
        if not means:
            raise self.table.error(self.known.conditions[0], "no trial has a condition")
        arrays: Group = {"psth": stacked(means, self._scored_bins(), front=self.interval)}
        for part, own in parts.items():
            place = own[aligned[own]]
            arrays[f"{part}_cond_idx"] = [np.flatnonzero(np.isin(place, member)) for member in members]
        return arrays

    def _scored_bins(self) -> int | None:
        window = self.cut.window
        return None if not self.interval or window is None else (window[1] - window[0]) // self.cut.width

    def _psth_windows(self, rows: HostArray) -> Windows:
        return trial_windows(
            self.table,
            rows,
            align=self.cut.align,
            window=None if self.interval else self.cut.window,
            width=self.cut.width,
            overlap="cut",
            limits=INTERVAL,
        )

    def _between(self, rows: HostArray, shifts: HostArray) -> HostArray:
        """Return held-out counts from set to go, at the end of a window that is NaN before, as jitter moves them."""
        windows = self._psth_windows(rows)
        bins = self._scored_bins() or windows.bins
        counts = self._counts(self.held_out, windows.first, windows.bins, windows.known())
        result = np.full((len(windows.row), bins, counts.shape[2]), np.nan)
        for trial, shift in enumerate(shifts[np.isin(rows, windows.row)]):
            length = int(windows.cut[trial] - windows.first[trial])
            kept = min(length, bins - int(shift))
            result[trial, bins - shift - kept : bins - shift] = counts[trial, length - kept : length]
        return result

    def _counts(self, units: HostArray, first: HostArray, bins: int, known: HostArray | None = None) -> HostArray:
        counts, observed = self.spikes.block(units, first, bins, self.cut.width)
        if known is not None:
            observed = observed & known[:, :, None]
        return np.where(observed, counts.astype(np.float64), np.nan)


def _holds(path: os.PathLike[str], cut: Cut, splits: set[str]) -> bool:
    with open_nwb(path) as nwb:
        return splits <= set(split_labels(nwb.table(cut.table), cut).tolist())
