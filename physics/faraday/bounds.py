"""How well a rotation measure can be known at all."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float


class RotationBound(NamedTuple):
    """Smallest standard deviations that an unbiased estimate can have."""

    rm: Float[Array, "*pixel"]
    """[rad/m^2]; infinite where fewer than two different wavelengths are seen."""
    evpa0: Float[Array, "*pixel"]
    """[rad]."""


def cramer_rao(
    lambda_squared: Float[Array, " channel"], signal_to_noise: Float[Array, "*pixel channel"]
) -> RotationBound:
    r"""Return the Cramer-Rao bound of a thin screen whose amplitudes are free, from noise alone.

    With $s_i = P_i/\sigma_i$ and $\bar L = \sum s^2 L/\sum s^2$,
    $\mathrm{var}(\mathrm{RM}) \ge 1/(4\sum s_i^2 (L_i - \bar L)^2)$ and
    $\mathrm{var}(\chi_0) \ge 1/(4 \sum s^2) + \bar L^2\,\mathrm{var}(\mathrm{RM})$.

    Args:
        lambda_squared: L [m^2].
        signal_to_noise: s, zero where a channel is not used.

    Source: derived in docs/theory/faraday.md.
    """
    L = jnp.broadcast_to(lambda_squared.astype(signal_to_noise.dtype), signal_to_noise.shape)
    power = jnp.square(signal_to_noise)
    total = jnp.sum(power, axis=-1)
    mean = jnp.sum(power * L, axis=-1) / jnp.where(total > 0, total, 1.0)
    information = 4.0 * jnp.sum(power * jnp.square(L - mean[..., None]), axis=-1)
    variance = jnp.where(information > 0, 1.0 / jnp.where(information > 0, information, 1.0), jnp.inf)
    angle = jnp.where(total > 0, 0.25 / jnp.where(total > 0, total, 1.0), jnp.inf)
    return RotationBound(jnp.sqrt(variance), jnp.sqrt(angle + mean**2 * variance))
