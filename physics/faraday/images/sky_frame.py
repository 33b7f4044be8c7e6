"""Where images lie on the sky."""

from dataclasses import dataclass, replace

import numpy as np

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
        history: what was done to the images since.
    """

    header: str
    cell: tuple[float, float]
    reference: tuple[float, float]
    object: str = ""
    files: tuple[str, ...] = ()
    unit: str = "Jy/beam"
    history: tuple[str, ...] = ()

    def after(self, step: str) -> "SkyFrame":
        """Return the frame of images to which one more thing was done."""
        return replace(self, history=(*self.history, step))

    def offsets(self, shape: tuple[int, ...]) -> tuple[HostArray, HostArray]:
        """Return the RA of each column and the Dec of each row relative to the reference position [rad].

        Args:
            shape: of the images, (y, x).
        """
        x, y = self.reference
        return (np.arange(shape[1]) - x) * self.cell[0], (np.arange(shape[0]) - y) * self.cell[1]
