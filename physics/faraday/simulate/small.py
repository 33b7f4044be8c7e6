"""A small source to try things on."""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from physics.constants import DEGREE, MILLIARCSECOND
from physics.faraday.fits.calibration import EvpaError
from physics.faraday.images.wcs import frame
from physics.faraday.screens.elementary import ThinScreen
from physics.faraday.simulate.calibration import FOUR_BANDS, draw_offsets
from physics.faraday.simulate.observation import observe
from physics.faraday.simulate.sky import ModelSky, RotationTruth, SimulatedObservation, observed_rotation
from physics.numerics import checks
from physics.types import PRNGKey


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
    return ModelSky(intensity=intensity, screen=screen, frame=place, spectral_index=-0.3)
