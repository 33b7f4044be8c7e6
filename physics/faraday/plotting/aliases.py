"""Which rotation measures could explain the data, and how probable each is."""

import os
from typing import TYPE_CHECKING

import numpy as np

from physics.faraday.fits.rotation_fit import RotationFit
from physics.faraday.plotting.figures import Index, one_of_many, saved

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEAST = -25.0
"""Log odds below which an alias is not worth drawing."""


def plot_aliases(
    fit: RotationFit,
    *,
    index: Index = None,
    path: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
) -> "Figure":
    """Return a figure of the log odds of each rotation measure that was kept, with and without the prior.

    Args:
        fit: of `fit_rotation` or `fit_angles`.
        index: which line of sight of several.
        path: where to save the figure too; the suffix names the format.
        overwrite: whether to replace a file that exists.

    Raises:
        ValueError: there are several lines of sight and `index` chooses none.
        FileExistsError: `path` exists and `overwrite` is false.
    """
    from matplotlib.figure import Figure

    one = one_of_many(fit, fit.rm.shape, index, "the fit")
    odds, flat, rm = (np.asarray(x, float) for x in (one.alias_log_odds, one.alias_log_odds_flat, one.alias_rm))
    kept = np.isfinite(odds)
    figure = Figure(figsize=(7.0, 3.6), layout="constrained")
    axes = figure.subplots()
    series = (("with the prior", odds, "o", "tab:blue"), ("without the prior", flat, "s", "tab:orange"))
    for name, values, marker, colour in series:
        drawn = kept & (values > LEAST)
        hollow = "none" if values is flat else colour
        axes.plot(rm[drawn], values[drawn], marker, color=colour, markerfacecolor=hollow, markersize=7, label=name)
    lowest = min(float(np.min(x[kept & (x > LEAST)], initial=0.0)) for _, x, _, _ in series)
    highest = max(float(np.max(x[kept], initial=0.0)) for _, x, _, _ in series)
    axes.vlines(rm[kept], LEAST, np.maximum(odds, flat)[kept], color="0.8", linewidth=1.0, zorder=0)
    pad = 0.12 * max(highest - lowest, 1.0)
    axes.axhline(0.0, color="0.7", linewidth=0.8, zorder=0)
    axes.set(
        xlabel=r"rotation measure [rad m$^{-2}$]", ylabel="log odds to the best", ylim=(lowest - pad, highest + pad)
    )
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, frameon=False, borderaxespad=0.0)
    return saved(figure, path, overwrite=overwrite)
