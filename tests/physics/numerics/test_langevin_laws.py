"""Laws of statistical mechanics that the splitting steps keep: equilibrium, energy, densities, detailed balance."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physics.numerics.langevin import (
    Bath,
    LangevinState,
    baoab_step,
    initial_state,
    obabo_log_density,
    obabo_step,
)
from physics.numerics.quadratic_langevin import splitting_step

BATH = Bath(step=0.4, friction=0.9, mass=1.3, temperature=0.7)
DRAWS = {baoab_step: 1, obabo_step: 2}
WELLS = {
    "quartic": lambda z: 0.5 * z**2 + 0.6 * z**4,
    "double": lambda z: 0.5 * (z**2 - 1.0) ** 2,
}


def force_of(energy):
    slope = jax.grad(lambda z: jnp.sum(energy(z)))
    return lambda z: -slope(z)


def steps(step, state, noise, force, bath):
    """The states after each step, for noise (time, draw, *shape) or (time, *shape)."""

    def one(carry, draw):
        after = step(carry, draw, force, bath)
        return after, after

    return jax.lax.scan(one, state, noise)[1]


def boltzmann(energy, bath, z, v):
    return np.exp(-(energy(z) + 0.5 * bath.mass * v**2) / bath.temperature)


@pytest.fixture(scope="module")
def density():
    """The OBABO density of every pair of states along the leading axes, in one dimension."""

    @jax.jit
    def each(z, v, f, z_next, v_next, f_next, step):
        one = jax.vmap(
            lambda *x: obabo_log_density(
                LangevinState(*(y[None] for y in x[:3])),
                LangevinState(*(y[None] for y in x[3:])),
                BATH._replace(step=step),
            )
        )
        return one(
            *(jnp.broadcast_to(x, z.shape) if jnp.ndim(x) == 0 else x for x in (z, v, f, z_next, v_next, f_next))
        )

    return each


@pytest.mark.parametrize("well", WELLS)
def test_obabo_keeps_the_boltzmann_law_to_second_order(well, density):
    energy, force = WELLS[well], force_of(WELLS[well])
    axis_z, axis_v = np.linspace(-3.0, 3.0, 601), np.linspace(-4.0, 4.0, 161)
    z, v = (x.ravel() for x in np.meshgrid(axis_z, axis_v, indexing="ij"))
    weight = boltzmann(energy, BATH, z, v) * (axis_z[1] - axis_z[0]) * (axis_v[1] - axis_v[0])
    f, points = force(jnp.asarray(z)), ((0.3, 0.4), (-0.9, 0.2), (0.7, -0.8), (0.1, 1.1))

    def defect(step):
        after = [density(z, v, f, y, w, force(jnp.asarray(y)), step) for y, w in points]
        kept = [boltzmann(energy, BATH, y, w) for y, w in points]
        return np.linalg.norm([np.exp(np.asarray(x)) @ weight / k - 1.0 for x, k in zip(after, kept, strict=True)])

    coarse, fine = defect(0.2), defect(0.1)
    # What one step changes is of third order in it, so halving it divides the change by eight.
    assert coarse < 0.05
    assert coarse / fine == pytest.approx(8.0, rel=0.3)


@pytest.mark.parametrize("well", WELLS)
@pytest.mark.parametrize("step", DRAWS)
def test_variance_in_anharmonic_wells_against_quadrature(step, well):
    energy = WELLS[well]
    axis = np.linspace(-4.0, 4.0, 4001)
    weight = np.exp(-energy(axis) / BATH.temperature)
    expected = np.sum(axis**2 * weight) / np.sum(weight)
    number, bath = 20_000, BATH._replace(step=0.2)
    rng = np.random.default_rng(0)
    start = np.interp(rng.uniform(size=number), np.cumsum(weight) / weight.sum(), axis)
    speed = rng.normal(size=number) * np.sqrt(bath.temperature / bath.mass)
    force = force_of(energy)
    draws = () if DRAWS[step] == 1 else (2,)

    @jax.jit
    def squares(position, velocity, key):
        noise = jax.random.normal(key, (200, *draws, number))
        path = steps(step, initial_state(position, velocity, force), noise, force, bath)
        return jnp.mean(path.position[100:] ** 2), jnp.mean(path.velocity[100:] ** 2)

    position, velocity = squares(jnp.asarray(start), jnp.asarray(speed), jax.random.key(1))
    assert float(position) == pytest.approx(expected, rel=0.02)
    assert float(velocity) == pytest.approx(bath.temperature / bath.mass, rel=0.03)


def test_energy_does_not_drift_in_a_hundred_thousand_steps():
    energy = WELLS["quartic"]
    force, bath = force_of(energy), Bath(step=0.1, friction=0.0, mass=1.3)

    @jax.jit
    def energies(position):
        path = steps(baoab_step, initial_state(position, jnp.zeros(()), force), jnp.zeros(100_000), force, bath)
        return energy(path.position) + 0.5 * bath.mass * path.velocity**2

    found = np.asarray(energies(jnp.asarray(1.1)))
    start = energy(1.1)
    blocks = found.reshape(10, -1).mean(axis=1)
    # The energy swings by O(step^2); its mean over many periods stays.
    assert np.ptp(found) < 0.02 * start
    assert np.ptp(blocks) < 2e-5 * start


@pytest.mark.parametrize("step", DRAWS)
def test_without_temperature_the_energy_falls(step):
    energy = WELLS["quartic"]
    force = force_of(energy)
    noise = jnp.zeros((2000, 2)) if DRAWS[step] == 2 else jnp.zeros(2000)
    rises = []
    for h in (0.1, 0.05):
        bath = Bath(step=h, friction=0.3, mass=1.3, temperature=0.0)

        def energies(position, bath=bath):
            path = steps(step, initial_state(position, jnp.zeros(()), force), noise, force, bath)
            return energy(path.position) + 0.5 * bath.mass * path.velocity**2

        found = np.concatenate([[energy(1.1)], np.asarray(jax.jit(energies)(jnp.asarray(1.1)))])
        assert found[-1] < 1e-6
        rises.append(np.diff(found).max() / found[0])
    # At most the O(step^2) swing of the Verlet energy, over a step: third order.
    assert rises[0] < 0.1**2
    assert rises[1] < rises[0] / 4 or rises[1] < 1e-6


@pytest.mark.parametrize("scheme", ["baoab", "obabo"])
def test_from_a_cold_start_the_energy_rises_to_the_temperature_at_the_rate_of_friction(scheme):
    stiffness, bath = 2.1, Bath(step=0.05, friction=0.05, mass=1.3, temperature=0.7)
    step = splitting_step(scheme, jnp.asarray(stiffness), bath)
    matrix, covariance = np.asarray(step.matrix), np.asarray(step.covariance)
    spread, energies = np.zeros((2, 2)), []
    for _ in range(4000):
        spread = matrix @ spread @ matrix.T + covariance
        energies.append(0.5 * stiffness * spread[0, 0] + 0.5 * bath.mass * spread[1, 1])
    time = bath.step * np.arange(1, 4001)
    expected = bath.temperature * -np.expm1(-bath.friction * time)
    # The rest swings at twice the frequency with an amplitude of gamma/(2 omega), and the step adds O(h^2).
    assert np.abs(energies - expected).max() < 0.7 * 0.05 / (2 * np.sqrt(2.1 / 1.3)) + 2e-3
    assert energies[-1] == pytest.approx(bath.temperature, rel=2e-3)


def test_the_density_integrates_to_one(density):
    force = force_of(WELLS["double"])
    z, v = jnp.asarray(0.4), jnp.asarray(-0.3)
    axis = np.linspace(-4.0, 4.0, 801)
    z_next, v_next = (jnp.asarray(x.ravel()) for x in np.meshgrid(axis, axis, indexing="ij"))
    total = np.exp(np.asarray(_from(density, z, v, force, z_next, v_next, 0.4))).sum() * 0.01**2
    assert total == pytest.approx(1.0, rel=1e-10)


def _from(density, z, v, force, z_next, v_next, step):
    """The density of many ends from one start: the leading axes are those of the ends."""
    same = jnp.ones_like(z_next)
    return density(z * same, v * same, force(z) * same, z_next, v_next, force(z_next), step)


def test_the_density_matches_a_histogram(density):
    force, number = force_of(WELLS["double"]), 200_000
    start = initial_state(jnp.asarray(0.4), jnp.asarray(-0.3), force)
    noise = jax.random.normal(jax.random.key(3), (number, 2))
    after = jax.jit(jax.vmap(lambda draw: obabo_step(start, draw, force, BATH)))(noise)
    edges_z, edges_v = np.linspace(-0.6, 1.2, 7), np.linspace(-1.8, 1.4, 7)
    found = np.histogram2d(after.position, after.velocity, bins=(edges_z, edges_v))[0]
    fine_z, fine_v = (np.linspace(e[0], e[-1], 6 * 40 + 1) for e in (edges_z, edges_v))
    middle_z, middle_v = (0.5 * (x[1:] + x[:-1]) for x in (fine_z, fine_v))
    ends = (jnp.asarray(x.ravel()) for x in np.meshgrid(middle_z, middle_v, indexing="ij"))
    fine = np.exp(np.asarray(_from(density, start.position, start.velocity, force, *ends, 0.4)))
    cell = (fine_z[1] - fine_z[0]) * (fine_v[1] - fine_v[0])
    expected = number * cell * fine.reshape(6, 40, 6, 40).sum(axis=(1, 3))
    assert expected.sum() > 0.8 * number
    pulls = (found - expected) / np.sqrt(np.maximum(expected, 25.0))
    assert np.abs(pulls).max() < 4.5
    assert np.mean(pulls**2) < 2.0


def test_detailed_balance_with_a_flip_of_the_velocity_up_to_the_verlet_energy(density):
    energy, force = WELLS["double"], force_of(WELLS["double"])
    rng = np.random.default_rng(5)
    z, v, z_next, v_next = (jnp.asarray(x) for x in rng.normal(size=(4, 50)))
    f, f_next = force(z), force(z_next)
    forward = density(z, v, f, z_next, v_next, f_next, 0.4)
    backward = density(z_next, -v_next, f_next, z, -v, f, 0.4)

    def hamiltonian(position, velocity):
        return energy(position) + 0.5 * BATH.mass * velocity**2

    half = 0.5 * 0.4 / BATH.mass
    middle_before, middle_after = (z_next - z) / 0.4 - half * f, (z_next - z) / 0.4 + half * f_next
    verlet = hamiltonian(z_next, middle_after) - hamiltonian(z, middle_before)
    ratio = forward - backward - (hamiltonian(z, v) - hamiltonian(z_next, v_next)) / BATH.temperature
    np.testing.assert_allclose(ratio, verlet / BATH.temperature, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("step", DRAWS)
def test_large_friction_gives_the_overdamped_limit(step):
    force, start = force_of(WELLS["quartic"]), jnp.asarray(0.8)
    bath = Bath(step=0.1, friction=1e9, mass=1.3, temperature=0.7)
    draw = jnp.asarray([0.4, -0.2])
    noise = draw if DRAWS[step] == 2 else draw[0]
    after = step(initial_state(start, jnp.asarray(0.0), force), noise, force, bath)
    # The velocity is drawn afresh: the position moves by h^2 f / (2 m) plus a normal number.
    thermal = np.sqrt(0.7 / 1.3)
    own = (0.05 * 0.4 if DRAWS[step] == 1 else 0.1 * 0.4) * thermal
    kick = 0.5 * 0.1**2 / 1.3 * float(force(start))
    expected = 0.8 + own + (kick if DRAWS[step] == 2 else 0.5 * kick)
    assert float(after.position) == pytest.approx(expected, rel=1e-9)
