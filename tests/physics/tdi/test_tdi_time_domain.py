"""Links and channels in time: delays against sums of sines, spectra against the closed forms, laser noise cancelled."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.signal import welch
from scipy.stats import chi2, kstest

from physics import tdi
from physics.errors import PrecisionError, UnitsError
from physics.tdi.combinations import LINKS
from physics.tdi.interpolation import delayed, lagrange_weights

BREATHING = {"12": 3e-8, "23": 1e-8, "31": -3e-8}
LASER = 1e-13
TIMES = {"duration": 8e4, "step": 1.0, "start": -4e4}
SEGMENT = 2048


@pytest.fixture(scope="module")
def light_times():
    return tdi.LightTimes.of(tdi.LISA, BREATHING)


@pytest.fixture(scope="module")
def secondary(light_times):
    return tdi.simulate_links(light_times, tdi.LISA.noise, key=jax.random.key(2), **TIMES)


@pytest.fixture(scope="module")
def lasers(light_times):
    return tdi.simulate_links(light_times, None, laser=LASER, key=jax.random.key(2), **TIMES)


def sine_links(frequency, step, samples, start=0.0):
    """Six sines of different phases, and each as a function of time."""
    functions = [lambda t, n=n: np.sin(2 * np.pi * frequency * t + n) for n in range(6)]
    time = start + step * np.arange(samples)
    return tdi.LinkSeries(np.stack([g(time) for g in functions]), step, start), dict(zip(LINKS, functions, strict=True))


class Spectrum:
    """Welch's estimate at every third bin, where a Hann window leaves them independent, and its degrees of freedom."""

    def __init__(self, series: tdi.ChannelSeries, low: float, high: float) -> None:
        values = np.asarray(series.values)
        frequency, psd = welch(values, 1.0 / series.step, window="hann", nperseg=SEGMENT, detrend=False)
        bins = np.arange(len(frequency))
        chosen = (frequency >= low) & (frequency <= high) & (bins % 3 == 0)
        self.frequency, self.psd = frequency[chosen], psd[chosen]
        segments = (len(values) - SEGMENT) // (SEGMENT // 2) + 1
        # Welch (1967): neighbours that overlap by half have a correlation of 1/36 in a Hann window.
        self.dof = 2.0 * segments / (1.0 + 2.0 * (1.0 - 1.0 / segments) / 36.0)

    def smoothed(self, psd) -> np.ndarray:
        """What Welch's method expects of a known PSD: its mean under the window's power response."""
        offset = np.linspace(-8.0, 8.0, 161)
        response = (np.sinc(offset) / (1.0 - offset**2 + (np.abs(np.abs(offset) - 1.0) < 1e-9))) ** 2
        response[np.abs(np.abs(offset) - 1.0) < 1e-9] = 0.25
        width = self.frequency[1] - self.frequency[0]
        # The spectrum of a real series is even.
        points = np.maximum(np.abs(self.frequency[:, None] + offset * (width / 3.0)), 1e-7)
        return np.asarray(psd(points)) @ (response / response.sum())

    def probability(self, expected: np.ndarray) -> tuple[float, float]:
        """Two-sided probability of the total, and that of the distribution over the bins."""
        scaled = self.dof * self.psd / expected
        total = chi2(self.dof * len(scaled))
        low = total.cdf(scaled.sum())
        return 2.0 * min(low, 1.0 - low), kstest(scaled, chi2(self.dof).cdf).pvalue


# interpolation


