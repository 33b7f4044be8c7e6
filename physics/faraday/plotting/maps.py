"""Figures of maps: rotation measure, EVPA, polarization, aliases and spectral index over total intensity."""

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from physics.faraday.conventions import degrees_0_180
from physics.faraday.images.rotation_map import RotationMap
from physics.faraday.images.spectral_index import SpectralIndexMap
from physics.faraday.plotting.figures import saved
from physics.faraday.plotting.sky import (
    Colours,
    View,
    draw_beam,
    draw_colours,
    draw_contours,
    draw_evpa,
    draw_scale,
)
from physics.numerics import checks
from physics.types import HostArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

QUANTITIES = {
    "rm": Colours("rotation measure [rad m$^{-2}$]"),
    "rm_error": Colours("error of the rotation measure [rad m$^{-2}$]", "from_low"),
    "rm_error_noise": Colours("error of the rotation measure from noise [rad m$^{-2}$]", "from_low"),
    "evpa0": Colours("EVPA at zero wavelength [deg]", "angle"),
    "fraction": Colours("polarization [%]", "from_low"),
    "polarized_intensity": Colours("polarized intensity [mJy/beam]", "from_low"),
    "alias_log_odds": Colours("log odds of the next rotation measure", "from_low"),
    "alias_log_odds_flat": Colours("log odds of the next rotation measure, flat prior"),
    "depolarization": Colours(r"$\beta$ of polarization $\sim \lambda^\beta$"),
    "depolarization_class": Colours(
        "towards longer wavelengths", "classes", ("depolarized", "unchanged", "repolarized")
    ),
    "spectral_index": Colours(r"spectral index $\alpha$, $I \sim \nu^\alpha$"),
    "chi2": Colours(r"$\chi^2$ per degree of freedom", "from_low"),
}
"""What `plot_map` can show."""


def plot_rotation(
    maps: RotationMap, path: str | os.PathLike[str] | None = None, *, overwrite: bool = False, ticks: int = 14
) -> "Figure":
    """Return a figure of rotation measure, and of polarization with the intrinsic EVPA, over total intensity.

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
    _panel(figure, left, maps, "rm", None)
    _panel(figure, right, maps, "fraction", ticks)
    left.set_title("Rotation measure")
    right.set_title("EVPA at zero wavelength")
    left.set_ylabel("relative declination [mas]")
    if maps.frame.object:
        figure.suptitle(maps.frame.object)
    return saved(figure, path, overwrite=overwrite)


def plot_map(
    maps: RotationMap,
    quantity: str = "rm",
    path: str | os.PathLike[str] | None = None,
    *,
    overwrite: bool = False,
    ticks: int | None = None,
) -> "Figure":
    """Return a figure of one quantity in colour over contours of total intensity, with beam and scale.

    Args:
        maps: what to show.
        quantity: "rm", "evpa0", "fraction", "polarized_intensity", "rm_error", "rm_error_noise", "alias_log_odds",
            "alias_log_odds_flat", "depolarization", "depolarization_class", "spectral_index" or "chi2".
        path: where to save the figure too; the suffix names the format.
        overwrite: whether to replace a file that exists.
        ticks: about how many ticks of the intrinsic EVPA along the longer side of the polarized region; none if None.

    Raises:
        ValueError: the quantity is unknown.
        FileExistsError: `path` exists and `overwrite` is false.
    """
    from matplotlib.figure import Figure

    checks.one_of(quantity, list(QUANTITIES), "quantity")
    figure = Figure(figsize=(6.2, 5.0), layout="constrained")
    axes = figure.subplots()
    _panel(figure, axes, maps, quantity, ticks)
    axes.set(ylabel="relative declination [mas]", title=maps.frame.object)
    return saved(figure, path, overwrite=overwrite)


def plot_spectral_index(
    spectral: SpectralIndexMap, path: str | os.PathLike[str] | None = None, *, overwrite: bool = False
) -> "Figure":
    """Return a figure of the spectral index and of its error from noise, with beam and scale.

    Args:
        spectral: what to show.
        path: where to save the figure too; the suffix names the format.
        overwrite: whether to replace a file that exists.

    Raises:
        FileExistsError: `path` exists and `overwrite` is false.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.5, 5.0), layout="constrained")
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    view = View.of(spectral)
    draw_colours(figure, left, view, np.asarray(spectral.alpha), QUANTITIES["spectral_index"])
    error = Colours(r"error of $\alpha$ from noise", "from_low")
    draw_colours(figure, right, view, np.asarray(spectral.alpha_error_noise), error)
    intensity = np.where(view.valid, np.asarray(spectral.intensity), np.nan)
    for axes in (left, right):
        _furnish(axes, view, intensity)
    left.set_ylabel("relative declination [mas]")
    if spectral.frame.object:
        figure.suptitle(spectral.frame.object)
    return saved(figure, path, overwrite=overwrite)


def _panel(figure: Any, axes: Any, maps: RotationMap, quantity: str, ticks: int | None) -> None:
    view = View.of(maps)
    draw_colours(figure, axes, view, _values(maps, quantity), QUANTITIES[quantity])
    _furnish(axes, view, np.asarray(maps.intensity))
    if ticks is not None:
        draw_evpa(axes, view, np.asarray(maps.evpa0), ticks)


def _furnish(axes: Any, view: View, intensity: HostArray) -> None:
    draw_contours(axes, view, intensity)
    draw_beam(axes, view)
    draw_scale(axes)


def _values(maps: RotationMap, quantity: str) -> HostArray:
    values = np.asarray(getattr(maps, quantity), float)
    if quantity == "evpa0":
        return np.asarray(degrees_0_180(maps.evpa0), float)
    if quantity == "chi2":
        return values / np.maximum(np.asarray(maps.dof, float), 1.0)
    scale = {"fraction": 100.0, "polarized_intensity": 1e3}.get(quantity, 1.0)
    return scale * values
