"""Stokes I models against polynomial fits of NumPy and SciPy, an established package, and known spectra."""

import jax.numpy as jnp
import numpy as np
import pytest
from faraday_references import reference_spectrum
from scipy.optimize import curve_fit

from physics import faraday
from physics.errors import UnitsError

NU = np.linspace(1.0e9, 2.0e9, 60)
RNG = np.random.default_rng(2)


def test_coefficients_of_the_established_package(reference):
    ref = reference_spectrum(reference, "d2_thin_stokesI")
    told = ref.summary
    model = faraday.fit_intensity(
        ref.frequency, ref.intensity, ref.sigma_i, order=2, reference_frequency=told["freq0_Hz"]
    )
    values = [float(x) for x in told["polyCoeffs"].split(",")][::-1]
    errors = [float(x) for x in told["polyCoefferr"].split(",")][::-1]
    np.testing.assert_allclose(model.coefficients, values, rtol=1e-4, atol=1e-9)
    np.testing.assert_allclose(np.sqrt(np.diagonal(model.covariance))[1:], errors[1:], rtol=1e-3)
    np.testing.assert_allclose(float(model.chi2) / int(model.dof), told["IfitChiSqRed"], rtol=1e-9)
    free = faraday.fit_intensity(ref.frequency, ref.intensity, ref.sigma_i)
    assert int(free.order) == 1
    assert int(np.argmin(free.aic)) == 1
    assert abs(float(free.coefficients[1]) + 0.7) < 3.0 * float(np.sqrt(free.covariance[1, 1]))


def test_log_polynomial_is_the_least_squares_solution():
    def shape(nu, a, b, c):
        y = np.log10(nu / 1.4e9)
        return a * 10 ** (b * y + c * y * y)

    data = shape(NU, 0.3, -0.8, 0.5) + 0.004 * RNG.normal(size=60)
    model = faraday.fit_intensity(NU, data, 0.004, order=2, reference_frequency=1.4e9)
    best, covariance = curve_fit(shape, NU, data, (0.3, -0.8, 0.5), np.full(60, 0.004), absolute_sigma=True)
    np.testing.assert_allclose(model.coefficients[:3], best, rtol=1e-5)
    np.testing.assert_allclose(model.covariance[:3, :3], covariance, rtol=1e-3, atol=1e-7)
    np.testing.assert_allclose(model(NU), shape(NU, *best), rtol=1e-6)


def test_linear_polynomial_is_that_of_numpy():
    data = 1.0 + 0.3 * (NU / 1.5e9 - 1.0) ** 3 + 0.01 * RNG.normal(size=60)
    model = faraday.fit_intensity(NU, data, 0.01, model="linear", order=3, reference_frequency=1.5e9)
    best = np.polynomial.polynomial.polyfit(NU / 1.5e9 - 1.0, data, 3)
    np.testing.assert_allclose(model.coefficients[:4], best, rtol=1e-7)
    assert not np.asarray(model.coefficients[4:]).any()


def test_each_line_of_sight_gets_its_own_order():
    x = NU / 1.4e9
    truth = np.stack([np.full(60, 2.0), x**-0.7, x**-0.7 * 10 ** (2.0 * np.log10(x) ** 2)])
    data = truth + 1e-3 * RNG.normal(size=truth.shape)
    model = faraday.fit_intensity(NU, data, 1e-3)
    # AIC takes one parameter too many in about one case of six, never one too few here.
    assert (np.asarray(model.order) >= [0, 1, 2]).all()
    np.testing.assert_allclose(model(NU), truth, atol=2e-3)
    assert model.aic.shape == (3, 6)
    assert np.asarray(model.valid).all()
    law = faraday.fit_intensity(NU, data[1], 1e-3, model="power_law")
    np.testing.assert_allclose(law.coefficients[1], -0.7, atol=0.01)