@pytest.mark.parametrize("points", [2, 8, 32])
def test_weights_reproduce_polynomials(points):
    nodes = np.arange(1 - points // 2, points // 2 + 1) / points
    for part in (0.0, 0.3, 0.5, 1.0):
        weights = np.array(lagrange_weights(jnp.asarray(part), points))
        for power in range(points):
            np.testing.assert_allclose(weights @ nodes**power, (part / points) ** power, atol=1e-14, rtol=0)


@pytest.mark.parametrize("points", [4, 8, 16])
def test_the_error_of_a_delayed_sine_is_the_one_stated(points):
    frequency, step = 0.05, 1.0
    bound = (np.pi * frequency * step) ** points / np.sqrt(np.pi * points / 2)
    time = step * np.arange(400)
    series = jnp.asarray(np.sin(2 * np.pi * frequency * time))
    indices = jnp.arange(60, 340)
    errors = []
    for shift in (3.0, 10.25, -7.5, 20.5):
        values = delayed(series, jnp.asarray(shift), jnp.asarray(0.0), indices, points=points)
        errors.append(np.max(np.abs(values - np.sin(2 * np.pi * frequency * (time[60:340] - shift)))))
    assert errors[0] < 1e-14  # whole samples
    assert 0.8 * bound < max(errors) < 1.05 * bound


def test_values_beyond_the_series_are_nan():
    series = jnp.ones(50)
    values = delayed(series, jnp.asarray(10.5), jnp.asarray(0.0), jnp.arange(50), points=8)
    np.testing.assert_array_equal(np.isnan(values), np.arange(50) < 14)
    values = delayed(series, jnp.asarray(-10.5), jnp.asarray(0.0), jnp.arange(50), points=8)
    np.testing.assert_array_equal(np.isnan(values), np.arange(50) > 35)


# delays and combinations


def test_nested_delays_are_those_of_light_that_is_followed():
    rates = {link: (-1) ** n * 1e-3 * (n + 1) for n, link in enumerate(LINKS)}
    times = tdi.LightTimes({link: 8.0 + 0.1 * n for n, link in enumerate(LINKS)}, rates)
    for word in ((), ("12",), ("-31",), ("12", "23", "-13", "-21", "23"), ("31", "-31")):
        constant, rate = times.delay(word)
        for t in (0.0, -300.0, 4e4):
            np.testing.assert_allclose(t - constant - rate * t, times.follow(word, t), rtol=1e-13, atol=1e-12)


def test_light_times_of_a_detector():
    unequal = dataclasses.replace(tdi.LISA, arm_length=(2.5e9, 2.6e9, 2.4e9))
    times = tdi.LightTimes.of(unequal, {"12": 3e-8, "21": 1e-8, "31": -2e-8})
    assert times.at_zero["32"] == times.at_zero["23"] == 2.6e9 / 299792458.0
    assert times.rate == {"12": 3e-8, "21": 1e-8, "31": -2e-8, "13": -2e-8, "23": 0.0, "32": 0.0}


@pytest.mark.parametrize("doppler", [True, False])
@pytest.mark.parametrize("channel", ["X", "P"])
def test_a_combination_of_sines(channel, doppler):
    """Arms that change by 1e-3, so that delays cross many samples; "P" has advances."""
    rates = {link: (-1) ** n * 1e-3 * (n + 1) for n, link in enumerate(LINKS)}
    times = tdi.LightTimes({link: 8.0 + 0.1 * n for n, link in enumerate(LINKS)}, rates)
    links, functions = sine_links(0.04, 0.5, 1500, start=100.0)
    result = tdi.combine_links(links, times, channel, doppler=doppler)
    expected = np.zeros(len(result.time))
    for link, word, value in tdi.combination(channel).terms:
        met = np.array([times.follow(word, t) for t in np.asarray(result.time)])
        factor = times.follow(word, 1.0) - times.follow(word, 0.0) if doppler else 1.0
        expected += value * factor * functions[link](met)
    np.testing.assert_allclose(result.values, expected, rtol=0, atol=2e-12)
    assert result.name == channel
    assert len(result.time) > 1200


@pytest.mark.parametrize("channel", ["X", "P"])
def test_as_much_as_possible_is_kept(channel, light_times):
    """What the samples do not reach is NaN if it is asked for."""
    links, _ = sine_links(0.01, 1.0, 400)
    kept = tdi.combine_links(links, light_times, channel)
    whole = tdi.combine_links(links, light_times, channel, margin=0.0)
    inside = np.isin(whole.time, kept.time)
    np.testing.assert_array_equal(np.isfinite(whole.values), inside)
    np.testing.assert_allclose(np.asarray(whole.values)[inside], kept.values, rtol=1e-12, atol=1e-14)


# laser noise


def test_generation_1_leaves_laser_noise_where_generation_2_does_not(light_times, secondary, lasers):
    total = dataclasses.replace(secondary, values=secondary.values + lasers.values)
    first = Spectrum(tdi.combine_links(total, light_times, "X", generation=1), 2e-3, 5e-3)
    noise = np.asarray(tdi.noise_psd(first.frequency, tdi.LISA, "X", generation=1))
    assert np.max(np.sqrt(first.psd / noise)) > 3.0
    assert np.all(np.sqrt(first.psd / noise) > 2.5)
    second = Spectrum(tdi.combine_links(lasers, light_times, "X"), 2e-3, 5e-3)
    noise = np.asarray(tdi.noise_psd(second.frequency, tdi.LISA, "X"))
    assert np.max(np.sqrt(second.psd / noise)) < 1e-4
    # Frequencies that are delayed without the Doppler shift of the arms would not cancel either.
    plain = Spectrum(tdi.combine_links(lasers, light_times, "X", doppler=False), 2e-3, 5e-3)
    assert np.min(np.sqrt(plain.psd / noise)) > 0.5


def test_generation_1_leaves_the_laser_noise_that_its_light_times_foretell(light_times, lasers):
    """A mismatch dt of the light times leaves 2 pi f dt of the laser's frequency noise."""
    mismatch = tdi.light_time_residual(tdi.combination("X", generation=1), light_times)
    measured = Spectrum(tdi.combine_links(lasers, light_times, "X", generation=1), 1e-3, 0.095)

    def residual(f):
        return (2.0 * np.pi * f * mismatch * LASER) ** 2

    expected = measured.smoothed(residual)
    assert min(measured.probability(expected)) > 1e-3
    assert measured.probability(1.1 * expected)[0] < 1e-6


def test_laser_noise_of_a_link_is_that_of_two_lasers_up_to_the_band(light_times, lasers):
    link = tdi.combine_links(lasers, light_times, tdi.link("12"))
    inside = Spectrum(link, 1e-3, 0.097)

    def two(f):
        return np.full_like(f, 2.0 * LASER**2)

    assert min(inside.probability(inside.smoothed(two))) > 1e-3
    outside = Spectrum(link, 0.15, 0.5)
    assert np.max(outside.psd) < 1e-9 * LASER**2


def test_parts_add_up_and_keys_decide(light_times, secondary, lasers):
    both = tdi.simulate_links(light_times, tdi.LISA.noise, laser=LASER, key=jax.random.key(2), **TIMES)
    rounding = 1e-15 * np.max(np.abs(lasers.values))
    np.testing.assert_allclose(both.values, secondary.values + lasers.values, rtol=0, atol=rounding)
    other = tdi.simulate_links(light_times, None, laser=LASER, key=jax.random.key(3), **TIMES)
    assert abs(np.corrcoef(other["12"], lasers["12"])[0, 1]) < 0.05
    again = tdi.simulate_links(light_times, None, laser=LASER, key=jax.random.key(2), **TIMES)
    np.testing.assert_array_equal(again.values, lasers.values)


# secondary noise


@pytest.mark.parametrize("channel", ["X", "alpha", "zeta"])
def test_spectra_of_secondary_noise_are_the_closed_forms(channel, light_times, secondary):
    measured = Spectrum(tdi.combine_links(secondary, light_times, channel), 1e-3, 0.095)
    expected = measured.smoothed(lambda f: tdi.noise_psd(f, tdi.LISA, channel))
    assert min(measured.probability(expected)) > 1e-3
    assert measured.probability(1.1 * expected)[0] < 1e-6
    assert measured.probability(expected / 1.1)[0] < 1e-6


def test_spectra_of_unequal_links_are_the_numerical_ones():
    noise = tdi.InstrumentNoise(
        acceleration=(1e-15, 4e-15, 2e-15, 3e-15, 2e-15, 9e-15),
        displacement=(5e-12, 15e-12, 40e-12, 9e-12, 15e-12, 1e-12),
    )
    det = tdi.Detector((2.5e9, 2.9e9, 2.3e9), noise)
    times = tdi.LightTimes.of(det)
    links = tdi.simulate_links(times, noise, key=jax.random.key(5), **TIMES)
    measured = Spectrum(tdi.combine_links(links, times, "U", generation=1), 1e-3, 0.095)
    expected = measured.smoothed(lambda f: tdi.noise_psd(f, det, "U", generation=1, method="numerical"))
    assert min(measured.probability(expected)) > 1e-3
    assert measured.probability(1.1 * expected)[0] < 1e-6


# transformations


def test_light_times_are_found_by_gradient_where_the_laser_noise_is_least():
    """The power that is left in X is a parabola of the light time: its gradient at two places leads to the least."""
    true = tdi.LightTimes.of(dataclasses.replace(tdi.LISA, arm_length=(2.5e9, 2.52e9, 2.47e9)))
    links = tdi.simulate_links(true, None, laser=LASER, duration=1000.0, step=1.0, key=jax.random.key(4), band=0.05)

    @jax.jit
    @jax.value_and_grad
    def power(time):
        times = tdi.LightTimes({**true.at_zero, "12": time})
        series = tdi.combine_links(links, times, "X", generation=1, margin=60.0, points=16)
        return jnp.mean((series.values / LASER) ** 2)

    before, after = (power(true.at_zero["12"] + offset) for offset in (1e-6, 3e-6))
    middle = power(true.at_zero["12"] + 2e-6)[1]
    np.testing.assert_allclose(middle, (after[0] - before[0]) / 2e-6, rtol=1e-6)
    found = 1e-6 - before[1] * 2e-6 / (after[1] - before[1])
    assert abs(found) < 1e-11


def test_keys_are_mapped_over(light_times):
    keys = jax.random.split(jax.random.key(0), 3)

    def draw(key):
        links = simulate(light_times=light_times, laser=LASER, key=key, points=8)
        return tdi.combine_links(links, light_times, "alpha", points=8).values

    many = jax.jit(jax.vmap(draw))(keys)
    one = draw(keys[1])
    np.testing.assert_allclose(many[1], one, rtol=0, atol=1e-6 * np.max(np.abs(one)))


# input


def simulate(**changed):
    options = {"light_times": tdi.LightTimes.of(tdi.LISA), "noise": tdi.LISA.noise, "duration": 300.0, "step": 1.0}
    return tdi.simulate_links(**{**options, "key": jax.random.key(0), **changed})


def test_shapes_units_and_quantities():
    from astropy import units as u

    shape = {"laser": LASER, "laser_shape": lambda f: 1.0 + 0.002 / f}
    links = simulate(duration=5 * u.min, step=1.0 * u.s, start=-2.0, points=8, **shape)
    assert links.values.shape == (6, 300)
    assert links.values.dtype == jnp.float64
    np.testing.assert_array_equal(links.time[:2], [-2.0, -1.0])
    np.testing.assert_array_equal(links["31"], links.values[2])
    assert links.units == tdi.combine_links(links, tdi.LightTimes.of(tdi.LISA), "alpha", points=8).units == ""
    one = simulate(noise=None, laser=(0.0, LASER, 0.0), points=8)
    assert np.all(one["13"] == 0.0)
    assert np.all(one["12"] != 0.0)


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"light_times": 8.3}, TypeError, "light_times"),
        ({"noise": 1e-15}, TypeError, "noise"),
        ({"key": 3}, TypeError, "key"),
        ({"duration": 1.0}, ValueError, "duration: expected two steps"),
        ({"duration": -1.0}, ValueError, "duration: expected a positive number of seconds"),
        ({"step": 0.0}, ValueError, "step: expected a positive number of seconds"),
        ({"band": 0.45}, ValueError, "band: expected a frequency from .* the Nyquist frequency over 1.2; got 0.45 Hz"),
        ({"points": 7}, ValueError, "points: expected an even number"),
        ({"laser": (1e-13, 1e-13)}, ValueError, "laser: expected one amplitude or three"),
        ({"laser": -1.0}, ValueError, "laser: expected finite values of at least zero"),
        ({"laser": 1e-13, "laser_shape": ([0.01, 1.0], [1.0, 1.0])}, ValueError, "within the table of laser_shape"),
    ],
)
def test_simulation_refuses_what_it_cannot_mean(changed, error, message):
    with pytest.raises(error, match=message):
        simulate(**changed)


