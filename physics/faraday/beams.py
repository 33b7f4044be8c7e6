"""Gaussian beams: full widths at half maximum (major, minor) and position angle, north through east [rad]."""

import math

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from physics.types import HostArray

Beam = tuple[float, float, float]


def beam_covariance(beam: Beam) -> HostArray:
    r"""Return the covariance of a beam in the axes (RA to the east, Dec) [rad^2].

    $$ \Sigma = \frac{1}{8\ln 2}\,(a^2\,ee^T + b^2\,ff^T),
       \quad e = (\sin PA, \cos PA), \quad f = (\cos PA, -\sin PA) $$
    """
    major, minor, angle = beam
    e = np.array([math.sin(angle), math.cos(angle)])
    f = np.array([math.cos(angle), -math.sin(angle)])
    return (major**2 * np.outer(e, e) + minor**2 * np.outer(f, f)) / (8.0 * math.log(2.0))


def beam_area(beam: Beam, cell: tuple[float, float]) -> float:
    r"""Return the integral of a beam of unit height, $\pi a b/(4\ln 2)$, in pixels."""
    return math.pi * beam[0] * beam[1] / (4.0 * math.log(2.0)) / abs(cell[0] * cell[1])


def convolved(image: Float[Array, "*image y x"], beam: Beam, cell: tuple[float, float]) -> Float[Array, "*image y x"]:
    r"""Return images convolved with a Gaussian of unit integral, by $e^{-2\pi^2 k^T \Sigma k}$ on twice the grid.

    Args:
        image: real images, axis order [Dec, RA].
        beam: of the Gaussian.
        cell: steps in RA and Dec from pixel to pixel, RA negative if it increases to the left [rad].
    """
    y, x = image.shape[-2:]
    transfer = jnp.asarray(_transfer((2 * y, 2 * x), beam, cell), image.dtype)
    transform = jnp.fft.rfft2(image, s=(2 * y, 2 * x))
    shape = transform.shape
    filtered = jnp.fft.irfft2(transform * jnp.broadcast_to(transfer, shape).astype(transform.dtype), s=(2 * y, 2 * x))
    return filtered[..., :y, :x]


def white_noise_gain(beam: Beam, cell: tuple[float, float]) -> float:
    """Return the factor by which `convolved` lowers the standard deviation of white noise, far from the edges."""
    # The sum over the squared kernel; a Gaussian squared is one of half the covariance.
    return math.sqrt(1.0 / (2.0 * beam_area(beam, cell)))


def _transfer(shape: tuple[int, int], beam: Beam, cell: tuple[float, float]) -> HostArray:
    # Frequencies per radian on the sky; the sign of the RA step turns the position angle the right way.
    k_ra = np.fft.rfftfreq(shape[1]) / cell[0]
    k_dec = np.fft.fftfreq(shape[0]) / cell[1]
    covariance = beam_covariance(beam)
    exponent = (
        covariance[0, 0] * k_ra[None, :] ** 2
        + 2.0 * covariance[0, 1] * k_ra[None, :] * k_dec[:, None]
        + covariance[1, 1] * k_dec[:, None] ** 2
    )
    return np.exp(-2.0 * math.pi**2 * exponent)
