"""Identities and limits that hold whatever the noise."""

import numpy as np
import pytest

from physics import tdi
from physics.constants import SPEED_OF_LIGHT

FAMILIES = ("michelson", "sagnac", "monitor", "beacon", "relay")
MEMBERS = {"michelson": "XYZ", "sagnac": ("alpha", "beta", "gamma"), "monitor": ("M1", "M2", "M3")}
MEMBERS |= {"beacon": "PQR", "relay": "UVW"}
POINTS = 41
"""The shape of every call in the tests of this room, so that each kernel is compiled once."""

X = np.concatenate([np.geomspace(1e-4, 1e2, POINTS - 5), np.pi * np.array([0.5, 2.0 / 3.0, 1.0, 2.0, 3.0])])
"""Nulls of signal and noise included."""


def repeated(*x: float) -> np.ndarray:
    return np.resize(x, POINTS)


def frequencies(det: tdi.Detector, x: np.ndarray) -> np.ndarray:
    return x * SPEED_OF_LIGHT / (2.0 * np.pi * det.arm_length)


@pytest.fixture(scope="module")
def curves():
    f = frequencies(tdi.LISA, X)
    return {c: tdi.sensitivity(f, tdi.LISA, c) for c in ("A", "E", "T", "zeta", "optimal", "X", "alpha", "M1", "U")}


def test_sensitivity_of_t_is_that_of_zeta_and_of_a_that_of_e(curves):
    np.testing.assert_array_equal(curves["T"], curves["zeta"])
    np.testing.assert_array_equal(curves["A"], curves["E"])


def test_optimum_is_the_harmonic_sum(curves):
    expected = 1.0 / (2.0 / curves["A"] + 1.0 / curves["T"])
    np.testing.assert_allclose(curves["optimal"], expected, rtol=1e-14, atol=0)


def test_optimum_is_below_every_channel(curves):
    for name, curve in curves.items():
        assert np.all(curves["optimal"] <= curve * (1.0 + 1e-14)), name


def test_members_of_a_triple_are_equal():
    f = frequencies(tdi.TAIJI, X)
    for family, members in MEMBERS.items():
        for function in (tdi.response, tdi.noise_psd, tdi.sensitivity):
            single = function(f, tdi.TAIJI, "single", family=family)
            for member in members:
                np.testing.assert_array_equal(function(f, tdi.TAIJI, member), single)


@pytest.mark.parametrize("channel", ["single", "A", "E", "T"])
@pytest.mark.parametrize("family", FAMILIES)
def test_psd_over_response_is_the_sensitivity_in_both_generations(family, channel):
    f = frequencies(tdi.LISA, repeated(0.003, 0.4, 1.2, 2.5, 7.0))
    expected = tdi.sensitivity(f, tdi.LISA, channel, family=family)
    for generation in (1, 2):
        options = {"family": family, "generation": generation}
        psd, response = (function(f, tdi.LISA, channel, **options) for function in (tdi.noise_psd, tdi.response))
        np.testing.assert_allclose(psd / response, expected, rtol=1e-12, atol=0)
        np.testing.assert_array_equal(tdi.sensitivity(f, tdi.LISA, channel, **options), expected)


def test_sensitivities_of_orthogonal_channels_do_not_depend_on_the_family():
    f = frequencies(tdi.LISA, X)
    for channel in ("A", "T", "optimal"):
        reference = tdi.sensitivity(f, tdi.LISA, channel)
        for family in FAMILIES:
            np.testing.assert_array_equal(tdi.sensitivity(f, tdi.LISA, channel, family=family), reference)


def test_the_trace_over_a_triple_is_kept():
    f = frequencies(tdi.LISA, repeated(0.01, 0.8, 3.0, 11.0))
    for function in (tdi.response, tdi.noise_psd):
        for family in FAMILIES:
            single, a, e, t = (function(f, tdi.LISA, c, family=family) for c in ("single", "A", "E", "T"))
            np.testing.assert_allclose(3.0 * single, a + e + t, rtol=1e-13, atol=0)


