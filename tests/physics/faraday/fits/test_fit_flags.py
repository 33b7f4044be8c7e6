"""What both fits say of spectra and search limits that cannot give an answer, and the p-values of those that can."""

import jax
import numpy as np
import pytest
from scipy import stats

from physics import faraday
from physics.faraday.depth import carried_rm, common_spacing, default_max_rm
from physics.faraday.simulate import FOUR_BANDS

FREQUENCY = np.array(FOUR_BANDS)
L = np.asarray(faraday.lambda_squared(FREQUENCY))
L4 = L.reshape(4, 4).mean(axis=1)


def test_common_spacing_is_the_greatest_common_divisor():
    assert common_spacing(np.array([3.0, 9.0, 24.0]) * 1e-5) == pytest.approx(3e-5, rel=1e-9)
    assert common_spacing(np.array([7.0, 1.0])) == 6.0
    # Real bands have none: what is left is the tolerance.
    assert common_spacing(L4) < 0.01 * np.ptp(L4)


def test_rotation_measures_that_channels_carry():
    # Two channels: everything repeats after pi/dL.
    assert carried_rm(L4[:2]) == pytest.approx(0.5 * np.pi / (L4[0] - L4[1]), rel=1e-9)
    even = np.array([1.0, 2.0, 3.0, 5.0]) * 1e-4
    assert carried_rm(even) == pytest.approx(0.5 * np.pi / 1e-4, rel=1e-9)
    for rm in (1000.0, 9000.0):
        alias = rm - 2 * carried_rm(even)
        np.testing.assert_allclose(np.exp(2j * rm * even), np.exp(2j * alias * even), rtol=0, atol=1e-9)
    # Sixteen channels: the width of those at 12 GHz, at most their distance.
    assert carried_rm(L) == pytest.approx(np.sqrt(3.0) / np.diff(np.sort(L))[-3:].min(), rel=1e-9)
    assert carried_rm(L) == pytest.approx(1.45e5, rel=0.02)
    assert carried_rm(L4) > 1e6
    assert default_max_rm(FREQUENCY[[0, 4]]) == pytest.approx(carried_rm(L[[0, 4]]), rel=1e-12)
    assert default_max_rm(FREQUENCY) == 40_000.0


def test_searches_beyond_it_are_warned_about_with_the_limit():
    p = np.exp(2j * 100.0 * L4[:2])
    with pytest.warns(UserWarning, match=r"max_rm: 20000 rad/m\^2 is more than these channels can carry, 7\d\d\d"):
        fit = faraday.fit_rotation(L4[:2], p.real, p.imag, 0.1, max_rm=2e4)
    # The alias of the warning: both are as probable without a prior.
    assert float(fit.alias_log_odds_flat[1]) == pytest.approx(0.0, abs=0.01)
    with pytest.warns(UserWarning, match="max_rm: 20000"):
        angles = faraday.fit_angles(L4[:2], np.angle(p) / 2, 0.05, max_rm=2e4)
    assert float(angles.alias_log_odds_flat[1]) == pytest.approx(0.0, abs=1e-9)
    assert float(angles.rm) == pytest.approx(float(fit.rm), abs=1.0)


@pytest.mark.parametrize("amplitude", ["constant", "free"])
def test_empty_and_single_channel_spectra_are_flagged_without_nan(amplitude):
    q = np.tile(np.cos(2 * 300.0 * L), (3, 1))
    u = np.tile(np.sin(2 * 300.0 * L), (3, 1))
    mask = np.ones((3, 16), bool)
    mask[1, 1:] = False
    mask[2] = False
    fit = faraday.fit_rotation(L, q, u, 0.1, max_rm=5000.0, mask=mask, amplitude=amplitude, evpa_error=(0.05, 0.05))
    np.testing.assert_array_equal(fit.determined, [True, False, False])
    assert np.all(np.isinf(fit.rm_error[1:])) and np.all(np.isinf(fit.evpa0_error[1:]))  # noqa: PT018
    assert np.all(np.asarray(fit.p_value)[1:] > 0.0)
    for leaf in jax.tree.leaves(fit):
        assert not np.any(np.isnan(leaf))


def test_order_and_repetition_of_channels():
    rng = np.random.default_rng(3)
    p = np.exp(2j * (0.2 + 400.0 * L)) + 0.1 * (rng.normal(size=16) + 1j * rng.normal(size=16))
    order = rng.permutation(16)
    options = {"max_rm": 5000.0, "rm_prior": None, "maxima": 1}
    fit = faraday.fit_rotation(L, p.real, p.imag, 0.1, **options)
    turned = faraday.fit_rotation(L[order], p[order].real, p[order].imag, 0.1, **options)
    twice = np.repeat(order, 2)
    double = faraday.fit_rotation(L[twice], p[twice].real, p[twice].imag, 0.1 * np.sqrt(2.0), **options)
    for other in (turned, double):
        np.testing.assert_allclose(
            [other.rm, other.rm_error, other.evpa0], [fit.rm, fit.rm_error, fit.evpa0], rtol=1e-7
        )


def test_p_value_is_the_tail_of_chi_squared():
    rng = np.random.default_rng(3)
    p = np.exp(2j * (0.2 + 400.0 * L)) + 0.1 * (rng.normal(size=(3, 16)) + 1j * rng.normal(size=(3, 16)))
    fit = faraday.fit_rotation(L, p.real, p.imag, np.array([0.07, 0.1, 0.2])[:, None], max_rm=5000.0)
    np.testing.assert_allclose(fit.p_value, stats.chi2.sf(fit.chi2, fit.dof), rtol=1e-9)
    assert float(fit.p_value[0]) < 0.05 < float(fit.p_value[2])
    # As many numbers as parameters leave nothing to test.
    two = faraday.fit_angles(L4[[0, 3]], np.array([0.1, 0.2]), 0.1, max_rm=2000.0)
    assert float(two.dof) == 0.0
    assert float(two.p_value) == 1.0
