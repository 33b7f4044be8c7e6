"""What users may type, and what they are told when it is wrong."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy import units as u

from physics import tdi
from physics.errors import UnitsError

WHITE = tdi.LISA.white()
FUNCTIONS = (tdi.response, tdi.noise_psd, tdi.sensitivity, tdi.asd, tdi.curve)
F = np.geomspace(1e-4, 1.0, 41)


def test_quantities_are_converted():
    noise = tdi.InstrumentNoise(3.0 * u.fm / u.s**2 / u.Hz**0.5, 15.0 * u.pm / u.Hz**0.5)
    det = tdi.Detector(2.5e6 * u.km, noise)
    assert det.arm_length == pytest.approx(2.5e9, rel=1e-15)
    assert det.noise.acceleration == pytest.approx(3e-15, rel=1e-15)
    assert det.noise.displacement == pytest.approx(15e-12, rel=1e-15)
    np.testing.assert_allclose(tdi.asd(F * 1e3 * u.mHz, det), tdi.asd(F, WHITE), rtol=1e-12, atol=0)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize(
    ("frequency", "error", "message"),
    [
        (np.ones(2) * u.m, UnitsError, "frequency: expected a quantity convertible to Hz, got one in m"),
        ([1e-3, 0.0], ValueError, "frequency: expected finite, positive values, got 0.0 at index 1"),
        ([1e-3, -1.0], ValueError, "frequency: .* got -1.0"),
        ([np.nan], ValueError, "frequency: .* got nan"),
        ([np.inf], ValueError, "frequency: .* got inf"),
        ([], ValueError, "frequency: expected at least one value"),
        ([1e-3 + 1j], ValueError, "frequency: expected a number"),
        (["a"], ValueError, "frequency: expected a number"),
    ],
)
def test_bad_frequencies(function, frequency, error, message):
    with pytest.raises(error, match=message):
        function(frequency, WHITE)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channel": "x"}, "channel: expected one of 'X', 'Y'.*got 'x'"),
        ({"channel": "F"}, "channel: .*got 'F'"),
        ({"channel": "X", "family": "michelson"}, "family: channel 'X' has its own"),
        ({"channel": "zeta", "family": "sagnac"}, "family: channel 'zeta' has its own"),
        ({"channel": "single"}, "family: channel \"single\" needs one of 'michelson'"),
        ({"channel": "A", "family": "Michelson"}, "family: expected one of .* got 'Michelson'"),
        ({"generation": 3}, "generation: expected one of 1, 2; got 3"),
        ({"shift": 0}, "shift: expected a positive whole number, got 0"),
        ({"shift": 2, "generation": 1}, "shift: expected None in generation 1"),
        ({"method": "Exact"}, "method: expected one of 'exact', 'approximate', 'numerical'; got 'Exact'"),
    ],
)
def test_bad_names(function, options, message):
    with pytest.raises(ValueError, match=message):
        function(F, WHITE, **options)


def test_bad_conventions():
    for function in (tdi.response, tdi.sensitivity, tdi.asd, tdi.curve):
        with pytest.raises(ValueError, match="polarization: expected one of 'sum', 'average'; got 'mean'"):
            function(F, WHITE, polarization="mean")
    with pytest.raises(ValueError, match="part: expected one of 'all', 'acceleration', 'displacement'"):
        tdi.noise_psd(F, WHITE, part="oms")


def test_the_optimum_is_a_sensitivity_only():
    for function in (tdi.response, tdi.noise_psd):
        with pytest.raises(ValueError, match=f'"optimal" combines .* it has no {function.__name__}'):
            function(F, WHITE, "optimal")


def test_three_arms_are_kept_but_have_no_closed_form():
    det = tdi.Detector((2.50e9, 2.53e9, 2.48e9), WHITE.noise)
    assert det.arm_length == (2.50e9, 2.53e9, 2.48e9)
    assert tdi.Detector(np.array([2.50, 2.53, 2.48]) * u.Gm, WHITE.noise).arm_length == pytest.approx(det.arm_length)
    for function in FUNCTIONS:
        with pytest.raises(ValueError, match="det: method 'exact' is the closed form for one arm length"):
            function(F, det)


@pytest.mark.parametrize(
    ("arm_length", "error", "message"),
    [
        (-1.0, ValueError, "arm_length: expected finite, positive values, got -1.0"),
        (np.nan, ValueError, "arm_length: .* got nan"),
        (1.0 * u.s, UnitsError, "arm_length: expected a quantity convertible to m, got one in s"),
        ((1e9, 2e9), ValueError, "arm_length: expected 3 elements, got 2"),
        ((1e9, 2e9, 0.0), ValueError, "arm_length: .* got 0.0"),
        (np.ones((2, 2)), ValueError, r"arm_length: expected one number in m, got an array of shape \(2, 2\)"),
        ("long", ValueError, "arm_length: expected a number"),
    ],
)
def test_bad_arms(arm_length, error, message):
    with pytest.raises(error, match=message):
        tdi.Detector(arm_length, WHITE.noise)


def test_bad_noise():
    with pytest.raises(ValueError, match=r"acceleration: expected finite values of at least zero, got -1.0"):
        tdi.InstrumentNoise(-1.0, 1.0)
    with pytest.raises(ValueError, match=r"displacement: .* got nan"):
        tdi.InstrumentNoise(1.0, np.nan)
    with pytest.raises(UnitsError, match="displacement: expected a quantity convertible to m"):
        tdi.InstrumentNoise(1.0, 1.0 * u.m)
    with pytest.raises(TypeError, match="acceleration_shape: expected a callable of frequency or a pair"):
        tdi.InstrumentNoise(1.0, 1.0, acceleration_shape=2.0)
    with pytest.raises(TypeError):
        tdi.Detector(2.5e9, 3e-15)
    with pytest.raises(TypeError):
        tdi.response(F, 2.5e9)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (([1.0, 2.0], [1.0, 2.0, 3.0]), r"displacement_shape factor: expected the shape \(2,\)"),
        (([1.0], [1.0]), "displacement_shape frequency: expected two points or more"),
        (([2.0, 1.0], [1.0, 1.0]), "displacement_shape frequency: expected increasing values"),
        (([0.0, 1.0], [1.0, 1.0]), "displacement_shape frequency: expected finite, positive values"),
        (([1.0, 2.0], [1.0, np.inf]), "displacement_shape factor: expected finite, positive values"),
    ],
)
def test_bad_tables(table, message):
    with pytest.raises(ValueError, match=message):
        tdi.InstrumentNoise(1.0, 1.0, displacement_shape=table)


def test_a_table_and_a_callable_agree_with_the_preset():
    grid = np.geomspace(F[0], F[-1], 4000)
    shape = 1.0 + (2e-3 / grid) ** 4
    own = tdi.LISA.noise.acceleration_shape
    tabulated = tdi.InstrumentNoise(3e-15, 15e-12, own, (grid * u.Hz, shape))
    called = tdi.InstrumentNoise(3e-15, 15e-12, own, lambda f: 1.0 + (2e-3 / f) ** 4)
    expected = tdi.sensitivity(F, tdi.LISA)
    np.testing.assert_allclose(tdi.sensitivity(F, tdi.Detector(2.5e9, called)), expected, rtol=1e-14, atol=0)
    np.testing.assert_allclose(tdi.sensitivity(F, tdi.Detector(2.5e9, tabulated)), expected, rtol=1e-5, atol=0)


def test_a_power_law_table_is_interpolated_exactly():
    noise = tdi.InstrumentNoise(0.0, 15e-12, displacement_shape=([1e-5, 10.0], [1e10, 1e-2]))
    red = tdi.noise_psd(F, tdi.Detector(2.5e9, noise))
    white = tdi.noise_psd(F, tdi.Detector(2.5e9, tdi.InstrumentNoise(0.0, 15e-12)))
    np.testing.assert_allclose(red / white, F**-2.0, rtol=1e-12)


def test_a_table_is_not_extrapolated():
    det = tdi.Detector(2.5e9, tdi.InstrumentNoise(3e-15, 15e-12, ([1e-3, 1e-1], [1.0, 2.0])))
    edges = np.array([1e-3, 1e-1])
    assert np.all(np.isfinite(tdi.asd(edges, det)))
    for outside in (0.9e-3, 0.11):
        message = "frequency: expected values within the table of acceleration_shape, 0.001 to 0.1 Hz"
        with pytest.raises(ValueError, match=message):
            tdi.asd([0.01, outside], det)
        traced = jax.jit(lambda f: tdi.asd(f, det))(jnp.array([0.01, outside]))
        np.testing.assert_array_equal(np.isnan(traced), [False, True])


def test_callables_that_jax_cannot_use():
    for shape, error, message in (
        (lambda f: np.interp(f, [0.0, 1.0], [1.0, 1.0]), TypeError, "displacement_shape: the callable must use"),
        (lambda f: f * jnp.ones(3), ValueError, "displacement_shape: expected one factor per frequency"),
        (lambda f: 2.0 if f > 1e-3 else 1.0, TypeError, "displacement_shape: the callable must use"),
        (lambda f: float(f), TypeError, "displacement_shape: the callable must use"),
        (lambda _: None, TypeError, "displacement_shape: expected the callable to return real factors, got None"),
        (lambda f: jax.lax.complex(f, f), TypeError, "displacement_shape: expected the callable to return real"),
    ):
        det = tdi.Detector(2.5e9, tdi.InstrumentNoise(3e-15, 15e-12, displacement_shape=shape))
        with pytest.raises(error, match=message):
            tdi.asd(F, det)
    negative = tdi.InstrumentNoise(3e-15, 15e-12, displacement_shape=lambda f: 1e-3 - f)
    densities = tdi.asd([0.5e-3, 2e-3], tdi.Detector(2.5e9, negative))
    np.testing.assert_array_equal(np.isnan(densities), [False, True])


def test_presets():
    assert (tdi.LISA.arm_length, tdi.TAIJI.arm_length) == (2.5e9, 3e9)
    assert tdi.TIANQIN.arm_length == pytest.approx(1.7320508e8)
    for det, red, at in ((tdi.LISA, 2.0, 2e-3), (tdi.TAIJI, 2.0, 2e-3), (tdi.TIANQIN, 1.0, 2e-3)):
        f = np.full(41, at)
        options = {"part": "displacement"}
        ratio = tdi.noise_psd(f, det, **options) / tdi.noise_psd(f, det.white(), **options)
        np.testing.assert_allclose(ratio, red, rtol=1e-14)
    f = np.full(41, 0.4e-3)
    ratio = tdi.noise_psd(f, tdi.LISA, part="acceleration") / tdi.noise_psd(f, WHITE, part="acceleration")
    np.testing.assert_allclose(ratio, 2.0 * (1.0 + 0.05**4), rtol=1e-14)
    ratio = tdi.noise_psd(f, tdi.TIANQIN, part="acceleration")
    ratio /= tdi.noise_psd(f, tdi.TIANQIN.white(), part="acceleration")
    np.testing.assert_allclose(ratio, 1.25, rtol=1e-14)


def test_a_changed_copy():
    longer = dataclasses.replace(tdi.LISA, arm_length=5e9)
    assert (longer.arm_length, longer.noise, longer.name) == (5e9, tdi.LISA.noise, "LISA")
    with pytest.raises(ValueError, match="arm_length"):
        dataclasses.replace(tdi.LISA, arm_length=-1.0)


class Branching(eqx.Module):
    """A shape whose whole numbers and truth values choose what it does."""

    knee: float
    steep: bool
    power: int
    places: np.ndarray

    def __call__(self, frequency):
        factors = jnp.stack([1.0 + self.knee / frequency, 1.0 + self.knee / (2.0 * frequency)])[self.places]
        result = factors[0] * jnp.ones_like(frequency)
        for _ in range(self.power - 1):
            result = result * factors[0]
        return result if self.steep else jnp.ones_like(frequency)


@pytest.mark.parametrize("method", ["exact", "numerical"])
def test_whole_numbers_in_a_shape_stay_what_they_are(method):
    for steep, plain in ((True, lambda f: (1.0 + 1e-3 / f) ** 2), (False, None)):
        shape = Branching(1e-3, steep, 2, np.array([0, 1]))
        found, expected = (
            tdi.asd(2e-3, tdi.Detector(2.5e9, tdi.InstrumentNoise(3e-15, 15e-12, one)), method=method)
            for one in (shape, plain)
        )
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_shape_that_cannot_be_hashed_is_named():
    @dataclasses.dataclass
    class Shape:
        knee: float

        def __call__(self, frequency):
            return 1.0 + self.knee / frequency

    with pytest.raises(TypeError, match="displacement_shape: expected a callable that can be hashed"):
        tdi.InstrumentNoise(3e-15, 15e-12, displacement_shape=Shape(1e-3))
