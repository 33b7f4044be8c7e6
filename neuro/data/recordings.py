"""Readers of published recordings in formats of their own: MATLAB structs of reaches, tetrodes and video tracking."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from neuro.data.nwb_trials import bin_nanoseconds, whole_bins
from neuro.data.trials import SpikeTrials
from physics.errors import DataFormatError
from physics.types import HostArray, Real
from physics.units import number

MILLISECOND = 1_000_000
"""ns"""
TRACKING_END = b"<End settings>"
TRACKING = np.dtype([("time", "<u4"), ("x", "<u2"), ("y", "<u2"), ("x2", "<u2"), ("y2", "<u2")])
TRACKING_CLOCK = 30_000.0
"""Ticks per second of the clock of spikes and video."""


def read_reaches(path: str | os.PathLike[str], *, bin_width: Any, forward: Real = 0.0) -> SpikeTrials:
    """Return the trials of a MATLAB struct array `D` with the fields `data` and `condition`, as DataHigh stores them.

    `data` is (neuron, millisecond), spikes per millisecond; trials end where their data do. Conditions are numbered in
    sorted order of their names.

    Args:
        path: MATLAB file.
        bin_width: s; whole milliseconds.
        forward: time at the end that is to be forecast [s].

    Raises:
        FileNotFoundError: there is no such file.
        DataFormatError: the file is no MATLAB file, is damaged, or a field is missing or of another shape.
        ValueError: the bin width is no whole number of milliseconds, or does not divide the shortest trial.
    """
    width = whole_bins(bin_nanoseconds(bin_width), MILLISECOND, "bin_width")
    later = whole_bins(round(1e9 * number(forward, "s", "forward")), width * MILLISECOND, "forward")
    struct = _matlab(path, "D")
    fields = struct.dtype.names or ()
    if not {"data", "condition"} <= set(fields) or struct.size == 0:
        raise DataFormatError(f"{path}: variable 'D': expected fields data and condition, got {', '.join(fields)}")
    spikes = [np.asarray(one) for one in struct["data"].ravel()]
    neurons = {one.shape[0] if one.ndim == 2 and one.dtype.kind in "biuf" else None for one in spikes}
    if len(neurons) > 1 or None in neurons:
        raise DataFormatError(f"{path}: variable 'D', field 'data': expected (neuron, millisecond) of equal neurons")
    names = [str(one.ravel()[0]) if one.size else "" for one in struct["condition"].ravel()]
    lengths = [one.shape[1] // width for one in spikes]
    bins = max(lengths)
    if min(lengths) <= later:
        raise ValueError(
            f"bin_width: the shortest trial has {min(lengths)} bins; expected more than {later} forward ones"
        )
    counts = np.full((len(spikes), bins, spikes[0].shape[0]), np.nan)
    for row, one, length in zip(counts, spikes, lengths, strict=True):
        row[:length] = one[:, : length * width].reshape(one.shape[0], length, width).sum(axis=2).T
    return SpikeTrials(
        counts,
        bin_width=1e-3 * width,
        forward_bins=later,
        condition=np.unique(names, return_inverse=True)[1],
        alignment="begin of the stored data",
        source=Path(path).name,
    )


def read_tetrodes(path: str | os.PathLike[str]) -> tuple[HostArray, ...]:
    """Return the spike times [s] of every unit of a MATLAB cell `spikes` of days, epochs, tetrodes and units.

    The cells may be nested in any depth and have holes; units are the structs with a field `time` that is not empty, in
    the order of the cells.

    Raises:
        FileNotFoundError: there is no such file.
        DataFormatError: the file is no MATLAB file, is damaged, or holds no such unit.
    """
    units = tuple(_units(_matlab(path, "spikes")))
    if not units:
        raise DataFormatError(f"{path}: variable 'spikes': no struct with spike times in its field 'time'")
    for place, times in enumerate(units):
        if not np.isfinite(times).all():
            raise DataFormatError(f"{path}: variable 'spikes', field 'time': expected finite times, unit {place}")
    return units


def read_tracking(path: str | os.PathLike[str]) -> tuple[HostArray, HostArray]:
    """Return the times [s] and positions (sample, 2) [pixels] of a video-tracking file.

    Its text header ends with the line `<End settings>`; records of 12 bytes follow: time in ticks of 1/30000 s, x, y
    and the position of a second light, which is not read.

    Raises:
        FileNotFoundError: there is no such file.
        DataFormatError: there is no header, no record, or the last record is incomplete.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"no such file: {os.fspath(path)}")
    content = Path(path).read_bytes()
    place = content.find(TRACKING_END)
    if place < 0:
        raise DataFormatError(f"{path}: expected a header that ends with the line {TRACKING_END.decode()!r}")
    body = content[content.index(b"\n", place) + 1 :] if b"\n" in content[place:] else b""
    if len(body) == 0 or len(body) % TRACKING.itemsize:
        raise DataFormatError(f"{path}: expected records of {TRACKING.itemsize} bytes, got {len(body)} bytes")
    records = np.frombuffer(body, TRACKING)
    return records["time"] / TRACKING_CLOCK, np.stack([records["x"], records["y"]], axis=1).astype(np.float64)


def _matlab(path: str | os.PathLike[str], variable: str) -> HostArray:
    """Return a variable of a MATLAB file."""
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    if not Path(path).is_file():
        raise FileNotFoundError(f"no such file: {os.fspath(path)}")
    try:
        found = loadmat(path)
    except (MatReadError, ValueError, TypeError, IndexError, OSError, EOFError, NotImplementedError) as error:
        raise DataFormatError(f"{path}: not a MATLAB file before version 7.3, or a damaged one ({error})") from error
    if variable not in found:
        names = ", ".join(name for name in found if not name.startswith("__"))
        raise DataFormatError(f"{path}: no variable {variable!r}; there are {names or 'none'}")
    return np.asarray(found[variable])


def _units(cell: HostArray) -> list[HostArray]:
    """Return the spike times in a cell, wherever they are nested."""
    if cell.dtype.names is not None:
        times = [np.asarray(one) for one in cell["time"].ravel()] if "time" in cell.dtype.names else []
        return [one.ravel().astype(np.float64) for one in times if one.size and one.dtype.kind in "iuf"]
    if cell.dtype != object:
        return []
    return [unit for one in cell.ravel() for unit in _units(np.asarray(one))]
