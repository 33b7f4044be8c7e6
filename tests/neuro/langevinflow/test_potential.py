import dataclasses
import json

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy import units

from neuro.langevinflow import Config, RingPotential
from neuro.langevinflow.potential import (
    directed_force,
    elastic,
    ring_energy,
    ring_force,
    ring_hessian,
    ring_mode_rates,
    ring_stiffness,
    square_root_kernel,
)

CHANNELS, SITES = 3, 9


@pytest.fixture(scope="module")
def parameters():
    rng = np.random.default_rng(0)
    coupling = jnp.asarray(rng.uniform(0.1, 0.6, (CHANNELS, 2)))
    quartic = jnp.asarray(rng.uniform(0.0, 0.3, CHANNELS))
    position = jnp.asarray(rng.normal(size=(CHANNELS, SITES)))
    return position, coupling, quartic


def dense(coupling, channel):
    matrix = np.eye(SITES)
    for d, kappa in enumerate(np.asarray(coupling)[channel], start=1):
        for x in range(SITES):
            matrix[x, x] += 2 * kappa
            matrix[x, (x + d) % SITES] -= kappa
            matrix[x, (x - d) % SITES] -= kappa
    return matrix


def test_force_is_minus_the_gradient_of_the_energy(parameters):
    np.testing.assert_allclose(ring_force(*parameters), -jax.jit(jax.grad(ring_energy))(*parameters), rtol=1e-12)


def test_energy_is_bounded_below_by_zero(parameters):
    _, coupling, quartic = parameters
    for scale in (1e-3, 1.0, 30.0):
        position = scale * jax.random.normal(jax.random.key(1), (CHANNELS, SITES))
        assert ring_energy(position, coupling, quartic) > 0
    assert ring_energy(jnp.zeros((CHANNELS, SITES)), coupling, quartic) == 0


def test_eigenvalues_of_the_hessian_are_the_spectrum(parameters):
    position, coupling, quartic = parameters
    hessian = jax.jit(jax.hessian(ring_energy))(jnp.zeros_like(position), coupling, quartic)
    spectrum = np.asarray(ring_stiffness(coupling, SITES))
    for c in range(CHANNELS):
        np.testing.assert_allclose(np.linalg.eigvalsh(hessian[c, :, c]), np.sort(spectrum[c]), rtol=1e-12)
        np.testing.assert_allclose(hessian[c, :, c], dense(coupling, c), rtol=1e-12, atol=1e-15)


def test_elastic_part_is_the_circulant_matrix(parameters):
    position, coupling, _ = parameters
    expected = np.stack([dense(coupling, c) @ np.asarray(position)[c] for c in range(CHANNELS)])
    np.testing.assert_allclose(elastic(position, coupling), expected, rtol=1e-12, atol=1e-14)


def test_the_square_root_kernel_squares_to_the_inverse(parameters):
    _, coupling, _ = parameters
    kernel = np.asarray(square_root_kernel(ring_stiffness(coupling, SITES)))
    for c in range(CHANNELS):
        root = np.stack([np.roll(kernel[c], x) for x in range(SITES)])
        np.testing.assert_allclose(root @ root, np.linalg.inv(dense(coupling, c)), rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize(("bins", "width", "substeps"), [(50, 0.02, 1), (140, 0.005, 1), (50, 0.02, 4), (1, 0.02, 1)])
def test_initial_frequencies_lie_between_trial_length_and_step(bins, width, substeps):
    config = Config(dtype="float64", observed_bins=bins, forward_bins=0, bin_width=width, substeps=substeps)
    potential = RingPotential.initial(config)
    omega = np.asarray(potential.omega)
    fastest = omega[-1] * np.sqrt(np.asarray(potential.stiffness(config.sites))[-1].max())
    assert fastest * width / substeps == pytest.approx(0.5, rel=1e-12)
    wanted = 2.0 * np.pi * max(0.5, 1.0 / (bins * width))
    assert omega[0] == pytest.approx(min(wanted, omega[-1] / 4.0), rel=1e-12)
    np.testing.assert_allclose(np.diff(np.log(omega)), np.diff(np.log(omega))[0], rtol=1e-9)
    np.testing.assert_allclose(potential.friction, 0.5 * omega, rtol=1e-12)
    np.testing.assert_allclose(potential.coupling, 0.25, rtol=1e-12)
    np.testing.assert_allclose(potential.quartic, 0.01, rtol=1e-12)
    np.testing.assert_allclose(potential.mass * potential.omega**2, 1.0, rtol=1e-12)


def test_the_model_keeps_its_own_precision():
    config = Config(observed_bins=5, forward_bins=0, bin_width=0.02)
    potential = RingPotential.initial(config)
    assert {leaf.dtype for leaf in jax.tree.leaves(potential)} == {np.dtype("float32")}
    assert potential.force(jnp.ones((4, 16), jnp.float32)).dtype == np.float32


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mode": "exact"}, r"mode: expected one of the modes that exist, \('physical', 'official'\); got 'exact'"),
        ({"dtype": "float16"}, "dtype: expected one of"),
        ({"latent_width": 30}, "latent_width: expected a multiple of channels=4, got 30"),
        ({"coupling_range": 8}, "coupling_range: expected less than half of the 16 sites"),
        ({"forward_bins": -1}, "forward_bins: expected a whole number of at least zero, got -1"),
        ({"observed_bins": 0}, "observed_bins: expected a positive whole number"),
        ({"substeps": 0}, "substeps: expected a positive whole number"),
        ({"scheme": "euler"}, "scheme: expected one of 'baoab', 'obabo'"),
        ({"control": "closed"}, "control: expected one of"),
        ({"decoder": "gru"}, "decoder: expected one of"),
        ({"decode": "h"}, "decode: expected one of"),
        ({"count_transform": "log"}, "count_transform: expected one of"),
        ({"keep_probability": 0.0}, "keep_probability"),
        ({"learning_rate": -1e-3}, "learning_rate: expected finite, positive"),
        ({"kl_weight": -0.1}, "kl_weight: expected finite values of at least zero"),
        ({"bin_width": float("nan")}, "bin_width: expected one finite number in s"),
        ({"bin_width": 5 * units.Hz}, "bin_width: expected a quantity convertible to s"),
        ({"heads": 3}, "heads: expected a divisor of the token width 128"),
        ({"patience": 0}, "patience: expected a positive whole number"),
    ],
)
def test_bad_configurations_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        Config(**changes)


