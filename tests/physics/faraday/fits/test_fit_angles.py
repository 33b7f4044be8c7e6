"""The fit of angles against brute force over integers, closed forms and the fit of Q and U; and bad input."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy import units as u

from physics import faraday
from physics.errors import UnitsError
from physics.faraday.simulate import FOUR_BANDS

L = np.asarray(faraday.lambda_squared(np.array(FOUR_BANDS)))
L4 = L.reshape(4, 4).mean(axis=1)
LIMIT = 20_000.0


def observed(rm, wavelengths, snr, rng):
    """Angles and their errors from Q and U of amplitude 1, a pixel for each rm."""
    rm = np.asarray(rm)
    p = np.exp(2j * (0.4 + rm[..., None] * wavelengths))
    p = p + (rng.normal(size=p.shape) + 1j * rng.normal(size=p.shape)) / snr
    return 0.5 * np.angle(p), 0.5 / (snr * np.abs(p))


def brute_force(angle, covariance, wavelengths, limit):
    """Slopes, misfits and covariance of every set of half turns within the limit, best first."""
    turns = 2 * limit * np.ptp(wavelengths) / np.pi
    numbers = np.array(list(itertools.product((0,), *[range(-int(turns) - 2, int(turns) + 3)] * (len(angle) - 1))))
    y = angle + np.pi * numbers
    inverse = np.linalg.inv(covariance)
    X = np.stack([wavelengths, np.ones(len(angle))], axis=1)
    spread = np.linalg.inv(X.T @ inverse @ X)
    solution = y @ inverse @ X @ spread
    residual = y - solution @ X.T
    misfit = np.einsum("ki,ij,kj->k", residual, inverse, residual)
    misfit[np.abs(solution[:, 0]) > limit] = np.inf
    order = np.argsort(misfit)
    return solution[order], misfit[order], spread


@pytest.fixture(scope="module")
def pixels():
    rng = np.random.default_rng(1)
    angle, error = observed(rng.uniform(-16_000, 16_000, 60), L4, 5.0, rng)
    # A few of noise alone, where any branch may win.
    angle[50:], error[50:] = rng.uniform(-1.5, 1.5, (10, 4)), rng.uniform(0.05, 0.5, (10, 4))
    return angle, error, faraday.fit_angles(L4, angle, error, max_rm=LIMIT, rm_prior=None)


def test_branches_are_those_of_brute_force(pixels):
    angle, error, fit = pixels
    assert np.mean(fit.determined) > 0.8
    for i in np.flatnonzero(fit.determined):
        solution, misfit, spread = brute_force(angle[i], np.diag(error[i] ** 2), L4, LIMIT)
        np.testing.assert_allclose(fit.rm[i], solution[0, 0], rtol=1e-9, atol=1e-8)
        np.testing.assert_allclose(fit.chi2[i], misfit[0], rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(fit.covariance[i], spread, rtol=1e-12)
        kept = np.isfinite(fit.alias_log_odds[i])
        odds = 0.5 * (misfit[0] - misfit)
        count = min(int(kept.sum()), int((odds > -12).sum()))
        np.testing.assert_allclose(fit.alias_rm[i, :count], solution[:count, 0], rtol=1e-9, atol=1e-8)
        np.testing.assert_allclose(fit.alias_log_odds[i, :count], odds[:count], rtol=0, atol=1e-8)
    assert fit.amplitude is None
    assert np.all(np.asarray(fit.dof) == 2)


def test_closed_form_to_rounding():
    """Equation of a weighted line in its textbook form, on angles that need no half turns."""
    rng = np.random.default_rng(2)
    error = rng.uniform(0.01, 0.05, 16)
    angle = 0.2 + 150.0 * L + error * rng.normal(size=16)
    fit = faraday.fit_angles(L, angle, error, max_rm=3000.0, rm_prior=None)
    w = error**-2
    S, Sx, Sy, Sxx, Sxy = (np.sum(w * v) for v in (1.0, L, angle, L * L, L * angle))
    D = S * Sxx - Sx**2
    rm, evpa0 = (S * Sxy - Sx * Sy) / D, (Sxx * Sy - Sx * Sxy) / D
    np.testing.assert_allclose([fit.rm, fit.evpa0], [rm, evpa0], rtol=1e-10)
    expected = np.array([[S, -Sx], [-Sx, Sxx]]) / D
    np.testing.assert_allclose(fit.covariance, expected, rtol=1e-12)
    np.testing.assert_allclose([fit.rm_error, fit.evpa0_error], np.sqrt(np.diag(expected)), rtol=1e-12)
    np.testing.assert_allclose(fit.chi2, np.sum(w * (angle - evpa0 - rm * L) ** 2), rtol=1e-11)


@pytest.mark.slow
def test_covariance_is_the_spread_of_many_trials():
    """Zero points drawn anew in each trial; 3 %, where the statistical error of a variance of 20,000 is 1 %."""
    rng, trials = np.random.default_rng(21), 20_000
    error, errors = np.full(16, 0.02), faraday.EvpaError()
    band = np.repeat(np.arange(4), 4)
    common = errors.band * rng.normal(size=(trials, 4))[:, band] + errors.channel * rng.normal(size=(trials, 16))
    angle = 0.2 + 150.0 * L + common + error * rng.normal(size=(trials, 16))
    fit = faraday.fit_angles(L, angle, error, max_rm=3000.0, zero_point_error=errors, rm_prior=None, maxima=1)
    true = np.abs(np.asarray(fit.rm) - 150.0) < 2000.0
    assert np.mean(true) > 0.999
    turn = np.asarray(faraday.wrap_angle(fit.evpa0 - 0.2))
    spread = np.cov(np.asarray(fit.rm)[true], turn[true])
    np.testing.assert_allclose(spread, fit.covariance[0], rtol=0.03)


def test_zero_point_errors_are_generalised_least_squares():
    rng = np.random.default_rng(4)
    error = rng.uniform(0.01, 0.05, 16)
    band = np.repeat(np.arange(4), 4)
    errors = faraday.EvpaError()
    angle = 0.2 + 150.0 * L + errors.band * rng.normal(size=4)[band] + 0.05 * rng.normal(size=16)
    C = np.diag(error**2 + errors.channel**2) + errors.band**2 * (band[:, None] == band)
    X = np.stack([L, np.ones(16)], axis=1)
    covariance = np.linalg.inv(X.T @ np.linalg.solve(C, X))
    rm, evpa0 = covariance @ X.T @ np.linalg.solve(C, angle)
    residual = angle - X @ [rm, evpa0]
    wrapped = np.asarray(faraday.wrap_angle(angle))
    fit = faraday.fit_angles(L, wrapped, error, max_rm=3000.0, zero_point_error=errors, rm_prior=None)
    np.testing.assert_allclose([fit.rm, fit.evpa0], [rm, evpa0], rtol=1e-9)
    np.testing.assert_allclose(fit.covariance, covariance, rtol=1e-12)
    np.testing.assert_allclose(fit.chi2, residual @ np.linalg.solve(C, residual), rtol=1e-10)
    # One channel in each band: the common error is one of the channel.
    means = faraday.fit_angles(L4, wrapped[::4], error[::4], max_rm=3000.0, zero_point_error=(0.05, 0.0), rm_prior=None)
    same = faraday.fit_angles(L4, wrapped[::4], np.hypot(error[::4], 0.05), max_rm=3000.0, rm_prior=None)
    np.testing.assert_allclose(means.covariance, same.covariance, rtol=1e-12)
    # A label for all makes it a common offset, which the rotation measure does not see.
    one = faraday.fit_angles(
        L, wrapped, error, max_rm=3000.0, zero_point_error=(0.5, 0.0), band=np.zeros(16, int), rm_prior=None
    )
    alone = faraday.fit_angles(L, wrapped, error, max_rm=3000.0, rm_prior=None)
    np.testing.assert_allclose([one.rm, one.rm_error], [alone.rm, alone.rm_error], rtol=1e-9)
    np.testing.assert_allclose(one.covariance[1, 1] - alone.covariance[1, 1], 0.25, rtol=1e-9)


def test_best_branch_with_common_errors_is_that_of_brute_force():
    """Two channels in a band of common error: the nearest half turns are then not independent."""
    rng = np.random.default_rng(6)
    wavelengths = np.array([5.9e-4, 5.8e-4, 1.6e-4, 0.48e-4])
    angle, error = observed(rng.uniform(-16_000, 16_000, 40), wavelengths, 5.0, rng)
    offset = np.radians(3.0)
    fit = faraday.fit_angles(wavelengths, angle, error, max_rm=LIMIT, zero_point_error=(offset, 0.0), rm_prior=None)
    common = offset**2 * np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    for i in np.flatnonzero(fit.determined):
        solution, misfit, _ = brute_force(angle[i], np.diag(error[i] ** 2) + common, wavelengths, LIMIT)
        np.testing.assert_allclose(fit.rm[i], solution[0, 0], rtol=1e-8)
        np.testing.assert_allclose(fit.chi2[i], misfit[0], rtol=1e-8, atol=1e-9)


def test_prior_enters_the_estimate_and_the_odds(pixels):
    angle, error, _ = pixels
    mean, sd = 1000.0, 3000.0
    fit = faraday.fit_angles(L4, angle[:20], error[:20], max_rm=LIMIT, rm_prior=(mean, sd), odds_limit=1e3)
    for i in np.flatnonzero(fit.determined):
        solution, misfit, spread = brute_force(angle[i], np.diag(error[i] ** 2), L4, LIMIT)
        v = spread[0, 0]
        mass = -0.5 * misfit - 0.5 * (solution[:, 0] - mean) ** 2 / (v + sd**2)
        order = np.argsort(-mass)
        best = solution[order[0], 0]
        np.testing.assert_allclose(fit.rm[i], (best * sd**2 + mean * v) / (sd**2 + v), rtol=1e-9)
        np.testing.assert_allclose(fit.rm_error[i], np.sqrt(v * sd**2 / (v + sd**2)), rtol=1e-12)
        np.testing.assert_allclose(fit.alias_log_odds[i, 1], mass[order[1]] - mass[order[0]], rtol=0, atol=1e-8)
        flat = 0.5 * (misfit[order[0]] - misfit[order[1]])
        np.testing.assert_allclose(fit.alias_log_odds_flat[i, 1], flat, rtol=0, atol=1e-8)


def test_agrees_with_the_fit_of_q_and_u_where_angles_are_good():
    rng = np.random.default_rng(8)
    rm = rng.uniform(-16_000, 16_000, 20)
    p = np.exp(2j * (0.4 + rm[:, None] * L)) + 0.02 * (rng.normal(size=(20, 16)) + 1j * rng.normal(size=(20, 16)))
    ours = faraday.fit_angles(L, 0.5 * np.angle(p), 0.01 / np.abs(p), max_rm=LIMIT)
    other = faraday.fit_rotation(L, p.real, p.imag, 0.02, max_rm=LIMIT, amplitude="free")
    np.testing.assert_array_less(np.abs(np.asarray(ours.rm - other.rm)), 0.01 * np.asarray(other.rm_error))
    np.testing.assert_allclose(ours.rm_error, other.rm_error, rtol=1e-3)
    np.testing.assert_allclose(ours.evpa0_error, other.evpa0_error, rtol=1e-3)
    turn = faraday.wrap_angle(ours.evpa0 - other.evpa0)
    np.testing.assert_array_less(np.abs(np.asarray(turn)), 0.01 * np.asarray(other.evpa0_error))
    np.testing.assert_allclose(ours.chi2, other.chi2, rtol=0.01)
    np.testing.assert_allclose(ours.p_value, other.p_value, atol=0.01)


def test_masked_channels_and_empty_spectra(pixels):
    angle, error, _ = pixels
    mask = np.ones((3, 4), bool)
    mask[0, 1] = False
    mask[1, 1:] = False
    mask[2] = False
    spoiled = np.where(mask, angle[:3], 1e9)
    wrong = np.where(mask, error[:3], -1.0)
    fit = faraday.fit_angles(L4, spoiled, wrong, max_rm=LIMIT, mask=mask, rm_prior=None)
    kept = [0, 2, 3]
    alone = faraday.fit_angles(L4[kept], angle[0, kept], error[0, kept], max_rm=LIMIT, rm_prior=None)
    np.testing.assert_allclose(fit.rm[0], alone.rm, rtol=1e-9)
    np.testing.assert_allclose(fit.covariance[0], alone.covariance, rtol=1e-11)
    np.testing.assert_allclose(fit.alias_log_odds[0, :3], alone.alias_log_odds[:3], rtol=1e-6, atol=1e-9)
    np.testing.assert_array_equal(fit.determined, [bool(alone.determined), False, False])
    np.testing.assert_array_equal(fit.dof, [1, 0, 0])
    assert float(fit.chi2[2]) == 0.0
    # Flagged by infinite errors, and no NaN anywhere.
    assert np.all(np.isinf(fit.rm_error[1:]))
    assert np.all(np.asarray(fit.p_value[1:]) == 1.0)
    for leaf in jax.tree.leaves(fit):
        assert not np.any(np.isnan(leaf))


def test_rotation_beyond_the_limit_is_flagged():
    angle, error = observed([1234.0, -4000.0, 3.0], L4, 100.0, np.random.default_rng(1))
    fit = faraday.fit_angles(L4, angle, error, max_rm=500.0, rm_prior=None)
    np.testing.assert_array_equal(fit.determined, [False, False, True])
    np.testing.assert_array_equal(fit.alias_rm[:, 0], fit.rm)


def test_order_and_repetition_of_channels(pixels):
    angle, error, fit = pixels
    order = [2, 0, 3, 1]
    turned = faraday.fit_angles(L4[order], angle[:, order], error[:, order], max_rm=LIMIT, rm_prior=None)
    np.testing.assert_allclose(turned.rm, fit.rm, rtol=1e-9, atol=1e-7)
    np.testing.assert_allclose(turned.covariance, fit.covariance, rtol=1e-10)
    # Two measurements at one frequency are two measurements.
    twice = np.repeat(np.arange(4), 2)
    double = faraday.fit_angles(L4[twice], angle[:, twice], error[:, twice], max_rm=LIMIT, rm_prior=None)
    np.testing.assert_allclose(double.rm, fit.rm, rtol=1e-9, atol=1e-7)
    np.testing.assert_allclose(double.rm_error, fit.rm_error / np.sqrt(2.0), rtol=1e-10)


def test_leading_shape_jit_vmap_and_gradient(pixels):
    angle, error, fit = pixels

    def rm(a):
        return faraday.fit_angles(L4, a, error[:6].reshape(2, 3, 4), max_rm=LIMIT, rm_prior=None, chunk_size=4).rm

    shaped = angle[:6].reshape(2, 3, 4)
    np.testing.assert_allclose(rm(shaped), fit.rm[:6].reshape(2, 3), rtol=1e-12)
    np.testing.assert_allclose(jax.jit(rm)(shaped), fit.rm[:6].reshape(2, 3), rtol=1e-9)

    def one(a):
        return faraday.fit_angles(L4, a, error[0], max_rm=LIMIT, rm_prior=None).rm

    np.testing.assert_allclose(jax.vmap(one)(jnp.asarray(np.stack([angle[0], angle[0] + np.pi]))), fit.rm[0], rtol=1e-9)
    w = error[0] ** -2
    centred = L4 - np.sum(w * L4) / w.sum()
    np.testing.assert_allclose(jax.grad(one)(jnp.asarray(angle[0])), w * centred / np.sum(w * centred**2), rtol=1e-10)


def test_float32_finds_the_same_branch():
    rng = np.random.default_rng(12)
    angle, error = observed(rng.uniform(-16_000, 16_000, 2000), L4, 5.0, rng)
    double = faraday.fit_angles(L4, angle, error, max_rm=LIMIT)
    single = faraday.fit_angles(L4, angle.astype(np.float32), error.astype(np.float32), max_rm=LIMIT)
    assert single.rm.dtype == single.covariance.dtype == jnp.float32
    same = np.abs(np.asarray(single.rm) - np.asarray(double.rm)) < 0.01 * np.asarray(double.rm_error)
    # Where two branches agree to rounding, either may come first.
    tie = np.abs(np.asarray(double.alias_log_odds[:, 1])) < 1e-3
    assert np.all(same | tie)
    assert np.mean(same) > 0.999
    np.testing.assert_allclose(single.rm_error, double.rm_error, rtol=1e-5)


def test_units(pixels):
    angle, error, fit = pixels
    same = faraday.fit_angles(
        L4 * 1e4 * u.cm**2, np.degrees(angle[:3]) * u.deg, np.degrees(error[:3]) * u.deg, max_rm=2 * u.rad / u.cm**2,
        rm_prior=None,
    )  # fmt: skip
    np.testing.assert_allclose(same.rm, fit.rm[:3], rtol=1e-9)
    assert same.to_quantity("p_value").unit == u.dimensionless_unscaled


ANGLE, ERROR = np.array([0.1, 0.2, -0.3, 0.4]), np.full(4, 0.02)


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"evpa": 100.0 * ANGLE}, ValueError, "evpa: expected radians, got 40, which looks like degrees"),
        ({"evpa_error": 3.0 * np.ones(4)}, ValueError, "evpa_error: expected radians.*degrees"),
        ({"evpa": ANGLE * u.m}, UnitsError, "evpa"),
        ({"evpa": np.array([np.nan, 0, 0, 0])}, ValueError, "evpa: expected finite"),
        ({"evpa": ANGLE[:3]}, ValueError, r"evpa \(3,\)"),
        ({"evpa": 0.1}, ValueError, "4 channels on the last axis"),
        ({"evpa_error": 0.0}, ValueError, "evpa_error: expected finite, positive"),
        ({"evpa_error": -ERROR}, ValueError, "evpa_error"),
        ({"lambda_squared": np.full(4, 1e-4)}, ValueError, "at least two different"),
        ({"lambda_squared": L4[:1], "evpa": ANGLE[:1], "evpa_error": 0.1}, ValueError, "at least two different"),
        ({"lambda_squared": -L4}, ValueError, "lambda_squared"),
        ({"lambda_squared": np.array(FOUR_BANDS)[::4]}, ValueError, "lambda_squared.*like frequencies in Hz"),
        ({"max_rm": 0.0}, ValueError, "max_rm"),
        ({"max_rm": 1e9}, ValueError, "16384 branches"),
        ({"mask": np.ones(3, bool)}, ValueError, r"mask \(3,\)"),
        ({"mask": [1, 0, 1, 1]}, ValueError, "mask: expected booleans"),
        ({"zero_point_error": (3.0, 0.0)}, ValueError, r"zero_point_error\.band.*degrees"),
        ({"zero_point_error": 0.1}, ValueError, "zero_point_error: expected None, an EvpaError"),
        ({"rm_prior": 5.0}, ValueError, "rm_prior"),
        ({"band": [1, 2]}, ValueError, "band: expected one label"),
        ({"maxima": 0}, ValueError, "maxima"),
        ({"odds_limit": -1.0}, ValueError, "odds_limit"),
        ({"chunk_size": 0}, ValueError, "chunk_size"),
    ],
)
def test_bad_input_is_named(change, error, match):
    arguments = {"lambda_squared": L4, "evpa": ANGLE, "evpa_error": ERROR, "max_rm": 3000.0, **change}
    with pytest.raises(error, match=match):
        faraday.fit_angles(**arguments)


def test_traced_wavelengths_are_refused():
    with pytest.raises(TypeError, match="lambda_squared"):
        jax.jit(lambda x: faraday.fit_angles(x, ANGLE, ERROR, max_rm=3000.0).rm)(L4)
