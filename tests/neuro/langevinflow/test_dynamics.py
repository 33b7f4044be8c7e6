"""Exact properties of prior and posterior paths, in 64 bit."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import solve_discrete_lyapunov

from neuro.langevinflow import Config, RingPotential
from neuro.langevinflow.dynamics import (
    Gaussian,
    bath,
    bin_step,
    control_kl,
    position_kl,
    posterior_path,
    prior_path,
    prior_start,
    standard_kl,
)
from physics.numerics.langevin import Bath, initial_state, obabo_log_density

STEP = 0.02
SHAPE = (2, 5)
SIZE = SHAPE[0] * SHAPE[1]
DRAWS = {"baoab": 1, "obabo": 2}


@pytest.fixture(scope="module")
def potential() -> RingPotential:
    config = Config(dtype="float64", latent_width=SIZE, channels=2, observed_bins=50, forward_bins=0, bin_width=STEP)
    return RingPotential.initial(config)


def harmonic(potential):
    """Without the quartic part the step is linear."""
    return eqx.tree_at(lambda p: p.raw_quartic, potential, jnp.full(2, -jnp.inf))


def without_friction(potential):
    return eqx.tree_at(lambda p: p.log_friction, potential, jnp.full(2, -jnp.inf))


def one_step(force, surroundings, shape, noise):
    """Return the map of the flat phase space over one step, for given noise (draw, *shape)."""

    def step(flat):
        position, velocity = flat.reshape(2, *shape)
        after = bin_step(initial_state(position, velocity, force), noise[None], force, surroundings)
        return jnp.concatenate([after.position.ravel(), after.velocity.ravel()])

    return step


def matrices(force, surroundings, shape, draws):
    """Return the linear map of state and of noise over one step."""
    size = 2 * int(np.prod(shape))
    zero, quiet = jnp.zeros(size), jnp.zeros((draws, *shape))
    step = jax.jit(jax.jacobian(one_step(force, surroundings, shape, quiet)))(zero)
    noise = jax.jit(jax.jacobian(lambda draw: one_step(force, surroundings, shape, draw)(zero)))(quiet)
    return np.asarray(step), np.asarray(noise).reshape(size, -1)


def stationary(step, noise):
    return solve_discrete_lyapunov(step, noise @ noise.T)


@pytest.mark.parametrize(
    ("scheme", "position", "velocity"),
    [("obabo", 0.356359649, 0.538461538), ("baoab", 0.333333333, 0.503668639)],
)
def test_equilibrium_of_a_harmonic_well(scheme, position, velocity):
    surroundings = Bath(step=0.4, friction=0.9, mass=1.3, temperature=0.7)
    covariance = stationary(*matrices(lambda z: -2.1 * z, surroundings, (1, 1), DRAWS[scheme]))
    factor = 1.0 - 0.4**2 * 2.1 / (4.0 * 1.3)
    exact = {"obabo": (0.7 / (2.1 * factor), 0.7 / 1.3), "baoab": (0.7 / 2.1, 0.7 / 1.3 * factor)}[scheme]
    np.testing.assert_allclose(np.diag(covariance), exact, rtol=1e-12)
    np.testing.assert_allclose(np.diag(covariance), [position, velocity], rtol=0, atol=5e-10)
    assert abs(covariance[0, 1]) < 1e-15


def test_equilibrium_of_the_rings_is_the_boltzmann_law(potential):
    ring = harmonic(potential)
    covariance = stationary(*matrices(ring.force, bath(ring, STEP), SHAPE, 1))
    spectrum = np.asarray(ring.stiffness(SHAPE[1]))
    mode = np.fft.fft(np.eye(SHAPE[1])) / np.sqrt(SHAPE[1])
    for c in range(2):
        block = covariance[c * 5 : c * 5 + 5, c * 5 : c * 5 + 5]
        diagonal = mode @ block @ mode.conj().T
        np.testing.assert_allclose(np.diag(diagonal).real, 1.0 / spectrum[c], rtol=1e-10)
        velocity = np.diag(covariance)[SIZE + 5 * c]
        assert velocity == pytest.approx(float(ring.omega[c]) ** 2, rel=0.1)


@pytest.mark.parametrize("scheme", DRAWS)
def test_frequencies_without_friction(potential, scheme):
    ring = without_friction(harmonic(potential))
    step, _ = matrices(ring.force, bath(ring, STEP), SHAPE, DRAWS[scheme])
    omega = np.asarray(ring.omega)[:, None] * np.sqrt(np.asarray(ring.stiffness(SHAPE[1])))
    expected = np.sort(np.repeat(np.arccos(1.0 - (STEP * omega) ** 2 / 2.0).ravel(), 2))
    np.testing.assert_allclose(np.sort(np.abs(np.angle(np.linalg.eigvals(step)))), expected, rtol=1e-9)


@pytest.mark.parametrize("scheme", DRAWS)
def test_a_step_is_symplectic_without_friction_and_contracts_by_it(potential, scheme):
    point = 2.0 * jax.random.normal(jax.random.key(0), (2 * SIZE,))
    quiet = jnp.zeros((DRAWS[scheme], *SHAPE))
    form = np.kron([[0.0, 1.0], [-1.0, 0.0]], np.eye(SIZE))
    # The momentum is m v, so the form is taken in (z, m v).
    mass = np.repeat(np.asarray(potential.mass), 5)
    scale = np.diag(np.concatenate([np.ones(SIZE), mass]))

    free = without_friction(potential)
    slope = np.asarray(jax.jit(jax.jacobian(one_step(free.force, bath(free, STEP), SHAPE, quiet)))(point))
    slope = scale @ slope @ np.linalg.inv(scale)
    np.testing.assert_allclose(slope.T @ form @ slope, form, rtol=0, atol=1e-12)

    slope = np.asarray(jax.jit(jax.jacobian(one_step(potential.force, bath(potential, STEP), SHAPE, quiet)))(point))
    friction = np.repeat(np.asarray(potential.friction), 5)
    assert np.linalg.det(slope) == pytest.approx(np.exp(-STEP * friction.sum()), rel=1e-11)


@pytest.mark.parametrize("scheme", DRAWS)
def test_free_space_velocity_memory_and_diffusion(scheme):
    mass, friction, temperature, step = 1.3, 0.9, 0.7, 0.4
    surroundings = Bath(step=step, friction=friction, mass=mass, temperature=temperature)
    matrix, noise = matrices(jnp.zeros_like, surroundings, (1, 1), DRAWS[scheme])
    assert matrix[1, 1] == pytest.approx(np.exp(-friction * step), rel=1e-14)
    # Iterate the covariance from rest at the origin and thermal velocities.
    covariance = np.diag([0.0, temperature / mass])
    variances = []
    for _ in range(200):
        covariance = matrix @ covariance @ matrix.T + noise @ noise.T
        variances.append(covariance[0, 0])
    assert covariance[1, 1] == pytest.approx(temperature / mass, rel=1e-12)
    diffusion = temperature / mass * step / 2.0 / np.tanh(friction * step / 2.0)
    assert (variances[-1] - variances[-2]) / (2.0 * step) == pytest.approx(diffusion, rel=1e-9)


def test_energy_does_not_drift_without_friction(potential):
    ring = without_friction(potential)
    start = prior_start(ring, jax.random.normal(jax.random.key(2), (2, *SHAPE)))
    quiet = jnp.zeros((20_000, 1, 1, *SHAPE))
    _, path = jax.jit(lambda: prior_path(ring, start, quiet, STEP))()
    energy = jax.vmap(ring.energy)(path.position) + 0.5 * jnp.sum(path.velocity**2, axis=(1, 2))
    early, late = np.asarray(energy[:2000]), np.asarray(energy[-2000:])
    assert late.mean() == pytest.approx(early.mean(), rel=2e-3)
    assert np.ptp(energy) < 0.1 * early.mean()


@pytest.mark.parametrize(
    ("scheme", "step", "expected"),
    [
        ("obabo", 0.1, 0.922466571),
        ("obabo", 0.01, 0.886149117),
        ("obabo", 0.001, 0.882570420),
        ("baoab", 0.1, 0.963949569),
        ("baoab", 0.01, 0.890136761),
        ("baoab", 0.001, 0.882967576),
    ],
)
def test_kl_per_unit_time_of_a_constant_force(scheme, step, expected):
    mass, friction, temperature, push = 1.3, 0.9, 0.7, 1.7
    surroundings = Bath(step=step, friction=friction, mass=mass, temperature=temperature)
    control = jnp.full((1, 1, 1), push / np.sqrt(2.0 * friction * mass * temperature))
    kl = control_kl(control, surroundings, substeps=1, draws=DRAWS[scheme])
    assert float(kl) / step == pytest.approx(expected, abs=5e-10)
    limit = push**2 / (4.0 * mass * friction * temperature)
    assert limit == pytest.approx(0.882173382, abs=5e-10)
    assert float(kl) / step > limit


def test_the_kl_is_the_log_ratio_of_the_obabo_densities(potential):
    surroundings = bath(potential, STEP)
    start = prior_start(potential, jax.random.normal(jax.random.key(3), (2, *SHAPE)))
    control = 3.0 * jax.random.normal(jax.random.key(4), SHAPE)
    impulse = STEP * np.sqrt(2.0 * surroundings.friction / surroundings.mass) * control
    # The log ratio is linear in the noise, so its mean over the noise is its value without noise.
    after = bin_step(start, jnp.zeros((1, 2, *SHAPE)), potential.force, surroundings, impulse)
    ratio = obabo_log_density(start, after, surroundings, impulse) - obabo_log_density(start, after, surroundings)
    kl = control_kl(control[None], surroundings, substeps=1, draws=2)
    assert float(kl) == pytest.approx(float(ratio), rel=1e-11)


def test_the_kl_vanishes_without_control_and_adds_up(potential):
    surroundings = bath(potential, STEP)
    control = jax.random.normal(jax.random.key(5), (6, *SHAPE))
    for draws in (1, 2):
        assert control_kl(jnp.zeros_like(control), surroundings, 1, draws) == 0.0
        parts = sum(control_kl(row[None], surroundings, 1, draws) for row in control)
        np.testing.assert_allclose(control_kl(control, surroundings, 3, draws), 3.0 * parts, rtol=1e-12)


def test_the_posterior_without_control_is_the_prior(potential):
    start = prior_start(potential, jax.random.normal(jax.random.key(6), (2, *SHAPE)))
    noise = jax.random.normal(jax.random.key(7), (7, 3, 2, *SHAPE))
    states = jnp.zeros((7, 1))
    last, path, controls = posterior_path(
        potential, lambda state, latent: jnp.zeros(SIZE) * state[0] * latent[0], start, states, noise, STEP / 3
    )
    same, free = prior_path(potential, start, noise, STEP / 3)
    np.testing.assert_allclose(path.position, free.position, rtol=1e-11, atol=1e-14)
    np.testing.assert_allclose(path.velocity, free.velocity, rtol=1e-11, atol=1e-14)
    np.testing.assert_allclose(last.force, same.force, rtol=1e-11, atol=1e-14)
    assert not np.any(controls)


def test_kl_of_the_first_position_against_dense_gaussians(potential):
    rng = np.random.default_rng(8)
    mean, log_variance = rng.normal(size=SHAPE), rng.normal(size=SHAPE)
    hessian = np.asarray(jax.jit(jax.hessian(harmonic(potential).energy))(jnp.zeros(SHAPE))).reshape(SIZE, SIZE)
    variance = np.exp(log_variance).ravel()
    expected = 0.5 * (
        np.trace(hessian @ np.diag(variance))
        + mean.ravel() @ hessian @ mean.ravel()
        - SIZE
        - np.log(variance).sum()
        - np.linalg.slogdet(hessian)[1]
    )
    own = Gaussian(jnp.asarray(mean), jnp.asarray(log_variance))
    assert float(position_kl(own, potential)) == pytest.approx(expected, rel=1e-12)
    expected = 0.5 * (variance.sum() + (mean**2).sum() - SIZE - np.log(variance).sum())
    assert float(standard_kl(own)) == pytest.approx(expected, rel=1e-12)
    assert standard_kl(Gaussian(jnp.zeros(SHAPE), jnp.zeros(SHAPE))) == 0.0


def test_the_prior_starts_in_equilibrium(potential):
    ring = harmonic(potential)
    root = jax.jit(jax.jacobian(lambda noise: prior_start(ring, noise).position))(jnp.zeros((2, *SHAPE)))
    root = np.asarray(root).reshape(SIZE, 2 * SIZE)
    hessian = np.asarray(jax.jit(jax.hessian(ring.energy))(jnp.zeros(SHAPE))).reshape(SIZE, SIZE)
    np.testing.assert_allclose(root @ root.T, np.linalg.inv(hessian), rtol=1e-11, atol=1e-14)
    noise = jnp.ones((2, *SHAPE))
    np.testing.assert_allclose(prior_start(ring, noise).velocity, np.asarray(ring.omega)[:, None] * np.ones(SHAPE))


@pytest.mark.parametrize("scheme", DRAWS)
def test_finer_steps_agree_to_second_order(potential, scheme):
    ring, lag = harmonic(potential), 0.1

    def memory(step):
        matrix, noise = matrices(ring.force, bath(ring, step), SHAPE, DRAWS[scheme])
        covariance = stationary(matrix, noise)
        return np.diag(np.linalg.matrix_power(matrix, round(lag / step)) @ covariance)[:SIZE]

    # Halving the step divides the difference from the limit by four.
    coarse, middle, fine = (memory(step) for step in (0.02, 0.01, 0.005))
    np.testing.assert_allclose(coarse - middle, 4.0 * (middle - fine), rtol=0.1)
    assert np.max(np.abs(coarse - fine)) < 0.02
