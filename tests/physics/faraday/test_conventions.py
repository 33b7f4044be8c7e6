"""Angles, wavelengths and their errors against astropy, numerical means and draws."""

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


def test_variances_agree_with_draws():
    rng = np.random.default_rng(4)
    q, uu, sq, su = 3.0, -2.0, 0.01, 0.03
    draws = (q + sq * rng.normal(size=200_000)) + 1j * (uu + su * rng.normal(size=200_000))
    arguments = [jnp.asarray(x) for x in (q, uu, sq, su)]
    np.testing.assert_allclose(np.var(np.angle(draws) / 2), conventions.evpa_variance(*arguments), rtol=0.02)
    np.testing.assert_allclose(np.var(np.abs(draws)), conventions.polarized_intensity_variance(*arguments), rtol=0.02)
    assert conventions.evpa_variance(*jnp.array([0.0, 0.0, 1.0, 1.0])) == jnp.inf


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
