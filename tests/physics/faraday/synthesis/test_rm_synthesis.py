"""Faraday synthesis against direct sums, an established package's output, and its own identities."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from faraday_references import FLAGGED, NO_INTENSITY, reference_spectrum, synthesis_of

from physics import faraday, units
from physics.errors import UnitsError
from physics.faraday.depth import carried_rm, channel_widths
from physics.faraday.synthesis.transform import known_depth

RNG = np.random.default_rng(5)
L = np.sort(RNG.uniform(0.03, 0.14, 24))
P = RNG.normal(size=(3, 24)) + 1j * RNG.normal(size=(3, 24))
SIGMA = RNG.uniform(0.5, 2.0, 24)
DEPTH = np.linspace(-400.0, 400.0, 161)
SIXTEEN = np.concatenate([f + 128e6 * np.arange(4) for f in (12.176e9, 15.176e9, 23.576e9, 42.9765e9)])


def direct(p, w, depth, reference):
    factors = np.exp(-2j * np.outer(L - reference, depth))
    return (p * w) @ factors / np.sum(w, axis=-1)[..., None]


def weighted_mean(w):
    return np.sum(w * L, axis=-1) / np.sum(w, axis=-1)


@pytest.fixture(scope="module")
def plain():
    return faraday.rm_synthesis(L, P, DEPTH, sigma=SIGMA)


@pytest.mark.parametrize("name", NO_INTENSITY)
def test_dirty_spectrum_rmsf_and_noise_of_the_established_package(reference, name):
    ref = reference_spectrum(reference, name)
    fdf = synthesis_of(reference, name)
    np.testing.assert_allclose(fdf.value, ref.dirty, rtol=0, atol=1e-6 * abs(ref.dirty).max())
    np.testing.assert_allclose(fdf.rmsf, ref.rmsf, rtol=0, atol=1e-6)
    np.testing.assert_allclose(fdf.rmsf_depth, ref.rmsf_depth, atol=1e-9)
    np.testing.assert_allclose(fdf.lambda0_squared, ref.summary["lam0Sq_m2"], rtol=1e-11)
    # The package counts flagged channels as if they carried weight, which makes its noise too small.
    counted = np.sqrt(len(ref.mask) / ref.mask.sum()) if name == FLAGGED else 1.0
    np.testing.assert_allclose(fdf.noise, counted * ref.summary["dFDFth"], rtol=1e-12)


def test_spectrum_of_fractions_with_the_stokes_i_model_of_the_established_package(reference):
    ref = reference_spectrum(reference, "d2_thin_stokesI")
    nu0 = ref.summary["freq0_Hz"]
    model = faraday.fit_intensity(ref.frequency, ref.intensity, ref.sigma_i, order=2, reference_frequency=nu0)
    p, sigma, mask = model.fraction(ref.frequency, ref.p, ref.sigma)
    fdf = faraday.rm_synthesis(ref.lambda_squared, p, ref.depth, sigma=sigma, mask=mask)
    # It gives the fraction times the model at the reference frequency.
    scaled = fdf.value * np.asarray(model.coefficients[0]).astype(complex)
    np.testing.assert_allclose(scaled, ref.dirty, rtol=0, atol=1e-3 * abs(ref.dirty).max())
    np.testing.assert_allclose(fdf.rmsf, ref.rmsf, rtol=0, atol=1e-3)
    matched = faraday.rm_synthesis(
        ref.lambda_squared, ref.p, ref.depth, sigma=ref.sigma, amplitude=model(ref.frequency)
    )
    np.testing.assert_allclose(matched.value, fdf.value, rtol=0, atol=1e-12)
    np.testing.assert_allclose(matched.noise, fdf.noise, rtol=1e-12)


def test_equals_the_direct_sum(plain):
    w = 1.0 / SIGMA**2
    np.testing.assert_allclose(plain.value, direct(P, w, DEPTH, weighted_mean(w)), rtol=0, atol=1e-12)
    np.testing.assert_allclose(plain.noise, 1.0 / np.sqrt(w.sum()), rtol=1e-12)
    np.testing.assert_allclose(
        plain.rmsf, direct(np.ones(24), w, np.asarray(plain.rmsf_depth), weighted_mean(w)), rtol=0, atol=1e-12
    )
    assert plain.rmsf.shape == (2 * len(DEPTH) + 1,)


@pytest.mark.parametrize("depth", [DEPTH[3:], np.linspace(-400.0, 400.0, 160), DEPTH + 0.3])
def test_any_grid_in_equal_steps(depth):
    fdf = faraday.rm_synthesis(L, P, depth, weights="uniform")
    np.testing.assert_allclose(fdf.value, direct(P, np.ones(24), depth, L.mean()), rtol=0, atol=1e-12)


def test_weights_of_their_own_for_each_spectrum():
    sigma = RNG.uniform(0.5, 2.0, P.shape)
    mask = RNG.uniform(size=P.shape) > 0.2
    p = np.where(mask, P, np.nan)
    fdf = faraday.rm_synthesis(L, p, DEPTH, sigma=np.where(mask, sigma, -1.0), mask=mask, chunk_size=2)
    w = mask / sigma**2
    mean = weighted_mean(w)
    np.testing.assert_allclose(fdf.lambda0_squared, mean, rtol=1e-12)
    np.testing.assert_allclose(fdf.noise, np.sum(w, axis=-1) ** -0.5, rtol=1e-12)
    for n in range(3):
        np.testing.assert_allclose(fdf.value[n], direct(P[n], w[n], DEPTH, mean[n]), rtol=0, atol=1e-11)
        rmsf = direct(np.ones(24), w[n], np.asarray(fdf.rmsf_depth), mean[n])
        np.testing.assert_allclose(fdf.rmsf[n], rmsf, rtol=0, atol=1e-11)
        half = direct(np.ones(24), w[n], 0.5 * np.asarray(fdf.fwhm)[n : n + 1], mean[n])
        np.testing.assert_allclose(abs(half), 0.5, rtol=1e-9)
    fixed = faraday.rm_synthesis(L, p, DEPTH, sigma=sigma, mask=mask, lambda0_squared=0.0)
    np.testing.assert_allclose(fixed.value, direct(P, mask / sigma**2, DEPTH, 0.0), rtol=0, atol=1e-12)


def test_weights_schemes():
    variance, uniform, even, briggs = (
        faraday.rm_synthesis(L, P, DEPTH, sigma=SIGMA, weights=kind)
        for kind in ("variance", "uniform", "lambda_squared", "briggs")
    )
    np.testing.assert_allclose(uniform.weights, 1.0 / 24.0)
    np.testing.assert_allclose(even.weights, channel_widths(L) / channel_widths(L).sum())
    for robust, limit in ((-4.0, even), (4.0, variance)):
        near = faraday.rm_synthesis(L, P, DEPTH, sigma=SIGMA, weights="briggs", robust=robust)
        np.testing.assert_allclose(near.weights, limit.weights, rtol=1e-5)
    assert float(variance.noise) < float(briggs.noise) < float(even.noise)
    np.testing.assert_allclose(uniform.noise, np.sqrt(np.sum(SIGMA**2)) / 24.0, rtol=1e-12)
    own = faraday.rm_synthesis(L, P, DEPTH, sigma=SIGMA, weights=3.0 / SIGMA**2)
    np.testing.assert_allclose(own.value, variance.value, rtol=0, atol=1e-13)


def test_matched_spectrum_is_the_likelihood_of_the_fit():
    """|F|^2/2 sigma_F^2 is the profile likelihood of `fit_rotation` with the same amplitude."""
    from physics.faraday.fits.coherent import CoherentLikelihood
    from physics.faraday.fits.likelihood import PixelData

    amplitude = np.linspace(1.0, 3.0, 24)
    fdf = faraday.rm_synthesis(L, P[0], DEPTH, sigma=SIGMA, amplitude=amplitude)
    w = jnp.asarray(1.0 / SIGMA**2)
    data = PixelData(jnp.asarray(P[0].real), jnp.asarray(P[0].imag), w, w, jnp.asarray(amplitude))
    heights = CoherentLikelihood(jnp.asarray(L), data, True).heights(jnp.asarray(DEPTH))
    np.testing.assert_allclose(0.5 * jnp.abs(fdf.value) ** 2 / fdf.noise**2, heights, rtol=1e-12, atol=1e-12)


def test_width_and_sidelobe_of_the_sixteen_channel_set():
    squared = np.asarray(faraday.lambda_squared(SIXTEEN))
    fdf = faraday.rm_synthesis(squared, np.ones(16, complex), np.arange(-30000.0, 30001.0, 10.0))
    assert abs(float(fdf.fwhm) - 5204.0) < 5.0
    far = np.asarray(fdf.rmsf_depth) > 10_000.0
    lobe = np.abs(np.asarray(fdf.rmsf))[far]
    first = np.asarray(fdf.rmsf_depth)[far] < 35_000.0
    assert abs(lobe[first].max() - 0.888) < 0.001
    assert abs(np.asarray(fdf.rmsf_depth)[far][first][lobe[first].argmax()] - 28_960.0) <= 10.0


def test_width_of_evenly_filled_channels_is_the_closed_form():
    """|sin x/x| = 1/2 at x = 1.895494: 3.79/span. Both ends alone: |cos| = 1/2, 2 pi/3 span."""
    even = np.linspace(0.03, 0.14, 4001)
    fdf = faraday.rm_synthesis(even, np.ones(4001, complex), DEPTH)
    span = 0.11 * 4001 / 4000
    np.testing.assert_allclose(fdf.fwhm, 2.0 * 1.8954942670 / span, rtol=1e-6)
    ends = faraday.rm_synthesis(np.array([0.03, 0.14]), np.ones(2, complex), DEPTH[79:82])
    np.testing.assert_allclose(ends.fwhm, 2.0 * np.pi / (3.0 * 0.11), rtol=1e-9)


def test_channels_without_order_or_with_repetitions():
    order = RNG.permutation(24)
    shuffled = faraday.rm_synthesis(L[order], P[:, order], DEPTH, sigma=SIGMA[order])
    np.testing.assert_allclose(shuffled.value, faraday.rm_synthesis(L, P, DEPTH, sigma=SIGMA).value, atol=1e-13)
    twice = faraday.rm_synthesis(np.tile(L, 2), np.tile(P, 2), DEPTH, sigma=np.tile(SIGMA, 2))
    np.testing.assert_allclose(twice.value, shuffled.value, atol=1e-13)
    with pytest.raises(ValueError, match="weights: 'lambda_squared' needs different wavelengths"):
        faraday.rm_synthesis(np.tile(L, 2), np.tile(P, 2), DEPTH, weights="lambda_squared")


def test_a_spectrum_without_channels_is_flagged():
    mask = np.ones(P.shape, bool)
    mask[1] = False
    fdf = faraday.rm_synthesis(L, np.where(mask, P, np.nan), DEPTH, sigma=1.0, mask=mask)
    np.testing.assert_array_equal(fdf.valid, [True, False, True])
    np.testing.assert_array_equal(fdf.value[1], 0.0)
    assert np.isinf(fdf.noise[1])
    assert np.isinf(fdf.fwhm[1])
    assert np.isfinite(np.asarray(fdf.value)).all()


def test_single_precision_keeps_its_dtype_and_digits(plain):
    fdf = faraday.rm_synthesis(L, P.astype(np.complex64), DEPTH, sigma=SIGMA.astype(np.float32))
    assert fdf.value.dtype == jnp.complex64
    assert fdf.rmsf.dtype == jnp.complex64
    np.testing.assert_allclose(fdf.value, plain.value, rtol=0, atol=3e-6)
    np.testing.assert_allclose(fdf.fwhm, plain.fwhm, rtol=1e-4)


def test_jit_grad_and_chunks(plain):
    spectrum = jax.jit(lambda p, s: faraday.rm_synthesis(L, p, DEPTH, sigma=s).value)(P, SIGMA)
    np.testing.assert_allclose(spectrum, plain.value, atol=1e-12)
    chunked = faraday.rm_synthesis(L, np.stack([P, 2.0 * P]), DEPTH, sigma=SIGMA, chunk_size=2)
    assert chunked.value.shape == (2, 3, 161)
    np.testing.assert_allclose(chunked.value[0], plain.value, atol=1e-13)

    def power(q):
        p = jax.lax.complex(q, jnp.zeros_like(q))
        return jnp.sum(jnp.abs(faraday.rm_synthesis(L, p, DEPTH, sigma=SIGMA).value) ** 2)

    q, way = jnp.asarray(P[0].real), jnp.asarray(RNG.normal(size=24))
    slope = (power(q + 1e-5 * way) - power(q - 1e-5 * way)) / 2e-5
    np.testing.assert_allclose(jax.grad(power)(q) @ way, slope, rtol=1e-7)


def test_quantities(plain):
    jansky = units.quantity(SIGMA, "mJy")
    p = units.quantity(np.ones(1), "Jy")[0] * P
    fdf = faraday.rm_synthesis(units.quantity(L, "m2"), p, units.quantity(DEPTH, "rad/m2"), sigma=1000.0 * jansky)
    np.testing.assert_allclose(fdf.value, plain.value, atol=1e-12)
    assert str(fdf.to_quantity("fwhm").unit) == "rad / m2"
    with pytest.raises(UnitsError, match="sigma"):
        faraday.rm_synthesis(L, p, DEPTH, sigma=SIGMA)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"lambda_squared": np.linspace(1e9, 2e9, len(L))},
            "lambda_squared: expected m.2, got 1e.09 .* frequencies in Hz",
        ),
        ({"polarization": P.real}, "polarization: expected complex numbers"),
        ({"polarization": P[:, :5]}, "polarization: expected 24 channels"),
        ({"polarization": np.where(np.arange(24) == 3, np.nan, P)}, "polarization: expected finite"),
        ({"lambda_squared": -L}, "lambda_squared: expected finite, positive"),
        ({"lambda_squared": np.ones(24)}, "lambda_squared: expected one axis with at least two different"),
        ({"depth": DEPTH**3}, "depth: expected equal ascending steps"),
        ({"depth": DEPTH[::-1]}, "depth: expected equal ascending steps"),
        ({"depth": 3.0}, "depth: expected at least three"),
        ({"sigma": 0.0}, "sigma: expected finite, positive"),
        ({"sigma": -SIGMA}, "sigma: expected finite, positive"),
        ({"sigma": (SIGMA, -SIGMA)}, "sigma_u: expected finite, positive"),
        ({"sigma": np.ones(7)}, "shapes do not broadcast"),
        ({"sigma": np.ones((4, 3, 24))}, "polarization: expected a shape"),
        ({"mask": np.ones(24)}, "mask: expected booleans"),
        ({"weights": "natural"}, "weights: expected one of"),
        ({"weights": -np.ones(24)}, "weights: expected finite values of at least zero"),
        ({"weights": "briggs", "robust": 9.0}, "robust: expected a number between"),
        ({"amplitude": np.zeros(24)}, "amplitude: expected finite, positive"),
        ({"lambda0_squared": -1.0}, "lambda0_squared"),
        ({"chunk_size": 0}, "chunk_size"),
    ],
)
def test_bad_input_is_named(change, message):
    good = {"lambda_squared": L, "polarization": P, "depth": DEPTH, "sigma": SIGMA}
    with pytest.raises(ValueError, match=message):
        faraday.rm_synthesis(**(good | change))


def test_traced_grids_are_refused():
    with pytest.raises(TypeError, match="depth"):
        jax.jit(lambda d: faraday.rm_synthesis(L, P, d).value)(DEPTH)
    with pytest.raises(TypeError, match="lambda_squared"):
        jax.jit(lambda x: faraday.rm_synthesis(x, P, DEPTH).value)(L)


def test_depths_beyond_the_channels_warn_with_the_limit():
    even = np.linspace(0.03, 0.14, 24)
    limit = carried_rm(even)
    with pytest.warns(UserWarning, match=f"the channels carry {limit:.4g}"):
        faraday.rm_synthesis(even, P, 2.0 * DEPTH)


def test_depth_axis():
    axis = faraday.depth_axis(L, max_depth=300.0, samples=8.0)
    equal = faraday.rm_synthesis(L, P, DEPTH, weights="uniform")
    np.testing.assert_allclose(np.diff(axis), float(equal.fwhm) / 8.0, rtol=1e-9)
    assert axis[-1] >= 300.0 > axis[-2]
    assert 0.0 in axis
    np.testing.assert_array_equal(faraday.depth_axis(L, max_depth=20.0, step=5.0), np.arange(-4, 5) * 5.0)
    widest = faraday.depth_axis(L)
    assert widest[-1] <= carried_rm(L) < widest[-1] + (widest[1] - widest[0])
    with pytest.raises(ValueError, match="at most"):
        faraday.depth_axis(L, max_depth=1e9, step=1.0)
    with pytest.raises(ValueError, match="step"):
        faraday.depth_axis(L, step=-1.0)


def test_single_precision_and_decimal_grids_are_symmetric():
    for grid in (np.linspace(-400.0, 400.0, 161, dtype=np.float32), np.round(np.arange(-3, 4) / 3.0, 8)):
        known = known_depth(grid)
        np.testing.assert_array_equal(known, -known[::-1])
