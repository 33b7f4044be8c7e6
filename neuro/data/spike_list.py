"""Reader of spike lists: NumPy archives with the time, neuron and trial of every spike."""

import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from neuro.data.trials import SpikeTrials
from physics.errors import DataFormatError
from physics.numerics import checks
from physics.units import value


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
    time_unit: float = 1e-3,
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
            number, not finite, or outside [start, stop).
        ValueError: the bin width is not positive, or does not divide the window.
    """
    width = float(checks.positive(np.asarray(value(bin_width, "s", "bin_width"), float), "bin_width"))
    found = _load(Path(path), (spike_times, neuron_ids, trial_ids))
    _check_lists(path, found, (spike_times, neuron_ids, trial_ids))
    times = found[spike_times].astype(float) * time_unit
    first = _edge(start, "start", found.get("tmin"), time_unit, 0.0)
    end_of_last = first + width * (np.floor((times.max() - first) / width) + 1)
    last = _edge(stop, "stop", found.get("tmax"), time_unit, end_of_last)
    bins = round((last - first) / width)
    if bins < 1 or abs(bins * width - (last - first)) > 1e-6 * width:
        raise ValueError(f"bin_width: {width} s does not divide the window from {first} to {last} s")
    # Rounding to a nanosecond keeps a spike on an edge in the bin that the edge opens.
    position = np.floor(np.round((times - first) / width, 9)).astype(int)
    outside = np.flatnonzero((position < 0) | (position >= bins))
    if outside.size:
        raise DataFormatError(
            f"{path}: dataset {spike_times!r}: {outside.size} spikes outside [{first}, {last}) s, "
            f"the first at {times[outside[0]]} s (number {outside[0]})"
        )
    neurons, neuron = _identities(found[neuron_ids])
    trials, trial = _identities(found[trial_ids])
    flat = np.bincount((trial * bins + position) * len(neurons) + neuron, minlength=len(trials) * bins * len(neurons))
    return SpikeTrials(
        flat.reshape(len(trials), bins, len(neurons)),
        bin_width=width,
        forward_bins=forward_bins,
        neuron_ids=neurons.tolist(),
        trial_ids=trials.tolist(),
        alignment=f"{first} s on the clock of the file",
        source=Path(path).name,
    )


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
        try:
            return {name: archive[name] for name in (*names, "tmin", "tmax") if name in archive.files}
        except ValueError as error:
            raise DataFormatError(f"{path}: a dataset is not a plain array: {error}") from error


def _check_lists(path: Any, found: dict[str, np.ndarray], names: tuple[str, ...]) -> None:
    times, *identifiers = names
    for name in names:
        data = found[name]
        if data.ndim != 1 or not np.issubdtype(data.dtype, np.number):
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
        if np.any(found[name] != np.round(found[name])):
            raise DataFormatError(f"{path}: dataset {name!r}: expected whole numbers")


def _edge(given: Any, name: str, stored: np.ndarray | None, unit: float, default: float) -> float:
    if given is not None:
        return float(checks.finite(np.asarray(value(given, "s", name), float), name))
    return default if stored is None or stored.size != 1 else float(stored.reshape(())) * unit


def _identities(identifiers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct identifiers and the position of each entry's among them."""
    whole = identifiers.astype(int)
    names, position = np.unique(whole, return_inverse=True)
    if names[0] == 0 and names[-1] < 2 * len(names):
        return np.arange(names[-1] + 1), whole
    return names, position
