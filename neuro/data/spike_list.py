"""Reader of spike lists: NumPy archives with the time, neuron and trial of every spike."""

import os
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from neuro.arguments import positive_number
from neuro.data.trials import SpikeTrials
from physics.errors import DataFormatError
from physics.types import Real
from physics.units import number, value

MOST_ENTRIES = 1_000_000_000
"""Counts that are made of one file at most: beyond, the bin width is most likely in another unit."""

DAMAGE = (ValueError, KeyError, EOFError, OSError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error)
"""What reading a damaged member of an archive raises."""


def read_spike_list(
    path: str | os.PathLike[str],
    *,
    bin_width: Any,
    start: Any = None,
    stop: Any = None,
    forward_bins: int = 0,
    spike_times: str = "spiketimes",
    neuron_ids: str = "neuron_ids",
    trial_ids: str = "trial_ids",
    time_unit: Real = 1e-3,
) -> SpikeTrials:
    """Return the binned spikes of an `.npz` archive that lists time, neuron and trial of every spike.

    Neurons and trials are the distinct identifiers in the lists, sorted; a trial without any spike is therefore not
    known, unless identifiers are whole numbers from 0, where gaps are filled. Bins are half open, [t, t + width).

    Args:
        path: the archive.
        bin_width: s.
        start: time of the first bin's edge [s]; the archive's `tmin`, or 0.
        stop: time of the last bin's edge [s]; the archive's `tmax`, or the end of the bin of the last spike.
        forward_bins: how many of the bins, the last ones, are to be forecast.
        spike_times: name of the dataset of times.
        neuron_ids: name of the dataset of neurons.
        trial_ids: name of the dataset of trials.
        time_unit: unit of the times in the archive [s]; milliseconds by default.

    Raises:
        FileNotFoundError: there is no such file.
        DataFormatError: the file is no archive of plain arrays, a dataset is missing, or spikes are absent, of unequal
            number, not finite, or outside [start, stop), or the file is damaged.
        UnitsError: a time is a quantity of another dimension.
        ValueError: the bin width is not positive, does not divide the window or makes more than a billion counts; or
            another time is not finite.
    """
    width, unit = positive_number(bin_width, "s", "bin_width"), positive_number(time_unit, "s", "time_unit")
    found = _load(Path(path), (spike_times, neuron_ids, trial_ids))
    _check_lists(path, found, (spike_times, neuron_ids, trial_ids))
    first = _edge(path, start, "start", found, "tmin", unit) or 0.0
    last = _edge(path, stop, "stop", found, "tmax", unit)
    lists = [found[name] for name in (spike_times, neuron_ids, trial_ids)]
    binned = _binned(f"{path}: dataset {spike_times!r}", lists, unit, width, (first, last))
    return SpikeTrials(
        **binned,
        bin_width=width,
        forward_bins=forward_bins,
        alignment=f"{first} s on the clock of the file",
        source=Path(path).name,
    )


def from_spike_list(
    spike_times: Any,
    neuron_ids: Any,
    trial_ids: Any,
    *,
    bin_width: Any,
    start: Any = 0.0,
    stop: Any = None,
    forward_bins: int = 0,
    **known: Any,
) -> SpikeTrials:
    """Return the binned spikes of lists with time, neuron and trial of every spike; see `read_spike_list`.

    Args:
        spike_times: time of every spike from the start of its trial [s].
        neuron_ids: neuron of every spike, whole numbers.
        trial_ids: trial of every spike, whole numbers.
        bin_width: s.
        start: time of the first bin's edge [s].
        stop: time of the last bin's edge [s]; by default the end of the bin of the last spike.
        forward_bins: how many of the bins, the last ones, are to be forecast.
        **known: more fields of `SpikeTrials`, such as `condition`: one for each trial, sorted by its identifier.

    Raises:
        UnitsError: a time is a quantity of another dimension.
        ValueError: the lists are empty, of unequal length, not finite, or hold spikes outside [start, stop); or the bin
            width is not positive, does not divide the window or makes more than a billion counts.
    """
    given = {
        "spike_times": np.asarray(value(spike_times, "s", "spike_times")),
        "neuron_ids": np.asarray(neuron_ids),
        "trial_ids": np.asarray(trial_ids),
    }
    _check_lists("from_spike_list", given, tuple(given))
    width, first = positive_number(bin_width, "s", "bin_width"), number(start, "s", "start")
    last = None if stop is None else number(stop, "s", "stop")
    binned = _binned("spike_times", list(given.values()), 1.0, width, (first, last))
    defaults = {"alignment": f"{first} s", "source": "neuro.data.from_spike_list"}
    return SpikeTrials(**binned, bin_width=width, forward_bins=forward_bins, **(defaults | known))