def test_parts_of_the_noise_add_up():
    f = frequencies(tdi.LISA, X)
    for channel in ("X", "zeta", "U"):
        parts = [tdi.noise_psd(f, tdi.LISA, channel, part=part) for part in ("acceleration", "displacement")]
        np.testing.assert_allclose(parts[0] + parts[1], tdi.noise_psd(f, tdi.LISA, channel), rtol=1e-13, atol=0)


def test_written_out_noise():
    """The classical forms of the PSDs, with their own trigonometry."""
    det = tdi.TIANQIN
    f = frequencies(det, repeated(0.02, 0.6, 1.9, 2.8, 8.0))
    x = 2.0 * np.pi * f * det.arm_length / SPEED_OF_LIGHT
    h = np.sin(0.5 * x) ** 2
    oms = (1e-12 * 2.0 * np.pi * f / SPEED_OF_LIGHT) ** 2
    acc = (1e-15 / (2.0 * np.pi * f * SPEED_OF_LIGHT)) ** 2 * (1.0 + 1e-4 / f)
    double, triple = np.sin(x) ** 2, np.sin(1.5 * x) ** 2
    expected = {
        "X": 16.0 * double * (oms + (3.0 + np.cos(2.0 * x)) * acc),
        "alpha": 6.0 * oms + (8.0 * triple + 16.0 * h) * acc,
        "M1": (8.0 * double + 8.0 * h) * oms + (8.0 * double + 32.0 * h) * acc,
        "P": (8.0 * double + 8.0 * h) * oms + (8.0 * double + 32.0 * h) * acc,
        "U": (4.0 * h + 8.0 * double + 4.0 * triple) * oms + (16.0 * h + 8.0 * double + 16.0 * triple) * acc,
        "zeta": 6.0 * oms + 24.0 * h * acc,
    }
    for channel, psd in expected.items():
        np.testing.assert_allclose(tdi.noise_psd(f, det, channel, generation=1), psd, rtol=1e-13, atol=0)


def test_generation_two_multiplies_by_the_splice():
    f = frequencies(tdi.LISA, repeated(0.02, 0.6, 1.9, 2.8))
    x = 2.0 * np.pi * f * tdi.LISA.arm_length / SPEED_OF_LIGHT
    for channel, default in {"X": 4, "beta": 3, "zeta": 3, "W": 3, "M2": 2, "Q": 1}.items():
        for shift in (None, 5):
            factor = 4.0 * np.sin(0.5 * (shift or default) * x) ** 2
            for function in (tdi.response, tdi.noise_psd):
                ratio = function(f, tdi.LISA, channel, shift=shift) / function(f, tdi.LISA, channel, generation=1)
                np.testing.assert_allclose(ratio, factor, rtol=1e-13, atol=0)


def test_polarization_conventions_differ_by_two():
    f = frequencies(tdi.LISA, repeated(0.02, 0.6))
    ratio = {
        function: function(f, tdi.LISA, "X", polarization="average") / function(f, tdi.LISA, "X")
        for function in (tdi.response, tdi.sensitivity, tdi.asd)
    }
    np.testing.assert_allclose(ratio[tdi.response], 0.5, rtol=1e-15)
    np.testing.assert_allclose(ratio[tdi.sensitivity], 2.0, rtol=1e-15)
    np.testing.assert_allclose(ratio[tdi.asd], np.sqrt(2.0), rtol=1e-15)


def test_asd_is_the_root_of_the_sensitivity(curves):
    f = frequencies(tdi.LISA, X)
    for channel, curve in curves.items():
        np.testing.assert_allclose(tdi.asd(f, tdi.LISA, channel) ** 2, curve, rtol=1e-14, atol=0)


