"""Simulated observations of polarized sources whose rotation measure is known."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from physics import units
from physics.constants import DEGREE, MILLIARCSECOND
from physics.faraday import conventions
from physics.faraday.depth import frequency_bands
from physics.faraday.fits.calibration import EvpaError, evpa_error_of
from physics.faraday.images.beams import Beam, beam_area, beam_of, convolved, white_noise_gain
from physics.faraday.images.cube import SkyFrame, StokesCube
from physics.faraday.images.wcs import frame
from physics.faraday.screens.elementary import Screen, ThinScreen
from physics.numerics import checks
from physics.types import PRNGKey, Real

FOUR_BANDS = tuple(band + 128e6 * i for band in (12.176e9, 15.176e9, 23.576e9, 42.9765e9) for i in range(4))
"""Four VLBA bands of four IFs each [Hz]."""


class ModelSky(eqx.Module):
    """What the sky looks like before an instrument sees it."""

    intensity: Float[Array, "y x"]
    """Stokes I at the reference frequency [Jy/pixel]."""
    screen: Screen
    """Fractional polarization; its parameters are maps of the same shape."""
    frame: SkyFrame = eqx.field(static=True)
    spectral_index: float = eqx.field(static=True, default=0.0)
    """alpha of I ~ nu^alpha."""
    reference_frequency: float = eqx.field(static=True, default=15e9)
    """[Hz]."""


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


def observe(
    sky: ModelSky,
    frequency: Real,
    *,
    noise: Real,
    key: PRNGKey,
    beam: Any = None,
    evpa_offset: Real = None,
) -> StokesCube:
    """Return the images that an instrument makes of a model sky.

    Args:
        sky: the model.
        frequency: of each channel, shape (channel,), in any order [Hz]. The cube is in ascending order; `noise` and
            `evpa_offset` go with their channels.
        noise: standard deviation of I, Q and U, a number or one for each channel [Jy/beam].
        key: random key.
        beam: major and minor full width at half maximum and position angle [rad]; noise is correlated over it. None
            leaves the sky as it is, one pixel as the beam, and the noise white.
        evpa_offset: error of the zero point of each channel, shape (channel,) [rad].

    Raises:
        UnitsError: a quantity has the wrong dimension.
        ValueError: a frequency, the noise or a width of the beam is not finite and positive, an offset is not finite,
            or shapes do not match.
        TypeError: `sky` is not a `ModelSky`, or `key` not a typed random key.
    """
    key = checks.typed_key(key)
    if not isinstance(sky, ModelSky):
        raise TypeError(f"sky: expected a ModelSky, got {type(sky).__name__}")
    beam = None if beam is None else beam_of(beam)
    nu, level, offset = _channels(frequency, noise, evpa_offset)
    intensity = sky.intensity[None] * ((nu / sky.reference_frequency) ** sky.spectral_index)[:, None, None]
    p = jnp.moveaxis(sky.screen(conventions.lambda_squared(nu)), -1, 0)
    turn = 2.0 * offset[:, None, None]
    q = intensity * (p.real * jnp.cos(turn) - p.imag * jnp.sin(turn))
    u = intensity * (p.real * jnp.sin(turn) + p.imag * jnp.cos(turn))
    images = jnp.stack([intensity, q, u], axis=1)
    sigma = jnp.broadcast_to(level[:, None], (len(nu), 3))
    white = jax.random.normal(key, images.shape, images.dtype)
    cell = sky.frame.cell
    if beam is not None:
        images = convolved(images, beam, cell) * beam_area(beam, cell)
        white = convolved(white, beam, cell) / white_noise_gain(beam, cell)
    images = images + white * sigma[:, :, None, None]
    shown = beam if beam is not None else (abs(cell[0]), abs(cell[1]), 0.0)
    return StokesCube(
        frequency=nu,
        I=images[:, 0],
        Q=images[:, 1],
        U=images[:, 2],
        sigma=sigma,
        beam=jnp.broadcast_to(jnp.asarray(shown, images.dtype), (len(nu), 3)),
        mask=jnp.ones(images[:, 0].shape, bool),
        frame=sky.frame,
    )


def _channels(frequency: Any, noise: Any, evpa_offset: Any) -> tuple[Array, Array, Array]:
    # In ascending order of frequency, each with what belongs to it.
    nu = checks.positive(units.array(frequency, "Hz", "frequency"), "frequency")
    if nu.ndim != 1:
        raise ValueError(f"frequency: expected one axis, got shape {nu.shape}")
    level = checks.positive(units.array(noise, "Jy/beam", "noise"), "noise")
    if level.shape not in ((), nu.shape):
        raise ValueError(f"noise: expected one number or one for each of {len(nu)} channels, got shape {level.shape}")
    offset = jnp.zeros_like(nu) if evpa_offset is None else units.array(evpa_offset, "rad", "evpa_offset")
    checks.finite(checks.same_shape(offset, nu, "evpa_offset", "frequency"), "evpa_offset")
    order = jnp.argsort(nu)
    return nu[order], jnp.broadcast_to(level, nu.shape)[order], offset[order]


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


def draw_offsets(frequency: Real, errors: Any, *, key: PRNGKey) -> Float[Array, " channel"]:
    """Return EVPA offsets of the channels, drawn from an `EvpaError` with bands by frequency gaps [rad].

    Raises:
        UnitsError: a quantity has the wrong dimension.
        ValueError: a frequency is not finite and positive, or `errors` is no `EvpaError` or pair.
        TypeError: `key` is not a typed random key.
    """
    errors = evpa_error_of(errors)
    bands = frequency_bands(np.asarray(checks.positive(units.array(frequency, "Hz", "frequency"), "frequency")))
    band_key, channel_key = jax.random.split(checks.typed_key(key))
    band = errors.band * jax.random.normal(band_key, (int(bands.max()) + 1,))
    return band[bands] + errors.channel * jax.random.normal(channel_key, bands.shape)


def small_source(
    *,
    key: PRNGKey,
    size: int = 64,
    noise: float = 3e-4,
    evpa_error: Any = EvpaError(),  # noqa: B008  frozen
) -> SimulatedObservation:
    """Return a core with a short jet at four bands of four IFs, whose rotation measure changes smoothly.

    Args:
        key: random key.
        size: pixels of 0.1 mas along each side.
        noise: standard deviation of I, Q and U [Jy/beam].
        evpa_error: spread of the EVPA offsets of bands and channels; None for a perfect calibration.
    """
    noise_key, offset_key = jax.random.split(checks.typed_key(key))
    frequency = jnp.asarray(FOUR_BANDS)
    sky = _core_and_jet(size)
    offset = draw_offsets(frequency, evpa_error, key=offset_key)
    beam = (0.8 * MILLIARCSECOND, 0.6 * MILLIARCSECOND, -10.0 * DEGREE)
    cube = observe(sky, frequency, noise=noise, key=noise_key, beam=beam, evpa_offset=offset)
    observed = observed_rotation(sky, jnp.mean(cube.lambda_squared), beam)
    screen: Any = sky.screen
    return SimulatedObservation(cube, RotationTruth(screen.rm, screen.evpa0, screen.fraction, *observed, offset))


def _core_and_jet(size: int) -> ModelSky:
    cell = 0.1 * MILLIARCSECOND
    place = frame((size, size), cell, name="core and jet")
    ra, dec = (jnp.asarray(x / MILLIARCSECOND) for x in place.offsets((size, size)))
    angle = 60.0 * DEGREE
    east, north = ra[None, :] + jnp.zeros((size, 1)), dec[:, None] + jnp.zeros((1, size))
    along = east * math.sin(angle) + north * math.cos(angle)
    across = east * math.cos(angle) - north * math.sin(angle)

    def blob(flux: float, distance: float, width: float) -> Float[Array, "y x"]:
        s = width / math.sqrt(8.0 * math.log(2.0))
        profile = jnp.exp(-0.5 * ((along - distance) ** 2 + across**2) / s**2)
        return flux * 0.01 / (2.0 * math.pi * s**2) * profile

    intensity = blob(1.0, 0.0, 0.3) + blob(0.3, 0.7, 0.4) + blob(0.2, 1.3, 0.5) + blob(0.1, 1.9, 0.6)
    screen = ThinScreen(
        fraction=0.03 + 0.05 * jax.nn.sigmoid(4.0 * (along - 0.5)),
        evpa0=25.0 * DEGREE + 20.0 * DEGREE * along,
        rm=700.0 - 350.0 * along + 400.0 * across,
    )
    return ModelSky(intensity, screen, place, spectral_index=-0.3)