def _binned(
    where: str, lists: list[np.ndarray], unit: float, width: float, window: tuple[float, float | None]
) -> dict[str, Any]:
    """Return the counts and the identifiers of neurons and trials."""
    times, (first, last) = lists[0].astype(float) * unit, window
    neurons, neuron = _identities(lists[1])
    trials, trial = _identities(lists[2])
    bins_needed = ((times.max() if last is None else last) - first) / width
    if bins_needed * len(trials) * len(neurons) > MOST_ENTRIES:
        raise ValueError(
            f"bin_width: {width} s makes {bins_needed:.3g} bins of {len(trials)} trials and {len(neurons)} neurons, "
            f"more than the {MOST_ENTRIES:.0e} counts allowed"
        )
    position = _positions(times, first, width)
    bins = max(int(position.max()), 0) + 1 if last is None else round(bins_needed)
    last = first + bins * width if last is None else last
    if bins < 1 or abs(bins * width - (last - first)) > 1e-6 * width:
        raise ValueError(f"bin_width: {width} s does not divide the window from {first} to {last} s")
    outside = np.flatnonzero((position < 0) | (position >= bins))
    if outside.size:
        raise DataFormatError(
            f"{where}: {outside.size} spikes outside [{first}, {last}) s, "
            f"the first at {times[outside[0]]} s (number {outside[0]})"
        )
    flat = np.bincount((trial * bins + position) * len(neurons) + neuron, minlength=len(trials) * bins * len(neurons))
    return {
        "counts": flat.reshape(len(trials), bins, len(neurons)),
        "neuron_ids": neurons.tolist(),
        "trial_ids": trials.tolist(),
    }


def _load(path: Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Return the named datasets and the window limits, where they are."""
    try:
        archive = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataFormatError(f"{path}: expected a NumPy archive (.npz) of plain arrays: {error}") from error
    if not isinstance(archive, np.lib.npyio.NpzFile):
        raise DataFormatError(f"{path}: expected a NumPy archive (.npz), got a single array")
    with archive:
        missing = [name for name in names if name not in archive.files]
        if missing:
            raise DataFormatError(f"{path}: no dataset {missing}; the file holds {sorted(archive.files)}")
        return {name: _dataset(path, archive, name) for name in (*names, "tmin", "tmax") if name in archive.files}


def _dataset(path: Path, archive: np.lib.npyio.NpzFile, name: str) -> np.ndarray:
    try:
        return archive[name]
    except DAMAGE as error:
        raise DataFormatError(f"{path}: dataset {name!r}: damaged, or not a plain array: {error}") from error


def _check_lists(path: Any, found: dict[str, np.ndarray], names: tuple[str, ...]) -> None:
    times, *identifiers = names
    for name in names:
        data = found[name]
        if data.ndim != 1 or data.dtype.kind not in "iuf":
            raise DataFormatError(
                f"{path}: dataset {name!r}: expected a list of numbers, got {data.dtype} {data.shape}"
            )
        if data.size == 0:
            raise DataFormatError(f"{path}: dataset {name!r}: the list of spikes is empty")
        if data.size != found[times].size:
            raise DataFormatError(
                f"{path}: datasets {times!r} and {name!r}: expected equal lengths, "
                f"got {found[times].size} and {data.size}"
            )
        bad = np.flatnonzero(~np.isfinite(data))
        if bad.size:
            raise DataFormatError(f"{path}: dataset {name!r}: expected finite numbers, got {data[bad[0]]} at {bad[0]}")
    for name in identifiers:
        data = found[name]
        if np.any((data != np.round(data)) | (data < -(2.0**53)) | (data > 2.0**53)):
            raise DataFormatError(f"{path}: dataset {name!r}: expected whole numbers, of at most 2^53")


def _edge(path: Any, given: Any, name: str, found: dict[str, np.ndarray], stored: str, unit: float) -> float | None:
    """Return an edge of the window [s]: the argument, or else what the archive stores, or else None."""
    if given is not None:
        return number(given, "s", name)
    if stored not in found:
        return None
    edge = found[stored]
    if edge.size != 1 or edge.dtype.kind not in "iuf" or not np.isfinite(edge).all():
        raise DataFormatError(
            f"{path}: dataset {stored!r}: expected one finite number, got {edge.dtype} of shape {edge.shape}: {edge}"
        )
    return float(edge.reshape(())) * unit


def _positions(times: np.ndarray, first: float, width: float) -> np.ndarray:
    """Return the bin of each time; a spike within rounding errors of an edge is in the bin that the edge opens."""
    exact = (times - first) / width
    edge = np.rint(exact)
    error = 1e-9 + 4.0 * np.finfo(float).eps * np.maximum(np.abs(times), abs(first)) / width
    position = np.where(np.abs(exact - edge) <= error, edge, np.floor(exact))
    return np.clip(position, -1, MOST_ENTRIES).astype(np.int64)


def _identities(identifiers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct identifiers and the position of each entry's among them."""
    whole = identifiers.astype(int)
    names, position = np.unique(whole, return_inverse=True)
    if names[0] == 0 and names[-1] < 2 * len(names):
        return np.arange(names[-1] + 1), whole
    return names, position
