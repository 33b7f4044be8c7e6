"""The five statements of the abstract of arXiv:2511.01330, each as a test, with its limits."""

import numpy as np
import pytest

from physics import tdi
from physics.constants import SPEED_OF_LIGHT
from physics.tdi.channels import FAMILIES

TURN = SPEED_OF_LIGHT / (2.0 * np.pi * 2.5e9)
X = np.geomspace(1e-3, 30.0, 41)
F = X * TURN
OFF_NULLS = np.abs(np.sin(6.0 * X)) > 1e-3
"""No splice of 1 to 4 links, nor a common zero of a family, is near."""
READOUT = tdi.Detector(2.5e9, tdi.InstrumentNoise(0.0, 15e-12))


def quotient(channel, generation, family=None):
    options = {"family": family, "generation": generation}
    return np.asarray(tdi.noise_psd(F, tdi.LISA, channel, **options) / tdi.response(F, tdi.LISA, channel, **options))


@pytest.mark.parametrize("channel", ["X", "alpha", "M1", "P", "U", "zeta"])
def test_one_generation_two_is_as_sensitive_as_generation_one(channel):
    """As the quotient of two spectra that differ, not by the shared formula of the sensitivity."""
    first, second = quotient(channel, 1), quotient(channel, 2)
    np.testing.assert_allclose(second[OFF_NULLS], first[OFF_NULLS], rtol=1e-12, atol=0)
    psd = [tdi.noise_psd(F, tdi.LISA, channel, generation=generation) for generation in (1, 2)]
    assert np.max(np.abs(psd[1] / psd[0] - 1.0)) > 0.9


@pytest.mark.parametrize("channel", ["A", "E", "T"])
def test_two_orthogonal_channels_do_not_depend_on_generation_or_family(channel):
    expected = tdi.sensitivity(F, tdi.LISA, channel)
    responses = []
    for family in FAMILIES:
        for generation in (1, 2):
            np.testing.assert_allclose(
                quotient(channel, generation, family)[OFF_NULLS], expected[OFF_NULLS], rtol=1e-11, atol=0
            )
        responses.append(tdi.response(F, tdi.LISA, channel, family=family, generation=1))
    assert np.max(responses[0] / responses[1]) > 1.5


def test_two_the_optimum_of_any_family():
    for family in FAMILIES:
        optimum = 1.0 / sum(1.0 / quotient(channel, 2, family) for channel in "AET")
        expected = tdi.sensitivity(F, tdi.LISA, "optimal")
        np.testing.assert_allclose(optimum[OFF_NULLS], expected[OFF_NULLS], rtol=1e-11, atol=0)


def test_three_a_equals_e_and_t_is_weak_below_three():
    a, e, t = (np.asarray(tdi.sensitivity(F, READOUT, channel)) for channel in "AET")
    np.testing.assert_array_equal(a, e)
    ratio = t / a
    assert np.all(np.diff(ratio[X < 2.9]) < 0)
    assert np.all(ratio[X < 2.5] > 4.5)
    assert np.all(ratio[X < 1.0] > 550.0)
    x = np.resize([1.0, 1.5, 2.0, 2.5, 3.0, 2.882498], 41)
    a, t = (tdi.sensitivity(x * TURN, READOUT, channel) for channel in "AT")
    np.testing.assert_allclose(t / a, np.resize([551.2, 93.5, 21.66, 4.538, 0.639, 1.0], 41), rtol=1e-3)


@pytest.mark.parametrize(
    ("channel", "family", "upper"),
    [
        ("X", "michelson", 2.236),
        ("A", "michelson", 1.551),
        ("M1", "monitor", 1.393),
        ("P", "beacon", 1.393),
        ("U", "relay", 1.189),
    ],
)
def test_four_flat_between_f_n_and_f_t(channel, family, upper):
    """Asymptotically: at x = 1.5 the readout noise alone is above the level by the factor of the specification."""
    level = float(tdi.characteristic_frequencies(tdi.LISA, family).flat_asd) ** 2
    ratio = np.asarray(tdi.sensitivity(np.resize([0.01, 0.1, 1.5], 41) * TURN, READOUT, channel)) / level
    np.testing.assert_allclose(ratio[:2], 1.0, rtol=4e-3, atol=0)
    assert ratio[2] == pytest.approx(upper, rel=5e-4)
    full = np.asarray(tdi.sensitivity(np.resize([0.4, 0.5, 0.7], 41) * TURN, tdi.LISA.white(), channel)) / level
    assert np.all((full[:3] > 1.0) & (full[:3] < 1.2))


def test_four_but_not_sagnac_zeta_and_t():
    slopes = {}
    for channel in ("alpha", "zeta", "T", "X"):
        values = np.asarray(tdi.asd(F, READOUT, channel))
        part = (X > 0.01) & (X < 0.3)
        slopes[channel] = np.polyfit(np.log(F[part]), np.log(values[part]), 1)[0]
    assert slopes == pytest.approx({"alpha": -1.0, "zeta": -2.0, "T": -2.0, "X": 0.0}, abs=0.02)


def test_five_zeta_scales_like_t():
    zeta = tdi.sensitivity(F, tdi.LISA, "zeta")
    for family in FAMILIES:
        np.testing.assert_allclose(quotient("T", 1, family)[OFF_NULLS], zeta[OFF_NULLS], rtol=1e-11, atol=0)
    low = X < 0.1
    for family, power in (("sagnac", 6), ("michelson", 10)):
        response = np.asarray(tdi.response(F, tdi.LISA, "T", family=family, generation=1))
        slope = np.polyfit(np.log(F[low]), np.log(response[low]), 1)[0]
        assert slope == pytest.approx(power, abs=0.02)
    zeta = np.asarray(tdi.response(F, tdi.LISA, "zeta", generation=1))
    assert np.polyfit(np.log(F[low]), np.log(zeta[low]), 1)[0] == pytest.approx(6, abs=0.02)
