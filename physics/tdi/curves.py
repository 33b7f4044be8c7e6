"""A sensitivity curve as a result: the numbers, what they are of, a file and a plot."""

import os
from typing import TYPE_CHECKING

import equinox as eqx
from jaxtyping import Array, Float

from physics import units
from physics.numerics import checks
from physics.tdi.channels import combination
from physics.tdi.combinations import Combination
from physics.tdi.detector import Detector
from physics.tdi.foregrounds import Foreground
from physics.tdi.spectra import asd
from physics.types import Real

if TYPE_CHECKING:
    from astropy.units import Quantity
    from matplotlib.axes import Axes


class SensitivityCurve(eqx.Module):
    """The amplitude spectral density sqrt(S_n) of a channel over frequency, and what it belongs to."""

    frequency: Float[Array, " frequency"]
    """[Hz]"""
    asd: Float[Array, " frequency"]
    """sqrt(S_n) [Hz^-1/2]"""
    detector: Detector
    channel: str = eqx.field(static=True)
    family: str = eqx.field(static=True)
    """empty for a `Combination` of one's own"""
    generation: int = eqx.field(static=True)
    """1 or 2; 0 for a `Combination` of one's own"""
    polarization: str = eqx.field(static=True)
    method: str = eqx.field(static=True, default="exact")
    foreground: Foreground | None = None
    """What is added to S_n of the instrument, if anything."""

    @property
    def units(self) -> str:
        """The unit of `asd`, in astropy's spelling."""
        return "Hz(-1/2)"

    @property
    def convention(self) -> str:
        """What S_n is, in one line."""
        mean = {"sum": "summed over polarizations", "average": "averaged over the polarization angle"}
        return f"S_n = PSD/R, one-sided, R averaged over the sky and {mean[self.polarization]}"

    @property
    def label(self) -> str:
        """Detector and channel, for a legend; with the family where the sensitivity depends on it."""
        name = f"{self.detector.name} {self.family if self.channel == 'single' else self.channel}"
        return name if self.foreground is None else f"{name}, {self.foreground_label}"

    @property
    def foreground_label(self) -> str:
        """The foreground and its observation time, or its callable's name, or "none"."""
        if self.foreground is None:
            return "none"
        return getattr(self.foreground, "label", "with foreground")

    def to_quantity(self) -> "Quantity":
        """Return `asd` as an astropy quantity."""
        return units.quantity(self.asd, self.units)

    def write(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the curve to an ECSV table, with the detector and the convention in its header.

        Args:
            path: the file to make.
            overwrite: replace the file if it exists.

        Raises:
            FileExistsError: the file exists and `overwrite` is false.
            FileNotFoundError: its folder does not exist.
        """
        from physics.tdi.io import write_curve

        write_curve(self, path, overwrite=overwrite)

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Return `ax`, or the axes of a new figure, with the curve drawn on logarithmic scales.

        Args:
            ax: matplotlib axes to draw into.
        """
        from physics.tdi.plotting import plot_curve

        return plot_curve(self, ax)


def curve(
    frequency: Real,
    det: Detector,
    channel: str | Combination = "X",
    *,
    family: str | None = None,
    generation: int = 2,
    shift: int | None = None,
    method: str = "exact",
    polarization: str = "sum",
    foreground: Foreground | None = None,
) -> SensitivityCurve:
    """Return the `SensitivityCurve` sqrt(S_n) [Hz^-1/2] of a channel; works in float32 like `asd`.

    Args:
        frequency: f [Hz], of shape (frequency,).
        det: arm length and noise.
        channel: as in `sensitivity`.
        family: as in `response`.
        generation: 1 or 2.
        shift: as in `response`.
        method: as in `response`.
        polarization: as in `sensitivity`.
        foreground: as in `asd`.

    Raises:
        ValueError: `frequency` has not one axis; or as in `asd`.
        UnitsError: `frequency` is a quantity that is not a frequency.
    """
    points = checks.nonempty(units.array(frequency, "Hz", "frequency"), "frequency")
    if points.ndim != 1:
        raise ValueError(f"frequency: expected one axis for a curve, got shape {points.shape}")
    density = asd(
        points,
        det,
        channel,
        family=family,
        generation=generation,
        shift=shift,
        method=method,
        polarization=polarization,
        foreground=foreground,
    )
    if isinstance(channel, Combination):
        return SensitivityCurve(points, density, det, channel.name, "", 0, polarization, method, foreground)
    chosen = combination(channel, family, generation, shift)
    return SensitivityCurve(
        points, density, det, channel, chosen.family, chosen.generation, polarization, method, foreground
    )
