"""Splitting steps against exact statements about their stationary law, geometry and density."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import solve_discrete_lyapunov

from physics.numerics.langevin import Bath, baoab_step, initial_state, obabo_log_density, obabo_step

STIFFNESS = 2.1
BATH = Bath(step=0.4, friction=0.9, mass=1.3, temperature=0.7)


def spring(position):
    return -STIFFNESS * position


def linear_map(step, bath, draws):
    """The matrices M, N of one step (z, v) -> M (z, v) + N xi, read off by differentiation."""

    def advance(point, noise):
        after = step(initial_state(point[0], point[1], spring), noise, spring, bath)
        return jnp.stack([after.position, after.velocity])

    noise = jnp.zeros(draws) if draws > 1 else jnp.zeros(())
    drift, spread = jax.jacfwd(advance, argnums=(0, 1))(jnp.zeros(2), noise)
    return np.asarray(drift), np.asarray(spread).reshape(2, draws)


@pytest.mark.parametrize(
    ("step", "draws", "position_variance", "velocity_variance"),
    [
        (obabo_step, 2, 0.7 / (2.1 * (1 - 0.4**2 * 2.1 / (4 * 1.3))), 0.7 / 1.3),
        (baoab_step, 1, 0.7 / 2.1, 0.7 / 1.3 * (1 - 0.4**2 * 2.1 / (4 * 1.3))),
    ],
)
def test_stationary_covariance_in_a_harmonic_well(step, draws, position_variance, velocity_variance):
    drift, spread = linear_map(step, BATH, draws)
    covariance = solve_discrete_lyapunov(drift, spread @ spread.T)
    np.testing.assert_allclose(np.diag(covariance), [position_variance, velocity_variance], rtol=1e-12)
    np.testing.assert_allclose(covariance[0, 1], 0.0, atol=1e-15)


def test_stationary_numbers_of_the_specification():
    drift, spread = linear_map(obabo_step, BATH, 2)
    covariance = solve_discrete_lyapunov(drift, spread @ spread.T)
    np.testing.assert_allclose(np.diag(covariance), [0.356359649, 0.538461538], rtol=2e-9)
    drift, spread = linear_map(baoab_step, BATH, 1)
    covariance = solve_discrete_lyapunov(drift, spread @ spread.T)
    np.testing.assert_allclose(np.diag(covariance), [0.333333333, 0.503668639], rtol=2e-9)


@pytest.mark.parametrize(("step", "draws"), [(obabo_step, 2), (baoab_step, 1)])
def test_volume_shrinks_by_the_friction_alone(step, draws):
    drift, _ = linear_map(step, BATH, draws)
    np.testing.assert_allclose(np.linalg.det(drift), np.exp(-0.9 * 0.4), rtol=1e-13)


@pytest.mark.parametrize(("step", "draws"), [(obabo_step, 2), (baoab_step, 1)])
def test_without_friction_the_step_is_symplectic_and_has_the_verlet_frequency(step, draws):
    bath = BATH._replace(friction=0.0)
    drift, spread = linear_map(step, bath, draws)
    omega = np.array([[0.0, 1.0], [-1.0, 0.0]])
    np.testing.assert_allclose(drift.T @ omega @ drift, omega, atol=1e-14)
    np.testing.assert_array_equal(spread, 0.0)
    angle = np.abs(np.angle(np.linalg.eigvals(drift)))
    np.testing.assert_allclose(np.cos(angle), 1 - 0.4**2 * (STIFFNESS / 1.3) / 2, rtol=1e-13)


@pytest.mark.parametrize(("step", "draws"), [(obabo_step, 2), (baoab_step, 1)])
def test_free_velocity_decorrelates_exactly(step, draws):
    def advance(velocity):
        noise = jnp.zeros(draws) if draws > 1 else jnp.zeros(())
        force = jnp.zeros_like
        return step(initial_state(jnp.asarray(0.0), velocity, force), noise, force, BATH).velocity

    np.testing.assert_allclose(jax.grad(advance)(0.3), np.exp(-0.9 * 0.4), rtol=1e-14)


@pytest.mark.parametrize("impulse", [0.0, 0.35])
def test_obabo_density_is_that_of_the_noise_by_change_of_variables(impulse):
    before = initial_state(jnp.array([0.4, -1.0]), jnp.array([0.2, 0.9]), quartic)
    noise = jax.random.normal(jax.random.key(0), (2, 2))
    after = obabo_step(before, noise, quartic, BATH, impulse)

    def endpoint(draws):
        state = obabo_step(before, draws, quartic, BATH, impulse)
        return jnp.concatenate([state.position, state.velocity])

    jacobian = jax.jacfwd(endpoint)(noise).reshape(4, 4)
    expected = -0.5 * np.sum(noise**2) - 2 * np.log(2 * np.pi) - np.linalg.slogdet(jacobian)[1]
    np.testing.assert_allclose(obabo_log_density(before, after, BATH, impulse), expected, rtol=1e-12)


def quartic(position):
    return -(position**3) - position


@pytest.mark.parametrize("step", [obabo_step, baoab_step])
def test_finite_gradient_where_the_noise_vanishes(step):
    noise = jnp.ones((2, 3)) if step is obabo_step else jnp.ones(3)

    def final(friction):
        state = initial_state(jnp.ones(3), jnp.zeros(3), quartic)
        return jnp.sum(step(state, noise, quartic, Bath(0.1, friction)).velocity)

    assert np.isfinite(jax.grad(final)(0.0))
    assert np.isfinite(final(1e30))


def test_mass_and_friction_broadcast_and_dtype_is_kept():
    bath = Bath(0.1, jnp.ones((3, 1), jnp.float32), 2.0 * jnp.ones((3, 1), jnp.float32))
    position = jnp.ones((3, 5), jnp.float32)
    state = baoab_step(initial_state(position, position, quartic), position, quartic, bath)
    assert state.position.shape == (3, 5)
    assert {leaf.dtype for leaf in state} == {jnp.dtype("float32")}
