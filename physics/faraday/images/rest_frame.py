"""Rotation measures in the frame of the source."""

from typing import Any, ClassVar

import equinox as eqx
from jaxtyping import Array, Float

from physics import units
from physics.faraday.screens.arrays import together
from physics.numerics import checks
from physics.types import Real


class RestFrameMap(eqx.Module):
    """Rotation measure of what is at the source, in its frame: see `rest_frame_rm`."""

    rm: Float[Array, "y x"]
    rm_error: Float[Array, "y x"]
    """With the EVPA calibration and the foreground, which all pixels share."""
    rm_error_noise: Float[Array, "y x"]
    redshift: float = eqx.field(static=True)
    galactic_rm: float = eqx.field(static=True)
    """What was taken off before [rad/m^2]."""
    galactic_rm_error: float = eqx.field(static=True)

    units: ClassVar[dict[str, str]] = {"rm": "rad/m2", "rm_error": "rad/m2", "rm_error_noise": "rad/m2"}

    def to_quantity(self, name: str) -> Any:
        """Return one of the fields listed in `units` as an astropy `Quantity`."""
        return units.quantity(getattr(self, checks.one_of(name, list(self.units), "name")), self.units[name])


def rest_frame_rm(rm: Real, redshift: Real, *, galactic_rm: Real = 0.0) -> Float[Array, "*shape"]:
    r"""Return $(\mathrm{RM} - \mathrm{RM}_{gal})(1 + z)^2$, the rotation measure in the frame of the source [rad/m^2].

    Wavelengths at the source are shorter by 1 + z. What lies in front of the source at no redshift, the Galaxy and the
    ionosphere, is taken off first and not scaled.

    Args:
        rm: observed, any shape [rad/m^2].
        redshift: z of the source, of a shape that broadcasts.
        galactic_rm: of the foreground, of a shape that broadcasts [rad/m^2].

    Raises:
        UnitsError: a quantity has the wrong dimension.
        ValueError: a redshift is negative or not finite, or shapes do not match.

    Source: derived in docs/theory/faraday-images.md.
    """
    observed = units.array(rm, "rad/m2", "rm")
    z = checks.nonnegative(units.array(redshift, "", "redshift"), "redshift")
    foreground = units.array(galactic_rm, "rad/m2", "galactic_rm")
    named = {"rm": observed, "redshift": z, "galactic_rm": foreground}
    checks.broadcastable({name: x.shape for name, x in named.items()})
    observed, z, foreground = together(*named.values())
    return (observed - foreground) * (1.0 + z) ** 2
