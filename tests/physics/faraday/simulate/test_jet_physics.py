"""Aberration, transfer, fields and sheath of a jet, against independent references."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, linalg, special

from physics import faraday
from physics.constants import DEGREE, MILLIARCSECOND
from physics.faraday.simulate import Sheath, aberration, helical_field
from physics.faraday.simulate.arc import arc_coordinates
from physics.faraday.simulate.sheath import sheath_depth, toroidal_path
from physics.faraday.simulate.transfer import Channels, Segments, transferred


def random_cases(count=200):
    rng = np.random.default_rng(3)
    n, field, heading = rng.normal(size=(3, count, 3))
    n /= np.linalg.norm(n, axis=-1, keepdims=True)
    heading /= np.linalg.norm(heading, axis=-1, keepdims=True)
    return n, field, heading * rng.uniform(0.0, 0.999, (count, 1))


def boost(velocity):
    """The Lorentz matrix to the frame that moves with a velocity, of (t, x, y, z)."""
    gamma = 1.0 / np.sqrt(1.0 - velocity @ velocity)
    matrix = np.eye(4)
    matrix[0, 0], matrix[0, 1:], matrix[1:, 0] = gamma, -gamma * velocity, -gamma * velocity
    matrix[1:, 1:] += gamma**2 / (gamma + 1.0) * np.outer(velocity, velocity)
    return matrix


def test_direction_and_frequency_are_those_of_a_boosted_photon():
    n, _, velocity = random_cases()
    photon = np.stack([boost(v) @ np.array([1.0, *k]) for v, k in zip(velocity, n, strict=True)])
    n, velocity = jnp.asarray(n), jnp.asarray(velocity)
    np.testing.assert_allclose(1.0 / aberration.doppler_factor(n, velocity), photon[:, 0], rtol=1e-11)
    comoving = aberration.comoving_direction(n, velocity)
    np.testing.assert_allclose(comoving, photon[:, 1:] / photon[:, :1], rtol=0, atol=1e-11)


def test_electric_vector_is_that_of_the_boosted_wave():
    n, field, velocity = random_cases()
    towards = np.asarray(aberration.comoving_direction(jnp.asarray(n), jnp.asarray(velocity)))
    e = np.cross(towards, field)
    e /= np.linalg.norm(e, axis=-1, keepdims=True)
    h = np.cross(towards, e)
    gamma = 1.0 / np.sqrt(1.0 - np.sum(velocity**2, axis=-1, keepdims=True))
    along = np.sum(velocity * e, axis=-1, keepdims=True)
    observed = gamma * (e - np.cross(velocity, h)) - gamma**2 / (gamma + 1.0) * along * velocity
    observed /= np.linalg.norm(observed, axis=-1, keepdims=True)
    found = np.array(aberration.electric_vector(*(jnp.asarray(x) for x in (n, field, velocity))))
    found /= np.linalg.norm(found, axis=-1, keepdims=True)
    np.testing.assert_allclose(np.abs(np.sum(found * observed, axis=-1)), 1.0, rtol=1e-12)
    np.testing.assert_allclose(np.sum(found * n, axis=-1), 0.0, atol=1e-12)


def test_gradients_are_finite_where_the_field_points_to_the_observer():
    n = jnp.array([0.0, 0.0, 1.0])
    assert np.isfinite(jax.grad(lambda b: aberration.field_across(n, b))(2.0 * n)).all()


def uniform(count, *, emission=1.0, opacity=0.0, depth=0.0, angle=0.3, electron_index=2.0):
    e, a = (electron_index + 1) / (electron_index + 7 / 3), (electron_index + 2) / (electron_index + 10 / 3)
    one = jnp.ones(count)
    return Segments(
        emission * one / count,
        e * one,
        opacity * one / count,
        a * one,
        jnp.full(count, np.exp(2j * angle)),
        depth * one / count,
    )


def one_channel(lambda_squared=0.0, size=1):
    return Channels(jnp.ones(size), jnp.ones(size), jnp.full(size, lambda_squared))


@pytest.mark.parametrize("tau", [0.0, 0.5, 6.161, 40.0])
def test_an_opaque_piece_shows_what_two_modes_show(tau):
    for count in (1, 7):
        intensity, P = transferred(uniform(count, opacity=tau), one_channel())
        fraction = float(faraday.synchrotron_fraction(tau, 2.0))
        np.testing.assert_allclose(
            np.asarray(P) / np.asarray(intensity), fraction * np.exp(0.6j), rtol=1e-9, atol=1e-13
        )


def test_a_transparent_piece_that_rotates_is_a_slab():
    L = np.array([0.0, 1e-4, 5e-4])
    channels = Channels(jnp.ones(3), jnp.ones(3), jnp.asarray(L))
    slab = faraday.BurnSlab(fraction=3 / (13 / 3), evpa0=0.3, rm=0.0, depth=4000.0)
    for count in (1, 5):
        intensity, P = transferred(uniform(count, depth=4000.0), channels)
        np.testing.assert_allclose(np.asarray(P) / np.asarray(intensity), slab(L), rtol=1e-12)


def test_opacity_and_rotation_together_converge_to_the_matrix_solution():
    tau, turn, chi = 1.5, 0.8, 0.3
    e, a = 3 / (13 / 3), 4 / (16 / 3)
    c, s = np.cos(2 * chi), np.sin(2 * chi)
    # dS/dl = j - K S of (I, Q, U) over a unit path; a rotation by `turn` turns (Q, U) by twice that.
    K = tau * np.array([[1, a * c, a * s], [a * c, 1, 0], [a * s, 0, 1]])
    K[1, 2], K[2, 1] = 2 * turn, -2 * turn
    j = np.array([1.0, e * c, e * s])
    exact = np.linalg.solve(K, (np.eye(3) - linalg.expm(-K)) @ j)
    errors = []
    for count in (32, 64):
        intensity, P = transferred(uniform(count, opacity=tau, depth=turn), one_channel(1.0))
        errors.append(np.abs(np.array([intensity[0] - exact[0], P[0].real - exact[1], P[0].imag - exact[2]])).max())
    assert errors[0] < 1e-3
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=0.05)


def test_force_free_field_is_that_of_bessel_functions():
    rho = np.linspace(0.0, 1.0, 9)
    axial, around = helical_field.force_free(jnp.asarray(rho), jnp.asarray(2.4))
    np.testing.assert_allclose(axial, special.j0(2.4 * rho), rtol=0, atol=1e-14)
    np.testing.assert_allclose(around, special.j1(2.4 * rho), rtol=0, atol=1e-14)


def test_toroidal_path_has_the_values_of_the_closed_form_and_of_quadrature():
    y = np.array([0.3, 0.9, 1.5])
    found = toroidal_path(jnp.asarray(y), jnp.ones(3), jnp.full(3, 2.0))
    np.testing.assert_allclose(found, [-0.154124, -0.653004, -0.722734], atol=5e-7)
    for value, height in zip(found, y, strict=True):
        start, end = np.sqrt(max(1.0 - height**2, 0.0)), np.sqrt(4.0 - height**2)
        expected = integrate.quad(lambda x, h=height: -h / (x**2 + h**2), start, end, epsabs=1e-13)[0]
        assert value == pytest.approx(expected, abs=1e-12)
    both = toroidal_path(jnp.array([-0.3, 0.0, 2.5]), jnp.ones(3), jnp.full(3, 2.0))
    np.testing.assert_allclose(both, [0.154124, 0.0, 0.0], atol=5e-7)
    rate = jax.vmap(jax.grad(lambda h: toroidal_path(h, jnp.asarray(1.0), jnp.asarray(2.0))))
    assert np.isfinite(rate(jnp.array([-0.3, 0.0, 0.3, 1.0, 2.5]))).all()


@pytest.mark.parametrize("theta", [0.2, 1.0, np.pi / 2])
def test_sheath_depth_is_the_integral_along_the_ray(theta):
    sheath = Sheath(density=30.0, outer_radius=2.0, toroidal=5.0, longitudinal=-3.0)
    y, pc = 0.4, 1.7
    mean, spread = sheath_depth(sheath, *(jnp.asarray(x) for x in (0.0, y, 1.0, theta, 0.0, pc)))

    def integrand(x):
        return (-5.0 / (x**2 + y**2) * y * np.sin(theta) - 3.0 * np.cos(theta)) * pc / np.sin(theta)

    path = integrate.quad(integrand, np.sqrt(1 - y**2), np.sqrt(4 - y**2), epsabs=1e-13)[0]
    assert float(mean) == pytest.approx(float(faraday.faraday_depth(30.0, path, 1.0)), rel=1e-8)
    assert float(spread) == 0.0


def test_random_cells_spread_the_depth_as_drawn_ones_do():
    sheath = Sheath(density=30.0, outer_radius=2.0, random=4.0, cell=0.01)
    mean, spread = sheath_depth(sheath, *(jnp.asarray(x) for x in (0.0, 0.0, 1.0, np.pi / 2, 0.0, 1.0)))
    assert float(mean) == 0.0
    component = np.random.default_rng(0).normal(size=(4000, 100)) * 4.0 / np.sqrt(3.0)
    drawn = np.asarray(faraday.faraday_depth(30.0, component, 0.01)).sum(axis=1)
    assert float(spread) == pytest.approx(drawn.std(), rel=0.05)


def test_a_ring_turns_the_longitudinal_field_along_the_arc():
    sheath = Sheath(density=30.0, outer_radius=2.0, longitudinal=4.0, ring=0.5, ring_phase=0.7)
    s = jnp.linspace(0.0, 3.0, 5)
    zero, one, theta = jnp.asarray(0.0), jnp.asarray(1.0), jnp.asarray(0.3)
    mean, _ = jax.vmap(lambda at: sheath_depth(sheath, at, zero, one, theta, one, one))(s)
    expected = float(faraday.faraday_depth(30.0, 4.0 * np.sin(0.5), 1.0 / np.sin(0.3))) * np.cos(np.asarray(s) - 0.7)
    np.testing.assert_allclose(mean, expected, rtol=1e-10)


@pytest.mark.parametrize("curvature", [0.8, -0.8, 1e-9, 0.0])
def test_arc_coordinates_lead_back_to_the_sky(curvature):
    s, y, angle = 1.3, 0.2, 40 * DEGREE
    # Along the arc by small steps, then to the right.
    headings = angle + curvature * (np.arange(20000) + 0.5) / 20000 * s
    east, north = (np.mean(f(headings)) * s for f in (np.sin, np.cos))
    last = angle + curvature * s
    east, north = east - y * np.cos(last), north + y * np.sin(last)
    found = arc_coordinates(*(jnp.asarray(x) for x in (east, north, angle, curvature)))
    np.testing.assert_allclose(found, [s, y], rtol=0, atol=1e-8)


def test_gradient_of_arc_coordinates_at_zero_curvature():
    def along(curvature):
        return arc_coordinates(jnp.asarray(0.5), jnp.asarray(1.2), jnp.asarray(0.3), curvature)[0]

    step = 1e-3
    expected = (along(jnp.asarray(step)) - along(jnp.asarray(-step))) / (2 * step)
    assert float(jax.grad(along)(jnp.asarray(0.0))) == pytest.approx(float(expected), rel=1e-5)


def test_bad_sheaths_are_named():
    with pytest.raises(ValueError, match="density"):
        Sheath(density=-1.0, outer_radius=MILLIARCSECOND)
    with pytest.raises(ValueError, match="outer_radius"):
        Sheath(density=1.0, outer_radius="wide")
