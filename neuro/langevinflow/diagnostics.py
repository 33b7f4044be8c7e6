"""What a trained model has learned: its frequencies, and how much its latents matter."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from neuro.data import SpikeTrials
from neuro.langevinflow.config import some_trials
from neuro.langevinflow.landscape import (
    Landscape,
    PrincipalPaths,
    RestingPoint,
    landscape,
    principal_paths,
    resting_point,
)
from neuro.langevinflow.latents import Latents
from neuro.langevinflow.model import Model, a_model, physical
from neuro.langevinflow.objective import Batch, whole_batch
from neuro.langevinflow.waves import WaveSpectrum, wave_spectrum
from physics.numerics import checks
from physics.numerics.likelihood import poisson_log_likelihood
from physics.types import PRNGKey

__all__ = [
    "Frequencies",
    "Landscape",
    "PrincipalPaths",
    "RestingPoint",
    "ShuffleTest",
    "WaveSpectrum",
    "frequencies",
    "landscape",
    "principal_paths",
    "resting_point",
    "shuffle_test",
    "wave_spectrum",
]


class Frequencies(NamedTuple):
    """Small oscillations of the potential, per channel and wave number 0 .. L/2."""

    undamped: Float[Array, "channel wave"]
    """omega(q) / 2 pi [Hz]."""
    damped: Float[Array, "channel wave"]
    """sqrt(omega^2 - gamma^2/4) / 2 pi [Hz]; zero where the mode is over-damped."""
    damping_time: Float[Array, "channel wave"]
    """Time in which the slowest part of the mode falls by e [s]: 2/gamma unless over-damped."""
    quality: Float[Array, "channel wave"]
    """omega/gamma; below 1/2 the mode is over-damped."""


def frequencies(model: Model) -> Frequencies:
    r"""Return the frequencies and damping of the modes about the origin.

    $\omega_c(q)^2 = \omega_c^2 [1 + 2 \sum_d \kappa_{c,d} (1 - \cos q d)]$, q = 2 pi n/L. The quartic term stiffens
    larger amplitudes; it is not included, nor is a directed coupling: `RingPotential.mode_rates` has both directions.
    Derived in docs/theory/langevinflow.md.

    Raises:
        TypeError: the model is not of the physical mode.
    """
    model = physical(model)
    sites = model.config.sites
    stiffness = model.potential.stiffness(sites)[:, : sites // 2 + 1]
    omega = model.potential.omega[:, None] * jnp.sqrt(stiffness)
    gamma = model.potential.friction[:, None]
    difference = jnp.square(omega) - 0.25 * jnp.square(gamma)
    damped = jnp.sqrt(jnp.maximum(difference, 0.0)) / (2.0 * np.pi)
    # The slower root of an over-damped mode, in the form that does not cancel.
    rate = jnp.where(
        difference >= 0.0,
        0.5 * gamma * jnp.ones_like(omega),
        jnp.square(omega) / (0.5 * gamma + jnp.sqrt(jnp.maximum(-difference, 0.0))),
    )
    return Frequencies(omega / (2.0 * np.pi), damped, 1.0 / rate, omega / gamma)


class ShuffleTest(NamedTuple):
    """Poisson loss per entry [nats, log factorial included] with latents taken from other trials."""

    loss: float
    """With every trial's own latents."""
    position: float
    """z of another trial."""
    velocity: float
    """v of another trial."""
    dynamics: float
    """z and v of another trial."""
    encoder: float
    """h of another trial: no change unless the decoder reads it."""
    constant: float
    """With each neuron's mean rate over these trials."""

    @property
    def use_of_dynamics(self) -> float:
        """Rise of the loss by shuffling z and v, relative to the gap between constant rates and the model."""
        return (self.dynamics - self.loss) / (self.constant - self.loss)


def shuffle_test(model: Model, trials: SpikeTrials, *, key: PRNGKey) -> ShuffleTest:
    """Return the loss with latents shuffled between trials: a latent that carries the data must hurt when shuffled.

    Args:
        model: trained.
        trials: at least two, best those of a validation split; all go through at once.
        key: of the posterior draw and the shuffle.

    Raises:
        TypeError: `model` is no model, or `trials` are no `SpikeTrials`.
        ValueError: there are fewer than two trials, their bins, bin width or neurons are not those of the model, or
            none of their bins is observed.
    """
    a_model(model)
    some_trials(trials)
    checks.typed_key(key)
    if len(trials) < 2:
        raise ValueError(f"trials: expected at least 2 to exchange latents between, got {len(trials)}")
    batch = whole_batch(model, trials)
    if not trials.mask.any():
        raise ValueError("trials: no bin of them is observed")
    losses = _shuffled_losses(model, batch, key)
    return ShuffleTest(*(float(x) for x in losses))


@eqx.filter_jit
def _shuffled_losses(model: Model, batch: Batch, key: PRNGKey) -> tuple[Array, ...]:
    draw_key, roll_key = jax.random.split(key)
    dtype = model.config.array_dtype
    number = batch.counts.shape[0]
    inputs = batch.counts[:, : model.config.filled()[0], : model.held_in].astype(dtype)
    infer = jax.vmap(lambda x, own: model.infer(model.encoder(x), key=own)[0])
    own = infer(inputs, jax.random.split(draw_key, number))
    # A cyclic shift by a random number of trials leaves no trial in its place.
    shift = jax.random.randint(roll_key, (), 1, number, dtype=jnp.int32)
    other = Latents(*(jnp.roll(x, shift, axis=0) for x in own))

    def loss(latents: Latents) -> Array:
        log_expected = jax.vmap(model.decode)(latents)
        return -_mean(poisson_log_likelihood(batch.counts, log_expected, batch.mask), batch.mask)

    counts, mask = batch.counts.astype(dtype), batch.mask.astype(dtype)
    mean = jnp.sum(counts * mask, axis=(0, 1)) / jnp.maximum(jnp.sum(mask, axis=(0, 1)), 1.0)
    constant = jnp.broadcast_to(jnp.log(jnp.maximum(mean, 1e-9)), counts.shape)
    return (
        loss(own),
        loss(own._replace(position=other.position)),
        loss(own._replace(velocity=other.velocity)),
        loss(other._replace(encoder=own.encoder)),
        loss(own._replace(encoder=other.encoder)),
        -_mean(poisson_log_likelihood(batch.counts, constant, batch.mask), batch.mask),
    )


def _mean(values: Array, mask: Array) -> Array:
    return jnp.sum(values) / jnp.sum(mask, dtype=values.dtype)
