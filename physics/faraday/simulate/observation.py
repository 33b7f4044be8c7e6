"""Images that an instrument makes of a model sky."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from physics import units
from physics.faraday.images.beams import Beam, beam_area, beam_of, convolved, white_noise_gain
from physics.faraday.images.cube import StokesCube
from physics.faraday.images.displacement import displaced
from physics.faraday.simulate.sky import Sky
from physics.numerics import checks
from physics.types import HostArray, PRNGKey, Real


def observe(
    sky: Sky,
    frequency: Real,
    *,
    noise: Real,
    key: PRNGKey,
    beam: Any = None,
    evpa_offset: Real = None,
    leakage: Any = None,
    gain: Real = None,
    shift: Real = None,
) -> StokesCube:
    r"""Return the images that an instrument makes of a model sky.

    Each channel shows $g\,[(P + dI)\,e^{2i\delta}]$ moved by its shift and seen with its beam, plus noise that is
    correlated over the beam.

    Args:
        sky: the model.
        frequency: of each channel, shape (channel,), in any order [Hz]. The cube is in ascending order; what is given
            for each channel goes with it.
        noise: standard deviation of I, Q and U, a number or one for each channel [Jy/beam].
        key: random key.
        beam: major and minor full width at half maximum and position angle [rad], or one such triple for each channel,
            shape (channel, 3); noise is correlated over it. None leaves the sky as it is, one pixel as the beam, and
            the noise white.
        evpa_offset: delta, error of the zero point of each channel, shape (channel,) [rad].
        leakage: d, complex part of I that appears as Q + iU, shape (channel,).
        gain: g, error of the flux scale as a factor, shape (channel,).
        shift: of the images to the east and to the north, shape (channel, 2) [rad].

    Raises:
        UnitsError: a quantity has the wrong dimension.
        ValueError: a frequency, the noise, a gain or a width of a beam is not finite and positive, another number is
            not finite, or shapes do not match.
        TypeError: `sky` is not a `Sky`, or `key` not a typed random key.
    """
    key = checks.typed_key(key)
    if not isinstance(sky, Sky):
        raise TypeError(f"sky: expected a Sky, got {type(sky).__name__}")
    nu = checks.positive(units.array(frequency, "Hz", "frequency"), "frequency")
    if nu.ndim != 1:
        raise ValueError(f"frequency: expected one axis, got shape {nu.shape}")
    order = np.argsort(np.asarray(nu))
    beams = _beams(beam, order)
    level = checks.positive(_each(noise, "Jy/beam", "noise", order), "noise")
    errors = _errors(evpa_offset, leakage, gain, shift, order)
    nu = nu[order]
    cell = sky.frame.cell
    images = miscalibrated(sky.images(nu), errors)
    if shift is not None:
        images = displaced(images, jnp.stack([_pixels(errors.shift, cell).astype(images.dtype)] * 3, axis=1))
    sigma = jnp.broadcast_to(level.astype(images.dtype)[:, None], (len(nu), 3))
    white = jax.random.normal(key, images.shape, images.dtype)
    if beams is not None:
        images = _by_channel(images, beams, lambda x, b: convolved(x, b, cell) * beam_area(b, cell))
        white = _by_channel(white, beams, lambda x, b: convolved(x, b, cell) / white_noise_gain(b, cell))
    images = images + white * sigma[:, :, None, None]
    shown = beams if beams is not None else [(abs(cell[0]), abs(cell[1]), 0.0)] * len(nu)
    return StokesCube(
        frequency=nu,
        I=images[:, 0],
        Q=images[:, 1],
        U=images[:, 2],
        sigma=sigma,
        beam=jnp.asarray(shown, images.dtype),
        mask=jnp.ones(images[:, 0].shape, bool),
        frame=sky.frame,
    )


class ChannelErrors(NamedTuple):
    """Errors of each channel, in ascending order of frequency."""

    evpa_offset: Float[Array, " channel"]
    leakage: Complex[Array, " channel"]
    gain: Float[Array, " channel"]
    shift: Float[Array, "channel 2"]


def miscalibrated(images: Float[Array, "channel 3 y x"], errors: ChannelErrors) -> Float[Array, "channel 3 y x"]:
    r"""Return $g I$ and $g\,(P + dI)\,e^{2i\delta}$ of images of I, Q and U."""
    dtype = images.dtype
    offset, gain = errors.evpa_offset.astype(dtype), errors.gain.astype(dtype)
    P = jax.lax.complex(images[:, 1], images[:, 2])
    P = P + errors.leakage.astype(P.dtype)[:, None, None] * images[:, 0].astype(P.dtype)
    P = P * jax.lax.complex(jnp.cos(2.0 * offset), jnp.sin(2.0 * offset))[:, None, None]
    return gain[:, None, None, None] * jnp.stack([images[:, 0], P.real, P.imag], axis=1)


def _pixels(shift: Array, cell: tuple[float, float]) -> Array:
    # (east, north) as rows and columns.
    return jnp.stack([shift[:, 1] / cell[1], shift[:, 0] / cell[0]], axis=-1)


def _errors(evpa_offset: Any, leakage: Any, gain: Any, shift: Any, order: HostArray) -> ChannelErrors:
    count = len(order)
    d = jnp.zeros(count, complex) if leakage is None else jnp.asarray(leakage).astype(complex)
    if d.shape != (count,):
        raise ValueError(f"leakage: expected one number for each of {count} channels, got shape {d.shape}")
    moves = jnp.zeros((count, 2)) if shift is None else units.array(shift, "rad", "shift")
    if moves.shape != (count, 2):
        raise ValueError(f"shift: expected the shape ({count}, 2), east and north of each channel, got {moves.shape}")
    offset = _each(0.0 if evpa_offset is None else evpa_offset, "rad", "evpa_offset", order)
    return ChannelErrors(
        checks.finite(offset, "evpa_offset"),
        checks.finite(d, "leakage")[order],
        checks.positive(_each(1.0 if gain is None else gain, "", "gain", order), "gain"),
        checks.finite(moves, "shift")[order],
    )


def _each(x: Any, unit: str, name: str, order: HostArray) -> Array:
    # One number for all channels or one for each, in their order.
    plain = units.array(x, unit, name)
    if plain.shape not in ((), (len(order),)):
        raise ValueError(
            f"{name}: expected one number or one for each of {len(order)} channels, got shape {plain.shape}"
        )
    return jnp.broadcast_to(plain, (len(order),))[order]


def _beams(beam: Any, order: HostArray) -> list[Beam] | None:
    if beam is None:
        return None
    try:
        rows = list(beam)
    except TypeError:
        rows = []
    if len(rows) == len(order) and all(np.ndim(row) == 1 for row in rows):
        return [beam_of(rows[i], f"beam[{i}]") for i in order]
    return [beam_of(beam)] * len(order)


def _by_channel(images: Array, beams: list[Beam], function: Callable[[Array, Beam], Array]) -> Array:
    # At once where all channels have one beam.
    if all(beam == beams[0] for beam in beams):
        return function(images, beams[0])
    return jnp.stack([function(image, beam) for image, beam in zip(images, beams, strict=True)])
