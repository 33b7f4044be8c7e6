"""Corner plots of posteriors."""

import os
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from physics.faraday.plotting.figures import Index, one_of_many, saved
from physics.faraday.posteriors.posterior import Posterior

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAMES = {
    "fraction": "$p_0$",
    "evpa0": r"$\chi_0$",
    "rm": "RM",
    "sigma_rm": r"$\sigma_{\rm RM}$",
    "depth": "$R$",
}
"""Symbols of the theory page, by the last part of a parameter's name."""

LEVELS = (0.393, 0.865)
"""What one and two standard deviations of a two-dimensional normal hold."""


def plot_posterior(
    posterior: Posterior,
    *,
    index: Index = None,
    truth: dict[str, float] | None = None,
    path: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
) -> "Figure":
    """Return the corner plot of one line of sight: each parameter, and each pair of them; angles in degrees.

    Args:
        posterior: of `sample`.
        index: which line of sight of several.
        truth: values to mark, by the names in `posterior.names`, in the units of the parameters.
        path: where to save the figure too; the suffix names the format.
        overwrite: whether to replace a file that exists.

    Raises:
        ValueError: there are several lines of sight and `index` chooses none, or a name in `truth` is unknown.
        FileExistsError: `path` exists and `overwrite` is false.
    """
    import corner
    from matplotlib.figure import Figure

    one = one_of_many(posterior, posterior.valid.shape, index, "the posterior")
    described = one.described()
    unknown = set(truth or {}) - {each.name for each in described}
    if unknown:
        raise ValueError(f"truth: unknown parameters {sorted(unknown)}; there are {', '.join(posterior.names)}")
    values = np.asarray(one.values).reshape(len(described), -1)
    angle = [each.unit == "rad" for each in described]
    turn = np.array([_middle(row) if is_angle else 0.0 for row, is_angle in zip(values, angle, strict=True)])
    shown = np.stack([_shown(row, is_angle, t) for row, is_angle, t in zip(values, angle, turn, strict=True)], axis=-1)
    marks = None
    if truth:
        marks = [
            None if each.name not in truth else float(_shown(np.asarray(truth[each.name]), is_angle, t))
            for each, is_angle, t in zip(described, angle, turn, strict=True)
        ]
    size = 2.4 * len(described) + 0.6
    figure = corner.corner(
        shown,
        fig=Figure(figsize=(size, size)),
        labels=[_label(each.name, each.unit) for each in described],
        truths=marks,
        truth_color="tab:red",
        quantiles=(0.1587, 0.5, 0.8413),
        levels=LEVELS,
        bins=30,
        smooth=1.0,
        max_n_ticks=3,
        labelpad=0.05,
        plot_datapoints=False,
        fill_contours=True,
        label_kwargs={"fontsize": 11},
    )
    return saved(figure, path, overwrite=overwrite)


def _middle(angle: np.ndarray) -> float:
    return float(0.5 * np.angle(np.mean(np.exp(2j * angle))))


def _shown(values: np.ndarray, is_angle: bool, turn: float) -> Any:
    """Return values as they are drawn: angles in degrees, on the side of the wrap where most of them are."""
    return np.degrees(turn + 0.5 * np.angle(np.exp(2j * (values - turn)))) if is_angle else values


def _label(name: str, unit: str) -> str:
    parts = name.split(".")
    symbol = NAMES.get(parts[-1], parts[-1].replace("_", " "))
    number = re.findall(r"\[(\d+)\]", name)
    where = " " + ".".join(str(int(n) + 1) for n in number) if number else ""
    shown = {"rad": "deg", "rad/m2": r"rad m$^{-2}$", "": ""}.get(unit, unit)
    return f"{symbol}{where}" + (f" [{shown}]" if shown else "")
