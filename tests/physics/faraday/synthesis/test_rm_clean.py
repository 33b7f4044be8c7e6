"""RM-CLEAN against an established package's output, a plain loop, and sources of known truth."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from faraday_references import TWO_FAST, reference_spectrum, synthesis_of

from physics import faraday

RNG = np.random.default_rng(11)
L = np.sort(RNG.uniform(0.03, 0.14, 30))
DEPTH = np.linspace(-300.0, 300.0, 121)
SIGMA = 0.05


def sources(rm, amplitude):
    noise = RNG.normal(size=(2, len(rm), 30))
    p = np.sum(np.asarray(amplitude)[..., None] * np.exp(2j * np.asarray(rm)[..., None] * L), axis=1)
    return p + SIGMA * (noise[0] + 1j * noise[1])


@pytest.fixture(scope="module")
def spectra():
    rm = RNG.uniform(-200.0, 200.0, (20, 2))
    amplitude = 10.0 ** RNG.uniform(-2.0, 0.5, (20, 1)) * np.array([1.0, 0.4])
    return faraday.rm_synthesis(L, sources(rm, amplitude), DEPTH, sigma=SIGMA)


def plain_clean(value, rmsf, threshold, gain, iterations):
    residual, components, count = value.copy(), np.zeros_like(value), 0
    while abs(residual).max() > threshold and count < iterations:
        k = abs(residual).argmax()
        step = gain * residual[k]
        components[k] += step
        residual = residual - step * rmsf[len(value) - k :][: len(value)]
        count += 1
    return components, residual, count


@pytest.mark.parametrize("name", TWO_FAST)
def test_components_and_restored_spectrum_of_the_established_package(reference, name):
    ref = reference_spectrum(reference, name)
    fdf = synthesis_of(reference, name)
    # Its Gaussian has the width 3.8/span, whatever the RMSF.
    span = np.ptp(ref.lambda_squared[ref.mask])
    np.testing.assert_allclose(ref.summary["fwhmRMSF"], 3.8 / span, rtol=1e-3)
    clean = faraday.rm_clean(fdf, threshold=ref.cleaned["cleanCutoff"], fwhm=ref.summary["fwhmRMSF"])
    peak = abs(ref.dirty).max()
    np.testing.assert_allclose(clean.components, ref.components, rtol=0, atol=1e-6 * peak)
    np.testing.assert_allclose(clean.restored, ref.clean, rtol=0, atol=1e-6 * peak)
    assert int(clean.iterations) == ref.cleaned["nIter"]
    np.testing.assert_allclose(clean.spread, ref.cleaned["mom2CCFDF"], rtol=1e-5)
    assert bool(clean.converged)


def test_equals_a_plain_loop_with_thresholds_and_iterations_of_their_own(spectra):
    threshold = np.linspace(0.02, 0.3, 20)
    clean = faraday.rm_clean(spectra, threshold=threshold, gain=0.2, max_iterations=25, chunk_size=8)
    value, rmsf = np.asarray(spectra.value), np.asarray(spectra.rmsf)
    for n in range(20):
        components, residual, count = plain_clean(value[n], rmsf, threshold[n], 0.2, 25)
        np.testing.assert_allclose(clean.components[n], components, rtol=0, atol=1e-12)
        np.testing.assert_allclose(clean.residual[n], residual, rtol=0, atol=1e-12)
        assert int(clean.iterations[n]) == count
        assert bool(clean.converged[n]) == (abs(residual).max() <= threshold[n])
    assert len(set(np.asarray(clean.iterations).tolist())) > 5
    assert 0 < int(clean.converged.sum()) < 20


def test_dirty_is_components_seen_through_the_rmsf_plus_residual(spectra):
    clean = faraday.rm_clean(spectra)
    n = len(DEPTH)
    shifted = np.stack([np.asarray(spectra.rmsf)[n - k : 2 * n - k] for k in range(n)])
    np.testing.assert_allclose(np.asarray(clean.components) @ shifted + clean.residual, spectra.value, atol=1e-11)
    gaussian = np.exp(-4.0 * np.log(2.0) * ((DEPTH[:, None] - DEPTH[None, :]) / float(spectra.fwhm)) ** 2)
    np.testing.assert_allclose(clean.restored, clean.residual + np.asarray(clean.components) @ gaussian, atol=1e-11)
    assert bool(jnp.all(jnp.max(jnp.abs(clean.residual), axis=-1) <= 4.0 * spectra.noise))
    np.testing.assert_allclose(clean.threshold, 4.0 * spectra.noise)


def test_weights_of_their_own_and_an_empty_spectrum(spectra):
    mask = RNG.uniform(size=(20, 30)) > 0.2
    mask[3] = False
    p = np.where(mask, spectra.polarization, np.nan)
    fdf = faraday.rm_synthesis(L, p, DEPTH, sigma=SIGMA, mask=mask)
    clean = faraday.rm_clean(fdf, threshold_sigma=5.0)
    rmsf, value = np.asarray(fdf.rmsf), np.asarray(fdf.value)
    for n in (0, 7, 19):
        components, _, count = plain_clean(value[n], rmsf[n], 5.0 * float(fdf.noise[n]), 0.1, 1000)
        np.testing.assert_allclose(clean.components[n], components, rtol=0, atol=1e-10)
        assert int(clean.iterations[n]) == count
    assert int(clean.iterations[3]) == 0
    np.testing.assert_array_equal(clean.restored[3], 0.0)
    assert np.isfinite(np.asarray(clean.spread)).all()


def test_window(spectra):
    window = np.abs(DEPTH) < 100.0
    clean = faraday.rm_clean(spectra, threshold_sigma=4.0, window=window)
    assert not np.asarray(clean.components)[:, ~window].any()
    assert bool(jnp.all(jnp.max(jnp.abs(clean.residual[:, window]), axis=-1) <= clean.threshold))


def test_two_sources_are_told_apart_and_one_has_no_spread():
    depth = np.linspace(-400.0, 400.0, 801)
    even = np.linspace(0.03, 0.14, 80)
    one = 1.0 * np.exp(2j * 60.0 * even)
    two = one + 0.5j * np.exp(-2j * 90.0 * even)
    fdf = faraday.rm_synthesis(even, np.stack([one, two]), depth)
    clean = faraday.rm_clean(fdf, threshold=1e-3, max_iterations=5000)
    peaks = faraday.find_peaks(clean, count=2, noise=1e-3)
    np.testing.assert_allclose(peaks.depth[1], [60.0, -90.0], atol=0.2)
    np.testing.assert_allclose(peaks.amplitude[1], [1.0, 0.5], rtol=0.01)
    assert float(clean.spread[0]) < 1.0
    # Amplitudes 1 and 1/2 at a distance of 150: sqrt(2/9) 150.
    np.testing.assert_allclose(clean.spread[1], np.sqrt(2.0) / 3.0 * 150.0, rtol=0.02)


def test_single_precision_and_jit(spectra):
    single = faraday.rm_synthesis(L, spectra.polarization.astype(jnp.complex64), DEPTH, sigma=np.float32(SIGMA))
    clean = faraday.rm_clean(single)
    assert clean.restored.dtype == jnp.complex64
    double = faraday.rm_clean(spectra)
    # A component may fall on the neighbouring depth, or one more be taken: the restored spectrum hardly changes.
    np.testing.assert_allclose(clean.restored, double.restored, atol=0.1 * float(double.threshold.min()))
    together = eqx.filter_jit(lambda s: faraday.rm_clean(s, threshold=0.05).residual)(spectra)
    np.testing.assert_allclose(together, faraday.rm_clean(spectra, threshold=0.05).residual, atol=1e-12)


def test_spectra_of_any_leading_shape(spectra):
    shaped = faraday.rm_synthesis(L, spectra.polarization.reshape(4, 5, 30), DEPTH, sigma=SIGMA)
    clean = faraday.rm_clean(shaped, threshold_sigma=np.full((4, 1), 6.0))
    assert clean.iterations.shape == (4, 5)
    flat = faraday.rm_clean(spectra, threshold_sigma=6.0)
    np.testing.assert_allclose(clean.components.reshape(20, -1), flat.components, atol=1e-12)
    alone = faraday.rm_clean(faraday.rm_synthesis(L, spectra.polarization[0], DEPTH, sigma=SIGMA), threshold_sigma=6.0)
    assert alone.iterations.shape == ()
    np.testing.assert_allclose(alone.residual, flat.residual[0], atol=1e-12)


def test_scales_with_the_data(spectra):
    fdf = faraday.rm_synthesis(L, spectra.polarization[:2], DEPTH, sigma=SIGMA)
    twice = faraday.rm_synthesis(L, 2.0 * spectra.polarization[:2], DEPTH, sigma=2.0 * SIGMA)
    a, b = faraday.rm_clean(fdf), faraday.rm_clean(twice)
    np.testing.assert_allclose(b.components, 2.0 * a.components, atol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"threshold": 0.1, "threshold_sigma": 3.0}, "expected one of them, got both"),
        ({"threshold": -0.1}, "threshold: expected finite values of at least zero"),
        ({"threshold_sigma": np.nan}, "threshold_sigma: expected finite"),
        ({"threshold": np.ones(3)}, "shapes do not broadcast"),
        ({"threshold": np.ones((2, 20))}, "threshold: expected one number or one for each"),
        ({"gain": 0.0}, "gain: expected a number above 0"),
        ({"gain": 2.0}, "gain: expected a number above 0"),
        ({"max_iterations": 0}, "max_iterations"),
        ({"window": np.ones(121)}, "window: expected booleans"),
        ({"window": np.ones(7, bool)}, "shapes do not broadcast"),
        ({"fwhm": -1.0}, "fwhm"),
        ({"fwhm": np.ones((2, 20))}, "fwhm: expected one number or one for each"),
    ],
)
def test_bad_input_is_named(spectra, arguments, message):
    with pytest.raises(ValueError, match=message):
        faraday.rm_clean(spectra, **arguments)


def test_other_things_are_refused():
    with pytest.raises(TypeError):
        faraday.rm_clean(np.ones(3))
    fdf = faraday.rm_synthesis(L, np.ones(30, complex), DEPTH)
    with pytest.raises(ValueError, match="needs the noise"):
        faraday.rm_clean(fdf)
