"""Figures of sensitivity curves."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from physics.tdi.curves import SensitivityCurve

POLARIZATION_LABELS = {"sum": "polarizations summed in $R$", "average": "polarizations averaged in $R$"}


def plot_curve(curve: "SensitivityCurve", ax: "Axes | None" = None) -> "Axes":
    """Return axes with `curve` on logarithmic scales; the labels name units and convention, the line its channel."""
    if ax is None:
        import matplotlib.pyplot as plt

        _, ax = plt.subplots(layout="constrained")
    ax.loglog(np.asarray(curve.frequency), np.asarray(curve.asd), label=curve.label)
    ax.set_xlabel("frequency $f$ [Hz]")
    ax.set_ylabel(
        r"$\sqrt{S_n}$ [Hz$^{-1/2}$]" + f"\n$S_n = $ PSD$/R$, {POLARIZATION_LABELS[curve.polarization]}",
        linespacing=1.4,
    )
    return ax
