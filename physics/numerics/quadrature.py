"""Quadrature on an interval and on the sphere. Nodes are made on the host and are constants to a trace."""

import numpy as np

from physics.numerics.checks import positive_integer


def gauss_legendre(count: int, lower: float = -1.0, upper: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Return nodes and weights of the Gauss-Legendre rule on [lower, upper], exact to degree 2 count - 1.

    Returns:
        Nodes and weights, each of shape (count,), float64; the weights sum to `upper - lower`.
    """
    nodes, weights = np.polynomial.legendre.leggauss(positive_integer(count, "count"))
    half = 0.5 * (upper - lower)
    return lower + half * (nodes + 1.0), half * weights


def sky_quadrature(polar: int, azimuthal: int) -> tuple[np.ndarray, np.ndarray]:
    """Return directions and weights that average a function over the sphere.

    Gauss-Legendre in the cosine of the polar angle times equal steps in azimuth: spherical harmonics of degree below
    min(2 polar, azimuthal) are averaged exactly, and entire functions with spectral convergence.

    Args:
        polar: number of polar nodes.
        azimuthal: number of azimuthal nodes.

    Returns:
        Unit vectors (polar * azimuthal, 3) and weights (polar * azimuthal,) that sum to 1, float64.
    """
    cosine, weight = gauss_legendre(polar)
    angle = 2.0 * np.pi * (np.arange(positive_integer(azimuthal, "azimuthal")) + 0.5) / azimuthal
    sine = np.sqrt(1.0 - cosine**2)
    directions = np.stack(
        [
            np.outer(sine, np.cos(angle)),
            np.outer(sine, np.sin(angle)),
            np.broadcast_to(cosine[:, None], (polar, azimuthal)),
        ],
        axis=-1,
    )
    weights = np.repeat(0.5 * weight / azimuthal, azimuthal)
    return directions.reshape(-1, 3), weights
