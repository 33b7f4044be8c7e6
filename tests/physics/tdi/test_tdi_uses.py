"""Signals, backgrounds and Fisher information against written-out integrals and simulated data."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy import constants
from astropy import units as u

from physics import tdi
from physics.constants import JULIAN_YEAR
from physics.errors import UnitsError

F = np.geomspace(1e-4, 2e-2, 401)
GALAXY = tdi.galactic_foreground("karnesis21_snr7_mean", 4.0 * JULIAN_YEAR)
YEARS = 4.0 * JULIAN_YEAR


@pytest.fixture(scope="module")
def noise():
    return {c: np.asarray(tdi.sensitivity(F, tdi.LISA, c)) for c in ("X", "A", "T", "optimal")}


@pytest.fixture(scope="module")
def wave():
    return tdi.inspiral_amplitude(F, 1e5, 1000.0)


def test_inspiral_amplitude_in_astropy_units():
    g, c = constants.G, constants.c
    time = (g * 1e5 * u.solMass / c**3).to(u.s)
    distance = 1000.0 * u.Mpc
    expected = np.sqrt(5 / 24) * np.pi ** (-2 / 3) * c / distance * time ** (5 / 6) * (F * u.Hz) ** (-7 / 6)
    np.testing.assert_allclose(tdi.inspiral_amplitude(F, 1e5, 1000.0), expected.to_value(1 / u.Hz), rtol=1e-4)
    np.testing.assert_allclose(
        tdi.inspiral_amplitude(F * u.Hz, 1e5 * u.solMass, 1.0 * u.Gpc), tdi.inspiral_amplitude(F, 1e5, 1e3), rtol=1e-12
    )


def test_snr_is_the_written_out_integral(noise, wave):
    plus, cross = np.asarray(wave) * 0.9 * np.exp(1j * F), np.asarray(wave) * -0.8j
    integrand = 4.0 * 0.5 * (np.abs(plus) ** 2 + np.abs(cross) ** 2)
    for channel in ("X", "optimal"):
        expected = np.sqrt(np.trapezoid(integrand / noise[channel], F))
        np.testing.assert_allclose(tdi.snr(F, plus, cross, tdi.LISA, channel), expected, rtol=1e-4)
    np.testing.assert_allclose(tdi.snr(F, plus, cross, tdi.LISA), expected, rtol=1e-4)


def test_snr_is_the_integral_of_characteristic_strains(wave):
    ratio = tdi.characteristic_strain(F, wave, 0.5 * wave) / tdi.noise_strain(F, tdi.LISA, "A")
    expected = np.sqrt(np.trapezoid(np.asarray(ratio) ** 2, np.log(F)))
    np.testing.assert_allclose(tdi.snr(F, wave, 0.5 * wave, tdi.LISA, "A"), expected, rtol=1e-12)
    np.testing.assert_allclose(tdi.noise_strain(F, tdi.LISA, "A") ** 2, F * tdi.sensitivity(F, tdi.LISA, "A"))


def test_a_and_e_together_are_more_than_one(wave):
    a, t, best = (tdi.snr(F, wave, wave, tdi.LISA, channel) for channel in ("A", "T", "optimal"))
    np.testing.assert_allclose(best**2, 2.0 * a**2 + t**2, rtol=1e-12)


def test_averages_over_the_inclination(wave):
    cosine, weight = np.polynomial.legendre.leggauss(8)
    plus = wave[None, :] * (1.0 + cosine[:, None] ** 2) / 2.0
    each = tdi.snr(F, plus, wave[None, :] * cosine[:, None], tdi.LISA)
    assert each.shape == (8,)
    averaged = np.sqrt(np.sum(0.5 * weight * np.asarray(each) ** 2))
    horizon = tdi.horizon_distance(F, 1e5, tdi.LISA, threshold=averaged)
    assert float(horizon) == pytest.approx(1000.0, rel=1e-10)


def test_a_monochromatic_source_is_a_line_of_power(noise):
    at = 150
    f, a = F[at : at + 1], 1e-22
    expected = np.sqrt(1.6 * a**2 * YEARS / noise["optimal"][at])
    np.testing.assert_allclose(tdi.monochromatic_snr(f, a, tdi.LISA, duration=YEARS), [expected], rtol=1e-12)
    louder = tdi.monochromatic_snr(f, a, tdi.LISA, duration=4.0 * u.yr, foreground=GALAXY)
    assert louder[0] < expected


def test_a_foreground_costs_signal(wave):
    assert tdi.snr(F, wave, wave, tdi.LISA, foreground=GALAXY) < 0.95 * tdi.snr(F, wave, wave, tdi.LISA)
    assert tdi.horizon_distance(F, 1e5, tdi.LISA, foreground=GALAXY) < tdi.horizon_distance(F, 1e5, tdi.LISA)


def test_energy_density(noise):
    hubble = (67.0 * u.km / u.s / u.Mpc).to_value(1 / u.s)
    expected = 4.0 * np.pi**2 * F**3 * noise["A"] / (3.0 * hubble**2)
    np.testing.assert_allclose(tdi.energy_density(F, tdi.LISA, "A", hubble_constant=67.0), expected, rtol=1e-12)
    reduced = 4.0 * np.pi**2 * F**3 * noise["A"] / (3.0 * 3.24077929e-18**2)
    np.testing.assert_allclose(tdi.energy_density(F, tdi.LISA, "A"), reduced, rtol=1e-8)
    a, t = (np.asarray(tdi.energy_density(F, tdi.LISA, c)) for c in "AT")
    np.testing.assert_allclose(
        tdi.energy_density(F, tdi.LISA, "optimal"), (2.0 / a**2 + 1.0 / t**2) ** -0.5, rtol=1e-12, atol=0
    )


def test_snr_of_a_background(noise):
    strain = 1e-42 * (F / 1e-3) ** -3.0
    omega = 4.0 * np.pi**2 * F**3 * strain / (3.0 * 3.2407792894443646e-18**2)
    weak = {c: (strain / noise[c]) ** 2 for c in "AT"}
    strong = {c: (strain / (strain + noise[c])) ** 2 for c in "AT"}
    for terms, options in ((weak, {}), (strong, {"weak": False})):
        expected = np.sqrt(0.75 * YEARS * np.trapezoid(F * (2.0 * terms["A"] + terms["T"]), np.log(F)))
        value = tdi.background_snr(F, omega, tdi.LISA, duration=YEARS, duty_cycle=0.75, **options)
        np.testing.assert_allclose(value, expected, rtol=1e-10)
    batch = tdi.background_snr(F, np.stack([omega, 2.0 * omega]), tdi.LISA, duration=YEARS)
    np.testing.assert_allclose(batch[1], 2.0 * batch[0], rtol=1e-13)


def test_every_power_law_of_the_envelope_has_the_threshold():
    for options in ({}, {"threshold": 1.0, "duty_cycle": 0.8, "foreground": GALAXY, "slopes": np.arange(-8.0, 9.0)}):
        envelope = tdi.power_law_sensitivity(F, tdi.LISA, duration=YEARS, **options)
        laws = np.asarray(envelope.amplitudes)[:, None] * (F / 1e-3) ** np.asarray(envelope.slopes)[:, None]
        np.testing.assert_allclose(envelope.omega, laws.max(axis=0), rtol=1e-10)
        kept = {key: options[key] for key in ("duty_cycle", "foreground") if key in options}
        values = tdi.background_snr(F, laws, tdi.LISA, duration=YEARS, **kept)
        np.testing.assert_allclose(values, options.get("threshold", 10.0), rtol=1e-10)


def test_the_envelope_does_not_depend_on_the_reference():
    first, second = (
        tdi.power_law_sensitivity(F, tdi.LISA, duration=YEARS, reference_frequency=f) for f in (1e-3, 25.0 * u.mHz)
    )
    np.testing.assert_allclose(first.omega, second.omega, rtol=1e-10)
    assert len(first.slopes) == 65
    assert (float(first.slopes[0]), float(first.slopes[-1])) == (-8.0, 8.0)
    longer = tdi.power_law_sensitivity(F, tdi.LISA, duration=4.0 * YEARS)
    np.testing.assert_allclose(longer.omega, 0.5 * first.omega, rtol=1e-10)


def test_fisher_information_of_white_noise_is_exact():
    """One unknown amplitude of the only noise: S ~ s_x^2, F = 4 T (f2 - f1) for each of three streams."""
    det = tdi.Detector(2.5e9, tdi.InstrumentNoise(0.0, 15e-12))
    f = np.geomspace(1e-3, 1e-2, 401)
    information = tdi.fisher_information(f, det, duration=JULIAN_YEAR, parameters=("displacement",))
    expected = 3 * 4.0 * JULIAN_YEAR * (f[-1] - f[0])
    np.testing.assert_allclose(information.matrix, [[expected]], rtol=1e-4)
    np.testing.assert_allclose(information.errors, [expected**-0.5], rtol=1e-4)


def test_fisher_information_is_the_scatter_of_fits_to_simulated_periodograms():
    """Maximum-likelihood estimates from exponentially distributed periodograms scatter as the bound says."""
    f = np.linspace(5e-4, 8e-3, 401)
    step = f[1] - f[0]
    options = {"generation": 1, "duration": 1.0 / step}
    information = tdi.fisher_information(f, tdi.LISA, "X", parameters=("acceleration", "displacement"), **options)
    parts = [np.asarray(tdi.noise_psd(f, tdi.LISA, part=p, generation=1)) for p in ("acceleration", "displacement")]
    rng = np.random.default_rng(7)
    estimates = []
    for _ in range(300):
        power = (parts[0] + parts[1]) * rng.exponential(size=f.size)
        logs = np.zeros(2)
        for _ in range(12):  # Fisher scoring
            terms = [np.exp(2.0 * log) * part for log, part in zip(logs, parts, strict=True)]
            total = terms[0] + terms[1]
            slopes = 2.0 * np.array(terms) / total
            logs = logs + np.linalg.solve(slopes @ slopes.T, slopes @ (power / total - 1.0))
        estimates.append(logs)
    np.testing.assert_allclose(np.std(estimates, axis=0), information.errors, rtol=0.15)


def test_fisher_information_of_all_parameters_is_invertible_and_grows_with_time():
    one, four = (tdi.fisher_information(F, tdi.LISA, duration=T, foreground=GALAXY) for T in (JULIAN_YEAR, 4.0 * u.yr))
    assert one.parameters == ("arm_length", "acceleration", "displacement")
    np.testing.assert_allclose(one.matrix, np.asarray(one.matrix).T, rtol=1e-12)
    np.testing.assert_allclose(four.errors, 0.5 * one.errors, rtol=1e-9)
    assert np.all(np.linalg.eigvalsh(one.matrix) > 0)


def test_gradient_of_an_snr_with_respect_to_the_design(wave):
    def log_snr(logs):
        noise = dataclasses.replace(tdi.LISA.noise, displacement=15e-12 * jnp.exp(logs[1]))
        det = tdi.Detector(2.5e9 * jnp.exp(logs[0]), noise)
        return jnp.log(tdi.snr(F, wave, wave, det, "A", foreground=GALAXY))

    log_snr = jax.jit(log_snr)
    slope = jax.jit(jax.grad(log_snr))(jnp.zeros(2))
    for n in range(2):
        step = 1e-5 * jnp.eye(2)[n]
        np.testing.assert_allclose(slope[n], (log_snr(step) - log_snr(-step)) / 2e-5, rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: tdi.snr(F[::-1], F, F, tdi.LISA), ValueError, "frequency: expected increasing"),
        (lambda: tdi.snr(1e-3, 1.0, 1.0, tdi.LISA), ValueError, "frequency: expected two or more in one axis"),
        (lambda: tdi.snr(F, F[:-1], F, tdi.LISA), ValueError, r"shapes do not broadcast together: .*plus \(400,\)"),
        (lambda: tdi.snr(F, F * np.nan, F, tdi.LISA), ValueError, "plus: expected finite"),
        (lambda: tdi.snr(F, F * u.m, F, tdi.LISA), UnitsError, "plus: expected a quantity convertible to Hz-1"),
        (lambda: tdi.inspiral_amplitude(F, -1.0, 1.0), ValueError, "chirp_mass: expected finite, positive"),
        (lambda: tdi.inspiral_amplitude(F, 1.0, 0.0), ValueError, "distance: expected finite, positive"),
        (lambda: tdi.horizon_distance(F, 1e5, tdi.LISA, threshold=0.0), ValueError, "threshold: expected finite"),
        (lambda: tdi.monochromatic_snr(F, F, tdi.LISA, duration=F), ValueError, "duration: expected one number in s"),
        (lambda: tdi.monochromatic_snr(F, -F, tdi.LISA, duration=1.0), ValueError, "amplitude: .* at least zero"),
        (lambda: tdi.energy_density(F, tdi.LISA, hubble_constant=0.0), ValueError, "hubble_constant: expected"),
        (lambda: tdi.background_snr(F, -F, tdi.LISA, duration=1.0), ValueError, "omega: expected finite values of"),
        (
            lambda: tdi.background_snr(F, F, tdi.LISA, duration=1.0, duty_cycle=2.0),
            ValueError,
            "duty_cycle: expected a number between 0 and 1",
        ),
        (lambda: tdi.power_law_sensitivity(F, tdi.LISA, duration=-1.0), ValueError, "duration: expected finite"),
        (
            lambda: tdi.power_law_sensitivity(F, tdi.LISA, duration=1.0, slopes=2.0),
            ValueError,
            "slopes: expected one axis",
        ),
        (
            lambda: tdi.fisher_information(F, tdi.LISA, duration=1.0, parameters=("arm",)),
            ValueError,
            r"parameters: expected one of 'arm_length'.*got 'arm'",
        ),
        (
            lambda: tdi.fisher_information(F, tdi.LISA, duration=1.0, parameters=()),
            ValueError,
            "parameters: expected one or more different names",
        ),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
