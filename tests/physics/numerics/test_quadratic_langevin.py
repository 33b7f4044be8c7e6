"""Exact steps against SciPy and closed forms, splitting steps as matrices, and the scan against the loop."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad_vec
from scipy.linalg import expm, solve_continuous_lyapunov, solve_discrete_lyapunov

from physics.numerics.langevin import Bath, baoab_step, initial_state, obabo_step
from physics.numerics.quadratic_langevin import affine_path, exact_step, splitting_step

STIFFNESS = jnp.asarray([0.3, 2.1, 40.0])
BATH = Bath(step=0.2, friction=0.9, mass=1.3, temperature=0.7)
exact = jax.jit(exact_step)


def drift(stiffness, bath=BATH):
    return np.array([[0.0, 1.0], [-stiffness / bath.mass, -bath.friction]])


def test_the_exact_step_against_scipy():
    step = exact(STIFFNESS, BATH)
    noise = np.diag([0.0, 2 * 0.9 * 0.7 / 1.3])
    for n, k in enumerate(np.asarray(STIFFNESS)):
        np.testing.assert_allclose(step.matrix[n], expm(0.2 * drift(k)), rtol=1e-12, atol=1e-14)
        integral, _ = quad_vec(lambda t, k=k: expm(t * drift(k)) @ noise @ expm(t * drift(k)).T, 0.0, 0.2)
        np.testing.assert_allclose(step.covariance[n], integral, rtol=1e-10, atol=1e-14)


def test_the_exact_step_keeps_the_boltzmann_law_and_composes():
    step, double = exact(STIFFNESS, BATH), exact(STIFFNESS, BATH._replace(step=0.4))
    for n, k in enumerate(np.asarray(STIFFNESS)):
        matrix, covariance = np.asarray(step.matrix[n]), np.asarray(step.covariance[n])
        stationary = solve_discrete_lyapunov(matrix, covariance)
        np.testing.assert_allclose(stationary, np.diag([0.7 / k, 0.7 / 1.3]), rtol=1e-10, atol=1e-14)
        continuous = solve_continuous_lyapunov(drift(k), -np.diag([0.0, 2 * 0.9 * 0.7 / 1.3]))
        np.testing.assert_allclose(stationary, continuous, rtol=1e-9, atol=1e-14)
        np.testing.assert_allclose(matrix @ matrix, double.matrix[n], rtol=1e-11, atol=1e-14)
        composed = matrix @ covariance @ matrix.T + covariance
        np.testing.assert_allclose(composed, double.covariance[n], rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("ratio", [0.5, 1.99, 2.0, 2.5])
def test_oscillation_stops_at_critical_damping(ratio):
    omega = np.sqrt(2.1 / 1.3)
    step = exact(STIFFNESS, BATH._replace(friction=float(ratio * omega)))
    values = np.linalg.eigvals(np.asarray(step.matrix[1]))
    if ratio < 2.0:
        angle = 0.2 * np.sqrt(omega**2 - (ratio * omega) ** 2 / 4)
        np.testing.assert_allclose(np.abs(np.angle(values)), angle, rtol=1e-6)
        np.testing.assert_allclose(np.abs(values), np.exp(-0.5 * ratio * omega * 0.2), rtol=1e-9)
    elif ratio == 2.0:
        # A double root: the square root of rounding errors is what is left.
        np.testing.assert_allclose(values, np.exp(-omega * 0.2), rtol=1e-6)
    else:
        assert np.all(np.isreal(values))
        root = np.sqrt((ratio * omega) ** 2 / 4 - omega**2)
        expected = np.exp(0.2 * (-0.5 * ratio * omega + np.array([root, -root])))
        np.testing.assert_allclose(np.sort(values), np.sort(expected), rtol=1e-9)


@pytest.mark.parametrize(("scheme", "order"), [("baoab", 4.0), ("obabo", 4.0)])
def test_splitting_steps_approach_the_exact_one_to_second_order(scheme, order):
    k, target = STIFFNESS[1], jax.tree.map(lambda x: np.asarray(x[1]), exact(STIFFNESS, BATH))

    def errors(number):
        step = splitting_step(scheme, k, BATH._replace(step=0.2 / number))
        matrix, covariance = np.eye(2), np.zeros((2, 2))
        for _ in range(number):
            covariance = np.asarray(step.matrix) @ covariance @ np.asarray(step.matrix).T + np.asarray(step.covariance)
            matrix = np.asarray(step.matrix) @ matrix
        return np.abs(matrix - target.matrix).max(), np.abs(covariance - target.covariance).max()

    np.testing.assert_allclose(np.divide(errors(2), errors(4)), order, rtol=0.1)


@pytest.mark.parametrize(("scheme", "step", "draws"), [("baoab", baoab_step, 1), ("obabo", obabo_step, 2)])
@pytest.mark.parametrize("parallel", [True, False])
def test_the_affine_path_is_that_of_the_steps(scheme, step, draws, parallel):
    noise = jax.random.normal(jax.random.key(0), (33, 3, draws))
    start = jax.random.normal(jax.random.key(1), (3, 2))

    def force(z):
        return -STIFFNESS * z

    def one(state, draw):
        after = step(state, draw[:, 0] if draws == 1 else draw.T, force, BATH)
        return after, jnp.stack([after.position, after.velocity], axis=-1)

    expected = jax.lax.scan(one, initial_state(start[:, 0], start[:, 1], force), noise)[1]
    affine = splitting_step(scheme, STIFFNESS, BATH)
    path = jax.jit(lambda n: affine_path(affine, start, n, parallel=parallel))
    np.testing.assert_allclose(path(noise), expected, rtol=1e-10, atol=1e-12)
    assert affine_path(affine, start, noise[:0], parallel=parallel).shape == (0, 3, 2)


def test_the_scan_in_single_precision_and_its_gradient():
    noise = jax.random.normal(jax.random.key(0), (40, 3, 2))
    start = jnp.ones((3, 2))

    @jax.jit
    def end(stiffness, noise, start):
        bath = Bath(*(jnp.asarray(x, stiffness.dtype) for x in BATH))
        return affine_path(splitting_step("obabo", stiffness, bath), start, noise)[-1]

    double = end(STIFFNESS, noise, start)
    single = end(*(x.astype(jnp.float32) for x in (STIFFNESS, noise, start)))
    assert single.dtype == jnp.float32
    np.testing.assert_allclose(single, double, rtol=0, atol=1e-5)
    slope = jax.jit(jax.grad(lambda k: jnp.sum(end(k, noise, start))))(STIFFNESS)
    small = 1e-6
    for n in range(3):
        shift = small * jnp.eye(3)[n]
        numeric = (jnp.sum(end(STIFFNESS + shift, noise, start)) - jnp.sum(end(STIFFNESS - shift, noise, start))) / 2e-6
        assert float(slope[n]) == pytest.approx(float(numeric), rel=1e-5, abs=1e-7)


def test_no_noise_without_temperature_or_friction():
    for bath in (BATH._replace(temperature=0.0), BATH._replace(friction=0.0)):
        assert not np.any(np.abs(exact(STIFFNESS, bath).root) > 1e-12)
