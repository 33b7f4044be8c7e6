"""Images of one source in I, Q and U at several frequencies."""

from dataclasses import dataclass

import equinox as eqx
import numpy as np
from jaxtyping import Array, Bool, Float

from physics.faraday import conventions
from physics.numerics import checks
from physics.types import HostArray


@dataclass(frozen=True)
class SkyFrame:
    """Where the images lie on the sky, and where they come from; stays on the host.

    Args:
        header: FITS cards of the celestial axes and of the object, as one string.
        cell: steps in RA (negative: to the west) and Dec from pixel to pixel [rad].
        reference: pixel (x, y) of the reference position, counted from 0.
        object: name of the source.
        files: names of the files read, none for a simulation.
        unit: of the images.
    """

    header: str
    cell: tuple[float, float]
    reference: tuple[float, float]
    object: str = ""
    files: tuple[str, ...] = ()
    unit: str = "Jy/beam"

    def offsets(self, shape: tuple[int, ...]) -> tuple[HostArray, HostArray]:
        """Return the RA of each column and the Dec of each row relative to the reference position [rad].

        Args:
            shape: of the images, (y, x).
        """
        x, y = self.reference
        return (np.arange(shape[1]) - x) * self.cell[0], (np.arange(shape[0]) - y) * self.cell[1]


class StokesCube(eqx.Module):
    """Stokes I, Q and U of every pixel and channel, ascending in frequency, in the axis order [channel, Dec, RA]."""

    frequency: Float[Array, " channel"]
    """[Hz]."""
    I: Float[Array, "channel y x"]  # noqa: E741
    Q: Float[Array, "channel y x"]
    U: Float[Array, "channel y x"]
    sigma: Float[Array, "channel 3"]
    """Standard deviation of I, Q and U away from the source, in the unit of the images."""
    beam: Float[Array, "channel 3"]
    """Full widths at half maximum of the major and minor axis and the position angle, north through east [rad]."""
    mask: Bool[Array, "channel y x"]
    """True where I, Q and U are all finite; elsewhere they hold zero."""
    frame: SkyFrame = eqx.field(static=True)

    @property
    def lambda_squared(self) -> Float[Array, " channel"]:
        """Squared wavelength of each channel [m^2]."""
        return conventions.lambda_squared(self.frequency)

    @property
    def polarized_intensity(self) -> Float[Array, "channel y x"]:
        """sqrt(Q^2 + U^2), not corrected for noise bias."""
        return conventions.polarized_intensity(self.Q, self.U)

    @property
    def evpa(self) -> Float[Array, "channel y x"]:
        """Position angle in (-pi/2, pi/2] [rad]."""
        return conventions.evpa(self.Q, self.U)

    def astype(self, dtype: str) -> "StokesCube":
        """Return the cube with its images in "float32" or "float64"; fits of it are made in that precision.

        Raises:
            ValueError: another dtype, or float64 while 64-bit arrays are not enabled.
        """
        chosen = checks.available_dtype(dtype, "dtype")
        images = tuple(x.astype(chosen) for x in (self.I, self.Q, self.U, self.sigma, self.beam))
        return eqx.tree_at(lambda c: (c.I, c.Q, c.U, c.sigma, c.beam), self, images)
