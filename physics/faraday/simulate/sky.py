"""Model skies, and the rotation that a beam shows of them."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from physics.faraday import conventions
from physics.faraday.images.beams import Beam, convolved
from physics.faraday.images.cube import SkyFrame, StokesCube
from physics.faraday.screens.elementary import Screen


class Sky(eqx.Module):
    """What the sky looks like before an instrument sees it."""

    frame: eqx.AbstractVar[SkyFrame]

    @abc.abstractmethod
    def images(self, frequency: Float[Array, " channel"]) -> Float[Array, "channel 3 y x"]:
        """Return I, Q and U at each frequency [Jy/pixel]."""


class ModelSky(Sky):
    """A sky of one spectral index, whose polarization is that of a screen."""

    intensity: Float[Array, "y x"]
    """Stokes I at the reference frequency [Jy/pixel]."""
    screen: Screen
    """Fractional polarization; its parameters are maps of the same shape."""
    frame: SkyFrame = eqx.field(static=True)
    spectral_index: float = eqx.field(static=True, default=0.0)
    """alpha of I ~ nu^alpha."""
    reference_frequency: float = eqx.field(static=True, default=15e9)
    """[Hz]."""

    def images(self, frequency: Float[Array, " channel"]) -> Float[Array, "channel 3 y x"]:
        """Return I, Q and U at each frequency [Jy/pixel]."""
        spectrum = (frequency / self.reference_frequency) ** self.spectral_index
        intensity = self.intensity[None] * spectrum[:, None, None].astype(self.intensity.dtype)
        p = jnp.moveaxis(self.screen(conventions.lambda_squared(frequency)), -1, 0)
        return jnp.stack([intensity, intensity * p.real, intensity * p.imag], axis=1)


class NativeRotation(eqx.Module):
    """What rotates and emits in each pixel of a model sky; NaN where nothing does."""

    rm: Float[Array, "y x"]
    """[rad/m^2]."""
    evpa0: Float[Array, "y x"]
    """[rad]."""
    fraction: Float[Array, "y x"]
    sigma_rm: Float[Array, "y x"]
    """[rad/m^2]."""


class RotationTruth(eqx.Module):
    """What a fit of a simulated observation should find."""

    rm: Float[Array, "y x"]
    """Of the sky [rad/m^2]."""
    evpa0: Float[Array, "y x"]
    fraction: Float[Array, "y x"]
    observed_rm: Float[Array, "y x"]
    """dchi/dL behind the beam at the mean squared wavelength, without noise and offsets [rad/m^2]."""
    observed_evpa0: Float[Array, "y x"]
    """The EVPA there, extrapolated to zero wavelength [rad]."""
    evpa_offset: Float[Array, " channel"]
    """Of the zero point of each channel [rad]."""


class SimulatedObservation(eqx.Module):
    """A simulated cube with the truth behind it."""

    cube: StokesCube
    truth: RotationTruth


def observed_rotation(
    sky: ModelSky, lambda_squared: Float[Array, ""], beam: Beam
) -> tuple[Float[Array, "y x"], Float[Array, "y x"]]:
    r"""Return rotation measure and EVPA at zero wavelength that a beam shows of a sky, about one squared wavelength.

    $\mathrm{RM} = \tfrac12 \mathrm{Im}(P^* dP/dL)/|P|^2$ of the convolved P(L): the mean over the beam, weighted with
    the polarized intensity.

    Args:
        sky: the model.
        lambda_squared: L about which the angle is followed [m^2].
        beam: of the image.
    """

    def parts(L: Float[Array, ""]) -> tuple[Array, Array]:
        p: Complex[Array, "y x"] = sky.screen(L)
        return convolved(sky.intensity * p.real, beam, sky.frame.cell), convolved(
            sky.intensity * p.imag, beam, sky.frame.cell
        )

    (q, u), (dq, du) = jax.jvp(parts, (lambda_squared,), (jnp.ones_like(lambda_squared),))
    power = q * q + u * u
    rm = 0.5 * (q * du - u * dq) / jnp.where(power > 0, power, 1.0)
    return rm, conventions.wrap_angle(conventions.evpa(q, u) - rm * lambda_squared)
