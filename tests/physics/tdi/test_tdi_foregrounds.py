"""Foregrounds: the numbers that were published, where they hold, and how they enter each spectrum."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy import units as u
from astropy.table import QTable

from physics import tdi
from physics.constants import JULIAN_YEAR, SPEED_OF_LIGHT
from physics.errors import UnitsError
from physics.tdi.foreground_fits import FITS

YEAR = JULIAN_YEAR
LOW = np.array([1e-4, 1e-3, 3e-3])
F = np.geomspace(2e-4, 8e-3, 41)
GALAXY = tdi.galactic_foreground("robson19", 4.0 * YEAR)

PRINTED = [
    ("robson19", 0.5, (2.8639e-35, 1.2811e-37, 5.6994e-39)),
    ("robson19", 1.0, (3.1590e-35, 1.6635e-37, 5.5916e-40)),
    ("robson19", 2.0, (3.0826e-35, 1.3596e-37, 7.2332e-40)),
    ("robson19", 4.0, (2.8369e-35, 6.6624e-38, 8.5050e-42)),
    ("karnesis21_snr5_mean", 4.0, (2.4374e-35, 5.8301e-38, 3.6081e-42)),
    ("karnesis21_snr7_mean", 4.0, (2.4352e-35, 6.6542e-38, 2.3622e-42)),
    ("karnesis21_snr5_median", 4.0, (2.4148e-35, 5.7602e-38, 2.9624e-42)),
    ("karnesis21_snr7_median", 4.0, (2.4332e-35, 6.5359e-38, 2.1510e-41)),
    # Printed in the convention of its package; 5/6 of it has the same PSD of X at low frequencies here.
    ("tanh_galaxy", 1.0, tuple(5.0 / 6.0 * s for s in (6.8104e-35, 1.9801e-37, 1.2943e-39))),
    ("tanh_galaxy", 4.0, tuple(5.0 / 6.0 * s for s in (6.6550e-35, 1.3919e-37, 5.1480e-42))),
]


@pytest.mark.parametrize(("name", "years", "expected"), PRINTED)
def test_published_values(name, years, expected):
    foreground = tdi.galactic_foreground(name, years * YEAR)
    np.testing.assert_allclose(foreground(LOW), expected, rtol=4e-5, atol=0)


@pytest.mark.parametrize("years", [0.5, 1.0, 2.0, 4.0])
def test_the_formula_of_robson19_as_it_is_written(years):
    alpha, beta, kappa, gamma, knee = {
        0.5: (0.133, 243, 482, 917, 0.00258),
        1.0: (0.171, 292, 1020, 1680, 0.00215),
        2.0: (0.165, 299, 611, 1340, 0.00173),
        4.0: (0.138, -221, 521, 1680, 0.00113),
    }[years]
    expected = 9e-45 * F ** (-7 / 3) * np.exp(-(F**alpha) + beta * F * np.sin(kappa * F))
    expected *= 1.0 + np.tanh(gamma * (knee - F))
    kept = gamma * (F - knee) < 5.0  # 1 + tanh cancels beyond
    written = tdi.galactic_foreground("robson19", years * YEAR)(F)
    np.testing.assert_allclose(written[kept], expected[kept], rtol=1e-10, atol=0)


def test_polynomial_fits_as_they_are_written():
    y = np.log(F / 1e-3)
    taiji = np.exp(-85.3919 - 2.69735 * y - 0.749294 * y**2 - 1.15302 * y**3 - 0.302761 * y**4 + 0.175521 * y**5)
    np.testing.assert_allclose(tdi.galactic_foreground("taiji23", 2 * YEAR)(F), taiji, rtol=1e-12, atol=0)
    f = np.geomspace(5e-4, 1e-2, 41)
    y = np.log10(f / 1e-3)
    for name, a in (
        ("huang20", (-18.6, -1.13, -0.945, -1.02, 4.05, -4.5, -0.5)),
        ("tianqin24", (-18.7, -1.34, -0.513, 0.0152, -1.53, 4.79, -5.01)),
    ):
        expected = 10.0 / 3.0 * 10.0 ** (2.0 * sum(a_n * y**n for n, a_n in enumerate(a)))
        np.testing.assert_allclose(tdi.galactic_foreground(name, YEAR)(f), expected, rtol=1e-12, atol=0)
    y = np.log10(F)
    c = (-540.315450, -554.061115, -233.748834, -44.021504, -3.112634)
    expected = 4.0 * YEAR * 10.0 ** sum(c_n * y**n for n, c_n in enumerate(c))
    np.testing.assert_allclose(tdi.galactic_foreground("thiele21", 4 * YEAR)(F), expected, rtol=1e-9, atol=0)
    # What the specification says of the violence of these fits.
    assert tdi.galactic_foreground("huang20", 4 * YEAR)(1e-2) == pytest.approx(1.9e-51, rel=0.03)


def test_the_same_name_in_two_packages_differs_by_nine():
    mean, median = (tdi.galactic_foreground(f"karnesis21_snr7_{kind}", 4 * YEAR)(3e-3) for kind in ("mean", "median"))
    assert float(median / mean) == pytest.approx(9.1, rel=0.01)


def test_tanh_galaxy_between_its_observation_times():
    for first, last, between in ((1.0, 2.0, 1.5), (4.0, 10.0, 7.0)):
        knees = [tdi.galactic_foreground("tanh_galaxy", t * YEAR).spectrum.knee for t in (first, last, between)]
        assert knees[2] == pytest.approx(0.5 * (knees[0] + knees[1]), rel=1e-12)
    assert tdi.galactic_foreground("tanh_galaxy", 91.5 * 86400.0).spectrum.knee == pytest.approx(4.01884128e-3)


@pytest.mark.parametrize("name", FITS)
def test_every_fit_says_what_it_is(name):
    years = FITS[name].years[-1]
    foreground = tdi.galactic_foreground(name, years * u.yr)
    assert foreground.duration == pytest.approx(years * YEAR)
    assert foreground.label == f"{name}, {years:g} yr"
    assert foreground.instrument.split(",")[0] in ("LISA", "Taiji", "TianQin")
    assert foreground.source
    assert foreground.units == "Hz-1"
    assert np.all(foreground(np.geomspace(max(1e-5, foreground.band[0]), 5e-3, 9)) > 0)


def test_durations_that_are_not_defined():
    for name, years, message in (
        ("robson19", 3.0, "duration: 'robson19' is defined for 0.5, 1, 2, 4 years .* only, got .* = 3 yr"),
        ("thiele21", 1.0, "'thiele21' is defined for 4 years"),
        ("karnesis21_snr5_mean", 11.0, "is defined for 0 s to 10 yr"),
        ("tanh_galaxy", 0.002, "is defined for 86400 s to 10 yr"),
        ("huang20", -1.0, "duration: expected finite, positive"),
    ):
        with pytest.raises(ValueError, match=message):
            tdi.galactic_foreground(name, years * YEAR)
    with pytest.raises(ValueError, match="got 4 s"):  # years given for seconds
        tdi.galactic_foreground("robson19", 4)
    with pytest.raises(UnitsError, match="duration: expected a quantity convertible to s"):
        tdi.galactic_foreground("robson19", 4 * u.m)
    with pytest.raises(ValueError, match="duration: expected one number in s"):
        tdi.galactic_foreground("robson19", [1.0, 2.0])


def test_unknown_names():
    with pytest.raises(ValueError, match=r"name: expected one of 'robson19', .*got 'karnesis21'"):
        tdi.galactic_foreground("karnesis21", YEAR)
    with pytest.raises(ValueError, match="outside: expected one of 'raise', 'zero'; got 'nan'"):
        tdi.galactic_foreground("robson19", YEAR, outside="nan")


def test_bands_are_enforced():
    message = "frequency: the foreground 'taiji23' is a fit for 0.0001 to 0.01 Hz, got 0.001 to 0.02 Hz; .*outside="
    wide = jnp.array([1e-3, 2e-2])
    foreground = tdi.galactic_foreground("taiji23", YEAR)
    for call in (
        foreground,
        *(lambda f, g=g: g(f, tdi.TAIJI, foreground=foreground) for g in (tdi.asd, tdi.noise_psd, tdi.sensitivity)),
    ):
        with pytest.raises(ValueError, match=message):
            call(wide)
    traced = jax.jit(lambda f: tdi.asd(f, tdi.TAIJI, foreground=foreground))(wide)
    np.testing.assert_array_equal(np.isnan(traced), [False, True])
    without = tdi.galactic_foreground("taiji23", YEAR, outside="zero")
    np.testing.assert_array_equal(without(wide) > 0, [True, False])
    np.testing.assert_array_equal(tdi.asd(wide, tdi.TAIJI, foreground=without)[1], tdi.asd(wide, tdi.TAIJI)[1])
    slope = jax.jit(jax.grad(lambda f: tdi.asd(f, tdi.TAIJI, foreground=without).sum()))(wide)
    assert np.all(np.isfinite(slope))


@pytest.mark.parametrize("channel", ["X", "T", "zeta", "U"])
def test_a_channel_sees_it_through_its_own_response(channel):
    level = GALAXY(F)
    for generation in (1, 2):
        options = {"generation": generation}
        response = tdi.response(F, tdi.LISA, channel, **options)
        instrument = tdi.noise_psd(F, tdi.LISA, channel, **options)
        psd = tdi.noise_psd(F, tdi.LISA, channel, foreground=GALAXY, **options)
        np.testing.assert_allclose(psd, instrument + response * level, rtol=1e-14, atol=0)
        sensitivity = tdi.sensitivity(F, tdi.LISA, channel, foreground=GALAXY, **options)
        np.testing.assert_allclose(sensitivity, tdi.sensitivity(F, tdi.LISA, channel) + level, rtol=1e-13, atol=0)
        # R and PSD share the nulls of the splice; in between their ratio is the sensitivity.
        np.testing.assert_allclose(psd / response, sensitivity, rtol=1e-11, atol=0)


def test_a_null_of_the_response_sees_nothing():
    f = np.array([SPEED_OF_LIGHT / (4.0 * tdi.LISA.arm_length)])  # x = pi/2, the splice of X
    with_it = tdi.noise_psd(f, tdi.LISA, foreground=lambda f: 0.0 * f + 1e-36)
    assert with_it[0] < 1e-60
    # A fixed transfer of generation 1 would give 16 times the response of a quarter.
    assert 1e-36 * tdi.response(f, tdi.LISA, generation=1)[0] > 1e-36


def test_t_hardly_sees_it():
    ratio = tdi.asd(F, tdi.LISA, "T", foreground=GALAXY) / tdi.asd(F, tdi.LISA, "T")
    assert np.max(ratio) < 1.0001
    assert np.max(tdi.asd(F, tdi.LISA, "A", foreground=GALAXY) / tdi.asd(F, tdi.LISA, "A")) > 2.0


def test_the_optimum_adds_it_to_each_stream():
    a, t = (tdi.sensitivity(F, tdi.LISA, channel, foreground=GALAXY) for channel in "AT")
    expected = 1.0 / (2.0 / a + 1.0 / t)
    for factor, polarization in ((1.0, "sum"), (2.0, "average")):
        options = {"foreground": GALAXY, "polarization": polarization}
        np.testing.assert_allclose(
            tdi.sensitivity(F, tdi.LISA, "optimal", **options), factor * expected, rtol=1e-13, atol=0
        )
        np.testing.assert_allclose(
            tdi.asd(F, tdi.LISA, "optimal", **options) ** 2, factor * expected, rtol=1e-13, atol=0
        )


def test_a_callable_of_ones_own():
    own = tdi.asd(F, tdi.LISA, foreground=lambda f: 1e-44 * f ** (-7 / 3))
    np.testing.assert_allclose(own**2, tdi.sensitivity(F, tdi.LISA) + 1e-44 * F ** (-7 / 3), rtol=1e-13, atol=0)
    with pytest.raises(ValueError, match="foreground: expected finite values of at least zero"):
        tdi.asd(F, tdi.LISA, foreground=lambda f: -1e-40 * f)
    with pytest.raises(TypeError):
        tdi.asd(F, tdi.LISA, foreground=1e-40)
    with pytest.raises(ValueError, match="foreground: expected one number per frequency"):
        tdi.asd(F, tdi.LISA, foreground=lambda f: f * jnp.ones(2))
    with pytest.raises(TypeError, match="foreground: the callable must use operations"):
        tdi.asd(F, tdi.LISA, foreground=lambda f: np.interp(f, [0.0, 1.0], [1.0, 1.0]))
    with pytest.raises(ValueError, match="foreground: expected None with part='acceleration'"):
        tdi.noise_psd(F, tdi.LISA, part="acceleration", foreground=GALAXY)
    single = tdi.asd(F.astype(np.float32), tdi.LISA, foreground=lambda f: 1e-44 * f ** (-7 / 3))
    np.testing.assert_allclose(single.astype(float), own, rtol=1e-5)


def test_gradients_with_a_foreground():
    def total(logs):
        noise = tdi.InstrumentNoise(3e-15 * jnp.exp(logs[1]), 15e-12)
        return jnp.log(tdi.asd(F, tdi.Detector(2.5e9 * jnp.exp(logs[0]), noise), "optimal", foreground=GALAXY)).sum()

    total = jax.jit(total)
    slope = jax.jit(jax.grad(total))(jnp.zeros(2))
    for n in range(2):
        step = 1e-5 * jnp.eye(2)[n]
        np.testing.assert_allclose(slope[n], (total(step) - total(-step)) / 2e-5, rtol=1e-6)


def test_a_curve_names_its_foreground(tmp_path):
    curve = tdi.curve(F, tdi.LISA, "A", foreground=GALAXY)
    assert curve.label == "LISA A, robson19, 4 yr"
    np.testing.assert_array_equal(curve.asd, tdi.asd(F, tdi.LISA, "A", foreground=GALAXY))
    curve.write(tmp_path / "curve.ecsv")
    meta = QTable.read(tmp_path / "curve.ecsv").meta
    assert meta["foreground"]["name"] == "robson19"
    assert meta["foreground"]["duration_s"] == 4.0 * YEAR
    assert meta["method"] == "exact"
    tdi.curve(F, tdi.LISA, foreground=lambda f: 0.0 * f).write(tmp_path / "own.ecsv")
    assert QTable.read(tmp_path / "own.ecsv").meta["foreground"].startswith("callable ")
    tdi.curve(F, tdi.LISA).write(tmp_path / "none.ecsv")
    assert QTable.read(tmp_path / "none.ecsv").meta["foreground"] == "none"


@pytest.mark.parametrize("channel", ["X", "optimal"])
def test_the_numerical_method_adds_it_to_the_noise_matrix(channel):
    """For equal arms that is what the closed forms do."""
    frequency = np.array([1e-3, 3e-3])
    foreground = tdi.galactic_foreground("robson19", 4 * u.yr)
    options = {"channel": channel, "foreground": foreground}
    numerical = tdi.sensitivity(frequency, tdi.LISA, method="numerical", **options)
    np.testing.assert_allclose(numerical, tdi.sensitivity(frequency, tdi.LISA, **options), rtol=1e-9, atol=0)
    if channel == "X":
        psd = tdi.noise_psd(frequency, tdi.LISA, method="numerical", **options)
        np.testing.assert_allclose(psd, tdi.noise_psd(frequency, tdi.LISA, **options), rtol=1e-9, atol=0)
