"""What is computed from the chains of one mode: its share of the evidence."""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from physics.faraday.fits.likelihood import PixelData
from physics.faraday.posteriors.reduced import ReducedScreen
from physics.types import PRNGKey

ROUNDS = 20


def bridge_evidence(
    model: ReducedScreen, data: PixelData, draws: Float[Array, "s d"], key: PRNGKey
) -> Float[Array, ""]:
    r"""Return ln of the integral of the density over the neighbourhood that draws from it cover.

    Bridge sampling: with draws $\theta_i$ of the density p, draws $\phi_i$ of a normal density g with their mean and
    covariance, and $l = p/g$, the integral r is the fixed point of

    $$ r = \frac{\langle l/(l + r) \rangle_\phi}{\langle 1/(l + r) \rangle_\theta}. $$

    The normal density is fitted to one half of the draws, and the other half is averaged.

    Args:
        model: the screen.
        data: the spectrum.
        draws: of the parameters, in the reduced domain.
        key: random key.

    Source: Meng and Wong (1996), with as many draws from both densities.
    """
    half, size = draws.shape[0] // 2, draws.shape[1]
    mean = jnp.mean(draws[:half], axis=0)
    deviation = draws[:half] - mean[None]
    spread = jnp.std(deviation, axis=0) + 1e-30
    deviation = deviation / spread[None]
    correlation = deviation.T @ deviation / half + 1e-6 * jnp.eye(size, dtype=draws.dtype)
    lower = jnp.linalg.cholesky(correlation)
    log_volume = jnp.sum(jnp.log(jnp.diagonal(lower))) + jnp.sum(jnp.log(spread))

    def log_ratio(z: Float[Array, " d"]) -> Float[Array, ""]:
        theta = mean + spread * (lower @ z)
        density = jnp.where(model.inside(theta), model.log_density(theta, data), -jnp.inf)
        normal = -0.5 * jnp.sum(z * z) - 0.5 * size * math.log(2.0 * math.pi) - log_volume
        return jnp.where(jnp.isnan(density), -jnp.inf, density) - normal

    z = jax.scipy.linalg.solve_triangular(lower, ((draws[half:] - mean[None]) / spread[None]).T, lower=True).T
    own = jax.vmap(log_ratio)(z)
    other = jax.vmap(log_ratio)(jax.random.normal(key, z.shape, z.dtype))
    mid = jnp.median(own)

    def step(_: Any, r: Float[Array, ""]) -> Float[Array, ""]:
        above = jax.scipy.special.logsumexp(other - mid - jnp.logaddexp(other - mid, r))
        below = jax.scipy.special.logsumexp(-jnp.logaddexp(own - mid, r))
        return above - below

    return mid + jax.lax.fori_loop(0, ROUNDS, step, jnp.zeros_like(mid))
