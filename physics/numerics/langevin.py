r"""Splitting steps of the underdamped Langevin equation, for one trajectory and any force.

$$ dz = v\,dt, \qquad m\,dv = f(z)\,dt - \gamma m v\,dt + \sqrt{2\gamma m k_B T}\,dW $$

The letters name the parts of a step: B kicks the velocity by the force, A drifts the position, O is the exact
Ornstein-Uhlenbeck draw of friction and noise. An `impulse` J is a change of velocity added inside the O draws, as an
external push that leaves the noise as it is. Mass, friction and temperature broadcast against the position. The
stationary density is the Boltzmann one for any friction, up to O(step^2).

Source: Leimkuhler and Matthews (2013) for the order of the letters; densities derived in docs/theory/langevin.md.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import jax.numpy as jnp
from jaxtyping import Array, Float

from physics.numerics.likelihood import gaussian_log_likelihood
from physics.numerics.special import safe_sqrt

Force: TypeAlias = Callable[[Array], Array]
Number: TypeAlias = Array | float


class LangevinState(NamedTuple):
    """A point in phase space with the force there, which the next step uses again."""

    position: Float[Array, "*shape"]
    velocity: Float[Array, "*shape"]
    force: Float[Array, "*shape"]


class Bath(NamedTuple):
    """What surrounds the particle, and the time step: each a number or an array that broadcasts with the position."""

    step: Number
    """h, in the time unit of the velocity."""
    friction: Number
    """gamma, per unit time."""
    mass: Number = 1.0
    temperature: Number = 1.0
    """k_B T, in the unit of the potential."""


def initial_state(position: Array, velocity: Array, force: Force) -> LangevinState:
    """Return the state at a position and velocity, with the force evaluated."""
    return LangevinState(position, velocity, force(position))


def ornstein_uhlenbeck(bath: Bath, duration: Number) -> tuple[Array, Array]:
    r"""Return decay $a = e^{-\gamma t}$ and spread $s = \sqrt{(1 - a^2) k_B T / m}$ of an O draw, v -> a v + s xi."""
    exponent = jnp.asarray(bath.friction) * duration
    spread = safe_sqrt(-jnp.expm1(-2.0 * exponent) * bath.temperature / bath.mass)
    return jnp.exp(-exponent), spread


def baoab_step(
    state: LangevinState, noise: Float[Array, "*shape"], force: Force, bath: Bath, impulse: Number = 0.0
) -> LangevinState:
    """Return the state after one step B(h/2) A(h/2) O(h) A(h/2) B(h/2), with one force call.

    Args:
        state: position, velocity and the force at the position.
        noise: standard normal draws of the position's shape.
        force: minus the gradient of the potential.
        bath: step, friction, mass and temperature.
        impulse: J, added to the velocity in the O draw.
    """
    half = 0.5 * bath.step
    decay, spread = ornstein_uhlenbeck(bath, bath.step)
    velocity = state.velocity + half / bath.mass * state.force
    position = state.position + half * velocity
    velocity = decay * velocity + impulse + spread * noise
    position = position + half * velocity
    after = force(position)
    return LangevinState(position, velocity + half / bath.mass * after, after)


def obabo_step(
    state: LangevinState, noise: Float[Array, " 2 *shape"], force: Force, bath: Bath, impulse: Number = 0.0
) -> LangevinState:
    """Return the state after one step O(h/2) B(h/2) A(h) B(h/2) O(h/2), with one force call.

    Args:
        state: position, velocity and the force at the position.
        noise: standard normal draws of the two O draws.
        force: minus the gradient of the potential.
        bath: step, friction, mass and temperature.
        impulse: J, half of it added to the velocity in each O draw.
    """
    half = 0.5 * bath.step
    decay, spread = ornstein_uhlenbeck(bath, half)
    kick = half / bath.mass
    velocity = decay * state.velocity + 0.5 * impulse + spread * noise[0]
    velocity = velocity + kick * state.force
    position = state.position + bath.step * velocity
    after = force(position)
    velocity = velocity + kick * after
    return LangevinState(position, decay * velocity + 0.5 * impulse + spread * noise[1], after)


def obabo_log_density(
    before: LangevinState, after: LangevinState, bath: Bath, impulse: Number = 0.0
) -> Float[Array, ""]:
    r"""Return the log density of the OBABO transition from one state to another, summed over the coordinates.

    $$\ln N\big(z';\ z + h(a v + J/2) + \tfrac{h^2}{2m} f(z),\ h^2 s^2\big)
      + \ln N\big(v';\ a[(z' - z)/h + \tfrac{h}{2m} f(z')] + J/2,\ s^2\big)$$

    Needs a friction and a temperature above zero: without noise there is no density.
    """
    step = bath.step
    decay, spread = ornstein_uhlenbeck(bath, 0.5 * step)
    kick = 0.5 * step / bath.mass
    position_mean = before.position + step * (decay * before.velocity + 0.5 * impulse + kick * before.force)
    velocity_mean = decay * ((after.position - before.position) / step + kick * after.force) + 0.5 * impulse
    shape = after.position.shape
    spread = jnp.broadcast_to(spread, shape).astype(after.position.dtype)
    return jnp.sum(
        gaussian_log_likelihood(after.position - position_mean, step * spread)
        + gaussian_log_likelihood(after.velocity - velocity_mean, spread)
    )
