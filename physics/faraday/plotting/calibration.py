"""Figures of EVPA offsets, and of where the core of a jet is at each frequency."""

import os
from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np

from physics.constants import MILLIARCSECOND
from physics.faraday.images.alignment import Alignment
from physics.faraday.images.core_shift import CoreShift
from physics.faraday.images.offsets import EvpaOffsets
from physics.faraday.plotting.figures import saved

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_offsets(
    offsets: EvpaOffsets, path: str | os.PathLike[str] | None = None, *, overwrite: bool = False
) -> "Figure":
    """Return a figure of the EVPA offset of each channel with its error, one panel for each band.

    Args:
        offsets: of `fit_offsets`.
        path: where to save the figure too; the suffix names the format.
        overwrite: whether to replace a file that exists.

    Raises:
        FileExistsError: `path` exists and `overwrite` is false.
    """
    from matplotlib.figure import Figure

    band = np.asarray(offsets.band)
    labels = np.unique(band)
    figure = Figure(figsize=(2.4 + 1.9 * len(labels), 3.8), layout="constrained")
    panels = figure.subplots(1, len(labels), sharey=True, squeeze=False)[0]
    nu = np.asarray(offsets.frequency) / 1e9
    value, error = (np.degrees(np.asarray(x)) for x in (offsets.offset, offsets.offset_error))
    for axes, label in zip(panels, labels, strict=True):
        chosen = band == label
        level = float(np.degrees(offsets.band_offset[label]))
        axes.axhline(0.0, color="0.8", linewidth=0.8)
        axes.axhline(level, color="tab:orange", linestyle="--", label="of the band")
        axes.errorbar(nu[chosen], value[chosen], error[chosen], fmt="o", color="tab:blue", capsize=3, label="channel")
        span = max(float(np.ptp(nu[chosen])), 0.1)
        axes.set_xlim(nu[chosen].min() - 0.25 * span, nu[chosen].max() + 0.25 * span)
        axes.locator_params(axis="x", nbins=3)
    panels[0].set_ylabel("EVPA offset [deg]")
    panels[0].legend(fontsize="small")
    figure.supxlabel("frequency [GHz]", fontsize="medium")
    return saved(figure, path, overwrite=overwrite)


def plot_core_shift(
    alignment: Alignment, law: CoreShift, path: str | os.PathLike[str] | None = None, *, overwrite: bool = False
) -> "Figure":
    """Return a figure of the distance of each core from that of the reference band, along the law, over frequency.

    Args:
        alignment: of `align`.
        law: of `fit_core_shift`.
        path: where to save the figure too; the suffix names the format.
        overwrite: whether to replace a file that exists.

    Raises:
        FileExistsError: `path` exists and `overwrite` is false.
    """
    from matplotlib.figure import Figure

    nu = np.asarray(alignment.frequency)
    after = np.asarray(alignment.core + alignment.shift)
    direction = np.asarray(law.omega) / np.hypot(*np.asarray(law.omega))
    reference = alignment.reference
    away = (after - after[reference]) @ direction / MILLIARCSECOND
    variance = np.einsum("i,bibj,j->b", direction, np.asarray(alignment.covariance), direction)
    figure = Figure(figsize=(6.2, 4.2), layout="constrained")
    axes = figure.subplots()
    fine = np.geomspace(0.9 * nu.min(), 1.1 * nu.max(), 200)
    curve = np.asarray(law.at(jnp.asarray(fine)) - law.at(jnp.asarray(nu[reference]))[None, :]) @ direction
    axes.plot(fine / 1e9, curve / MILLIARCSECOND, color="tab:orange", label=rf"$k_r = {float(law.exponent):.2f}$")
    axes.errorbar(nu / 1e9, away, np.sqrt(variance) / MILLIARCSECOND, fmt="o", color="tab:blue", capsize=3)
    axes.set(xlabel="frequency [GHz]", ylabel="core relative to the reference band [mas]")
    axes.legend()
    return saved(figure, path, overwrite=overwrite)
