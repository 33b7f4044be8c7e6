"""Gaussian beams: full widths at half maximum (major, minor) and position angle, north through east [rad]."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from physics import units
from physics.constants import DEGREE, MILLIARCSECOND
from physics.numerics import checks
from physics.types import HostArray

Beam = tuple[float, float, float]

SAME_WIDTH = 1.01
"""Beams are the same if their widths agree to this factor in every direction."""

COMMON_BEAMS = ("smallest", "lowest_frequency", "circle", "circle_of_area")
"""Common beams by name; see `common_beam`."""

ROUNDING = 1e-6
"""Beams of files are in single precision: a target may be smaller by this part of its squared width."""


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
    """Return `x` as a beam of three numbers, the wider axis first [rad].

    Args:
        x: the widths, in either order, and the position angle of the first, of any number of turns.
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
    return (major, minor, angle) if major >= minor else (minor, major, angle + 0.5 * math.pi)


def beam_from_covariance(covariance: HostArray) -> Beam:
    """Return the beam of a covariance [rad^2], its position angle in [0, pi); see `beam_covariance`."""
    variances, axes = np.linalg.eigh(covariance)
    minor, major = (math.sqrt(8.0 * math.log(2.0) * max(v, 0.0)) for v in variances)
    east, north = axes[:, 1]
    return major, minor, math.atan2(east, north) % math.pi


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


def kernel_covariance(native: Beam, target: Beam) -> HostArray:
    r"""Return the covariance of the Gaussian that convolves one beam to another, $\Sigma_t - \Sigma_n$ [rad^2].

    Raises:
        ValueError: the target is narrower than the native beam in some direction.
    """
    wide = beam_covariance(target)
    difference = wide - beam_covariance(native)
    if np.linalg.eigvalsh(difference).min() < -ROUNDING * np.linalg.eigvalsh(wide).max():
        raise ValueError(
            f"beam: expected one that encloses the beam of each image, but {described(target)} is narrower than "
            f"{described(native)} in some direction"
        )
    variances, axes = np.linalg.eigh(difference)
    return (axes * np.maximum(variances, 0.0)) @ axes.T


def common_beam(beams: Sequence[Beam], kind: str = "smallest") -> Beam:
    """Return a beam that those of all channels can be convolved to.

    Args:
        beams: of the channels, ascending in frequency [rad].
        kind: "smallest", the ellipse of least area that encloses all; "lowest_frequency", the first; "circle", the
            smallest circle that encloses all; "circle_of_area", the circle of the area of the smallest ellipse. The
            second need not enclose all, the fourth does only if it is the first: components can be restored with them,
            images not convolved.

    Raises:
        ValueError: there is no beam, or `kind` is unknown.
    """
    checks.one_of(kind, COMMON_BEAMS, "kind")
    if not beams:
        raise ValueError("beams: expected at least one, got none")
    if kind == "lowest_frequency":
        return beams[0]
    if kind == "circle":
        return (max(beam[0] for beam in beams),) * 2 + (0.0,)
    smallest = _smallest_enclosing(beams)
    return smallest if kind == "smallest" else (math.sqrt(smallest[0] * smallest[1]),) * 2 + (0.0,)


def _smallest_enclosing(beams: Sequence[Beam]) -> Beam:
    for beam in beams:
        if _excess(beam, beams) <= 1.0 + ROUNDING:
            return beam
    from radio_beam.commonbeam import getMinVolEllipse
    from scipy.spatial import ConvexHull

    # Of order one, because the tolerance is absolute; one Gaussian encloses another if its ellipse of half height does.
    unit = max(beam[0] for beam in beams)
    turn = np.linspace(0.0, 2.0 * math.pi, 180, endpoint=False)
    circle = np.stack([np.cos(turn), np.sin(turn)])
    edges = np.hstack([np.linalg.cholesky(beam_covariance(beam)) @ circle for beam in beams]).T / unit
    _, radii, rotation = getMinVolEllipse(edges[ConvexHull(edges).vertices], tolerance=1e-4)
    found = beam_from_covariance(unit**2 * (rotation.T * radii**2) @ rotation)
    # The shape is as good as the points are dense; the size can be exact.
    scale = math.sqrt(_excess(found, beams))
    return found[0] * scale, found[1] * scale, found[2]


def _excess(beam: Beam, others: Sequence[Beam]) -> float:
    # The largest squared width of the others in units of that of the beam.
    inverse = np.linalg.inv(beam_covariance(beam))
    return float(max(np.linalg.eigvals(inverse @ beam_covariance(other)).real.max() for other in others))


def beam_area(beam: Beam, cell: tuple[float, float]) -> float:
    r"""Return the integral of a beam of unit height, $\pi a b/(4\ln 2)$, in pixels."""
    return math.pi * beam[0] * beam[1] / (4.0 * math.log(2.0)) / abs(cell[0] * cell[1])


def pixel_covariance(covariance: HostArray, cell: tuple[float, float]) -> HostArray:
    """Return a covariance on the sky [rad^2] in the axes (x, y) of an image [pixel^2].

    Args:
        covariance: in the axes (RA, Dec).
        cell: steps in RA and Dec from pixel to pixel, RA negative if it increases to the left [rad]; their signs turn
            position angles the right way.
    """
    return covariance / np.outer(cell, cell)


def convolved(image: Float[Array, "*image y x"], beam: Beam, cell: tuple[float, float]) -> Float[Array, "*image y x"]:
    """Return images convolved with a beam of unit integral; see `smoothed`.

    Args:
        image: real images, axis order [Dec, RA].
        beam: of the Gaussian.
        cell: steps in RA and Dec from pixel to pixel, RA negative if it increases to the left [rad].
    """
    return smoothed(image, jnp.asarray(pixel_covariance(beam_covariance(beam), cell), image.dtype))


def smoothed(image: Float[Array, "*image y x"], covariance: Float[Array, "2 2"]) -> Float[Array, "*image y x"]:
    r"""Return images convolved with a Gaussian of unit integral, by $e^{-2\pi^2 k^T \Sigma k}$ on twice the grid.

    Args:
        image: real images, zero beyond their edges.
        covariance: Sigma in the axes (x, y), any that is positive semi-definite [pixel^2].
    """
    y, x = image.shape[-2:]
    shape = (2 * y, 2 * x)
    k_x = jnp.asarray(np.fft.rfftfreq(shape[1]), image.dtype)[None, :]
    k_y = jnp.asarray(np.fft.fftfreq(shape[0]), image.dtype)[:, None]
    exponent = (
        covariance[0, 0] * k_x**2
        + covariance[1, 1] * k_y**2
        + 2.0 * covariance[0, 1] * jnp.matmul(k_y, k_x, precision=jax.lax.Precision.HIGHEST)
    )
    transform = jnp.fft.rfft2(image, s=shape)
    transfer = jnp.broadcast_to(jnp.exp(-2.0 * math.pi**2 * exponent), transform.shape)
    return jnp.fft.irfft2(transform * transfer.astype(transform.dtype), s=shape)[..., :y, :x]


def white_noise_gain(beam: Beam, cell: tuple[float, float]) -> float:
    """Return the factor by which `convolved` lowers the standard deviation of white noise, far from the edges."""
    # The sum over the squared kernel; a Gaussian squared is one of half the covariance.
    return math.sqrt(1.0 / (2.0 * beam_area(beam, cell)))
