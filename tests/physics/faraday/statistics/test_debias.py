"""Polarization bias and angle statistics, against the Rice distribution and the plane of Q and U."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy import units as u
from scipy.integrate import quad
from scipy.stats import rice

from physics import faraday
from physics.errors import UnitsError
from physics.faraday.statistics import angles as angle_statistics
from physics.faraday.statistics.debias import METHODS, PEAK_VARIANCE

# True S/N; mean bias in units of sigma of the raw, Wardle-Kronberg and MAS estimates; angle error [deg].
TABLE = [
    (1.0, 0.548, 0.118, 0.292, 32.02),
    (2.0, 0.273, -0.023, 0.052, 17.37),
    (3.0, 0.173, -0.016, 0.002, 10.39),
    (5.0, 0.102, -0.002, 0.000, 5.86),
]


NODES, WEIGHTS = np.polynomial.legendre.leggauss(400)


def mean_of(estimate, ratio):
    p = 0.5 * (ratio + 10.0) * (NODES + 1.0)
    return float(np.sum(0.5 * (ratio + 10.0) * WEIGHTS * rice.pdf(p, ratio) * np.asarray(estimate(p))))


@pytest.mark.parametrize(("ratio", "raw", "wk", "mas", "degrees"), TABLE)
def test_table_of_biases_and_angle_errors(ratio, raw, wk, mas, degrees):
    assert mean_of(lambda p: p, ratio) - ratio == pytest.approx(raw, abs=0.01)
    found = mean_of(lambda p: faraday.debias(p, 1.0, method="wardle-kronberg"), ratio)
    assert found - ratio == pytest.approx(wk, abs=0.01)
    assert mean_of(lambda p: faraday.debias(p, 1.0), ratio) - ratio == pytest.approx(mas, abs=0.01)
    assert np.degrees(float(faraday.angle_error(ratio))) == pytest.approx(degrees, abs=0.2)


def test_estimates_as_written():
    p = np.array([0.2, 1.0, 2.0, 9.0])
    np.testing.assert_allclose(faraday.debias(2 * p, 2.0), 2 * (p - (1 - np.exp(-(p**2))) / (2 * p)), rtol=1e-13)
    wk = np.sqrt(np.maximum(p**2 - 1.0, 0.0))
    np.testing.assert_allclose(faraday.debias(p * u.Jy, 1e3 * u.mJy, method="wardle-kronberg"), wk, rtol=1e-13)
    peak = [0.2, 1.0, 2.0, np.sqrt(81.0 - 2.3)]
    np.testing.assert_allclose(faraday.debias(p, 1.0, method="peak"), peak, rtol=1e-13)
    np.testing.assert_allclose(faraday.debias(9.0, 1.0, method="peak", threshold=10.0), 9.0)
    assert faraday.debias(np.ones((2, 1)), np.ones(3)).shape == (2, 3)


def test_peak_estimate_is_nearly_unbiased_for_the_maximum_over_depths():
    # A source of 8 sigma in a spectrum of 64 even channels; the maximum is taken over a fine grid of depths.
    rng = np.random.default_rng(8)
    x, channels, trials, ratio = np.linspace(-1.0, 1.0, 64), 64, 4000, 8.0
    depth = np.linspace(-6.0, 6.0, 241)
    noise = rng.normal(size=(trials, channels)) + 1j * rng.normal(size=(trials, channels))
    data = ratio + np.sqrt(channels) * noise
    spectrum = np.abs(data @ np.exp(-2j * np.outer(x, depth))) / channels
    peak = spectrum.max(axis=1)
    estimate = np.asarray(faraday.debias(peak, 1.0, method="peak", threshold=5.0))
    error = peak.std() / np.sqrt(trials)
    assert peak.mean() - ratio > 5 * error
    assert abs(estimate.mean() - ratio) < 0.25 * (peak.mean() - ratio)
    # The mean excess of the square is two of the plane and nearly one of the search.
    assert np.mean(peak**2) - ratio**2 == pytest.approx(3.0, abs=0.6)
    assert PEAK_VARIANCE < 3.0


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_estimates_are_smooth_and_never_negative(method, dtype):
    p = jnp.asarray([0.0, 1e-6, 0.5, 1.0, 1.0001, 8.0, 1e3, 1e12], dtype)
    one = jnp.ones((), dtype)
    value, slope = jax.vmap(jax.value_and_grad(lambda x: faraday.debias(x, one, method=method)))(p)
    assert value.dtype == dtype
    assert (np.asarray(value) >= 0.0).all()
    assert np.isfinite(slope).all()
    np.testing.assert_allclose(value[-1], p[-1], rtol=1e-6)


def test_unequal_errors_act_across_the_direction():
    sigma = faraday.polarization_sigma([3.0, 0.0, 1.0], [0.0, 2.0, 1.0], (0.1, 0.4))
    np.testing.assert_allclose(sigma, [0.4, 0.1, np.sqrt((0.01 + 0.16) / 2)], rtol=1e-13)
    np.testing.assert_allclose(faraday.polarization_sigma(3.0 * u.Jy, 4.0 * u.Jy, 50.0 * u.mJy), 0.05, rtol=1e-13)


@pytest.mark.parametrize("ratio", [0.0, 0.3, 1.0, 3.0, 8.0])
def test_density_is_the_integral_over_intensity(ratio):
    angle = np.linspace(-1.5, 1.55, 9)

    def radial(chi):
        def integrand(p):
            return p / np.pi * np.exp(-0.5 * (p * p + ratio**2 - 2 * p * ratio * np.cos(2 * (chi - 0.4))))

        return quad(integrand, 0.0, ratio + 12.0, epsabs=1e-15, epsrel=1e-12, points=[max(ratio, 1e-3)])[0]

    # dQ dU = 2 P dP dchi, over 2 pi sigma^2.
    expected = [radial(chi) for chi in angle]
    np.testing.assert_allclose(faraday.angle_density(angle, 0.4, ratio), expected, rtol=1e-9, atol=1e-14)


def test_density_is_normalised_and_agrees_with_mpmath_far_from_the_peak():
    import mpmath

    mpmath.mp.dps = 60
    for ratio, delta in ((2.0, 1.4), (3.5, 0.9), (6.0, 1.5), (20.0, 1.0), (50.0, 0.2), (200.0, 0.01), (1e4, 1e-4)):
        e = ratio / mpmath.sqrt(2) * mpmath.cos(2 * mpmath.mpf(delta))
        bracket = 1 / mpmath.sqrt(mpmath.pi) + e * mpmath.exp(e * e) * (1 + mpmath.erf(e))
        exact = mpmath.log(bracket / mpmath.sqrt(mpmath.pi)) - mpmath.mpf(ratio) ** 2 / 2
        ours = angle_statistics.log_density(jnp.array(delta), jnp.array(ratio))
        assert float(ours) == pytest.approx(float(exact), rel=1e-12, abs=1e-12), (ratio, delta)
    for ratio in (0.0, 1.0, 10.0):
        whole = np.sum(np.pi / 2 * WEIGHTS * np.asarray(faraday.angle_density(np.pi / 2 * NODES, 0.0, ratio)))
        assert whole == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_density_and_its_derivatives_never_overflow(dtype):
    def value(delta, ratio):
        return angle_statistics.log_density(delta, ratio)

    slopes = jax.vmap(jax.value_and_grad(value, argnums=(0, 1)))
    delta, ratio = (
        x.ravel().astype(dtype)
        for x in np.meshgrid([0.0, 1e-3, 0.5, np.pi / 4, 1.2, np.pi / 2], [0.0, 0.1, 5, 1e3, 1e6])
    )
    found = jax.tree.leaves(slopes(jnp.asarray(delta), jnp.asarray(ratio)))
    assert all(np.isfinite(f).all() and f.dtype == dtype for f in found)


def test_angle_error_agrees_with_quadrature_and_has_its_limits():
    for ratio in (0.5, 2.0, 6.0, 9.0, 15.0):
        delta = np.pi / 4 * (NODES + 1.0)
        exact = np.sqrt(np.sum(np.pi / 2 * WEIGHTS * delta**2 * np.asarray(faraday.angle_density(delta, 0.0, ratio))))
        assert float(faraday.angle_error(ratio)) == pytest.approx(exact, rel=1e-6)
    assert float(faraday.angle_error(0.0)) == pytest.approx(np.pi / np.sqrt(12), rel=1e-12)
    np.testing.assert_allclose(faraday.angle_error([1e3, 1e5]), [0.5e-3, 0.5e-5], rtol=1e-5)
    gaussian = 1.0 / (2.0 * np.array([[2.0, 3.0, 5.0]]))
    np.testing.assert_allclose(faraday.angle_error([[2.0, 3.0, 5.0]]) / gaussian, [[1.21, 1.09, 1.02]], atol=0.01)
    assert np.isfinite(jax.grad(faraday.angle_error)(0.0))


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="method: expected one of 'mas', 'wardle-kronberg', 'peak'"):
        faraday.debias(1.0, 1.0, method="best")
    with pytest.raises(ValueError, match="intensity: expected"):
        faraday.debias(-1.0, 1.0)
    with pytest.raises(ValueError, match="sigma: expected finite, positive"):
        faraday.debias(1.0, 0.0)
    with pytest.raises(UnitsError, match="sigma: expected"):
        faraday.debias(1.0 * u.Jy, 1.0)
    with pytest.raises(ValueError, match=r"intensity \(2,\), sigma \(3,\)"):
        faraday.debias(np.ones(2), np.ones(3))
    with pytest.raises(ValueError, match="sigma: expected 2 elements"):
        faraday.polarization_sigma(1.0, 1.0, (1.0, 1.0, 1.0))
    with pytest.raises(ValueError, match="sigma_u: expected finite, positive"):
        faraday.polarization_sigma(1.0, 1.0, (1.0, 0.0))
    with pytest.raises(ValueError, match="q: expected finite"):
        faraday.polarization_sigma(np.nan, 1.0, 1.0)
    with pytest.raises(ValueError, match="signal_to_noise: expected"):
        faraday.angle_error(-1.0)
    with pytest.raises(UnitsError, match="evpa0: expected"):
        faraday.angle_density(1.0, 1.0 * u.m, 1.0)
    with pytest.raises(ValueError, match=r"evpa \(2,\), evpa0 \(\), signal_to_noise \(3,\)"):
        faraday.angle_density(np.ones(2), 1.0, np.ones(3))
