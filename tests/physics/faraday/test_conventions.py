"""Angles, wavelengths and their errors against astropy, numerical means and draws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy import units as u

from physics import faraday
from physics.errors import UnitsError
from physics.faraday import conventions


def test_lambda_squared_agrees_with_astropy_and_takes_quantities():
    ghz = np.array([12.176, 43.3605])
    expected = (ghz * u.GHz).to("m", u.spectral()).value ** 2
    np.testing.assert_allclose(faraday.lambda_squared(ghz * 1e9), expected, rtol=1e-14)
    np.testing.assert_allclose(faraday.lambda_squared(ghz * u.GHz), expected, rtol=1e-14)


def test_band_average_is_the_mean_over_the_channel():
    nu, width = 1.4e9, 0.3e9
    inside = np.linspace(nu - width / 2, nu + width / 2, 200_001)
    mean = np.trapezoid((299792458.0 / inside) ** 2, inside) / width
    np.testing.assert_allclose(faraday.lambda_squared(nu, width), mean, rtol=1e-10)
    np.testing.assert_allclose(faraday.lambda_squared(nu, 0.0), faraday.lambda_squared(nu), rtol=1e-15)


def test_angles_keep_their_conventions():
    q, uu = jnp.array([1.0, 0.0, -1.0, -1.0, 0.0]), jnp.array([0.0, 1.0, 0.0, -0.0, -1.0])
    np.testing.assert_allclose(
        faraday.evpa(q, uu), np.pi * np.array([0.0, 0.25, 0.5, 0.5, -0.25]), atol=1e-15, rtol=1e-15
    )
    angle = jnp.linspace(-20.0, 20.0, 999)
    wrapped = np.asarray(faraday.wrap_angle(angle))
    assert wrapped.min() > -np.pi / 2
    assert wrapped.max() <= np.pi / 2
    np.testing.assert_allclose(np.exp(2j * wrapped), np.exp(2j * np.asarray(angle)), rtol=0, atol=1e-13)
    assert float(faraday.wrap_angle(jnp.array(-np.pi / 2))) == pytest.approx(np.pi / 2)
    degrees = np.asarray(faraday.degrees_0_180(jnp.array([-1e-20, -0.1, 0.0, np.pi / 2, np.pi])))
    np.testing.assert_allclose(degrees, [0.0, 180.0 - np.degrees(0.1), 0.0, 90.0, 0.0], rtol=1e-14, atol=1e-12)


def test_angles_take_quantities_and_lists():
    np.testing.assert_allclose(faraday.evpa([0.0, 1.0] * u.Jy, [1000.0, 0.0] * u.mJy), [np.pi / 4, 0.0], rtol=1e-14)
    np.testing.assert_allclose(faraday.evpa([0, 1], [1, 1]), [np.pi / 4, np.pi / 8], rtol=1e-14)
    np.testing.assert_allclose(faraday.wrap_angle(190.0 * u.deg), np.radians(10.0), rtol=1e-12)
    np.testing.assert_allclose(faraday.degrees_0_180([190.0, -10.0] * u.deg), [10.0, 170.0], rtol=1e-12)
    turned = jax.jit(lambda a: faraday.degrees_0_180(faraday.wrap_angle(a)))(jnp.array([4.0]))
    np.testing.assert_allclose(turned, [np.degrees(4.0) - 180.0], rtol=1e-12)


def test_bad_angles_are_named():
    with pytest.raises(UnitsError, match="angle"):
        faraday.wrap_angle(3.0 * u.m)
    with pytest.raises(UnitsError, match="angle"):
        faraday.degrees_0_180(3.0 * u.m)
    with pytest.raises(UnitsError, match="u: expected a quantity convertible to Jy"):
        faraday.evpa(1.0 * u.Jy, 1.0 * u.K)
    with pytest.raises(UnitsError, match="u: expected a quantity convertible to Jy"):
        faraday.evpa(1.0 * u.Jy, 1.0)
    with pytest.raises(ValueError, match="q: expected a number"):
        faraday.evpa("north", 1.0)
    with pytest.raises(ValueError, match=r"q \(2,\), u \(3,\)"):
        faraday.evpa(np.ones(2), np.ones(3))


def test_variance_across_the_polarization_agrees_with_draws():
    rng = np.random.default_rng(4)
    q, uu, sq, su = 3.0, -2.0, 0.01, 0.03
    draws = (q + sq * rng.normal(size=200_000)) + 1j * (uu + su * rng.normal(size=200_000))
    across = conventions.variance_across(*(jnp.asarray(x) for x in (q, uu, sq, su)))
    np.testing.assert_allclose(np.var(np.angle(draws)) * (q**2 + uu**2), across, rtol=0.02)
    assert conventions.variance_across(*jnp.array([0.0, 0.0, 1.0, 3.0])) == 5.0


@pytest.mark.parametrize("bad", [np.array([]), np.array([1e9, np.nan]), np.array([0.0]), np.array([-1e9]), [[]]])
def test_bad_frequencies_are_named(bad):
    with pytest.raises(ValueError, match="frequency"):
        faraday.lambda_squared(bad)


def test_bad_units_and_bandwidths_are_named():
    with pytest.raises(UnitsError, match="frequency"):
        faraday.lambda_squared(3.0 * u.m)
    with pytest.raises(ValueError, match="bandwidth"):
        faraday.lambda_squared(1e9, 2e9)
    with pytest.raises(ValueError, match="bandwidth"):
        faraday.lambda_squared(np.array([1e9, 2e9]), np.ones(3))
