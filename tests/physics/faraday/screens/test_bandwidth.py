"""Averages over channels, against integrals over frequency."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy import units as u
from scipy.integrate import quad

from physics import faraday
from physics.errors import UnitsError
from physics.faraday import BurnSlab, ChannelAverage, Components, ThinScreen, bandwidth_depolarization

C = 299792458.0


@pytest.mark.parametrize("rm", [0.0, 300.0, -2000.0])
def test_average_is_the_integral_over_frequency(rm):
    nu, width = np.array([1.0e9, 1.3e9]), np.array([20e6, 60e6])
    slab = BurnSlab(0.2, 0.3, rm, 45.0)

    def integral(n, b):
        def p(f):
            x = (C / f) ** 2
            return 0.2 * np.sinc(45.0 * x / np.pi) * np.exp(2j * (0.3 + (rm + 22.5) * x))

        parts = [quad(lambda f, g=g: g(p(f)), n - b / 2, n + b / 2, limit=300)[0] for g in (np.real, np.imag)]
        return (parts[0] + 1j * parts[1]) / b

    p = ChannelAverage(slab, width)(faraday.lambda_squared(nu, width))
    np.testing.assert_allclose(p, [integral(*pair) for pair in zip(nu, width, strict=True)], rtol=1e-10, atol=1e-12)


def test_narrow_channels_have_the_closed_form_of_a_thin_screen():
    nu, width, rm = 12.176e9, 128e6, np.array([0.0, 3e4, 1e5])
    x, dx = faraday.lambda_squared(nu, width), faraday.lambda_squared_width(nu, width)
    factor = np.asarray(bandwidth_depolarization(rm, dx))
    np.testing.assert_allclose(factor, np.sinc(rm * float(dx) / np.pi), rtol=1e-14)
    averaged = np.abs(ChannelAverage(ThinScreen(1.0, 0.0, rm), width)(x))
    np.testing.assert_allclose(averaged, factor, rtol=3e-4)
    assert factor[1] == pytest.approx(0.976, abs=1e-3)
    assert factor[2] == pytest.approx(0.75, abs=5e-3)


def test_no_bandwidth_is_no_average():
    x = jnp.array([0.0, 1e-4, 0.04])
    screen = Components([ThinScreen(0.1, 0.2, 30.0), BurnSlab(0.1, 0.4, -30.0, 20.0)])
    np.testing.assert_allclose(ChannelAverage(screen, 0.0)(x), screen(x), rtol=1e-13)
    maps = ChannelAverage(ThinScreen(0.1, 0.2, np.ones((2, 3))), 1e6)(x)
    assert maps.shape == (2, 3, 3)
    assert faraday.parameters(ChannelAverage(screen, 1e6))[2].name == "screen.screens[0].rm"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_derivatives_are_finite_at_the_corners(dtype):
    def power(rm, bandwidth, x):
        zero = jnp.zeros((), dtype)
        return jnp.square(jnp.abs(ChannelAverage(ThinScreen(zero, zero, rm), bandwidth)(x) - 0.1))

    slopes = jax.jit(jax.grad(power, argnums=(0, 1, 2)))
    for bandwidth in (0.0, 1e6):
        for x in (0.0, 1e-4):
            found = slopes(*(jnp.asarray(v, dtype) for v in (0.0, bandwidth, x)))
            assert all(np.isfinite(f) and f.dtype == dtype for f in found)


def test_width_in_squared_wavelength():
    nu, width = np.array([1.0e9, 15e9]), 0.2e9
    expected = (C / (nu - width / 2)) ** 2 - (C / (nu + width / 2)) ** 2
    np.testing.assert_allclose(faraday.lambda_squared_width(nu, width), expected, rtol=1e-13)
    narrow = faraday.lambda_squared_width(15.0 * u.GHz, 1.0 * u.MHz)
    assert float(narrow) == pytest.approx(2 * C**2 * 1e6 / 15e9**3, rel=1e-8)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="bandwidth: expected"):
        ChannelAverage(ThinScreen(0.1, 0.2, 30.0), -1.0)
    with pytest.raises(TypeError, match="screen: expected"):
        ChannelAverage(ThinScreen, 1.0)
    with pytest.raises(ValueError, match=r"lambda_squared \(3,\), bandwidth \(2,\)"):
        ChannelAverage(ThinScreen(0.1, 0.2, 30.0), np.ones(2))(np.ones(3))
    with pytest.raises(UnitsError, match="width: expected"):
        bandwidth_depolarization(1.0, 1.0 * u.Hz)
    with pytest.raises(ValueError, match="width: expected"):
        bandwidth_depolarization(1.0, -1.0)
    with pytest.raises(ValueError, match=r"rm \(2,\), width \(3,\)"):
        bandwidth_depolarization(np.ones(2), np.ones(3))
    with pytest.raises(ValueError, match="bandwidth: expected less than twice"):
        faraday.lambda_squared_width(1e9, 2e9)
