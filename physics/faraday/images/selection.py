"""Which pixels of a cube are good for a map, and with which errors."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from physics import units
from physics.faraday.images.cube import StokesCube
from physics.faraday.images.flags import PixelFlag
from physics.faraday.images.noise import NoiseModel
from physics.numerics import checks
from physics.types import HostArray


def channel_sigmas(cube: StokesCube, sigma: Any) -> tuple[Array, Array]:
    """Return the standard deviations of Q and U in every channel and pixel, in the unit of the images.

    Args:
        cube: the images.
        sigma: None for those of the cube, a `NoiseModel`, or a pair (sigma_q, sigma_u) that broadcasts.

    Raises:
        UnitsError: a quantity has the wrong dimension.
        ValueError: it is none of these, or not finite and positive.
    """
    if sigma is None:
        sigma = (cube.sigma[:, 1, None, None], cube.sigma[:, 2, None, None])
    elif isinstance(sigma, NoiseModel):
        sigma = sigma.sigma(cube)
    if not (isinstance(sigma, tuple | list) and len(sigma) == 2):
        raise ValueError(f"sigma: expected a NoiseModel or a pair (sigma_q, sigma_u), got {sigma!r}")
    first, second = (_sigma(x, cube, name) for name, x in zip(("sigma_q", "sigma_u"), sigma, strict=True))
    return first, second


def _sigma(x: Any, cube: StokesCube, name: str) -> Array:
    # An error given in Jy is one per beam.
    flux = units.is_quantity(x) and x.unit.is_equivalent("Jy")
    sigma = checks.positive(units.array(x, "Jy" if flux else cube.frame.unit, name), name)
    shape = checks.broadcastable({name: sigma.shape, "Q": cube.Q.shape})
    if shape != cube.Q.shape:
        raise ValueError(f"{name}: expected a shape that broadcasts with {cube.Q.shape} of Q, got {sigma.shape}")
    return jnp.broadcast_to(sigma.astype(cube.Q.dtype), shape)


def selection_flags(
    cube: StokesCube, sigma_q: Array, sigma_u: Array, band: HostArray, intensity: float, polarization: float
) -> HostArray:
    """Return the flags of pixels that are blank, or faint in I in a channel, or in P in a band; zero elsewhere.

    Args:
        cube: the images.
        sigma_q: of `channel_sigmas`.
        sigma_u: the same of U.
        band: label of the band of each channel.
        intensity: least I in standard deviations.
        polarization: least sqrt(sum (P/sigma)^2 - 2N) of a band of N channels.
    """
    finite = np.all(np.asarray(cube.mask), axis=0)
    bright = bright_in_intensity(cube, intensity)
    power = np.square(np.asarray(cube.Q / sigma_q)) + np.square(np.asarray(cube.U / sigma_u)) - 2.0
    polarized = np.all([power[band == label].sum(axis=0) > polarization**2 for label in np.unique(band)], axis=0)
    flags = np.where(finite, 0, int(PixelFlag.BLANK))
    flags |= np.where(bright, 0, int(PixelFlag.FAINT_INTENSITY))
    return flags | np.where(polarized, 0, int(PixelFlag.FAINT_POLARIZATION))


def bright_in_intensity(cube: StokesCube, threshold: float) -> HostArray:
    """Return where I exceeds so many standard deviations in every channel."""
    return np.all(np.asarray(cube.I / cube.sigma[:, 0, None, None] > threshold), axis=0)


def spectra(image: Array, pixels: HostArray) -> Array:
    """Return the spectra (pixel, channel) of chosen pixels of an image (channel, y, x), by flat index."""
    return jnp.moveaxis(image, 0, -1).reshape(-1, image.shape[0])[pixels]


def as_image(values: Array, pixels: HostArray, shape: tuple[int, ...], valid: HostArray) -> Array:
    """Return values (pixel, ...) of chosen pixels as images (..., y, x): NaN, or 0 for whole numbers, elsewhere."""
    values = values[: len(pixels)]
    empty = jnp.nan if jnp.issubdtype(values.dtype, jnp.floating) else 0
    image = jnp.full((int(np.prod(shape)), *values.shape[1:]), empty, values.dtype).at[pixels].set(values)
    image = jnp.moveaxis(image, 0, -1).reshape(*values.shape[1:], *shape)
    return jnp.where(jnp.broadcast_to(jnp.asarray(valid), image.shape), image, empty)
