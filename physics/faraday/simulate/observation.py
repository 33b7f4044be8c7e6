"""Images that an instrument makes of a model sky."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from physics import units
from physics.faraday import conventions
from physics.faraday.images.beams import beam_area, beam_of, convolved, white_noise_gain
from physics.faraday.images.cube import StokesCube
from physics.faraday.simulate.sky import ModelSky
from physics.numerics import checks
from physics.types import PRNGKey, Real


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