def test_empty_sky_is_not_valid_and_finite():
    noise = RNG.normal(size=(3, 60))
    model = faraday.fit_intensity(NU, noise, 1.0)
    assert not np.asarray(model.valid).any()
    for x in (model.coefficients, model.covariance, model(NU), model.signal_to_noise):
        assert np.isfinite(np.asarray(x)).all()
    p, sigma, mask = model.fraction(NU, noise + 0j, 1.0)
    assert not np.asarray(mask).any()
    assert np.isfinite(np.asarray(p)).all()
    assert np.isfinite(np.asarray(sigma)).all()


def test_fraction_and_masked_channels():
    mask = np.arange(60) % 7 > 0
    data = np.where(mask, (NU / 1.4e9) ** -0.7, np.nan)
    model = faraday.fit_intensity(NU, data, 0.01, order=1, mask=mask)
    p = np.where(mask, 0.1 * (NU / 1.4e9) ** -0.7 * np.exp(1j), np.nan)
    fraction, sigma, used = model.fraction(NU, p, 0.01)
    np.testing.assert_array_equal(used, mask)
    np.testing.assert_allclose(fraction[mask], 0.1 * np.exp(1j), rtol=1e-6)
    np.testing.assert_allclose(sigma[mask], 0.01 * (NU[mask] / 1.4e9) ** 0.7, rtol=1e-6)


def test_single_precision():
    data = ((NU / 1.4e9) ** -0.7).astype(np.float32)
    model = faraday.fit_intensity(NU, data, np.float32(0.01), order=2, reference_frequency=1.4e9)
    assert model.coefficients.dtype == jnp.float32
    np.testing.assert_allclose(model.coefficients[:3], [1.0, -0.7, 0.0], atol=2e-3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "cubic"}, "model: expected one of"),
        ({"order": 6}, "order: expected 0 to 5"),
        ({"order": 2, "model": "power_law"}, "a power law has order 1"),
        ({"frequency": NU[:3], "intensity": np.ones(3), "order": 3}, "at least 4 different channels"),
        ({"intensity": np.ones(7)}, "intensity: expected 60 channels"),
        ({"intensity": np.full(60, np.nan)}, "intensity: expected finite"),
        ({"sigma": 0.0}, "sigma: expected finite, positive"),
        ({"mask": np.ones(60)}, "mask: expected booleans"),
        ({"reference_frequency": -1.0}, "reference_frequency"),
        ({"minimum_signal_to_noise": -1.0}, "minimum_signal_to_noise"),
    ],
)
def test_bad_input_is_named(change, message):
    with pytest.raises(ValueError, match=message):
        faraday.fit_intensity(**({"frequency": NU, "intensity": np.ones(60), "sigma": 0.1} | change))


def test_real_polarization_is_refused():
    model = faraday.fit_intensity(NU, np.ones(60), 0.1, order=0)
    with pytest.raises(ValueError, match="polarization: expected complex"):
        model.fraction(NU, np.ones(60), 0.1)


def test_fractions_are_in_the_unit_of_the_intensity():
    from astropy import units as u

    intensity = np.full(60, 2.0)
    p = np.full(60, 0.1 + 0.2j)
    plain = faraday.fit_intensity(NU, intensity, 0.01, order=0)
    model = faraday.fit_intensity(NU, intensity * u.Jy, 10.0 * u.mJy, order=0)
    value, error, _ = model.fraction(NU, 1e3 * p * u.mJy, 10.0 * u.mJy)
    np.testing.assert_allclose(value, p / 2.0)
    np.testing.assert_allclose(error, 0.005)
    for wrong, arguments in ((model, (p, 0.01 * u.Jy)), (model, (p * u.K, 0.01 * u.Jy)), (plain, (p * u.mJy, 0.01))):
        with pytest.raises(UnitsError, match="polarization"):
            wrong.fraction(NU, *arguments)
    with pytest.raises(UnitsError, match="sigma"):
        model.fraction(NU, p * u.Jy, 0.01)
    with pytest.raises(ValueError, match=r"frequency: expected the shape \(channel,\)"):
        plain(1.4e9)
