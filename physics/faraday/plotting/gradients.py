"""Figures of slices through a map, and of what uniform rotation measures would show."""

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from physics.constants import DEGREE, MILLIARCSECOND
from physics.faraday.gradients.significance import GradientSlices, GradientTest
from physics.faraday.plotting.figures import saved

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_SLICES = 6


def plot_gradient(
    result: GradientTest | GradientSlices, path: str | os.PathLike[str] | None = None, *, overwrite: bool = False
) -> "Figure":
    """Return a figure of slices with error bands, their lines and the beam, and of the nulls if there are any.

    Of many slices, the most significant ones are shown.

    Args:
        result: of `gradient_test` or `gradient_slices`.
        path: where to save the figure too; the suffix names the format.
        overwrite: whether to replace a file that exists.

    Raises:
        FileExistsError: `path` exists and `overwrite` is false.
    """
    from matplotlib.figure import Figure

    slices = result.slices if isinstance(result, GradientTest) else result
    tested = isinstance(result, GradientTest)
    figure = Figure(figsize=(11.5 if tested else 7.5, 6.8), layout="constrained")
    grid = figure.add_gridspec(2, 2 if tested else 1, width_ratios=(3, 2) if tested else None)
    upper = figure.add_subplot(grid[0, 0])
    lower = figure.add_subplot(grid[1, 0], sharex=upper)
    significance = np.where(np.asarray(slices.determined), np.asarray(slices.slopes.significance), -1.0)
    chosen = [int(i) for i in np.sort(np.argsort(-significance)[:MOST_SLICES]) if significance[i] >= 0]
    for number, i in enumerate(chosen):
        _slice(upper, lower, slices, i, f"C{number}")
    _beam(upper, float(np.mean(np.asarray(slices.beam_width)[chosen])) / MILLIARCSECOND)
    upper.set_ylabel("rotation measure [rad m$^{-2}$]")
    lower.set_ylabel("EVPA at zero wavelength [deg]")
    along = slices.direction == "along"
    lower.set_xlabel("distance along the path [mas]" if along else "distance from the path, to its right [mas]")
    upper.tick_params(labelbottom=False)
    upper.legend(fontsize="small", loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False)
    if isinstance(result, GradientTest):
        _nulls(figure.add_subplot(grid[:, 1]), result)
    return saved(figure, path, overwrite=overwrite)


def _slice(upper: Any, lower: Any, slices: GradientSlices, i: int, colour: str) -> None:
    valid = np.asarray(slices.points.valid[i])
    x = np.asarray(slices.offset[i])[valid] / MILLIARCSECOND
    label = f"{float(slices.width_in_beams[i]):.1f} beams" + (", narrow" if bool(slices.narrow[i]) else "")
    if slices.direction == "across":
        label = f"at {float(slices.position[i]) / MILLIARCSECOND:.2f} mas: {label}"
    rm, error = (np.asarray(y[i])[valid] for y in (slices.points.rm, slices.points.rm_error))
    upper.plot(x, rm, color=colour, marker=".", label=label)
    upper.fill_between(x, rm - error, rm + error, color=colour, alpha=0.25, linewidth=0)
    _line(upper, x, rm, error, float(slices.slopes.rm[i]) * MILLIARCSECOND, colour)
    # Without jumps of half a turn between neighbours.
    angle = np.unwrap(np.asarray(slices.points.evpa0[i])[valid], period=np.pi) / DEGREE
    spread = np.asarray(slices.points.evpa0_error[i])[valid] / DEGREE
    lower.plot(x, angle, color=colour, marker=".")
    lower.fill_between(x, angle - spread, angle + spread, color=colour, alpha=0.25, linewidth=0)
    _line(lower, x, angle, spread, float(slices.slopes.evpa0[i]) * MILLIARCSECOND / DEGREE, colour)


def _line(axes: Any, x: Any, y: Any, error: Any, slope: float, colour: str) -> None:
    weight = 1.0 / error**2
    level = np.average(y - slope * x, weights=weight)
    axes.plot(x, level + slope * x, color=colour, linestyle="--", linewidth=1.0)


def _beam(axes: Any, width: float) -> None:
    from matplotlib.transforms import blended_transform_factory

    low, _ = axes.get_xlim()
    place = blended_transform_factory(axes.transData, axes.transAxes)
    start = low + 0.02 * (axes.get_xlim()[1] - low)
    axes.plot([start, start + width], [0.06, 0.06], color="k", linewidth=2.5, transform=place, solid_capstyle="butt")
    axes.text(start + 0.5 * width, 0.08, "beam", transform=place, ha="center", va="bottom", fontsize="small")


def _nulls(axes: Any, result: GradientTest) -> None:
    null, observed = np.asarray(result.null_statistics), float(result.statistic)
    axes.hist(null, bins=min(40, max(5, len(null) // 8)), color="0.7", label="uniform rotation measure")
    axes.axvline(observed, color="tab:red", label=f"observed, {observed:.3g}")
    if observed > 4 * null.max():
        # Else the nulls are one bar.
        axes.set_xscale("log")
    axes.set_xlabel("largest |slope| / error over the slices")
    axes.set_ylabel("simulations")
    axes.yaxis.get_major_locator().set_params(integer=True)
    axes.set_title(f"p = {float(result.p_value):.3g} from {len(null)} simulations")
    axes.legend(fontsize="small")