def test_low_frequency_sensitivities():
    det = tdi.LISA.white()
    x = repeated(1e-4, 1e-3)
    f = frequencies(det, x)
    oms = (2.0 * np.pi * f / SPEED_OF_LIGHT * 15e-12) ** 2
    acc = (3e-15 / (2.0 * np.pi * f * SPEED_OF_LIGHT)) ** 2
    expected = {
        "X": 10.0 / 3.0 * (oms + 4.0 * acc) / x**2,
        "A": 10.0 / 3.0 * (oms + 4.0 * acc) / x**2,
        "optimal": 5.0 / 3.0 * (oms + 4.0 * acc) / x**2,
        "M1": 25.0 / 3.0 * (oms + 1.6 * acc) / x**2,
        "P": 25.0 / 3.0 * (oms + 1.6 * acc) / x**2,
        "U": 5.0 * (oms + 8.0 / 3.0 * acc) / x**2,
        "alpha": 5.0 * oms / x**4 + 55.0 / 3.0 * acc / x**2,
        "T": 2016.0 * (oms + x**2 * acc) / x**6,
    }
    for channel, limit in expected.items():
        np.testing.assert_allclose(tdi.sensitivity(f, det, channel), limit, rtol=2e-6, atol=0, err_msg=channel)


def test_low_frequency_response_of_x_has_three_tenths():
    f = frequencies(tdi.LISA, repeated(1e-5, 1e-4))
    x = 2.0 * np.pi * f * tdi.LISA.arm_length / SPEED_OF_LIGHT
    scaled = tdi.response(f, tdi.LISA, "X", generation=1) / (16.0 * x**2 * np.sin(x) ** 2)
    np.testing.assert_allclose(scaled, 0.3 - 507.0 / 5040.0 * x**2, rtol=1e-12)


def test_high_frequency_responses():
    x = 2000.3 + np.linspace(0.0, 6.0, POINTS)
    f = frequencies(tdi.LISA, x)
    c, h = np.cos(x), np.sin(0.5 * x) ** 2
    ka, kc = (7.0 - 12.0 * np.log(2.0)) / 24.0, 5.0 / 24.0 - 0.75 * np.log(4.0 / 3.0)
    bracket = (2.0 + c) * (2.0 / 3.0 + kc * c) - (1.0 + 2.0 * c) * (c / 3.0 + ka) - 3.0 * kc * np.sin(x) ** 2
    a = tdi.response(f, tdi.LISA, "A", family="sagnac", generation=1)
    zeta = tdi.response(f, tdi.LISA, "zeta", generation=1)
    np.testing.assert_allclose(a, 8.0 * h * bracket, rtol=2e-3, atol=2e-3)
    np.testing.assert_allclose(zeta, 6.0 * (2.0 / 3.0 + c / 3.0 - 2.0 * ka - 2.0 * kc * c), rtol=2e-3)


def test_readout_noise_alone_makes_t_weak_at_low_frequency():
    det = tdi.Detector(2.5e9, tdi.InstrumentNoise(0.0, 15e-12))
    f = frequencies(det, repeated(1.0, 1.5, 2.0, 2.5, 3.0, 2.882498))
    ratio = tdi.sensitivity(f, det, "T") / tdi.sensitivity(f, det, "A")
    np.testing.assert_allclose(ratio, repeated(551.2, 93.5, 21.66, 4.538, 0.639, 1.0), rtol=1e-3)


def test_acceleration_noise_alone():
    det = tdi.Detector(2.5e9, tdi.InstrumentNoise(3e-15, 0.0))
    f = frequencies(det, X)
    for channel in ("X", "alpha", "A", "optimal"):
        assert np.all(np.isfinite(tdi.sensitivity(f, det, channel)))
    assert np.all(tdi.sensitivity(f, det, "optimal") <= tdi.sensitivity(f, det, "A"))


def test_flat_levels():
    """Between the acceleration noise and x = 1 the curves are flat."""
    det = tdi.Detector(2.5e9, tdi.InstrumentNoise(0.0, 15e-12))
    f = frequencies(det, repeated(1e-3))
    for channel, level in {"X": 10.0 / 3.0, "M1": 25.0 / 3.0, "U": 5.0, "optimal": 5.0 / 3.0}.items():
        np.testing.assert_allclose(tdi.asd(f, det, channel), np.sqrt(level) * 15e-12 / 2.5e9, rtol=1e-6, atol=0)
