"""Calibration offsets integrated out within the von Mises family, against integrals done numerically."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy import units as u
from scipy.special import i0e

from physics.errors import UnitsError
from physics.faraday import EvpaError
from physics.faraday.fits.calibration import evpa_error_of, widened
from physics.faraday.fits.circular import angle_likelihood
from physics.faraday.fits.likelihood import Offsets, PixelData
from physics.numerics.special import bessel_ratio


@pytest.mark.parametrize(("degrees", "tolerance"), [(1.0, 1e-3), (5.0, 0.016), (10.0, 0.07)])
def test_first_moment_is_that_of_the_exact_convolution(degrees, tolerance):
    tau = np.radians(degrees)
    kappa = jnp.logspace(-3, 6, 200)
    exact = bessel_ratio(kappa) * np.exp(-2 * tau**2)
    np.testing.assert_allclose(bessel_ratio(widened(kappa, tau)), exact, rtol=tolerance)


def test_widening_adds_variances_and_nothing_for_no_offset():
    kappa = jnp.array([0.0, 3.0, 1e5])
    np.testing.assert_array_equal(widened(kappa, 0.0), kappa)
    np.testing.assert_allclose(1 / (4 * widened(kappa[1:], 0.1)), 1 / (4 * kappa[1:]) + 0.01, rtol=1e-14)


def exact_log_likelihood(rm, points, angle, kappa, band, band_error, channel_error):
    """The likelihood marginal over offsets and EVPA, each by quadrature."""
    theta = np.linspace(-np.pi / 2, np.pi / 2, 721)[:-1]
    nodes, weights = np.polynomial.hermite_e.hermegauss(41)
    weights = weights / weights.sum()

    def density(difference, k):
        return np.exp(k * (np.cos(2 * difference) - 1)) / i0e(k)

    total = np.ones_like(theta)
    for b in np.unique(band):
        shifted = theta[:, None] + band_error * nodes
        product = np.ones_like(shifted)
        for i in np.flatnonzero(band == b):
            offset = angle[i] - rm * points[i] - shifted[..., None] - channel_error * nodes
            product *= density(offset, kappa[i]) @ weights
        total *= product @ weights
    return np.log(total.mean())


@pytest.mark.parametrize(("noise", "tolerance"), [(0.2, 0.04), (0.03, 0.06)])
def test_marginal_likelihood_agrees_with_quadrature(noise, tolerance):
    points = np.array([-2e-4, -1.9e-4, 1e-4, 1.1e-4, 3e-4])
    band = np.array([0, 0, 1, 1, 2])
    rng = np.random.default_rng(3)
    angle = 0.3 + 400.0 * points + np.radians(3) * rng.normal(size=3)[band] + np.radians(5) * rng.normal(size=5)
    p = np.exp(2j * angle) + noise * (rng.normal(size=5) + 1j * rng.normal(size=5))
    weight = jnp.full(5, noise**-2)
    data = PixelData(jnp.asarray(p.real), jnp.asarray(p.imag), weight, weight, jnp.ones(5))
    membership = jnp.asarray((np.arange(3)[:, None] == band).astype(float))
    offsets = Offsets(membership, jnp.asarray(np.radians(3.0)), jnp.asarray(np.radians(5.0)))
    likelihood = angle_likelihood(jnp.asarray(points), data, offsets, free=True)
    rms = np.array([-1500.0, 0.0, 300.0, 600.0, 2000.0])
    ours = np.asarray(likelihood.heights(jnp.asarray(rms)))
    kappa = np.abs(p) ** 2 / noise**2
    exact = [exact_log_likelihood(r, points, np.angle(p) / 2, kappa, band, np.radians(3), np.radians(5)) for r in rms]
    near = np.max(exact) - np.array(exact) < 6
    assert near.sum() >= 3
    difference = ours - np.array(exact)
    np.testing.assert_allclose(difference[near] - difference[near].mean(), 0.0, atol=tolerance, rtol=0)
    value = jax.vmap(lambda r: likelihood.value(r, jnp.zeros(0)))(jnp.asarray(rms))
    np.testing.assert_allclose(value, ours, rtol=1e-12)


def test_amplitude_step_never_lowers_the_likelihood():
    rng = np.random.default_rng(5)
    p = 2.0 * np.exp(2j * 0.1) + rng.normal(size=6) + 1j * rng.normal(size=6)
    one = jnp.ones(6)
    offsets = Offsets(jnp.asarray(np.repeat(np.eye(2), 3, axis=1)), jnp.asarray(0.1), jnp.asarray(0.2))
    data = PixelData(jnp.asarray(p.real), jnp.asarray(p.imag), one, one, one)
    likelihood = angle_likelihood(jnp.linspace(-1e-4, 1e-4, 6), data, offsets, free=False)
    rm, nuisance = jnp.asarray(50.0), jnp.asarray([5.0])
    value, improved = jax.jit(lambda r, f: likelihood.value(r, f)), jax.jit(lambda r, f: likelihood.improved(r, f))
    values = []
    for _ in range(30):
        values.append(float(value(rm, nuisance)))
        nuisance = improved(rm, nuisance)
    assert np.all(np.diff(values) >= -1e-12)
    assert values[-1] - values[0] > 1.0
    slope = jax.grad(lambda f: likelihood.value(rm, f))(nuisance)
    np.testing.assert_allclose(slope, 0.0, atol=1e-6)


def test_errors_are_radians_and_checked():
    assert evpa_error_of(None) == EvpaError(0.0, 0.0)
    assert evpa_error_of((0.1, 0.2)) == EvpaError(0.1, 0.2)
    assert EvpaError(3.0 * u.deg, 5.0 * u.deg) == EvpaError()
    with pytest.raises(ValueError, match=r"evpa_error\.band.*degrees"):
        EvpaError(3.0, 0.0)
    with pytest.raises(ValueError, match=r"evpa_error\.channel"):
        EvpaError(0.0, -0.1)
    with pytest.raises(UnitsError, match=r"evpa_error\.band"):
        EvpaError(3.0 * u.Hz, 0.0)
    with pytest.raises(ValueError, match="evpa_error"):
        evpa_error_of(0.1)
    with pytest.raises(ValueError, match=r"evpa_error\.channel: expected one finite number"):
        EvpaError(0.0, np.array([0.1, 0.2]))
    assert evpa_error_of([0.1, 0.2]) == EvpaError(0.1, 0.2)
