"""Least squares in closed form: with weights, and with correlated errors."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


class LineFit(NamedTuple):
    """A straight line y = intercept + slope x with its covariance and misfit."""

    slope: Float[Array, ""]
    intercept: Float[Array, ""]
    slope_variance: Float[Array, ""]
    intercept_variance: Float[Array, ""]
    covariance: Float[Array, ""]
    pivot: Float[Array, ""]
    """The x at which the ordinate is uncorrelated with the slope, the weighted mean of x."""
    chi2: Float[Array, ""]


def weighted_line_fit(x: Float[Array, " n"], y: Float[Array, " n"], weight: Float[Array, " n"]) -> LineFit:
    r"""Return the straight line that minimises $\sum_i w_i (y_i - a - b x_i)^2$.

    Evaluated about the weighted mean $\bar x$, which avoids the cancellation of $S S_{xx} - S_x^2$:
    $b = \sum w (x - \bar x)(y - \bar y) / \sum w (x - \bar x)^2$, $\mathrm{var}\,b = 1/\sum w (x - \bar x)^2$,
    $\mathrm{var}\,a = 1/S + \bar x^2\,\mathrm{var}\,b$, $\mathrm{cov}(a, b) = -\bar x\,\mathrm{var}\,b$.

    Args:
        x: abscissae.
        y: ordinates.
        weight: inverse variances of `y`; zero removes a point. Fewer than two different x with a weight above zero
            give an infinite slope variance and a slope of zero.
    """
    total = jnp.sum(weight)
    safe_total = jnp.where(total > 0, total, 1.0)
    x_mean = jnp.sum(weight * x) / safe_total
    y_mean = jnp.sum(weight * y) / safe_total
    dx, dy = x - x_mean, y - y_mean
    spread = jnp.sum(weight * dx * dx)
    determined = spread > 0
    safe_spread = jnp.where(determined, spread, 1.0)
    slope = jnp.where(determined, jnp.sum(weight * dx * dy) / safe_spread, 0.0)
    slope_variance = jnp.where(determined, 1.0 / safe_spread, jnp.inf)
    residual = dy - slope * dx
    return LineFit(
        slope=slope,
        intercept=y_mean - slope * x_mean,
        slope_variance=slope_variance,
        intercept_variance=1.0 / safe_total + jnp.where(x_mean == 0, 0.0, x_mean**2 * slope_variance),
        covariance=jnp.where(x_mean == 0, 0.0, -x_mean * slope_variance),
        pivot=x_mean,
        chi2=jnp.sum(weight * residual**2),
    )


class LinearFit(NamedTuple):
    """A linear model with correlated errors; see `generalised_fit`."""

    coefficients: Float[Array, " k"]
    covariance: Float[Array, "k k"]
    gain: Float[Array, "k n"]
    """How the coefficients follow the data: errors S of the data alone make the covariance gain S gain^T."""
    chi2: Float[Array, ""]


def generalised_fit(
    design: Float[Array, "n k"],
    data: Float[Array, " n"],
    covariance: Float[Array, "n n"],
) -> LinearFit:
    r"""Return the coefficients that minimise $(y - X\beta)^T C^{-1} (y - X\beta)$.

    $\beta = (X^T C^{-1} X)^{-1} X^T C^{-1} y$, by Cholesky factors.

    Args:
        design: X, of full column rank.
        data: y.
        covariance: C, positive definite.
    """
    factor = jnp.linalg.cholesky(covariance)
    whitened = jax.scipy.linalg.solve_triangular(factor, jnp.concatenate([design, data[:, None]], axis=1), lower=True)
    q, r = jnp.linalg.qr(whitened[:, :-1])
    identity = jnp.eye(len(r), dtype=r.dtype)
    inverse = jax.scipy.linalg.solve_triangular(r, identity)
    # gain = R^-1 Q^T F^-1: the whitening applied from the right.
    gain = jax.scipy.linalg.solve_triangular(factor.T, _times(q, inverse.T)).T
    coefficients = _times(gain, data[:, None])[:, 0]
    residual = whitened[:, -1] - _times(whitened[:, :-1], coefficients[:, None])[:, 0]
    return LinearFit(coefficients, _times(inverse, inverse.T), gain, jnp.sum(jnp.square(residual)))


def _times(a: Float[Array, "n m"], b: Float[Array, "m k"]) -> Float[Array, "n k"]:
    return jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)
