"""What a map of rotation measures holds."""

import os
from dataclasses import dataclass
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from physics import units
from physics.faraday.fits.arguments import nonnegative_number
from physics.faraday.fits.calibration import EvpaError
from physics.faraday.fits.rotation_fit import chi_squared_tail
from physics.faraday.images.cube import SkyFrame
from physics.faraday.images.flags import INVALID, REASONS, PixelFlag
from physics.faraday.images.rest_frame import RestFrameMap
from physics.numerics import checks
from physics.numerics.special import safe_sqrt
from physics.types import Real


@dataclass(frozen=True)
class MapSettings:
    """How a map was made; written into its file."""

    max_rm: float
    evpa_error: EvpaError
    rm_prior: Any
    amplitude: str
    intensity_threshold: float
    polarization_threshold: float
    bands: tuple[int, ...]
    noise: str = "off-source"
    """What the errors of Q and U are: "off-source", a `NoiseModel`, or "given"."""


class RotationMap(eqx.Module):
    """Rotation measure, intrinsic EVPA and polarization of each pixel, in the axis order [Dec, RA].

    Pixels that are not `valid` hold NaN. `rm_error` and `evpa0_error` include the EVPA calibration, which all pixels
    share; the errors called noise do not: they are what noise contributes, and limit differences between pixels.
    """

    rm: Float[Array, "y x"]
    rm_error: Float[Array, "y x"]
    rm_error_noise: Float[Array, "y x"]
    evpa0: Float[Array, "y x"]
    """In (-pi/2, pi/2]."""
    evpa0_error: Float[Array, "y x"]
    evpa0_error_noise: Float[Array, "y x"]
    polarized_intensity: Float[Array, "y x"]
    """Mean over the channels of the polarization along the fitted angle."""
    fraction: Float[Array, "y x"]
    """The fractional polarization that fits best along the fitted angle, which noise does not raise."""
    fraction_band: Float[Array, "band y x"]
    """Fractional polarization of each band, corrected for its noise bias (modified asymptotic estimate)."""
    fraction_band_error: Float[Array, "band y x"]
    depolarization: Float[Array, "y x"]
    """beta of the fraction ~ wavelength^beta: negative where the source depolarizes. NaN for a single band."""
    depolarization_error: Float[Array, "y x"]
    depolarization_class: Int[Array, "y x"]
    """-1 depolarized, 1 inversely depolarized, 0 neither by three standard deviations."""
    spectral_index: Float[Array, "y x"]
    """alpha of I ~ nu^alpha, see `spectral_index`; also outside of its limits. NaN for a single band."""
    spectral_index_error: Float[Array, "y x"]
    """With the flux scale, which all pixels share."""
    chi2: Float[Array, "y x"]
    dof: Float[Array, "y x"]
    alias_rm: Float[Array, "y x"]
    """The most probable other rotation measure; the same as `rm` if there is none."""
    alias_log_odds: Float[Array, "y x"]
    """Log odds of that one against `rm`; -inf if there is none."""
    alias_log_odds_flat: Float[Array, "y x"]
    """The same without the prior."""
    intensity: Float[Array, "y x"]
    """Stokes I of the lowest channel, in every pixel."""
    valid: Bool[Array, "y x"]
    """I and P are significant and the rotation measure is determined: see `fit_map`."""
    flags: Int[Array, "y x"]
    """Bits of `PixelFlag`: why a pixel is not valid, and what to be careful with where it is."""
    band_frequency: Float[Array, " band"]
    """Mean of the channels of each band [Hz]."""
    beam: Float[Array, " 3"]
    """Full widths at half maximum and position angle [rad]."""
    frame: SkyFrame = eqx.field(static=True)
    settings: MapSettings = eqx.field(static=True)

    units: ClassVar[dict[str, str]] = {
        "rm": "rad/m2",
        "rm_error": "rad/m2",
        "rm_error_noise": "rad/m2",
        "evpa0": "rad",
        "evpa0_error": "rad",
        "evpa0_error_noise": "rad",
        "polarized_intensity": "Jy/beam",
        "fraction": "",
        "fraction_band": "",
        "fraction_band_error": "",
        "depolarization": "",
        "depolarization_error": "",
        "spectral_index": "",
        "spectral_index_error": "",
        "chi2": "",
        "dof": "",
        "alias_rm": "rad/m2",
        "alias_log_odds": "",
        "alias_log_odds_flat": "",
        "intensity": "Jy/beam",
        "p_value": "",
        "rm_error_common": "rad/m2",
        "evpa0_error_common": "rad",
        "band_frequency": "Hz",
        "beam": "rad",
    }

    @property
    def rm_error_common(self) -> Float[Array, "y x"]:
        """The part of `rm_error` that the pixels share, from the EVPA calibration [rad/m^2]."""
        return safe_sqrt(jnp.square(self.rm_error) - jnp.square(self.rm_error_noise))

    @property
    def evpa0_error_common(self) -> Float[Array, "y x"]:
        """The part of `evpa0_error` that the pixels share, from the EVPA calibration [rad]."""
        return safe_sqrt(jnp.square(self.evpa0_error) - jnp.square(self.evpa0_error_noise))

    @property
    def p_value(self) -> Float[Array, "y x"]:
        """Probability of a misfit at least as large as `chi2`; 1 without degrees of freedom."""
        return chi_squared_tail(self.chi2, self.dof)

    def flagged(self, flag: PixelFlag) -> Bool[Array, "y x"]:
        """Return where at least one of the given flags is set."""
        return jnp.bitwise_and(self.flags, int(flag)) != 0

    def explain(self, y: int, x: int) -> str:
        """Return in words what the flags of a pixel say.

        Raises:
            ValueError: there is no such pixel.
        """
        rows, columns = self.rm.shape
        if not (0 <= y < rows and 0 <= x < columns):
            raise ValueError(f"y, x: expected a pixel of an image of {rows} x {columns}, got ({y}, {x})")
        flags = PixelFlag(int(self.flags[y, x]))
        said = "; ".join(reason for flag, reason in REASONS.items() if flag in flags)
        return ("not valid: " if flags & INVALID else "valid: " if said else "valid") + said

    def rest_frame(self, redshift: Real, *, galactic_rm: Real = 0.0, galactic_rm_error: Real = 0.0) -> RestFrameMap:
        """Return the rotation measure in the frame of the source; see `rest_frame_rm`.

        Args:
            redshift: z, at least 0.
            galactic_rm: rotation measure of everything that is not at the source, the Galaxy and the ionosphere
                [rad/m^2].
            galactic_rm_error: its standard deviation, which all pixels share [rad/m^2].

        Raises:
            UnitsError: a quantity has the wrong dimension.
            ValueError: the redshift or the error is negative or not finite.
        """
        z = nonnegative_number(redshift, "", "redshift")
        foreground = units.number(galactic_rm, "rad/m2", "galactic_rm")
        error = nonnegative_number(galactic_rm_error, "rad/m2", "galactic_rm_error")
        factor = (1.0 + z) ** 2
        return RestFrameMap(
            rm=factor * (self.rm - foreground),
            rm_error=factor * jnp.sqrt(jnp.square(self.rm_error) + error**2),
            rm_error_noise=factor * self.rm_error_noise,
            redshift=z,
            galactic_rm=foreground,
            galactic_rm_error=error,
        )

    def to_quantity(self, name: str) -> Any:
        """Return one of the fields listed in `units` as an astropy `Quantity`."""
        return units.quantity(getattr(self, checks.one_of(name, list(self.units), "name")), self.units[name])

    def write(
        self, path: str | os.PathLike[str], *, rest_frame: RestFrameMap | None = None, overwrite: bool = False
    ) -> None:
        """Write the maps as FITS images with their celestial coordinates; see `physics.faraday.io.maps.write_maps`.

        Args:
            path: of the file.
            rest_frame: of `rest_frame`, to be written too.
            overwrite: whether to replace a file that exists.

        Raises:
            FileExistsError: `path` exists and `overwrite` is false.
        """
        from physics.faraday.io.maps import write_maps

        write_maps(self, path, rest_frame=rest_frame, overwrite=overwrite)
