"""What figures of the sky share: colours, contours, EVPA ticks, the beam and a scale bar."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from physics.constants import MILLIARCSECOND
from physics.faraday.images.rotation_map import RotationMap
from physics.faraday.images.sky_frame import SkyFrame
from physics.faraday.images.spectral_index import SpectralIndexMap
from physics.types import HostArray

MARGIN = 10
"""Pixels shown around the valid region, at least; a beam fits in beside it."""


CLASS_COLOURS = ("tab:blue", "0.85", "tab:red")


@dataclass(frozen=True)
class Colours:
    """How values are coloured.

    Args:
        label: of the colour bar, with the unit.
        scheme: "around_zero" shows a change of sign as one; "from_low", "angle" for half turns in degrees, "classes"
            for -1, 0 and 1.
        names: of the three classes.
    """

    label: str
    scheme: str = "around_zero"
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class View:
    """The part of the sky that is shown, in milliarcseconds."""

    frame: SkyFrame
    beam: HostArray
    valid: HostArray
    ra: HostArray
    dec: HostArray

    @classmethod
    def of(cls, maps: RotationMap | SpectralIndexMap) -> "View":
        """Return the view of a map."""
        ra, dec = (x / MILLIARCSECOND for x in maps.frame.offsets(maps.valid.shape))
        return cls(maps.frame, np.asarray(maps.beam, float), np.asarray(maps.valid), ra, dec)


def draw_colours(figure: Any, axes: Any, view: View, values: HostArray, colours: Colours) -> None:
    """Draw the values of valid pixels with a colour bar, and show the region about them."""
    from matplotlib.colors import ListedColormap

    shown = np.ma.masked_invalid(np.where(view.valid, values, np.nan))
    low, high = np.percentile(shown.compressed(), (1.0, 99.0)) if shown.count() else (0.0, 1.0)
    name: Any = "viridis"
    if colours.scheme == "angle":
        name, low, high = "hsv", 0.0, 180.0
    elif colours.scheme == "classes":
        name, low, high = ListedColormap(CLASS_COLOURS), -1.5, 1.5
    elif colours.scheme == "around_zero" and low < 0.0 < high:
        # White is zero, so that a change of sign is seen as one.
        name, high = "RdBu_r", max(high, -low)
        low = -high
    image = axes.imshow(
        shown, origin="lower", extent=_extent(view), cmap=name, vmin=low, vmax=high, interpolation="nearest"
    )
    if not shown.count():
        axes.annotate("no value in any pixel", (0.5, 0.96), xycoords="axes fraction", ha="center", va="top")
    bar = figure.colorbar(image, ax=axes, label=colours.label, shrink=0.9)
    if colours.scheme == "angle":
        bar.set_ticks(range(0, 181, 30))
    if colours.scheme == "classes":
        bar.set_ticks((-1, 0, 1), labels=colours.names)
    _show_region(axes, view)
    axes.set_xlabel("relative right ascension [mas]")


def _extent(view: View) -> tuple[float, float, float, float]:
    # Edges, not centres, of the outer pixels.
    half_ra, half_dec = (0.5 * step / MILLIARCSECOND for step in view.frame.cell)
    return view.ra[0] - half_ra, view.ra[-1] + half_ra, view.dec[0] - half_dec, view.dec[-1] + half_dec


def _show_region(axes: Any, view: View) -> None:
    rows, columns = np.nonzero(view.valid)
    if not rows.size:
        return
    # Square, so that all panels and any source look alike.
    beam = float(view.beam[0]) / abs(view.frame.cell[1])
    half = 0.5 * max(np.ptp(rows), np.ptp(columns)) + max(MARGIN, 1.1 * beam)
    x, y = 0.5 * (columns.min() + columns.max()), 0.5 * (rows.min() + rows.max())
    step_ra, step_dec = (step / MILLIARCSECOND for step in view.frame.cell)
    axes.set_xlim(view.ra[0] + (x - half) * step_ra, view.ra[0] + (x + half) * step_ra)
    axes.set_ylim(view.dec[0] + (y - half) * step_dec, view.dec[0] + (y + half) * step_dec)


def draw_contours(axes: Any, view: View, intensity: HostArray) -> None:
    """Draw contours of total intensity that double from 1/512 of the peak; NaN is left out."""
    levels = float(np.nanmax(intensity)) * 0.5 ** np.arange(9, 0, -1)
    axes.contour(view.ra, view.dec, intensity, levels=levels, colors="0.35", linewidths=0.7)


def draw_evpa(axes: Any, view: View, evpa: HostArray, ticks: int) -> None:
    """Draw ticks along the EVPA [rad], about so many along the longer side of the valid region."""
    from matplotlib.collections import LineCollection
    from matplotlib.patheffects import Normal, Stroke

    rows, columns = np.nonzero(view.valid)
    if not rows.size:
        return
    stride = max(1, round(max(np.ptp(rows), np.ptp(columns)) / ticks))
    chosen = (rows % stride == rows.min() % stride) & (columns % stride == columns.min() % stride)
    rows, columns = rows[chosen], columns[chosen]
    angle = evpa[rows, columns]
    length = 0.45 * stride * abs(view.frame.cell[1]) / MILLIARCSECOND
    centre = np.stack([view.ra[columns], view.dec[rows]], axis=-1)
    # North through east: RA in the data is positive to the east already.
    half = length * np.stack([np.sin(angle), np.cos(angle)], axis=-1)
    segments = LineCollection(list(np.stack([centre - half, centre + half], axis=1)), colors="k", linewidths=1.0)
    # Black on a white rim shows on every colour of the map.
    segments.set_path_effects([Stroke(linewidth=2.2, foreground="w"), Normal()])
    axes.add_collection(segments)


def draw_beam(axes: Any, view: View) -> None:
    """Draw the beam in the lower left corner."""
    from matplotlib.patches import Ellipse

    major, minor = view.beam[:2] / MILLIARCSECOND
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    # On an RA axis that runs to the left, an ellipse in data coordinates turns the right way by itself.
    centre = (
        left - np.sign(left - right) * (0.6 * major + 0.03 * abs(left - right)),
        bottom + 0.6 * major + 0.03 * (top - bottom),
    )
    angle = 90.0 - float(np.degrees(view.beam[2]))
    axes.add_patch(
        Ellipse(
            centre, major, minor, angle=angle, facecolor="0.85", edgecolor="k", hatch="////", linewidth=0.8, zorder=5
        )
    )


def draw_scale(axes: Any) -> None:
    """Draw a bar of one, two or five units of a decade in the lower right corner, a fifth of the width or less."""
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    widest = 0.2 * abs(left - right)
    decade = 10.0 ** math.floor(math.log10(widest))
    length = decade * max(step for step in (1.0, 2.0, 5.0) if step * decade <= widest)
    end = right + 0.05 * (left - right)
    y = bottom + 0.06 * (top - bottom)
    axes.plot([end, end + math.copysign(length, left - right)], [y, y], color="k", linewidth=2.0)
    middle = end + 0.5 * math.copysign(length, left - right)
    axes.annotate(f"{length:g} mas", (middle, y), (0, 3), textcoords="offset points", ha="center", va="bottom")
