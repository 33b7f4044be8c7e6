"""HDF5 files of the LFADS lineage and of lfads-torch: spikes of training and validation trials, with true rates."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from neuro.arguments import positive_number, real_array
from neuro.data.hdf5 import Group, read_groups, write_groups
from neuro.data.trials import SpikeTrials
from physics.errors import DataFormatError
from physics.numerics import checks
from physics.types import HostArray

LAYOUTS = ("lfads", "lfads-torch")
NAMES = {
    "lfads": {"train": "train", "valid": "val"},
    "lfads-torch": {"train": "train", "valid": "val", "test": "test"},
}
"""What each layout calls a split."""
TRUTHS = ("counts", "Hz")
Arrays = Mapping[str, "HostArray | list[HostArray]"]


def read_lfads(path: str | os.PathLike[str], *, bin_width: Any, truth: str = "counts") -> SpikeTrials:
    """Return the trials of a file of the LFADS lineage or of lfads-torch.

    The layouts tell themselves apart by their names: `train_data`, `valid_data`, `train_truth`, `valid_truth`,
    `train_inds`, `valid_inds`, or `{train,valid,test}_encod_data` (trial, observed time, held-in neuron), `_recon_data`
    (trial, time, neuron) and `_truth`. A stored truth is a rate times `conversion_factor` and is divided by it. Trials
    are in the order of the recording where their places (`train_inds`) are there, and grouped by split otherwise.

    Args:
        path: the file.
        bin_width: s; the files do not say.
        truth: what the true rates are, "counts" expected per bin or "Hz".

    Raises:
        FileNotFoundError: there is no such file.
        DataFormatError: it is no HDF5 file or ends early, has neither layout, or arrays of other shapes; spikes are no
            whole numbers; or the factor is not above zero.
        ValueError: another argument is out of range.
    """
    width = positive_number(bin_width, "s", "bin_width")
    checks.one_of(truth, TRUTHS, "truth")
    where = os.fspath(path)
    arrays = read_groups(path).get("", {})
    layout, data = ("lfads-torch", "recon_data") if "train_recon_data" in arrays else ("lfads", "data")
    if f"train_{data}" not in arrays:
        there = ", ".join(sorted(arrays))
        raise DataFormatError(f"{where}: no dataset train_data or train_recon_data; there are {there}")
    parts = {name: split for name, split in NAMES[layout].items() if f"{name}_{data}" in arrays}
    counts = [_counts(arrays, f"{name}_{data}", where) for name in parts]
    if len({part.shape[1:] for part in counts}) > 1:
        raise DataFormatError(f"{where}: expected equal bins and neurons, got shapes {[part.shape for part in counts]}")
    observed, held_in = counts[0].shape[1:]
    if layout == "lfads-torch":
        observed, held_in = _encoded(arrays, list(parts), counts, where)
    rates = _truth(arrays, list(parts), counts, where)
    split = [label for part, label in zip(counts, parts.values(), strict=True) for _ in part]
    order = _order(arrays, list(parts), counts, where)
    return SpikeTrials(
        np.concatenate(counts)[order],
        bin_width=width,
        observed_bins=observed,
        forward_bins=counts[0].shape[1] - observed,
        held_in=held_in,
        rates=None if rates is None else rates[order] / (width if truth == "counts" else 1.0),
        split=[split[place] for place in order],
        source=Path(path).name,
    )


def write_lfads(
    path: str | os.PathLike[str], trials: SpikeTrials, *, layout: str = "lfads", overwrite: bool = False
) -> None:
    """Write the trials in a layout that `read_lfads` names; true rates as expected counts per bin, with the factor 1.

    The layouts have no place for the bin width, conditions, behaviour and names. "lfads" also forgets which neurons are
    held out and which bins forward, and keeps the places of the trials (`train_inds`); "lfads-torch" keeps the former
    and not the places.

    Args:
        path: HDF5 file, complete or not there.
        trials: with trials of the split "train"; those of the split "none" are left out, and those of "test" in the
            layout "lfads", which has no place for them.
        layout: "lfads" for `{train,valid}_{data,truth,inds}`, or "lfads-torch" for
            `{train,valid,test}_{encod_data,recon_data,truth}`.
        overwrite: replace an existing file.

    Raises:
        FileExistsError: the file exists and `overwrite` is false.
        ValueError: the layout is unknown, no trial is of the split "train", or a bin was not observed: the files cannot
            say so.
    """
    names = NAMES[checks.one_of(layout, LAYOUTS, "layout")]
    if "train" not in trials.split:
        raise ValueError(f"trials: none is of the split 'train'; there are {sorted(set(trials.split))}")
    if not np.asarray(trials.mask).all():
        raise ValueError("trials: some bins were not observed, which these files cannot say; select others")
    truth = None if trials.rates is None else np.asarray(trials.expected_counts)
    counts = np.asarray(trials.counts)
    arrays: Group = {"conversion_factor": np.asarray(1.0)} if truth is not None else {}
    for name, split in names.items():
        rows = np.flatnonzero([label == split for label in trials.split])
        if not rows.size:
            continue
        if layout == "lfads":
            arrays |= {f"{name}_data": counts[rows], f"{name}_inds": rows}
        else:
            arrays[f"{name}_encod_data"] = counts[rows, : trials.observed_bins, : trials.held_in].astype(np.float32)
            arrays[f"{name}_recon_data"] = counts[rows].astype(np.float32)
        if truth is not None:
            arrays[f"{name}_truth"] = truth[rows]
    write_groups(path, {"": arrays}, overwrite=overwrite)


def _counts(arrays: Arrays, name: str, where: str) -> HostArray:
    values = real_array(arrays[name], f"{where}: {name}")
    if values.ndim != 3 or values.size == 0:
        raise DataFormatError(f"{where}: {name}: expected (trial, time, neuron), got {values.shape}")
    counts = values.astype(np.float64)
    if np.any((counts < 0) | (counts != np.round(counts))):
        raise DataFormatError(f"{where}: {name}: expected whole numbers of spikes per bin")
    return counts


def _encoded(arrays: Arrays, parts: list[str], counts: list[HostArray], where: str) -> tuple[int, int]:
    """Return the observed bins and held-in neurons, which are the first ones of what is reconstructed."""
    for part, whole in zip(parts, counts, strict=True):
        name = f"{part}_encod_data"
        if name not in arrays:
            raise DataFormatError(f"{where}: no dataset {name!r}; there are {', '.join(sorted(arrays))}")
        encoded = _counts(arrays, name, where)
        first = whole[:, : encoded.shape[1], : encoded.shape[2]]
        if first.shape != encoded.shape or np.any(first != encoded):
            raise DataFormatError(f"{where}: {name}: expected the first bins and neurons of {part}_recon_data")
    return encoded.shape[1], encoded.shape[2]


def _truth(arrays: Arrays, parts: list[str], counts: list[HostArray], where: str) -> HostArray | None:
    """Return the true rates, None where a part has none."""
    names = [f"{part}_truth" for part in parts]
    if any(name not in arrays for name in names):
        return None
    factor = real_array(arrays.get("conversion_factor", np.asarray(1.0)), f"{where}: conversion_factor")
    if factor.size != 1 or not np.isfinite(factor).all() or factor.ravel()[0] <= 0:
        raise DataFormatError(f"{where}: conversion_factor: expected one number above zero, got {factor}")
    rates = [real_array(arrays[name], f"{where}: {name}") for name in names]
    for name, rate, part in zip(names, rates, counts, strict=True):
        if rate.shape != part.shape or not np.isfinite(rate).all() or np.any(rate < 0):
            raise DataFormatError(f"{where}: {name}: expected rates of at least zero of shape {part.shape}")
    return np.concatenate(rates).astype(np.float64) / float(factor.ravel()[0])


def _order(arrays: Arrays, parts: list[str], counts: list[HostArray], where: str) -> HostArray:
    """Return in which order the trials of all parts follow one another."""
    number = sum(len(part) for part in counts)
    names = [f"{part}_inds" for part in parts]
    if any(name not in arrays for name in names):
        return np.arange(number)
    places = np.concatenate([real_array(arrays[name], f"{where}: {name}").ravel() for name in names])
    if len(places) != number or len(np.unique(places)) != number:
        raise DataFormatError(f"{where}: {', '.join(names)}: expected a different place for each of {number} trials")
    return np.argsort(places, kind="stable")
