"""The thin screen: its rotation measure is the slope of the angle."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy import units as u

from physics.errors import UnitsError
from physics.faraday import Screen, ThinScreen, evpa


def test_slope_of_the_angle_is_the_rotation_measure():
    screen = ThinScreen(0.1, 0.3, -250.0)

    def angle(L):
        p = screen(L)
        return evpa(p.real, p.imag)

    assert float(jax.grad(angle)(jnp.array(1e-4))) == pytest.approx(-250.0, rel=1e-12)
    assert float(angle(jnp.array(0.0))) == pytest.approx(0.3, rel=1e-14)
    assert float(jnp.abs(screen(jnp.array(0.02)))) == pytest.approx(0.1, rel=1e-14)


def test_maps_of_parameters_give_a_spectrum_per_pixel():
    rm = jnp.array([[0.0, 100.0, 200.0], [1.0, 2.0, 3.0]])
    L = jnp.array([1e-4, 2e-4])
    p = ThinScreen(0.05, 0.2, rm)(L)
    assert p.shape == (2, 3, 2)
    expected = 0.05 * np.exp(2j * (0.2 + np.asarray(rm)[..., None] * np.asarray(L)))
    np.testing.assert_allclose(p, expected, rtol=1e-14)


def test_derivatives_are_finite_at_the_corners():
    def real_part(fraction, evpa0, rm, L):
        return ThinScreen(fraction, evpa0, rm)(L).real

    slopes = jax.grad(real_part, argnums=(0, 1, 2, 3))(*jnp.zeros(4))
    assert np.isfinite(slopes).all()


def test_quantities_are_converted_and_wrong_ones_named():
    screen = ThinScreen(10 * u.percent, 30.0 * u.deg, [0.02] * u.rad / u.cm**2)
    expected = 0.1 * np.exp(2j * (np.pi / 6 + 200.0 * 1e-4))
    np.testing.assert_allclose(screen(1.0 * u.cm**2), [expected], rtol=1e-12)
    np.testing.assert_allclose(jax.jit(lambda s, x: s(x))(screen, jnp.array(1e-4)), [expected], rtol=1e-12)
    with pytest.raises(UnitsError, match="lambda_squared"):
        screen(15e9 * u.Hz)
    with pytest.raises(UnitsError, match="rm: expected"):
        ThinScreen(0.1, 0.2, 3.0 * u.m)
    with pytest.raises(ValueError, match="evpa0: expected"):
        ThinScreen(0.1, "east", 3.0)
    with pytest.raises(ValueError, match=r"fraction \(2,\).*rm \(3,\)"):
        ThinScreen([0.1, 0.2], 0.0, [1.0, 2.0, 3.0])(1e-4)


def test_the_base_is_abstract():
    with pytest.raises(TypeError):
        Screen()
