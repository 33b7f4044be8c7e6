"""Mean responses to conditions (PSTHs) of smoothed spikes, as the Neural Latents Benchmark makes them."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from neuro.data.clock import MILLISECOND
from neuro.data.windows import Spikes, Windows
from physics.types import HostArray

SHORTEST = 0.8
"""Trials shorter than this share of the mean length of their condition are left out."""


@dataclass(frozen=True)
class Psth:
    """Mean counts per bin of one condition and the trials that they are of."""

    mean: Float[np.ndarray, "bin neuron"]
    row: HostArray
    """Rows of the table of trials."""


def gaussian_kernel(width: float) -> Float[np.ndarray, " tap"]:
    """Return Gaussian weights with the sum 1 for a standard deviation [ms]: 6 of them long, without a middle one."""
    length = int(6 * width)
    weights = np.exp(-0.5 * ((np.arange(length) - (length - 1) / 2.0) / width) ** 2)
    return weights / weights.sum()


def smoothed_counts(
    spikes: Spikes, units: HostArray, windows: Windows, width: int, deviation: float
) -> Float[np.ndarray, "window bin unit"]:
    """Return counts per bin of spikes that were smoothed at 1 ms, NaN where the first millisecond was unobserved.

    Args:
        spikes: of the file.
        units: rows of the table of units.
        windows: of the trials.
        width: milliseconds of a bin.
        deviation: standard deviation of the Gaussian [ms].
    """
    kernel = gaussian_kernel(deviation)
    margin = len(kernel)
    first = windows.first * width - margin
    result = np.empty((len(first), windows.bins, len(units)))
    for place, unit in enumerate(units):
        counts, known = spikes.windows(int(unit), first, windows.bins * width + 2 * margin, MILLISECOND)
        smooth = smooth_stretches(counts.astype(np.float64), known, kernel)[:, margin:-margin]
        fine = smooth.reshape(len(first), windows.bins, width)
        result[:, :, place] = np.where(np.isnan(fine[:, :, 0]), np.nan, np.nansum(fine, axis=2))
    result[~windows.known()] = np.nan
    return result


def smooth_stretches(
    counts: Float[np.ndarray, "window time"], known: Bool[np.ndarray, "window time"], kernel: HostArray
) -> Float[np.ndarray, "window time"]:
    """Return every stretch of observed samples convolved by itself, NaN between.

    Sample n is sample n + (M - 1)//2 of the full convolution with a kernel of M weights, half a step late for even M.
    """
    from scipy.signal import fftconvolve

    result = np.full(counts.shape, np.nan)
    complete = known.all(axis=1)
    if complete.any():
        result[complete] = fftconvolve(counts[complete], kernel[None, :], mode="same", axes=1)
    for window in np.flatnonzero(known.any(axis=1) & ~complete):
        for stretch in np.split(np.arange(counts.shape[1]), np.flatnonzero(np.diff(known[window])) + 1):
            if known[window, stretch[0]]:
                result[window, stretch] = fftconvolve(counts[window, stretch], kernel, mode="same")
    # Rounding of the transform leaves values of -1e-17.
    return np.maximum(result, 0.0)


def condition_mean(smooth: Float[np.ndarray, "trial bin neuron"], windows: Windows, *, by: str, front: bool) -> Psth:
    """Return the mean response of the trials of one condition, cut to its shortest trial.

    Args:
        smooth: smoothed counts in the windows.
        windows: of the trials of the condition.
        by: "nlb": the mean at equal time after the binned alignment, where trials that start a bin apart mix; "index":
            the mean at equal place in the window.
        front: whether the end of a trial is kept where trials differ in length, not the beginning.
    """
    length = windows.cut - windows.first
    kept = length >= SHORTEST * length.mean()
    length, shortest = length[kept], int(length[kept].min())
    if by == "nlb":
        start = (windows.first - windows.zero)[kept]
    else:
        start = -length if front else np.zeros(len(length), np.int64)
    mean = _mean_at(smooth[kept], start, length)
    return Psth(mean[-shortest:] if front else mean[:shortest], windows.row[kept])


def _mean_at(smooth: HostArray, start: Int[np.ndarray, " trial"], length: Int[np.ndarray, " trial"]) -> HostArray:
    """Return the mean over trials at every time from the earliest start to the latest end, NaN left out."""
    low, high = int(start.min()), int((start + length).max())
    total = np.zeros((high - low, smooth.shape[2]))
    number = np.zeros_like(total)
    there = np.zeros(high - low, bool)
    for values, begin, bins in zip(smooth, start - low, length, strict=True):
        part = values[:bins]
        total[begin : begin + bins] += np.nan_to_num(part)
        number[begin : begin + bins] += ~np.isnan(part)
        there[begin : begin + bins] = True
    return np.where(number > 0, total / np.maximum(number, 1), np.nan)[there]


def stacked(means: list[HostArray], bins: int | None, *, front: bool) -> Float[np.ndarray, "condition bin neuron"]:
    """Return the responses of all conditions, padded by NaN to one length: the longest, or `bins`."""
    longest = max(len(mean) for mean in means) if bins is None else bins
    result = np.full((len(means), longest, means[0].shape[1]), np.nan)
    for row, mean in zip(result, means, strict=True):
        part = mean[-longest:] if front else mean[:longest]
        row[longest - len(part) if front else 0 :][: len(part)] = part
    return result
