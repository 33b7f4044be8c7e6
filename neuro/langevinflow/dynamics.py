r"""Paths of the latent state: the prior's, and the posterior's with its control force, with the KL between them.

The prior is the underdamped Langevin equation of the ring potential. The posterior adds a control force
$u = \sqrt{2\gamma m k_B T}\,b$ with b constant over a bin. Its impulse enters the Ornstein-Uhlenbeck draws only, so
prior and posterior have the same noise and the same map from noise to path, and the KL between paths is that between
shifted normal draws, exactly at any step. Written for one trial; derived in docs/theory/langevinflow.md.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from neuro.langevinflow.potential import RingPotential, elastic, square_root_kernel
from physics.numerics.langevin import Bath, LangevinState, baoab_step, initial_state, obabo_step, ornstein_uhlenbeck
from physics.numerics.quadratic_langevin import affine_path, exact_step, splitting_step

Control = Callable[[Array, Array], Array]
"""(encoder state at the bin, latent state z and v in units of their thermal spread) -> b [s^-1/2]."""


class Path(NamedTuple):
    """Positions, and velocities in units of their thermal spread sqrt(k_B T/m), at every bin."""

    position: Float[Array, "time channel site"]
    velocity: Float[Array, "time channel site"]


class Gaussian(NamedTuple):
    """A normal distribution with a diagonal covariance."""

    mean: Float[Array, "*shape"]
    log_variance: Float[Array, "*shape"]

    def sample(self, noise: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """Return the point that standard normal `noise` maps to."""
        return self.mean + jnp.exp(0.5 * self.log_variance) * noise


def bath(potential: RingPotential, step: float) -> Bath:
    """Return the surroundings of the rings, for steps of `step` seconds."""
    return Bath(step=step, friction=potential.friction[:, None], mass=potential.mass[:, None])


def bin_step(
    state: LangevinState,
    noise: Float[Array, "substep draw channel site"],
    force: Callable[[Array], Array],
    surroundings: Bath,
    impulse: Array | float = 0.0,
) -> LangevinState:
    """Return the state one bin later: one step per row of `noise`, BAOAB with one draw each, OBABO with two."""

    def one(carry: LangevinState, draw: Array) -> tuple[LangevinState, None]:
        if draw.shape[0] == 1:
            return baoab_step(carry, draw[0], force, surroundings, impulse), None
        return obabo_step(carry, draw, force, surroundings, impulse), None

    return jax.lax.scan(one, state, noise, unroll=min(noise.shape[0], 4))[0]


def prior_path(
    potential: RingPotential, start: LangevinState, noise: Float[Array, "bin substep draw channel site"], step: float
) -> tuple[LangevinState, Path]:
    """Return the last state and the path after each bin, with no control force; `step` in seconds."""
    surroundings, force = bath(potential, step), potential.force
    speed = potential.omega[:, None]

    def one(state: LangevinState, draw: Array) -> tuple[LangevinState, Path]:
        after = bin_step(state, draw, force, surroundings)
        return after, Path(after.position, after.velocity / speed)

    return jax.lax.scan(one, start, noise)


def quadratic_path(
    potential: RingPotential,
    start: LangevinState,
    noise: Float[Array, "bin substep draw channel site"],
    step: float,
    *,
    scheme: str,
    parallel: bool = True,
) -> Path:
    """Return the path after each bin in a potential without wall and directed coupling, all bins at once.

    The same path as that of `prior_path` for the same noise, up to rounding, where `scheme` is "baoab" or "obabo".

    Args:
        potential: its quadratic part is used.
        start: state before the first bin.
        noise: standard normal draws, two for each step where `scheme` is "exact".
        step: s.
        scheme: "baoab", "obabo", or "exact" for the law of the continuous motion at the ends of the steps.
        parallel: whether by an associative scan.
    """
    bins, substeps, draws, channels, sites = noise.shape
    basis = jnp.asarray(real_waves(sites), noise.dtype)
    stiffness, speed = potential.stiffness(sites), potential.omega[:, None]
    surroundings = bath(potential, step)
    if scheme == "exact":
        each = exact_step(stiffness, surroundings)
    else:
        each = splitting_step(scheme, stiffness, surroundings)

    def to_waves(x: Array) -> Array:
        return jnp.matmul(x, basis.T, precision=jax.lax.Precision.HIGHEST)

    origin = jnp.stack([to_waves(start.position), to_waves(start.velocity)], axis=-1)
    drawn = jnp.moveaxis(to_waves(noise).reshape(bins * substeps, draws, channels, sites), 1, 3)
    waves = affine_path(each, origin, drawn, parallel=parallel)[substeps - 1 :: substeps]
    position, velocity = (jnp.matmul(waves[..., i], basis, precision=jax.lax.Precision.HIGHEST) for i in range(2))
    return Path(position, velocity / speed[None])


def real_waves(sites: int) -> np.ndarray:
    """Return an orthonormal basis of real waves on a ring, row n of the wave number n or, with the same, L - n.

    A symmetric circulant matrix has them as eigenvectors, row n with the eigenvalue at q = 2 pi n / L.
    """
    number, site = np.arange(sites)[:, None], np.arange(sites)[None, :]
    # cos + sin: orthogonal for all pairs of wave numbers, and of the same length.
    phase = 2.0 * np.pi * number * site / sites
    return (np.cos(phase) + np.sin(phase)) / np.sqrt(sites)


def posterior_path(
    potential: RingPotential,
    control: Control,
    start: LangevinState,
    states: Float[Array, "bin state"],
    noise: Float[Array, "bin substep draw channel site"],
    step: float,
) -> tuple[LangevinState, Path, Float[Array, "bin channel site"]]:
    """Return the last state, the path after each bin, and the control b [s^-1/2] over each bin.

    Args:
        potential: of the prior.
        control: b as a function of the encoder's state and the latent state before the step.
        start: state before the first of these bins.
        states: what the control reads of the encoder at each bin.
        noise: standard normal draws.
        step: s.
    """
    surroundings, force = bath(potential, step), potential.force
    speed = potential.omega[:, None]
    strength = impulse_per_control(surroundings)

    def one(state: LangevinState, bin_: tuple[Array, Array]) -> tuple[LangevinState, tuple[Path, Array]]:
        encoded, draw = bin_
        latent = jnp.concatenate([state.position.ravel(), (state.velocity / speed).ravel()])
        b = control(encoded, latent).reshape(state.position.shape)
        after = bin_step(state, draw, force, surroundings, strength * b)
        return after, (Path(after.position, after.velocity / speed), b)

    last, (path, controls) = jax.lax.scan(one, start, (states, noise))
    return last, path, controls


def impulse_per_control(surroundings: Bath) -> Array:
    r"""Return $J/b = h \sqrt{2\gamma k_B T/m}$, the change of velocity in one step per unit of control."""
    return surroundings.step * jnp.sqrt(2.0 * surroundings.friction * surroundings.temperature / surroundings.mass)


def control_kl(
    control: Float[Array, "bin channel site"], surroundings: Bath, substeps: int, draws: int
) -> Float[Array, ""]:
    r"""Return the KL of the controlled path from the free one, summed over bins, steps and coordinates.

    $|J|^2/(2 s^2)$ per BAOAB step (one draw) and $|J|^2/(4 s^2)$ per OBABO step (two draws, s of the half step); both
    tend to $h|b|^2/2$.
    """
    impulse = impulse_per_control(surroundings) / draws
    _, spread = ornstein_uhlenbeck(surroundings, surroundings.step / draws)
    return 0.5 * draws * substeps * jnp.sum(jnp.square(impulse / spread) * jnp.sum(jnp.square(control), axis=0))


def standard_kl(own: Gaussian) -> Float[Array, ""]:
    r"""Return $\mathrm{KL}(q \,\|\, N(0, 1))$, summed over the coordinates."""
    return 0.5 * jnp.sum(jnp.exp(own.log_variance) + jnp.square(own.mean) - 1.0 - own.log_variance)


def position_kl(own: Gaussian, potential: RingPotential) -> Float[Array, ""]:
    r"""Return $\mathrm{KL}(q(z_0) \,\|\, N(0, A^{-1}))$ with the circulant A of the potential's quadratic part.

    $$\tfrac12 \sum_c \Big[ \bar A \sum_x s^2(x) + \mu^T A \mu - L - \sum_x \ln s^2(x) - \sum_q \ln A(q) \Big],
      \qquad \bar A = \tfrac1L \sum_q A(q)$$
    """
    stiffness = potential.stiffness(own.mean.shape[1])
    diagonal = jnp.mean(stiffness, axis=1, keepdims=True)
    quadratic = own.mean * elastic(own.mean, potential.coupling)
    each = diagonal * jnp.exp(own.log_variance) + quadratic - 1.0 - own.log_variance - jnp.log(stiffness)
    return 0.5 * jnp.sum(each)


def prior_start(potential: RingPotential, noise: Float[Array, "2 channel site"]) -> LangevinState:
    """Return a start of the prior: positions from N(0, 1/A), velocities from N(0, k_B T/m)."""
    sites = noise.shape[2]
    kernel = square_root_kernel(potential.stiffness(sites))
    shifted = jnp.stack([jnp.roll(noise[0], x, axis=1) for x in range(sites)], axis=2)
    position = jnp.sum(kernel[:, None, :] * shifted, axis=2)
    return initial_state(position, potential.omega[:, None] * noise[1], potential.force)