def test_combinations_refuse_what_they_cannot_mean(light_times):
    links, _ = sine_links(0.01, 1.0, 80)
    with pytest.raises(TypeError, match="links"):
        tdi.combine_links(links.values, light_times)
    with pytest.raises(TypeError, match="light_times"):
        tdi.combine_links(links, tdi.LISA)
    with pytest.raises(ValueError, match="optimal"):
        tdi.combine_links(links, light_times, "optimal")
    with pytest.raises(ValueError, match="links: expected a series longer than 80 samples of 1 s"):
        tdi.combine_links(links, light_times, "X")
    with pytest.raises(ValueError, match="points: expected an even number"):
        tdi.combine_links(links, light_times, "X", points=66)
    with pytest.raises(TypeError, match="margin: expected a number, because the light times are traced"):
        jax.jit(lambda t: tdi.combine_links(links, tdi.LightTimes({**light_times.at_zero, "12": t})).values)(8.3)
    with pytest.raises(TypeError, match="must be known, not traced"):
        jax.jit(lambda t: simulate(light_times=tdi.LightTimes({**light_times.at_zero, "12": t})).values)(8.3)
    with pytest.raises(ValueError, match=r"values: expected the shape \(6, sample\)"):
        tdi.LinkSeries(np.zeros((5, 10)), 1.0)
    with pytest.raises(ValueError, match="link: expected one of"):
        links["11"]
    with pytest.raises(ValueError, match="rate: expected one of"):
        tdi.LightTimes.of(tdi.LISA, {"11": 1e-8})
    with pytest.raises(ValueError, match="rate: expected rates between -1 and 1"):
        tdi.LightTimes(light_times.at_zero, dict.fromkeys(LINKS, 2.0))
    with pytest.raises(TypeError, match="det"):
        tdi.LightTimes.of(2.5e9)


