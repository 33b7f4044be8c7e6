"""Log likelihoods per element; a mask takes an element out of value and gradient alike."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Num

HALF_LOG_TWO_PI = 0.5 * math.log(2.0 * math.pi)


def poisson_log_likelihood(
    counts: Num[Array, "*shape"],
    log_rate: Float[Array, "*shape"],
    mask: Bool[Array, "*shape"] | None = None,
) -> Float[Array, "*shape"]:
    r"""Return $y \ln\lambda - \lambda - \ln y!$ per element, zero where the mask is False.

    Args:
        counts: y, whole numbers; any value, NaN included, where masked.
        log_rate: natural logarithm of the expected count.
        mask: True where an element is observed; all by default.
    """
    y = counts.astype(log_rate.dtype)
    if mask is not None:
        y = jnp.where(mask, y, 0.0)
    result = y * log_rate - jnp.exp(log_rate) - jax.lax.lgamma(y + 1.0)
    return result if mask is None else jnp.where(mask, result, 0.0)


def negative_binomial_log_likelihood(
    counts: Num[Array, "*shape"],
    log_rate: Float[Array, "*shape"],
    log_dispersion: Float[Array, "*shape"],
    mask: Bool[Array, "*shape"] | None = None,
) -> Float[Array, "*shape"]:
    r"""Return the log probability of counts of mean $\lambda$ and variance $\lambda + a \lambda^2$, zero where masked.

    $\ln\Gamma(y + r) - \ln\Gamma(r) - \ln y! + r \ln\frac{r}{r + \lambda} + y \ln\frac{\lambda}{r + \lambda}$ with
    $r = 1/a$; Poisson as a goes to 0, where the first two terms cancel: to about 1e-7 r in 32 bits.

    Args:
        counts: y, whole numbers; any value, NaN included, where masked.
        log_rate: natural logarithm of the expected count.
        log_dispersion: natural logarithm of a.
        mask: True where an element is observed; all by default.
    """
    y = counts.astype(log_rate.dtype)
    if mask is not None:
        y = jnp.where(mask, y, 0.0)
    odds, r = log_rate + log_dispersion, jnp.exp(-log_dispersion)
    combinations = jax.lax.lgamma(y + r) - jax.lax.lgamma(r) - jax.lax.lgamma(y + 1.0)
    result = combinations - r * jax.nn.softplus(odds) - y * jax.nn.softplus(-odds)
    return result if mask is None else jnp.where(mask, result, 0.0)


def gaussian_log_likelihood(
    residual: Float[Array, "*shape"],
    sigma: Float[Array, "*shape"],
    mask: Bool[Array, "*shape"] | None = None,
) -> Float[Array, "*shape"]:
    r"""Return $-\tfrac12 (r/\sigma)^2 - \ln\sigma - \tfrac12\ln 2\pi$ per element, zero where the mask is False.

    Args:
        residual: data minus model, any value where masked.
        sigma: standard deviation, any value where masked.
        mask: True where an element is observed; all by default.
    """
    if mask is not None:
        residual, sigma = jnp.where(mask, residual, 0.0), jnp.where(mask, sigma, 1.0)
    result = -0.5 * jnp.square(residual / sigma) - jnp.log(sigma) - HALF_LOG_TWO_PI
    return result if mask is None else jnp.where(mask, result, 0.0)
