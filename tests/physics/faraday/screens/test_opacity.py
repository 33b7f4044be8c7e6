"""Self-absorbed synchrotron polarization, against the radiative transfer of both modes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy import units as u
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

from physics import faraday
from physics.errors import UnitsError
from physics.faraday import SelfAbsorbedSource, SelfAbsorbedSpectrum, ThinScreen, evpa, synchrotron_fraction


@pytest.mark.parametrize(("s", "thin"), [(2.0, 0.692), (3.0, 0.75)])
def test_limits_of_thin_and_opaque_sources(s, thin):
    assert float(synchrotron_fraction(0.0, s)) == pytest.approx((s + 1) / (s + 7 / 3), rel=1e-14)
    assert float(synchrotron_fraction(1e-9, s)) == pytest.approx(thin, abs=5e-4)
    assert float(synchrotron_fraction(1e5, s)) == pytest.approx(-3.0 / (6.0 * s + 13.0), rel=1e-12)


def test_no_turn_below_an_optical_depth_of_six():
    for s, crossing in ((2.0, 6.161), (2.5, 7.185), (3.0, 8.239)):
        root = brentq(lambda tau, s=s: float(synchrotron_fraction(tau, s)), 1.0, 20.0)
        assert root == pytest.approx(crossing, abs=6e-4)


def test_fraction_agrees_with_radiative_transfer():
    s = 2.4
    m_e, m_a = (s + 1) / (s + 7 / 3), (s + 2) / (s + 10 / 3)

    def transfer(_, stokes):
        # dI/dtau and dQ/dtau in the frame of the field, absorption mixing both.
        i, q = stokes
        return [1.0 - i - m_a * q, m_e - q - m_a * i]

    tau = np.array([0.01, 0.5, 2.0, 7.0, 12.0])
    path = solve_ivp(transfer, (0.0, 12.0), [0.0, 0.0], t_eval=tau, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(synchrotron_fraction(tau, s), path.y[1] / path.y[0], rtol=1e-7)


def test_angle_of_a_source_turns_once_by_a_right_angle():
    nu = np.array([300e9, 100e9, 15e9, 5e9, 2e9])
    x = faraday.lambda_squared(nu)
    p = SelfAbsorbedSource(0.05, 0.3, 0.0, 1.0, 15e9)(x)
    np.testing.assert_allclose(evpa(p.real, p.imag)[:3], 0.3, rtol=1e-12)
    np.testing.assert_allclose(evpa(p.real, p.imag)[3:], 0.3 - np.pi / 2, rtol=1e-12)
    tau = (nu / 15e9) ** -3.0
    expected = 0.05 * np.asarray(synchrotron_fraction(tau, 2.0)) / (3 / (13 / 3))
    np.testing.assert_allclose(np.asarray(p) * np.exp(-0.6j), expected, rtol=1e-11, atol=1e-16)


def test_a_transparent_source_is_a_thin_screen():
    x = np.array([0.0, 1e-4, 0.01])
    np.testing.assert_allclose(
        SelfAbsorbedSource(0.05, 0.3, 70.0, 0.0, 15e9)(x), ThinScreen(0.05, 0.3, 70.0)(x), rtol=1e-13
    )


def test_spectrum_has_its_slopes_and_passes_through_the_reference():
    spectrum = SelfAbsorbedSpectrum(2.0, 3.0, 15.0 * u.GHz, 2.6)
    assert float(spectrum(faraday.lambda_squared(15e9))) == pytest.approx(2.0, rel=1e-13)

    def slope(nu):
        low, high = spectrum(faraday.lambda_squared(np.array([nu, 1.01 * nu])))
        return np.log(high / low) / np.log(1.01)

    assert slope(1e7) == pytest.approx(2.5, abs=1e-6)
    assert slope(1e13) == pytest.approx(-0.8, abs=1e-6)
    thin = SelfAbsorbedSpectrum(2.0, 0.0, 15e9, 2.6)(faraday.lambda_squared(np.array([5e9, 30e9])))
    np.testing.assert_allclose(thin, 2.0 * np.array([1 / 3, 2.0]) ** -0.8, rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_derivatives_are_finite_at_the_corners(dtype):
    def outcome(tau, s, rm, x):
        zero = jnp.zeros((), dtype)
        source = SelfAbsorbedSource(zero + 0.05, zero, rm, tau, zero + 15e9, s)
        spectra = [
            SelfAbsorbedSpectrum(zero + 1.0, tau, zero + 15e9, s),
            faraday.PowerLaw(zero + 1.0, zero, zero + 5e9),
        ]
        both = faraday.Components([source, ThinScreen(zero, zero, zero)], spectra)
        return jnp.square(jnp.abs(both(x) - 0.1))

    slopes = jax.jit(jax.grad(outcome, argnums=(0, 1, 2, 3)))
    for tau in (0.0, 1.0, 1e3):
        for x in (0.0, 1e-4, 0.3):
            found = slopes(*(jnp.asarray(v, dtype) for v in (tau, 2.0, 0.0, x)))
            assert all(np.isfinite(f) and f.dtype == dtype for f in found), (tau, x, found)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="optical_depth: expected"):
        synchrotron_fraction(-1.0, 2.0)
    with pytest.raises(ValueError, match="electron_index: expected"):
        synchrotron_fraction(1.0, 0.0)
    with pytest.raises(UnitsError, match="optical_depth: expected"):
        synchrotron_fraction(1.0 * u.m, 2.0)
    with pytest.raises(ValueError, match=r"optical_depth \(2,\), electron_index \(3,\)"):
        synchrotron_fraction(np.ones(2), np.ones(3))
    with pytest.raises(ValueError, match="reference_frequency: expected"):
        SelfAbsorbedSource(0.05, 0.3, 70.0, 0.0, -1.0)
