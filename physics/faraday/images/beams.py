"""Gaussian beams: full widths at half maximum (major, minor) and position angle, north through east [rad]."""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from physics import units
from physics.constants import DEGREE, MILLIARCSECOND
from physics.types import HostArray

Beam = tuple[float, float, float]

SAME_WIDTH = 1.01
"""Beams are the same if their widths agree to this factor in every direction."""


def beam_covariance(beam: Beam) -> HostArray:
    r"""Return the covariance of a beam in the axes (RA to the east, Dec) [rad^2].

    $$ \Sigma = \frac{1}{8\ln 2}\,(a^2\,ee^T + b^2\,ff^T),
       \quad e = (\sin PA, \cos PA), \quad f = (\cos PA, -\sin PA) $$
    """
    major, minor, angle = beam
    e = np.array([math.sin(angle), math.cos(angle)])
    f = np.array([math.cos(angle), -math.sin(angle)])
    return (major**2 * np.outer(e, e) + minor**2 * np.outer(f, f)) / (8.0 * math.log(2.0))


def beam_of(x: Any, name: str = "beam") -> Beam:
    """Return `x` as a beam of three numbers [rad].

    Args:
        x: the widths and the position angle.
        name: of the argument, for the message.

    Raises:
        UnitsError: a quantity is not an angle.
        ValueError: there are not three finite numbers, or a width is not above zero.
    """
    try:
        parts = tuple(x)
    except TypeError:
        parts = ()
    if len(parts) != 3:
        raise ValueError(f"{name}: expected a major and a minor width and a position angle, got {x!r}")
    major, minor, angle = (units.number(part, "rad", f"{name}[{i}]") for i, part in enumerate(parts))
    if not (major > 0 and minor > 0):
        raise ValueError(f"{name}: expected widths above zero, got {major} and {minor} rad")
    return major, minor, angle


def described(beam: Beam) -> str:
    """Return a beam in milliarcseconds and degrees, for a message."""
    major, minor, angle = beam
    return f"{major / MILLIARCSECOND:.4g} x {minor / MILLIARCSECOND:.4g} mas at {angle / DEGREE:.4g} deg"


def width_ratio(beam: Beam, other: Beam) -> float:
    r"""Return the largest factor, at least 1, between the widths of two beams in any one direction.

    The widths along n are as $\sqrt{n^T\Sigma n}$, so the extreme ratios are the roots of the eigenvalues of
    $\Sigma^{-1}\Sigma'$. Position angles of round beams do not matter.
    """
    ratio = np.linalg.eigvals(np.linalg.solve(beam_covariance(beam), beam_covariance(other))).real
    return math.sqrt(max(ratio.max(), 1.0 / ratio.min()))


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
