"""Noise that a beam correlates, and straight lines through what it makes."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Bool, Float

from physics.faraday.images.beams import Beam, beam_covariance
from physics.types import HostArray

JITTER = 1e-2
"""Variance of each point that no other shares, relative to its own. Without it points far closer than a beam would be
known to agree exactly, and a line would follow their least differences, which a curve makes too."""


def beam_correlation(places: HostArray, beam: Beam) -> HostArray:
    r"""Return the correlation $e^{-\Delta^T\Sigma^{-1}\Delta/4}$ of noise that a beam has smoothed, as a matrix.

    The autocorrelation of a Gaussian is wider than itself by the square root of two.

    Args:
        places: east and north of each point, shape (point, 2) [rad].
        beam: of the image [rad].
    """
    # Whitened first: the square of a distance is the sum of squares.
    root = np.linalg.cholesky(np.linalg.inv(beam_covariance(beam)))
    white = places @ root
    distance = np.sum((white[:, None] - white[None, :]) ** 2, axis=-1)
    return np.exp(-0.25 * distance)


def beam_width(direction: HostArray, beam: Beam) -> HostArray:
    """Return the full width at half maximum of a beam cut along unit vectors (east, north), shape (..., 2) [rad]."""
    inverse = np.linalg.inv(beam_covariance(beam))
    return np.sqrt(8.0 * np.log(2.0) / np.einsum("...i,ij,...j->...", direction, inverse, direction))


class LinearFit(NamedTuple):
    """Coefficients of a linear model by generalised least squares."""

    coefficients: Float[Array, " term"]
    covariance: Float[Array, "term term"]


def generalised_fit(
    design: Float[Array, "point term"],
    values: Float[Array, " point"],
    errors: Float[Array, " point"],
    correlation: Float[Array, "point point"],
    used: Bool[Array, " point"],
) -> LinearFit:
    r"""Return $(X^T C^{-1} X)^{-1} X^T C^{-1} y$ with $C_{ij} = s_i s_j \rho_{ij}$, and its covariance.

    Args:
        design: X.
        values: y; anything where not used.
        errors: s; anything where not used.
        correlation: rho.
        used: which points there are. With fewer different ones than terms the covariance is infinite and the
            coefficients are zero.

    Source: derived in docs/theory/faraday-jets.md.
    """
    both = used[:, None] & used[None, :]
    own = jnp.where(used, jnp.asarray(JITTER, values.dtype), 1.0)
    whole = jnp.where(both, correlation, 0.0) * (1.0 - JITTER) + jnp.diag(own)
    factor = jnp.linalg.cholesky(whole)
    weight = jnp.where(used, 1.0 / jnp.where(used, errors, 1.0), 0.0)
    columns = jnp.concatenate([design, jnp.where(used, values, 0.0)[:, None]], axis=1) * weight[:, None]
    white = solve_triangular(factor, columns, lower=True)
    X, y = white[:, :-1], white[:, -1]
    # Scaled to unit columns, so that the terms may have any units.
    size = jnp.sqrt(jnp.sum(X * X, axis=0))
    present = size > 0
    X = X / jnp.where(present, size, 1.0)[None]
    normal = jnp.matmul(X.T, X, precision="highest")
    determined = jnp.all(present) & (jnp.sum(used) > X.shape[1]) & (jnp.linalg.det(normal) > 1e-9)
    safe = jnp.where(determined, normal, jnp.eye(len(normal), dtype=normal.dtype))
    inverse = jnp.linalg.inv(safe)
    scale = 1.0 / jnp.where(present, size, 1.0)
    coefficients = scale * jnp.sum(inverse * jnp.sum(X * y[:, None], axis=0)[None], axis=1)
    covariance = inverse * scale[:, None] * scale[None]
    return LinearFit(
        jnp.where(determined, coefficients, 0.0),
        jnp.where(determined, covariance, jnp.inf),
    )
