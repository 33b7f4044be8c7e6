"""Faraday spectra: as synthesised, cleaned, with their components, and the RMSF beside them."""

import dataclasses
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from physics.faraday.plotting.figures import Index, one_of_many, saved
from physics.faraday.synthesis.clean import CleanedSpectrum
from physics.faraday.synthesis.faraday_spectrum import FaradaySpectrum
from physics.faraday.synthesis.peaks import FaradayPeaks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARGIN = 10.0
"""Widths of the RMSF that are shown to the sides of what was found."""


def plot_faraday_spectrum(
    fdf: FaradaySpectrum | CleanedSpectrum,
    *,
    peaks: FaradayPeaks | None = None,
    index: Index = None,
    limits: tuple[float, float] | None = None,
    label: str = "polarization",
    path: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
) -> "Figure":
    """Return a figure of |F| against Faraday depth, and of the RMSF on the same scale.

    Args:
        fdf: the spectrum of `rm_synthesis`, or what `rm_clean` made of it: then with its components and its residual's
            threshold.
        peaks: of `find_peaks`; marked with their errors.
        index: which line of sight of several.
        limits: depths that are shown [rad/m^2]; by default ten widths of the RMSF about what was found, or all.
        label: what the polarization is, such as "polarized fraction"; the unit of F is that, per RMSF.
        path: where to save the figure too; the suffix names the format.
        overwrite: whether to replace a file that exists.

    Raises:
        ValueError: there are several lines of sight and `index` chooses none.
        TypeError: `fdf` is something else.
        FileExistsError: `path` exists and `overwrite` is false.
    """
    from matplotlib.figure import Figure

    if not isinstance(fdf, FaradaySpectrum | CleanedSpectrum):
        raise TypeError(f"fdf: expected a FaradaySpectrum or a CleanedSpectrum, got {type(fdf)}")
    dirty = fdf if isinstance(fdf, FaradaySpectrum) else fdf.dirty
    leading = dirty.value.shape[:-1]
    one = _line_of_sight(dirty, index)
    figure = Figure(figsize=(8.0, 6.4), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(2.0, 1.0))
    depth = np.asarray(one.depth)
    upper.plot(depth, np.abs(one.value), color="0.6", linewidth=1.0, label="synthesised")
    if isinstance(fdf, CleanedSpectrum):
        _draw_cleaned(upper, depth, one_of_many(fdf, leading, index, "the spectrum"))
    if peaks is not None:
        _draw_peaks(upper, one_of_many(peaks, leading, index, "the peaks"))
    if one.noise is not None:
        level = 5.0 * float(one.noise)
        upper.axhline(level, color="0.3", linestyle=":", linewidth=1.0, label=r"$5\,\sigma$")
    upper.set(ylabel=f"{label} per RMSF", ylim=(0.0, None))
    _legend(upper)
    rmsf, offset = np.asarray(one.rmsf), np.asarray(one.rmsf_depth)
    shown = (offset >= depth[0]) & (offset <= depth[-1])
    for values, colour, name in ((rmsf.real, "tab:blue", "real"), (rmsf.imag, "tab:orange", "imaginary")):
        lower.plot(offset[shown], values[shown], color=colour, linewidth=0.8, label=name)
    lower.plot(offset[shown], np.abs(rmsf[shown]), color="0.15", linewidth=1.2, label="modulus")
    shown_from, shown_to = limits or _limits(fdf, peaks, depth, float(one.fwhm), index)
    upper.set_xlim(shown_from, shown_to)
    lower.set(xlabel=r"Faraday depth [rad m$^{-2}$]", ylabel="RMSF")
    lower.set_title(f"FWHM {float(one.fwhm):.4g} rad m$^{{-2}}$", fontsize="small", loc="left")
    _legend(lower)
    return saved(figure, path, overwrite=overwrite)


def _line_of_sight(fdf: FaradaySpectrum, index: Index) -> FaradaySpectrum:
    one = one_of_many(fdf, fdf.value.shape[:-1], index, "the spectrum")
    # As many lines of sight as channels or depths must not be taken for these.
    weighted = fdf if fdf.weights.ndim == 1 else one
    return dataclasses.replace(
        one,
        depth=fdf.depth,
        lambda_squared=fdf.lambda_squared,
        weights=weighted.weights,
        variance=weighted.variance,
    )


def _legend(axes: Any) -> None:
    axes.legend(
        loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=6, frameon=False, fontsize="small", borderaxespad=0.0
    )


def _limits(
    fdf: FaradaySpectrum | CleanedSpectrum, peaks: FaradayPeaks | None, depth: np.ndarray, width: float, index: Index
) -> tuple[float, float]:
    """Return the depths about all components and peaks, within those there are."""
    leading = fdf.dirty.value.shape[:-1] if isinstance(fdf, CleanedSpectrum) else fdf.value.shape[:-1]
    found = []
    if isinstance(fdf, CleanedSpectrum):
        found.append(depth[np.abs(one_of_many(fdf, leading, index, "the spectrum").components) > 0])
    if peaks is not None:
        one = one_of_many(peaks, leading, index, "the peaks")
        found.append(np.asarray(one.depth)[np.asarray(one.found)])
    where = np.concatenate(found) if found else depth
    if not where.size:
        return float(depth[0]), float(depth[-1])
    return max(float(depth[0]), where.min() - MARGIN * width), min(float(depth[-1]), where.max() + MARGIN * width)


def _draw_cleaned(axes: Any, depth: np.ndarray, cleaned: CleanedSpectrum) -> None:
    axes.plot(depth, np.abs(cleaned.restored), color="tab:red", linewidth=1.4, label="cleaned")
    size = np.abs(cleaned.components)
    where = size > 0
    axes.vlines(depth[where], 0.0, size[where], color="tab:green", linewidth=1.6, label="components")
    axes.axhline(float(cleaned.threshold), color="tab:red", linestyle="--", linewidth=0.8, label="cleaned down to")


def _draw_peaks(axes: Any, peaks: FaradayPeaks) -> None:
    found = np.asarray(peaks.found)
    axes.errorbar(
        np.asarray(peaks.depth)[found],
        np.asarray(peaks.amplitude)[found],
        xerr=np.asarray(peaks.depth_error)[found],
        yerr=np.asarray(peaks.amplitude_error)[found],
        fmt="k^",
        markersize=5,
        capsize=2,
        label="peaks",
    )
