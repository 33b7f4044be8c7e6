"""Prior paths by several solvers: equal to one another, to exact laws, and to diffrax."""

import dataclasses

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neuro.langevinflow import Config, LangevinFlow, RingPotential
from neuro.langevinflow.dynamics import bath, prior_path, prior_start, quadratic_path, real_waves
from neuro.langevinflow.simulation import simulate_path
from physics.numerics.langevin import initial_state

SHAPE = (2, 5)
CONFIG = Config(
    dtype="float64",
    latent_width=10,
    channels=2,
    observed_bins=50,
    forward_bins=0,
    bin_width=0.02,
    quartic=False,
    encoder_width=3,
    hidden_width=3,
    decoder="linear",
)


@pytest.fixture(scope="module")
def potential():
    return RingPotential.initial(CONFIG)


@pytest.fixture(scope="module")
def start(potential):
    return prior_start(potential, jax.random.normal(jax.random.key(0), (2, *SHAPE)))


@pytest.mark.parametrize("sites", [3, 4, 9])
def test_real_waves_diagonalise_a_ring(sites):
    basis = real_waves(sites)
    np.testing.assert_allclose(basis @ basis.T, np.eye(sites), atol=1e-14)
    ring = np.roll(np.eye(sites), 1, axis=1) + np.roll(np.eye(sites), -1, axis=1)
    np.testing.assert_allclose(
        basis @ ring @ basis.T, np.diag(2 * np.cos(2 * np.pi * np.arange(sites) / sites)), atol=1e-13
    )


@pytest.mark.parametrize(("scheme", "draws"), [("baoab", 1), ("obabo", 2)])
def test_the_scan_gives_the_path_of_the_steps(potential, start, scheme, draws):
    noise = jax.random.normal(jax.random.key(1), (40, 3, draws, *SHAPE))
    expected = jax.jit(lambda n: prior_path(potential, start, n, 0.02 / 3)[1])(noise)
    found = jax.jit(lambda n: quadratic_path(potential, start, n, 0.02 / 3, scheme=scheme))(noise)
    for name in ("position", "velocity"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=0, atol=1e-10)
    small = jax.tree.map(lambda x: x.astype(jnp.float32), (potential, start, noise))
    single = jax.jit(lambda p, s, n: quadratic_path(p, s, n, 0.02 / 3, scheme=scheme))(*small)
    assert single.position.dtype == jnp.float32
    np.testing.assert_allclose(single.position, expected.position, rtol=0, atol=2e-5)


@pytest.mark.slow(optimized=False)
def test_every_solver_draws_the_stationary_law(potential):
    start = jax.vmap(lambda x: prior_start(potential, x))(jax.random.normal(jax.random.key(2), (800, 2, *SHAPE)))
    keys = jax.random.split(jax.random.key(3), 800)
    spread = np.sqrt(np.mean(1.0 / np.asarray(potential.stiffness(5)), axis=1))
    for solver in ("steps", "scan", "exact", "diffrax"):

        @jax.jit
        def last(states, own, solver=solver):
            def one(state, key):
                return simulate_path(potential, state, CONFIG, bins=9, key=key, solver=solver)

            return jax.vmap(one)(states, own)

        path = last(start, keys)
        assert path.position.shape == (800, 8, *SHAPE)
        position, velocity = (np.asarray(x[:, -1]).std(axis=(0, 2)) for x in path)
        # 4000 numbers: 1.1 % each.
        np.testing.assert_allclose(position, spread, rtol=0.05, err_msg=solver)
        np.testing.assert_allclose(velocity, 1.0, rtol=0.08, err_msg=solver)
        # How the position remembers its start is that of the exact linear motion.
        correlation = np.mean(np.asarray(path.position[:, -1] * start.position), axis=(0, 2)) / spread**2
        exact = memory(potential, 8 * 0.02) / spread**2
        np.testing.assert_allclose(correlation, exact, rtol=0, atol=0.07, err_msg=solver)


def memory(potential, time):
    """The autocovariance of a site's position in the continuous motion, from the rates of the modes."""
    stiffness, rates = np.asarray(potential.stiffness(5)), np.asarray(potential.mode_rates(5))
    first, second = rates[..., 0], rates[..., 1]
    # Position released at rest: the combination of both roots without velocity.
    decay = (first * np.exp(second * time) - second * np.exp(first * time)) / (first - second)
    return np.mean(decay.real / stiffness, axis=1)


