"""Figures of sensitivity curves."""

from typing import TYPE_CHECKING, Any

import numpy as np

from physics.tdi.curves import curve as make_curve
from physics.tdi.detector import Detector
from physics.tdi.foregrounds import Foreground
from physics.tdi.limits import characteristic_frequencies
from physics.types import Real

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from physics.tdi.curves import SensitivityCurve

POLARIZATION_LABELS = {"sum": "polarizations summed in $R$", "average": "polarizations averaged in $R$"}

FAMILIES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("zeta", r"$\zeta$, $T$", {"color": "C7"}),
    ("alpha", r"Sagnac $\alpha$, $\beta$, $\gamma$", {"color": "C4"}),
    ("M1", "Monitor, Beacon", {"color": "C2"}),
    ("U", "Relay $U$, $V$, $W$", {"color": "C1"}),
    ("X", "Michelson $X$, $Y$, $Z$", {"color": "C0"}),
    ("A", "$A$, $E$ of any family", {"color": "C3", "linestyle": "--"}),
    ("optimal", "optimal $A + E + T$", {"color": "black"}),
)
"""One channel for each different curve, its label, and its line."""

REGIONS = ("acceleration noise", "flat", "response falls")


def plot_curve(curve: "SensitivityCurve", ax: "Axes | None" = None) -> "Axes":
    """Return axes with `curve` on logarithmic scales; the labels name units and convention, the line its channel."""
    ax = _axes(ax)
    ax.loglog(np.asarray(curve.frequency), np.asarray(curve.asd), label=curve.label)
    _label(ax, curve.polarization)
    return ax


def plot_families(
    det: Detector,
    frequency: Real = None,
    ax: "Axes | None" = None,
    *,
    foreground: Foreground | None = None,
    polarization: str = "sum",
) -> "Axes":
    """Return axes with the sensitivity of every family of a detector, f_n and f_t, and the regions between them.

    The regions are those of the Michelson family with white noise; the Monitor and Relay bend at a lower f_n.

    Args:
        det: one arm length.
        frequency: f [Hz], of shape (frequency,); from f_n/300 to 30 f_t by default.
        ax: matplotlib axes to draw into.
        foreground: as in `sensitivity`.
        polarization: as in `sensitivity`.

    Raises:
        ValueError: as in `curve`.
        UnitsError: `frequency` is a quantity that is not a frequency.
    """
    marks = characteristic_frequencies(det)
    f_n, f_t = float(marks.f_n), float(marks.f_t)
    points = np.geomspace(f_n / 300.0, 30.0 * f_t, 1500) if frequency is None else frequency
    ax = _axes(ax)
    curves = [
        make_curve(points, det, channel, polarization=polarization, foreground=foreground) for channel, *_ in FAMILIES
    ]
    for curve, (_, label, line) in zip(curves, FAMILIES, strict=True):
        ax.loglog(np.asarray(curve.frequency), np.asarray(curve.asd), label=label, **line)
    values = np.asarray(curves[0].frequency)
    ax.set_xlim(values.min(), values.max())
    lowest = float(np.min(curves[-1].asd))
    # The optimum fills two thirds of the height; zeta rises without end to the left.
    ax.set_ylim(0.15 * lowest, max(float(np.max(curves[-1].asd)), 300.0 * lowest) * 10.0)
    _mark_regions(ax, f_n, f_t)
    _label(ax, polarization)
    title = f"{det.name}, generations 1 and 2"
    ax.set_title(title if foreground is None else f"{title}, {curves[0].foreground_label}")
    ax.legend(fontsize="small", loc="upper right")
    return ax


def _mark_regions(ax: "Axes", f_n: float, f_t: float) -> None:
    first, last = ax.get_xlim()
    edges = np.clip([first, f_n, f_t, last], first, last)
    for left, right, name in zip(edges[:-1], edges[1:], REGIONS, strict=True):
        if right <= left:
            continue
        if name == "flat":
            ax.axvspan(left, right, color="C8", alpha=0.15, linewidth=0)
        ax.text(np.sqrt(left * right), 0.015, name, transform=ax.get_xaxis_transform(), ha="center", fontsize="small")
    for value, name in ((f_n, "$f_n$"), (f_t, "$f_t$")):
        if first < value < last:
            ax.axvline(value, color="0.4", linewidth=0.8, linestyle=":")
            ax.text(value, 0.075, f" {name}", transform=ax.get_xaxis_transform(), color="0.3")


def _axes(ax: "Axes | None") -> "Axes":
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    _, ax = plt.subplots(layout="constrained")
    return ax


def _label(ax: "Axes", polarization: str) -> None:
    ax.set_xlabel("frequency $f$ [Hz]")
    ax.set_ylabel(
        r"$\sqrt{S_n}$ [Hz$^{-1/2}$]" + f"\n$S_n = $ PSD$/R$, {POLARIZATION_LABELS[polarization]}", linespacing=1.4
    )
