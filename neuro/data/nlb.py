"""Reader of the HDF5 files of the Neural Latents Benchmark: input for training and evaluation, and targets."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from neuro.data.hdf5 import read_groups
from neuro.data.nlb_sets import parse_group
from neuro.data.trials import SpikeTrials
from physics.errors import DataFormatError
from physics.types import HostArray

PARTS = ("train", "eval")
HALVES = ("in", "out")

Arrays = Mapping[str, tuple[Any, str]]
"""Arrays by name, each with where it is from, for messages."""
Spikes = dict[tuple[str, str, str], tuple[HostArray, str]]
"""Counts by part, half of the neurons and block, each with where they are from."""


def read_nlb(
    path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    target: str | os.PathLike[str] | None = None,
    *,
    bin_width: Any = None,
    group: str | None = None,
) -> SpikeTrials:
    """Return the trials of files in a layout of the benchmark; what a file does not hold is masked.

    Training trials are of the split "train", those for evaluation of "val", or of "test" where their held-out spikes
    are not known.

    Args:
        path: a file of input for training or for evaluation, or both; or a target file, which holds the held-out
            spikes and what follows the observed bins.
        target: target file that completes the trials of `path`: spikes, behaviour and conditions (-1: of none).
        bin_width: s; by default that of the group of the target.
        group: group of the target file, where it has several.

    Raises:
        FileNotFoundError: there is no such file.
        DataFormatError: a file is no HDF5 file or ends early, has none of the arrays, arrays of other shapes, or
            counts that are no whole numbers; or the target has another group.
        ValueError: there is no target, and no bin width.
    """
    files = [path] if isinstance(path, str | os.PathLike) else list(path)
    arrays: dict[str, Any] = {}
    width = None
    for file in (*files, *([] if target is None else [target])):
        groups = read_groups(file)
        found, grouped = _choose(groups, group, os.fspath(file))
        width = width or (None if grouped is None else 1e-3 * grouped)
        # Behaviour of a target completes input, and does not replace it.
        arrays = {name: (values, f"{os.fspath(file)}: {name}") for name, values in found.items()} | arrays
    if bin_width is None and width is None:
        raise ValueError("bin_width: files without a group do not tell it; expected a bin width in seconds")
    spikes = _spikes(arrays)
    parts = [name for name in PARTS if any((name, half, "") in spikes for half in HALVES)]
    if not parts:
        wanted = "train_spikes_heldin, eval_spikes_heldin or eval_spikes_heldout"
        raise DataFormatError(f"{_listed(files)}: expected an array {wanted}; there are {', '.join(sorted(arrays))}")
    sizes = _sizes(spikes)
    trials = {
        part: next(len(spikes[part, half, ""][0]) for half in HALVES if (part, half, "") in spikes) for part in parts
    }
    behavior = [_behavior(arrays, f"{part}_behavior", trials[part], sizes["bins"]) for part in parts]
    condition = [_condition(arrays, f"{part}_cond_idx", trials[part]) for part in parts]
    names = {"train": "train", "eval": "val" if ("eval", "out", "") in spikes else "test"}
    return SpikeTrials(
        np.concatenate([_joined(spikes, part, trials[part], sizes) for part in parts]),
        bin_width=width if bin_width is None else bin_width,
        forward_bins=sizes["forward bins"],
        held_in=sizes["held-in neurons"] or None,
        behavior=_stacked(behavior, list(trials.values())),
        condition=_stacked(condition, list(trials.values())),
        split=[names[part] for part in parts for _ in range(trials[part])],
        source=_listed(files),
    )


def _spikes(arrays: Arrays) -> Spikes:
    """Return the counts by part, half of the neurons and block, with where they are from."""
    found = {}
    for part in PARTS:
        for half in HALVES:
            for block in ("", "_forward"):
                name = f"{part}_spikes_held{half}{block}"
                if name in arrays:
                    found[part, half, block] = (_counts(*arrays[name]), arrays[name][1])
    return found


def _sizes(spikes: Spikes) -> dict[str, int]:
    """Return how many bins and neurons there are, zero where nothing says so; all arrays have to agree."""
    sizes = {"bins": 0, "forward bins": 0, "held-in neurons": 0, "held-out neurons": 0}
    trials: dict[str, int] = {}
    for (part, half, block), (values, where) in spikes.items():
        here = {"forward bins" if block else "bins": values.shape[1], f"held-{half} neurons": values.shape[2]}
        for what, size in here.items():
            if sizes[what] not in (0, size):
                raise DataFormatError(f"{where}: expected {sizes[what]} {what} as in the other arrays, got {size}")
            sizes[what] = size
        if trials.setdefault(part, len(values)) != len(values):
            raise DataFormatError(f"{where}: expected {trials[part]} trials as in the other arrays, got {len(values)}")
    return sizes


def _joined(spikes: Spikes, part: str, trials: int, sizes: dict[str, int]) -> HostArray:
    """Return the counts (trial, time, neuron) of a part, NaN where no file has them."""
    bins, inner = sizes["bins"], sizes["held-in neurons"]
    whole = np.full((trials, bins + sizes["forward bins"], inner + sizes["held-out neurons"]), np.nan)
    for half in HALVES:
        for block in ("", "_forward"):
            if (part, half, block) in spikes:
                columns = slice(None, inner) if half == "in" else slice(inner, None)
                place = slice(bins, None) if block else slice(None, bins)
                whole[:, place, columns] = spikes[part, half, block][0]
    return whole


def _choose(groups: Mapping[str, Any], group: str | None, where: str) -> tuple[Mapping[str, Any], int | None]:
    """Return the arrays of a file and the bin width [ms] of their group, where they are in one."""
    named = [name for name in groups if name]
    if not named:
        return groups.get("", {}), None
    if group is None and len(named) > 1:
        raise DataFormatError(f"{where}: expected one group, got {', '.join(named)}; choose one by group=")
    chosen = named[0] if group is None else group
    if chosen not in groups:
        raise DataFormatError(f"{where}: no group {chosen!r}; there are {', '.join(named)}")
    return groups[chosen], parse_group(chosen, where)[1]


def _counts(values: Any, where: str) -> HostArray:
    if isinstance(values, list) or values.ndim != 3:
        raise DataFormatError(f"{where}: expected spikes of shape (trial, time, neuron)")
    counts = values.astype(np.float64)
    bad = ~np.isnan(counts) & ((counts < 0) | (counts != np.round(counts)) | np.isinf(counts))
    if bad.any():
        raise DataFormatError(f"{where}: expected whole numbers of spikes per bin, got {counts[bad][0]}")
    return counts


def _behavior(arrays: Arrays, name: str, trials: int, bins: int) -> HostArray | None:
    if name not in arrays:
        return None
    values, where = arrays[name]
    if not isinstance(values, list) and values.ndim == 2 and len(values) == trials:
        # One value per trial holds in all its bins.
        return np.repeat(values[:, None, :].astype(np.float64), bins, axis=1)
    if isinstance(values, list) or values.ndim != 3 or values.shape[:2] != (trials, bins):
        raise DataFormatError(f"{where}: expected ({trials}, {bins}, variables) or ({trials}, variables)")
    return values.astype(np.float64)


def _condition(arrays: Arrays, name: str, trials: int) -> HostArray | None:
    if name not in arrays:
        return None
    values, where = arrays[name]
    condition = np.full(trials, -1)
    for number, members in enumerate(values):
        place = np.asarray(members).astype(np.int64)
        if place.size and (place.min() < 0 or place.max() >= trials):
            raise DataFormatError(f"{where}: expected places of {trials} trials, got {place.tolist()}")
        condition[place] = number
    return condition


def _stacked(values: list[HostArray | None], trials: list[int]) -> HostArray | None:
    """Return arrays joined along trials; NaN, or -1 among whole numbers, where a part has none."""
    known = next((one for one in values if one is not None), None)
    if known is None:
        return None
    missing = np.nan if known.dtype.kind == "f" else -1
    return np.concatenate(
        [
            np.full((number, *known.shape[1:]), missing, known.dtype) if one is None else one
            for one, number in zip(values, trials, strict=True)
        ]
    )


def _listed(files: Sequence[Any]) -> str:
    return ", ".join(os.fspath(file) for file in files)