@pytest.mark.usefixtures("relaxed_promotion")
def test_damped_motion_without_noise_against_diffrax():
    """A quartic wall and a directed coupling, integrated by a fifth-order Runge-Kutta method."""
    config = dataclasses.replace(CONFIG, quartic=True, directed=True)
    potential = RingPotential.initial(config)
    potential = eqx.tree_at(lambda p: (p.raw_quartic, p.raw_drive), potential, (jnp.ones(2), jnp.array([0.8, -0.5])))
    start = initial_state(*(s * jax.random.normal(jax.random.key(4), SHAPE) for s in (1.5, 8.0)), potential.force)

    def rate(_, state, __):
        z, v = state
        return v, potential.force(z) / potential.mass[:, None] - potential.friction[:, None] * v

    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(rate),
        diffrax.Tsit5(),
        0.0,
        0.2,
        1e-3,
        (start.position, start.velocity),
        stepsize_controller=diffrax.PIDController(rtol=1e-10, atol=1e-12),
    )

    def end(bins):
        quiet = jnp.zeros((bins, 1, 1, *SHAPE))
        return jax.jit(lambda: prior_path(potential, start, quiet, 0.2 / bins)[0].position)()

    errors = [float(jnp.abs(end(bins) - solution.ys[0][0]).max()) for bins in (40, 80)]
    assert errors[0] < 2e-2
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=0.1)


def test_waves_run_alike_in_both_directions_and_at_the_frequencies_of_the_modes():
    config = dataclasses.replace(CONFIG, latent_width=12, channels=1, coupling_range=1)
    potential = RingPotential.initial(config)
    potential = eqx.tree_at(
        lambda p: (p.log_omega, p.log_friction), potential, (jnp.log(jnp.array([12.0])), jnp.zeros(1))
    )
    driven = eqx.tree_at(lambda p: p.raw_drive, potential, jnp.array([1.5]), is_leaf=lambda x: x is None)
    bins, lag = 2**15, 0.02
    noise = jax.random.normal(jax.random.key(5), (bins, 1, 1, 1, 12))
    still = initial_state(jnp.zeros((1, 12)), jnp.zeros((1, 12)), potential.force)
    run = jax.jit(lambda p: prior_path(p, still, noise, lag)[1].position[:, 0])
    power = {}
    for name, own in (("free", potential), ("driven", driven)):
        spectrum = np.abs(np.fft.fft2(np.asarray(run(own)).reshape(16, -1, 12), axes=(1, 2))) ** 2
        power[name] = spectrum.mean(axis=0)
    frequency = np.fft.fftfreq(bins // 16, lag)
    rates = np.asarray(potential.mode_rates(12))[0, :, 0]
    for q in range(1, 6):
        both = power["free"][:, q] + power["free"][:, 12 - q]
        positive = frequency > 0
        peak = np.sum((frequency * both)[positive]) / np.sum(both[positive])
        assert peak == pytest.approx(abs(rates[q].imag) / (2 * np.pi), rel=0.03)
        # exp(i q x) with positive and negative frequency: to smaller and to larger x.
        left, right = power["free"][positive, q].sum(), power["free"][frequency < 0, q].sum()
        assert left / right == pytest.approx(1.0, abs=0.35)
        left, right = power["driven"][positive, q].sum(), power["driven"][frequency < 0, q].sum()
        wave = np.asarray(driven.mode_rates(12))[0, q]
        # Power is inversely proportional to the damping of each wave.
        slow, fast = sorted(-wave.real)
        assert left / right == pytest.approx(fast / slow, rel=0.35)
        assert wave[np.argmax(wave.real)].imag < 0 or left > right


def test_each_solver_in_the_model_and_what_it_refuses():
    model = LangevinFlow(CONFIG, held_in=2, mean_rate=np.ones(3), key=jax.random.key(0))
    for solver in ("steps", "scan"):
        log_expected, path = model.simulate(key=jax.random.key(1), bins=4, solver=solver)
        assert log_expected.shape == (4, 3)
        assert path.position.shape == (4, *SHAPE)
        assert np.all(np.isfinite(log_expected))
    assert model.simulate(key=jax.random.key(1), bins=1, solver="diffrax")[0].shape == (1, 3)
    steps, scan = (model.simulate(key=jax.random.key(1), bins=4, solver=s)[1].position for s in ("steps", "scan"))
    np.testing.assert_allclose(scan, steps, rtol=0, atol=1e-12)
    with pytest.raises(ValueError, match="solver: expected one of 'steps', 'scan', 'exact', 'diffrax'"):
        model.simulate(key=jax.random.key(1), bins=4, solver="euler")
    for changes in ({"quartic": True}, {"directed": True}):
        config = dataclasses.replace(CONFIG, **changes)
        other = LangevinFlow(config, held_in=2, mean_rate=np.ones(3), key=jax.random.key(0))
        with pytest.raises(ValueError, match="solver: 'exact' needs a quadratic potential"):
            other.simulate(key=jax.random.key(1), bins=4, solver="exact")
    assert bath(model.potential, 0.02).step == 0.02
