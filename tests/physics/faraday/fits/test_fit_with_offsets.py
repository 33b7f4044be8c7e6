"""Fits with EVPA calibration errors against generalised least squares on unwrapped angles, and free amplitudes."""

import numpy as np
import pytest

from physics import faraday
from physics.faraday.simulate import FOUR_BANDS

L = np.asarray(faraday.lambda_squared(np.array(FOUR_BANDS)))
BAND = np.repeat(np.arange(4), 4)
ERRORS = faraday.EvpaError()


def generalised_least_squares(angle, variance, errors):
    """Slope and intercept with their covariance and misfit, for C = diag(noise + channel) + band blocks."""
    covariance = np.diag(variance + errors.channel**2) + errors.band**2 * (BAND[:, None] == BAND)
    inverse = np.linalg.inv(covariance)
    design = np.stack([L, np.ones(16)], axis=1)
    normal = np.linalg.inv(design.T @ inverse @ design)
    solution = normal @ design.T @ inverse @ angle
    residual = angle - design @ solution
    return solution, normal, residual @ inverse @ residual


@pytest.fixture(scope="module")
def spectra():
    """Two hundred pixels of signal-to-noise ratio 50 with offsets drawn anew for each."""
    rng = np.random.default_rng(21)
    rm, n = rng.uniform(-500, 500, 200), (200, 16)
    offset = ERRORS.band * rng.normal(size=(200, 4))[:, BAND] + ERRORS.channel * rng.normal(size=n)
    p = np.exp(2j * (0.1 + rm[:, None] * L + offset)) + 0.02 * (rng.normal(size=n) + 1j * rng.normal(size=n))
    return rm, p


@pytest.fixture(scope="module")
def free(spectra):
    return faraday.fit_rotation(
        L, spectra[1].real, spectra[1].imag, 0.02, max_rm=40_000.0, amplitude="free", evpa_error=ERRORS, rm_prior=None
    )


def test_high_signal_to_noise_is_generalised_least_squares(spectra, free):
    rm, p = spectra
    for i in range(0, 200, 10):
        model = np.exp(2j * (0.1 + rm[i] * L))
        angle = 0.1 + rm[i] * L + 0.5 * np.angle(p[i] * model.conj())
        variance = (0.02 / (2 * np.abs(p[i]))) ** 2
        solution, covariance, misfit = generalised_least_squares(angle, variance, ERRORS)
        # Offsets of 5 degrees are not quite small: the circular mean is not the linear one.
        assert abs(float(free.rm[i]) - solution[0]) < 0.08 * np.sqrt(covariance[0, 0])
        assert abs(float(free.evpa0[i]) - solution[1]) < 0.08 * np.sqrt(covariance[1, 1])
        np.testing.assert_allclose(free.covariance[i], covariance, rtol=0.06)
        assert float(free.rm_error[i]) == pytest.approx(np.sqrt(covariance[0, 0]), rel=0.05)
        assert float(free.chi2[i]) == pytest.approx(misfit, rel=0.03)
    assert np.all(np.asarray(free.dof) == 14)


def test_errors_cover_offsets_drawn_anew(spectra, free):
    pull = (np.asarray(free.rm) - spectra[0]) / np.asarray(free.rm_error)
    assert abs(pull.mean()) < 3.5 / np.sqrt(200)
    assert pull.std() == pytest.approx(1.0, abs=0.15)
    assert np.mean(free.chi2) == pytest.approx(14.0, abs=4 * np.sqrt(2 * 14 / 200))


def test_known_shape_agrees_with_free_amplitudes_at_high_signal_to_noise(spectra, free):
    p = spectra[1]
    fit = faraday.fit_rotation(
        L, p.real, p.imag, 0.02, max_rm=40_000.0, amplitude="constant", evpa_error=ERRORS, rm_prior=None
    )
    error = np.asarray(free.rm_error)
    np.testing.assert_array_less(np.abs(np.asarray(fit.rm - free.rm)), 0.03 * error)
    np.testing.assert_allclose(fit.rm_error, error, rtol=0.01)
    assert np.all(np.asarray(fit.dof) == 29)
    assert np.mean(fit.chi2) == pytest.approx(29.0, abs=4 * np.sqrt(2 * 29 / 200))
    assert np.mean(fit.amplitude) == pytest.approx(1.0, abs=0.01)
    # Vanishing offsets give the likelihood of Q and U back.
    tiny = faraday.fit_rotation(L, p.real, p.imag, 0.02, max_rm=40_000.0, evpa_error=(1e-9, 1e-9), rm_prior=None)
    exact = faraday.fit_rotation(L, p.real, p.imag, 0.02, max_rm=40_000.0, rm_prior=None)
    np.testing.assert_array_less(np.abs(np.asarray(tiny.rm - exact.rm)), 1e-3 * np.asarray(exact.rm_error))
    np.testing.assert_allclose(tiny.rm_error, exact.rm_error, rtol=1e-3)


def test_misfit_without_offsets_is_visible(spectra):
    p = spectra[1]
    fit = faraday.fit_rotation(L, p.real, p.imag, 0.02, max_rm=40_000.0, rm_prior=None)
    assert np.median(fit.chi2) > 10 * 29
    without = np.asarray(fit.rm) - spectra[0]
    assert (without / np.asarray(fit.rm_error)).std() > 3.0


def test_bands_and_channel_order_do_not_matter(spectra, free):
    p, order = spectra[1], np.random.default_rng(1).permutation(16)
    labels = np.array(["Ku1", "Ku2", "K", "Q"])[BAND]
    fit = faraday.fit_rotation(
        L[order],
        p[:, order].real,
        p[:, order].imag,
        0.02,
        max_rm=40_000.0,
        amplitude="free",
        evpa_error=(ERRORS.band, ERRORS.channel),
        band=labels[order],
        rm_prior=None,
    )
    np.testing.assert_allclose(fit.rm, free.rm, rtol=1e-6)
    np.testing.assert_allclose(fit.chi2, free.chi2, rtol=1e-6)
