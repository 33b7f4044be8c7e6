"""Figures of rotation measure maps."""

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from physics.constants import MILLIARCSECOND
from physics.faraday.images.cube import SkyFrame
from physics.faraday.images.rotation_map import RotationMap
from physics.faraday.plotting.figures import saved
from physics.types import HostArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARGIN = 10
"""Pixels shown around the polarized region, at least; a beam fits in beside it."""


def plot_rotation(
    maps: RotationMap, path: str | os.PathLike[str] | None = None, *, overwrite: bool = False, ticks: int = 14
) -> "Figure":
    """Return a figure of rotation measure and intrinsic EVPA over contours of total intensity.

    Args:
        maps: what to show.
        path: where to save the figure too; the suffix names the format.
        overwrite: whether to replace a file that exists.
        ticks: about how many EVPA ticks along the longer side of the polarized region.

    Raises:
        FileExistsError: `path` exists and `overwrite` is false.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.5, 5.0), layout="constrained")
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    ra, dec = (x / MILLIARCSECOND for x in maps.frame.offsets(maps.rm.shape))
    _colours(figure, left, maps, np.asarray(maps.rm), "rotation measure [rad m$^{-2}$]")
    _colours(figure, right, maps, 100.0 * np.asarray(maps.fraction), "polarization [%]")
    _evpa_ticks(right, maps, ra, dec, ticks)
    left.set_title("Rotation measure")
    right.set_title("EVPA at zero wavelength")
    for axes in (left, right):
        _contours(axes, maps, ra, dec)
        _beam(axes, np.asarray(maps.beam))
        axes.set_xlabel("relative right ascension [mas]")
    left.set_ylabel("relative declination [mas]")
    if maps.frame.object:
        figure.suptitle(maps.frame.object)
    return saved(figure, path, overwrite=overwrite)


def _extent(frame: SkyFrame, shape: tuple[int, ...]) -> tuple[float, float, float, float]:
    # Edges, not centres, of the outer pixels.
    ra, dec = (x / MILLIARCSECOND for x in frame.offsets(shape))
    half_ra, half_dec = (0.5 * step / MILLIARCSECOND for step in frame.cell)
    return ra[0] - half_ra, ra[-1] + half_ra, dec[0] - half_dec, dec[-1] + half_dec


def _colours(figure: Any, axes: Any, maps: RotationMap, values: HostArray, label: str) -> None:
    shown = np.ma.masked_invalid(np.where(np.asarray(maps.valid), values, np.nan))
    low, high = np.percentile(shown.compressed(), (1.0, 99.0)) if shown.count() else (0.0, 1.0)
    colours = "viridis"
    if low < 0.0 < high:
        # White is zero, so that a change of sign is seen as one.
        colours, high = "RdBu_r", max(high, -low)
        low = -high
    extent = _extent(maps.frame, values.shape)
    image = axes.imshow(
        shown, origin="lower", extent=extent, cmap=colours, vmin=low, vmax=high, interpolation="nearest"
    )
    figure.colorbar(image, ax=axes, label=label, shrink=0.9)
    rows, columns = np.nonzero(np.asarray(maps.valid))
    if rows.size:
        # Square, so that both panels and any source look alike.
        beam = float(maps.beam[0]) / abs(maps.frame.cell[1])
        half = 0.5 * max(np.ptp(rows), np.ptp(columns)) + max(MARGIN, 0.8 * beam)
        ra, dec = (x / MILLIARCSECOND for x in maps.frame.offsets(values.shape))
        x, y = 0.5 * (columns.min() + columns.max()), 0.5 * (rows.min() + rows.max())
        step_ra, step_dec = (step / MILLIARCSECOND for step in maps.frame.cell)
        axes.set_xlim(ra[0] + (x - half) * step_ra, ra[0] + (x + half) * step_ra)
        axes.set_ylim(dec[0] + (y - half) * step_dec, dec[0] + (y + half) * step_dec)


def _contours(axes: Any, maps: RotationMap, ra: HostArray, dec: HostArray) -> None:
    intensity = np.asarray(maps.intensity)
    peak = float(intensity.max())
    levels = peak * 0.5 ** np.arange(9, 0, -1)
    axes.contour(ra, dec, intensity, levels=levels, colors="0.35", linewidths=0.7)


def _evpa_ticks(axes: Any, maps: RotationMap, ra: HostArray, dec: HostArray, ticks: int) -> None:
    from matplotlib.collections import LineCollection
    from matplotlib.patheffects import Normal, Stroke

    rows, columns = np.nonzero(np.asarray(maps.valid))
    if not rows.size:
        return
    stride = max(1, round(max(np.ptp(rows), np.ptp(columns)) / ticks))
    chosen = (rows % stride == rows.min() % stride) & (columns % stride == columns.min() % stride)
    rows, columns = rows[chosen], columns[chosen]
    angle = np.asarray(maps.evpa0)[rows, columns]
    length = 0.45 * stride * abs(maps.frame.cell[1]) / MILLIARCSECOND
    centre = np.stack([ra[columns], dec[rows]], axis=-1)
    # North through east: RA in the data is positive to the east already.
    half = length * np.stack([np.sin(angle), np.cos(angle)], axis=-1)
    segments = LineCollection(list(np.stack([centre - half, centre + half], axis=1)), colors="k", linewidths=1.0)
    # Black on a white rim shows on every colour of the map.
    segments.set_path_effects([Stroke(linewidth=2.2, foreground="w"), Normal()])
    axes.add_collection(segments)


def _beam(axes: Any, beam: HostArray) -> None:
    from matplotlib.patches import Ellipse

    major, minor = beam[:2] / MILLIARCSECOND
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    # On an RA axis that runs to the left, an ellipse in data coordinates turns the right way by itself.
    centre = (
        left - np.sign(left - right) * (0.6 * major + 0.03 * abs(left - right)),
        bottom + 0.6 * major + 0.03 * (top - bottom),
    )
    angle = 90.0 - float(np.degrees(beam[2]))
    axes.add_patch(
        Ellipse(
            centre, major, minor, angle=angle, facecolor="0.85", edgecolor="k", hatch="////", linewidth=0.8, zorder=5
        )
    )
