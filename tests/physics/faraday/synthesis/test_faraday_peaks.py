"""Peaks against an established package, the likelihood fit and the Cramer-Rao bound; false alarms against noise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from faraday_references import FLAGGED, TWO_FAST, reference_spectrum, synthesis_of

from physics import faraday

RNG = np.random.default_rng(3)
L = np.linspace(0.03, 0.14, 40)
DEPTH = np.linspace(-300.0, 300.0, 121)
RM = RNG.uniform(-250.0, 250.0, 12)
P = 0.7 * np.exp(2j * (0.4 + RM[:, None] * L)) + 0.1 * (RNG.normal(size=(12, 40)) + 1j * RNG.normal(size=(12, 40)))


@pytest.fixture(scope="module")
def fdf():
    return faraday.rm_synthesis(L, P, DEPTH, sigma=0.1)


@pytest.fixture(scope="module")
def peaks(fdf):
    return faraday.find_peaks(fdf)


@pytest.mark.parametrize("name", TWO_FAST)
def test_peaks_of_the_established_package(reference, name):
    """It takes the vertex of a parabola through three points, here the maximum is exact: within 1e-3 of a width."""
    told = reference_spectrum(reference, name).summary
    fdf = synthesis_of(reference, name)
    peak = faraday.find_peaks(fdf)
    width = float(fdf.fwhm)
    np.testing.assert_allclose(peak.depth[0], told["phiPeakPIfit_rm2"], rtol=0, atol=1e-3 * width)
    np.testing.assert_allclose(peak.amplitude[0], told["ampPeakPIfit"], rtol=1e-3)
    np.testing.assert_allclose(peak.amplitude_debiased[0], told["ampPeakPIfitEff"], rtol=1e-3)
    degrees = [float(faraday.degrees_0_180(x[0])) for x in (peak.evpa, peak.evpa0)]
    np.testing.assert_allclose(degrees, [told["polAngleFit_deg"], told["polAngle0Fit_deg"]], atol=0.01)
    # Its error of the depth is width/(2 S/N) with 3.8/span for the width: up to a tenth above the bound for a flat
    # spectrum, while ours is the bound. It counts flagged channels in the noise.
    counted = np.sqrt(160.0 / 132.0) if name == FLAGGED else 1.0
    np.testing.assert_allclose(peak.amplitude_error[0], counted * told["dAmpPeakPIfit"], rtol=1e-9)
    ratio = counted * told["dPhiPeakPIfit_rm2"] / float(peak.depth_error[0])
    assert 1.0 < ratio < 1.15


def test_the_highest_peak_is_the_maximum_of_the_likelihood(peaks):
    fit = faraday.fit_rotation(L, P.real, P.imag, 0.1, max_rm=300.0, rm_prior=None)
    np.testing.assert_allclose(peaks.depth[:, 0], fit.rm, rtol=1e-6)
    np.testing.assert_allclose(peaks.amplitude[:, 0], fit.amplitude, rtol=1e-6)
    np.testing.assert_allclose(peaks.evpa0[:, 0], fit.evpa0, atol=1e-6)
    # The curvature of the likelihood has noise in it, the bound has not.
    np.testing.assert_allclose(peaks.depth_error[:, 0], fit.rm_error, rtol=0.1)


def test_errors_are_the_cramer_rao_bound(fdf, peaks):
    bound = faraday.cramer_rao(L, np.full(40, float(peaks.amplitude[0, 0]) / 0.1))
    np.testing.assert_allclose(peaks.depth_error[0, 0], bound.rm, rtol=1e-9)
    np.testing.assert_allclose(peaks.evpa0_error[0, 0], bound.evpa0, rtol=1e-9)
    np.testing.assert_allclose(peaks.evpa_error[0, 0], 0.5 * fdf.noise / peaks.amplitude[0, 0], rtol=1e-9)


def test_errors_cover_the_scatter_for_unequal_weights():
    """4000 draws at S/N 10 to 40 with weights that are not the best: scatter within 4 per cent of the errors."""
    sigma = np.linspace(0.1, 0.5, 40)
    noise = RNG.normal(size=(2, 4000, 40))
    p = np.exp(2j * (0.1 + 10.0 * L)) + sigma * (noise[0] + 1j * noise[1])
    draws = faraday.synthesis_peaks(L, p, DEPTH, sigma=sigma, weights="uniform", lambda0_squared=0.02)
    for value, error in (
        (draws.depth, draws.depth_error),
        (draws.evpa0, draws.evpa0_error),
        (draws.evpa, draws.evpa_error),
        (draws.amplitude, draws.amplitude_error),
    ):
        np.testing.assert_allclose(np.std(np.asarray(value)), np.median(np.asarray(error)), rtol=0.04)


def test_maps_without_the_cube_are_the_same(peaks):
    mask = np.ones(P.shape, bool)
    image = faraday.synthesis_peaks(L, P.reshape(3, 4, 40), DEPTH, sigma=0.1)
    assert image.depth.shape == (3, 4, 1)
    for name in ("depth", "amplitude", "evpa0", "depth_error", "signal_to_noise"):
        np.testing.assert_allclose(getattr(image, name).reshape(12, 1), getattr(peaks, name), rtol=1e-9, err_msg=name)
    mask[4] = False
    flagged = faraday.synthesis_peaks(L, np.where(mask, P, np.nan), DEPTH, sigma=0.1, mask=mask, threshold_sigma=5.0)
    np.testing.assert_array_equal(flagged.found[:, 0], np.arange(12) != 4)
    assert float(flagged.depth[4, 0]) == 0.0
    assert np.isinf(flagged.depth_error[4, 0])
    np.testing.assert_allclose(flagged.depth[5:], peaks.depth[5:], rtol=1e-8)
    assert np.isfinite(np.asarray(flagged.amplitude)).all()


def test_noise_that_is_given_and_a_threshold(fdf, peaks):
    bare = faraday.rm_synthesis(L, P, DEPTH)
    given = faraday.find_peaks(bare, noise=fdf.noise)
    np.testing.assert_allclose(given.depth_error, peaks.depth_error, rtol=1e-9)
    high = faraday.find_peaks(fdf, threshold_sigma=1000.0, count=3)
    assert not np.asarray(high.found).any()
    with pytest.raises(ValueError, match="noise: needs sigma"):
        faraday.find_peaks(bare)


def test_does_not_depend_on_the_grid(peaks):
    coarse = faraday.find_peaks(faraday.rm_synthesis(L, P, np.linspace(-297.0, 310.0, 90), sigma=0.1))
    np.testing.assert_allclose(coarse.depth, peaks.depth, rtol=1e-9)


def test_gradient_of_the_depth():
    way = jnp.asarray(RNG.normal(size=40))

    def depth(step):
        p = jax.lax.complex(jnp.asarray(P[0].real) + step * way, jnp.asarray(P[0].imag))
        return faraday.synthesis_peaks(L, p, DEPTH, sigma=0.1).depth[0]

    slope = (depth(1e-4) - depth(-1e-4)) / 2e-4
    np.testing.assert_allclose(jax.grad(depth)(0.0), slope, rtol=1e-6)


def test_single_precision(peaks):
    single = faraday.find_peaks(faraday.rm_synthesis(L, P.astype(np.complex64), DEPTH, sigma=np.float32(0.1)))
    assert single.depth.dtype == jnp.float32
    difference = np.abs(np.asarray(single.depth) - np.asarray(peaks.depth))
    assert (difference < 0.02 * np.asarray(peaks.depth_error)).all()


def test_false_alarms_of_noise():
    """Highest of |F|/sigma_F in 4000 spectra of noise against Rice's formula, within 20 per cent."""
    noise = RNG.normal(size=(2, 4000, 40))
    fine = np.linspace(-300.0, 300.0, 241)
    fdf = faraday.rm_synthesis(L, noise[0] + 1j * noise[1], fine, sigma=1.0)
    top = np.asarray(jnp.max(jnp.abs(fdf.value), axis=-1) / fdf.noise)
    for t in (3.0, 3.5):
        measured = (top > t).mean()
        np.testing.assert_allclose(faraday.false_alarm_probability(t, fdf), measured, rtol=0.2)
        # Range over width, the number of independent depths often quoted, tells a third of it.
        quoted = faraday.false_alarm_probability(t, fdf, independent=600.0 / fdf.fwhm)
        assert quoted < 0.5 * measured
    number = faraday.false_alarm_probability(np.array([4.0, 5.0]), fdf, independent=40.0)
    np.testing.assert_allclose(number, 1.0 - (1.0 - np.exp(-np.array([8.0, 12.5]))) ** 40, rtol=1e-9)
    np.testing.assert_allclose(faraday.false_alarm_probability(0.0, fdf), 1.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"count": 0}, "count"),
        ({"threshold_sigma": -1.0}, "threshold_sigma"),
        ({"threshold_sigma": np.ones(3)}, "threshold_sigma: expected one number"),
        ({"noise": 0.0}, "noise: expected finite, positive"),
        ({"noise": np.ones(5)}, "shapes do not broadcast"),
    ],
)
def test_bad_input_is_named(fdf, arguments, message):
    with pytest.raises(ValueError, match=message):
        faraday.find_peaks(fdf, **arguments)


def test_other_things_are_refused(fdf):
    with pytest.raises(TypeError):
        faraday.find_peaks(P)
    with pytest.raises(TypeError):
        faraday.false_alarm_probability(5.0, P)
    with pytest.raises(ValueError, match="threshold_sigma: expected one number"):
        faraday.synthesis_peaks(L, P, DEPTH, sigma=0.1, threshold_sigma=[3.0, 4.0])
    with pytest.raises(ValueError, match="sigma: expected the standard deviation"):
        faraday.synthesis_peaks(L, P, DEPTH, sigma=None)
    with pytest.raises(ValueError, match="signal_to_noise"):
        faraday.false_alarm_probability(-1.0, fdf)