def assembled(**changes):
    """Return a configuration past the type checks of the tests, which would refuse other types first."""
    config = object.__new__(Config)
    for field in dataclasses.fields(Config):
        object.__setattr__(config, field.name, changes.get(field.name, field.default))
    config.__post_init__()
    return config


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"forward_bins": 1.5}, "forward_bins: expected a whole number of at least zero, got 1.5"),
        ({"learning_rate": np.ones(2)}, "learning_rate: expected one finite number"),
        ({"keep_probability": "all"}, "keep_probability: expected one finite number"),
        ({"causal": "no"}, "causal: expected one of True, False; got 'no'"),
        ({"epochs": None}, "epochs: expected a positive whole number, got None"),
    ],
)
def test_values_of_another_type_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        assembled(**changes)


def test_numbers_are_kept_as_plain_ones():
    config = assembled(bin_width=20 * units.ms, latent_width=np.int64(32), kl_weight=np.float32(0.5), causal=np.True_)
    assert config == Config(bin_width=0.02, latent_width=32, kl_weight=0.5, causal=True)
    json.dumps(dataclasses.asdict(config))


def test_float64_needs_to_be_enabled():
    with jax.enable_x64(False), pytest.raises(ValueError, match="jax_enable_x64"):
        _ = Config(dtype="float64").array_dtype


def test_the_hessian_is_that_of_the_energy(parameters):
    expected = jax.jit(jax.hessian(ring_energy))(*parameters)
    found = ring_hessian(*parameters)
    for c in range(CHANNELS):
        np.testing.assert_allclose(found[c], expected[c, :, c], rtol=1e-12, atol=1e-14)
        others = np.delete(np.asarray(expected[c]), c, axis=1)
        assert not np.any(others)


def test_the_directed_coupling_has_no_potential(parameters):
    position, _, _ = parameters
    drive = jnp.array([0.3, -0.2, 0.0])
    slope = jax.jit(jax.jacobian(directed_force))(position, drive)
    for c in range(CHANNELS):
        block = np.asarray(slope[c, :, c])
        np.testing.assert_allclose(block, -block.T, atol=1e-15)
        assert block[0, 1] == drive[c]


def test_rates_of_waves_are_those_of_the_linearised_motion(parameters):
    _, coupling, _ = parameters
    omega, friction = jnp.array([9.0, 20.0, 2.0]), jnp.array([4.0, 50.0, 7.0])
    drive = 0.9 * friction / (2 * omega) * jnp.array([1.0, -0.5, 0.0])
    found = np.asarray(ring_mode_rates(ring_stiffness(coupling, SITES), omega, friction, drive))
    for c in range(CHANNELS):
        ahead = np.roll(np.eye(SITES), 1, axis=1)
        force = -dense(coupling, c) + float(drive[c]) * (ahead - ahead.T)
        drift = np.block(
            [
                [np.zeros((SITES, SITES)), np.eye(SITES)],
                [float(omega[c]) ** 2 * force, -float(friction[c]) * np.eye(SITES)],
            ]
        )
        expected = np.linalg.eigvals(drift)
        # Every rate is an eigenvalue, and all of them are found; none grows.
        distance = np.abs(found[c].ravel()[:, None] - expected[None, :])
        assert distance.min(axis=1).max() < 1e-6
        assert distance.min(axis=0).max() < 1e-6
        assert found[c].real.max() < 0


def test_optional_parts_of_the_potential(parameters):
    position = parameters[0][:, :7]
    sizes = {"dtype": "float64", "latent_width": 21, "channels": 3, "observed_bins": 9, "forward_bins": 0}
    plain, walled, directed = (
        RingPotential.initial(Config(bin_width=0.02, **sizes, **options))
        for options in ({"quartic": False}, {}, {"directed": True})
    )
    assert len(jax.tree.leaves(plain)) + 1 == len(jax.tree.leaves(walled)) == len(jax.tree.leaves(directed)) - 1
    assert not np.any(plain.quartic)
    np.testing.assert_allclose(plain.force(position), -elastic(position, plain.coupling), rtol=1e-14)
    np.testing.assert_allclose(walled.force(position), directed.force(position), rtol=1e-14)
    np.testing.assert_allclose(plain.hessian(position)[1], plain.hessian(0 * position)[1], rtol=1e-14)
    np.testing.assert_allclose(np.linalg.eigvalsh(plain.hessian(position)), np.sort(plain.stiffness(7)), rtol=1e-12)
    strong = eqx.tree_at(lambda p: p.raw_drive, directed, jnp.array([50.0, -50.0, 0.3]))
    assert np.all(strong.mode_rates(7).real < 0)
    extra = strong.force(position) - directed.force(position)
    np.testing.assert_allclose(extra, directed_force(position, strong.drive), rtol=1e-9, atol=1e-12)
    slope = jax.jit(jax.grad(lambda p: jnp.sum(p.force(position) ** 2)))(directed)
    assert np.all(slope.raw_drive != 0)