def test_laser_noise_needs_64_bits(light_times):
    with jax.enable_x64(False):
        with pytest.raises(PrecisionError, match="jax_enable_x64"):
            simulate()
        with pytest.raises(PrecisionError, match="jax_enable_x64"):
            tdi.combine_links(tdi.LinkSeries(np.zeros((6, 400), np.float32), 1.0), light_times)


# every family, to a per cent


@pytest.fixture(scope="module")
def longer(light_times):
    times = {"duration": 4e5, "step": 1.0, "start": -2e5}
    return tdi.simulate_links(light_times, tdi.LISA.noise, key=jax.random.key(11), **times)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["michelson", "sagnac", "monitor", "beacon", "relay"])
def test_spectra_of_every_family(family, light_times, longer):
    for channel in ("single", "A", "T"):
        measured = Spectrum(tdi.combine_links(longer, light_times, channel, family=family), 1e-3, 0.095)
        expected = measured.smoothed(lambda f, c=channel: tdi.noise_psd(f, tdi.LISA, c, family=family))
        assert min(measured.probability(expected)) > 1e-3, channel
        assert measured.probability(1.04 * expected)[0] < 1e-4, channel


def test_the_derivative_by_an_amplitude_is_known_where_it_is_zero():
    def link(amplitude):
        noise = tdi.InstrumentNoise(acceleration=amplitude, displacement=2.0 * amplitude)
        return jnp.sum(simulate(noise=noise, points=8)["12"])

    # The noise is linear in its amplitudes.
    np.testing.assert_allclose(jax.grad(link)(0.0), link(1e-12) / 1e-12, rtol=1e-9)


def test_light_times_are_quantities_or_seconds():
    from astropy import units as u

    plain = dict.fromkeys(LINKS, 8.3)
    quantities = tdi.LightTimes(dict.fromkeys(LINKS, 8300.0 * u.ms), dict.fromkeys(LINKS, 0.0 * u.one))
    assert quantities.at_zero == pytest.approx(plain)
    with pytest.raises(UnitsError, match="at_zero"):
        tdi.LightTimes(dict.fromkeys(LINKS, 8.3 * u.m))
