"""Images of one source in I, Q and U at several frequencies."""

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from physics import units
from physics.faraday import conventions
from physics.faraday.images.components import CleanComponents
from physics.faraday.images.sky_frame import SkyFrame
from physics.faraday.spectra.polarization_spectrum import PolarizationSpectrum
from physics.numerics import checks
from physics.types import Real

__all__ = ["SkyFrame", "StokesCube"]

ROWS = 64
"""Rows at a time, where a cube is taken in blocks."""


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
    components: tuple[tuple[CleanComponents | None, ...], ...] = ()
    """CLEAN components of I, Q and U of each channel, where the files have them."""

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

    def with_sigma(self, sigma: Real) -> "StokesCube":
        """Return the cube with other standard deviations of the noise.

        Args:
            sigma: of I, Q and U, of a shape that broadcasts with (channel, 3), in the unit of the images.

        Raises:
            UnitsError: a quantity has the wrong dimension.
            ValueError: a value is not finite and above zero, or the shape does not fit.
        """
        given = checks.positive(units.array(sigma, self.frame.unit, "sigma"), "sigma")
        if checks.broadcastable({"sigma": given.shape, "cube.sigma": self.sigma.shape}) != self.sigma.shape:
            raise ValueError(f"sigma: expected a shape that broadcasts with {self.sigma.shape}, got {given.shape}")
        return replace(self, sigma=jnp.broadcast_to(given, self.sigma.shape).astype(self.sigma.dtype))

    def to_common_beam(
        self, beam: Any = "smallest", *, method: str = "images", residuals: str = "convolved"
    ) -> "StokesCube":
        """Return the cube as all channels show it with one beam, with the noise found again on the new images.

        Channels that have the beam already stay as they are. A pixel to which masked ones would contribute more than a
        thousandth is masked. The flux density per beam grows with the beam, so that the peak of a point source stays.

        Args:
            beam: "smallest", the ellipse of least area that encloses all beams; "lowest_frequency", the first one;
                "circle", the smallest that encloses all; "circle_of_area", that of the area of the smallest ellipse;
                or major and minor full width at half maximum and position angle [rad].
            method: "images" convolves the images; "components" restores their CLEAN components with the new beam, and
                adds the residuals.
            residuals: with "components", "convolved" like the images, or "kept" as they are, as imaging programs do
                when they are given a beam, which then need not enclose that of the images.

        Raises:
            UnitsError: a quantity is not an angle.
            ValueError: the beam does not enclose that of a channel, is no beam, an image has no components, or an
                argument has another value.

        Source: derived in docs/theory/faraday.md (beams).
        """
        from physics.faraday.images.restoration import to_common_beam

        return to_common_beam(self, beam, method=method, residuals=residuals)

    def spectrum(self, x: int, y: int) -> PolarizationSpectrum:
        """Return the spectrum of a pixel, with its position on the sky; `write_polspectra` takes many.

        Args:
            x: column, counted from 0.
            y: row.

        Raises:
            ValueError: the pixel is outside the images, or masked in every channel.
        """
        from physics.faraday.images.wcs import sky_of_pixel

        height, width = self.I.shape[1:]
        if not (0 <= x < width and 0 <= y < height):
            raise ValueError(f"x, y: expected a pixel of {width} columns and {height} rows, got ({x}, {y})")
        mask = self.mask[:, y, x]
        if not mask.any():
            raise ValueError(f"x, y: the pixel ({x}, {y}) is masked in every channel")
        return PolarizationSpectrum(
            frequency=self.frequency,
            q=self.Q[:, y, x],
            u=self.U[:, y, x],
            sigma_q=self.sigma[:, 1],
            sigma_u=self.sigma[:, 2],
            mask=mask,
            intensity=self.I[:, y, x],
            sigma_i=self.sigma[:, 0],
            name=f"{self.frame.object or 'pixel'} {x} {y}",
            unit=self.frame.unit,
            position=sky_of_pixel(self.frame, x, y),
        )

    def write(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the images as one FITS file, which `read_cube` reads; see `physics.faraday.io.cube.write_cube`.

        Raises:
            FileExistsError: `path` exists and `overwrite` is false.
        """
        from physics.faraday.io.cube import write_cube

        write_cube(self, path, overwrite=overwrite)

    def rows(self, start: int, stop: int) -> "StokesCube":
        """Return the cube of some rows, from `start` up to but without `stop`, with its frame.

        Raises:
            ValueError: there is no such row.
        """
        from physics.faraday.images.wcs import cut_out

        height = self.I.shape[1]
        if not 0 <= start < stop <= height:
            raise ValueError(f"rows: expected 0 <= start < stop <= {height}, got {start} and {stop}")
        parts = {name: getattr(self, name)[:, start:stop] for name in ("I", "Q", "U", "mask")}
        return replace(self, **parts, frame=cut_out(self.frame, start))

    def blocks(self, rows: int = ROWS) -> Iterator[tuple[int, "StokesCube"]]:
        """Yield the first row and the cube of each block of rows, from the first row to the last.

        Args:
            rows: of a block; the last may have fewer.

        Raises:
            ValueError: `rows` is not a whole number above zero.
        """
        size, height = checks.positive_integer(rows, "rows"), self.I.shape[1]
        return ((start, self.rows(start, min(start + size, height))) for start in range(0, height, size))

    def aligned(self, shift: Any = None, **options: Any) -> "StokesCube":
        """Return the cube with its bands moved onto each other; see `physics.faraday.images.alignment`.

        Args:
            shift: an `Alignment`, or displacements (RA, Dec) of each channel [rad]; by default found by `align`.
            **options: of `align`.
        """
        from physics.faraday.images.alignment import aligned

        return aligned(self, shift, **options)
