r"""The released step of the latents: explicit Euler, with friction and noise of a whole step whatever its length.

$$z_t = z_{t-1} + h\,v_{t-1}, \qquad m_t = (1 - \gamma)(v_{t-1} - h\,\nabla U(z_{t-1})), \qquad
  v_t = m_t + \sigma\,\epsilon_t, \qquad \sigma^2 = 2\gamma$$

A spring could only oscillate if its stiffness exceeded $\gamma^2 / [4 (1 - \gamma) h^2]$, 1681 at the released values;
normalised kernels reach 55, so every mode is over-damped. Nothing but the initial state depends on the data.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from neuro.langevinflow.dynamics import Gaussian
from neuro.langevinflow.official.options import CHANNELS, Release
from neuro.langevinflow.official.potential import normalized, potential_slope


class EulerPath(NamedTuple):
    """Latents at every bin, and the mean of each later velocity given what came before."""

    position: Float[Array, "time latent"]
    velocity: Float[Array, "time latent"]
    velocity_mean: Float[Array, "later latent"]


def euler_path(
    kernel: Float[Array, "into of tap"],
    position: Float[Array, " latent"],
    velocity: Float[Array, " latent"],
    noise: Float[Array, "later latent"],
    release: Release,
) -> EulerPath:
    """Return the path from an initial state, one step per row of standard normal `noise`.

    Args:
        kernel: of the potential, as stored.
        position: z at the first bin, channel after channel.
        velocity: v at the first bin.
        noise: draws of the later bins.
        release: friction, step, noise level and the potential's options.
    """
    filters, h = normalized(kernel), release.step
    keep, spread = 1.0 - release.friction, math.sqrt(release.noise_variance)

    def one(state: tuple[Array, Array], draw: Array) -> tuple[tuple[Array, Array], tuple[Array, Array, Array]]:
        z, v = state
        slope = potential_slope(filters, z.reshape(CHANNELS, -1), pairs=release.pairs, chain=release.chain)
        mean = keep * (v - h * slope.ravel())
        after = (z + h * v, mean + spread * draw)
        return after, (*after, mean)

    _, (positions, velocities, means) = jax.lax.scan(one, (position, velocity), noise)
    return EulerPath(jnp.concatenate([position[None], positions]), jnp.concatenate([velocity[None], velocities]), means)


def gaussian_kl(own: Gaussian, variance: float) -> Float[Array, ""]:
    r"""Return $\mathrm{KL}(q\,\|\,N(0, V)) = \tfrac12 \sum [\ln V - l - 1 + m^2/V + e^l/V]$."""
    mean, log_variance = own
    each = math.log(variance) - log_variance - 1.0 + (jnp.square(mean) + jnp.exp(log_variance)) / variance
    return 0.5 * jnp.sum(each)


def velocity_kl(path: EulerPath, release: Release, form: str | None = None) -> Float[Array, ""]:
    """Return the divergence of the later velocities from N(0, V), summed over bins and coordinates.

    As released, the sampled velocity stands where the mean belongs and the variance where its logarithm belongs. Since
    the friction is fixed, all that this trains is a pull of the velocities towards zero. `form` overrides
    `release.step_kl`.
    """
    variance = release.noise_variance
    if (release.step_kl if form is None else form) == "consistent":
        log_variance = jnp.full_like(path.velocity_mean, math.log(variance))
        return gaussian_kl(Gaussian(path.velocity_mean, log_variance), release.velocity_variance)
    sampled = path.velocity[1:]
    return gaussian_kl(Gaussian(sampled, jnp.full_like(sampled, variance)), release.velocity_variance)
