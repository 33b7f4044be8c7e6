"""Fits of a map at the size the specification names; compiled before the clock starts."""

import jax
import numpy as np
import pytest

from physics import faraday
from physics.faraday.simulate import FOUR_BANDS


@pytest.fixture(scope="module")
def spectra():
    rng = np.random.default_rng(0)
    L = np.asarray(faraday.lambda_squared(np.array(FOUR_BANDS)))
    rm = rng.uniform(-3000.0, 3000.0, (128, 128))
    p = np.exp(2j * (0.3 + rm[..., None] * L))
    noise = rng.normal(size=(2, *p.shape))
    return L, p.real + 0.2 * noise[0], p.imag + 0.2 * noise[1]


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"step": 20.0}, id="4000 depths"),
        pytest.param({}, id="default grid"),
        pytest.param({"amplitude": "free", "evpa_error": faraday.EvpaError()}, id="calibration offsets"),
    ],
)
def test_map_of_128_by_128_pixels_and_16_channels(benchmark, spectra, options, precision):
    L, q, u = spectra
    q, u = q.astype(precision), u.astype(precision)

    def fit():
        return jax.block_until_ready(faraday.fit_rotation(L, q, u, 0.2, max_rm=40_000.0, **options))

    fit()
    result = benchmark.pedantic(fit, rounds=3)
    assert result.rm.shape == (128, 128)


def test_angles_of_512_by_512_pixels_and_4_bands(benchmark):
    """Every branch within 20,000 rad/m^2 at a signal-to-noise ratio of 5, with their odds, in float32."""
    rng = np.random.default_rng(0)
    L = np.asarray(faraday.lambda_squared(np.array(FOUR_BANDS)), float).reshape(4, 4).mean(axis=1)
    rm = rng.uniform(-16_000.0, 16_000.0, (512, 512))
    p = np.exp(2j * (0.3 + rm[..., None] * L))
    p = p + 0.2 * (rng.normal(size=p.shape) + 1j * rng.normal(size=p.shape))
    angle, error = (0.5 * np.angle(p)).astype("float32"), (0.1 / np.abs(p)).astype("float32")

    def fit():
        return jax.block_until_ready(faraday.fit_angles(L, angle, error, max_rm=20_000.0))

    fit()
    result = benchmark.pedantic(fit, rounds=10)
    assert result.rm.dtype == np.float32
    assert result.alias_log_odds.shape == (512, 512, 8)


SPECTRA, CHANNELS, DEPTHS = 65_536, 64, 1001


@pytest.fixture(scope="module")
def faraday_product():
    rng = np.random.default_rng(1)
    p = (rng.normal(size=(SPECTRA, CHANNELS)) + 1j * rng.normal(size=(SPECTRA, CHANNELS))).astype(np.complex64)
    squared, depth = np.linspace(0.03, 0.14, CHANNELS), np.linspace(-500.0, 500.0, DEPTHS)
    factors = np.exp(-2j * np.outer(squared - squared.mean(), depth)).astype(np.complex64)
    return squared, depth, p, factors


def test_numpy_product_of_65536_spectra(benchmark, faraday_product):
    """What synthesis is measured against: it may take 1.4 times as long."""
    _, _, p, factors = faraday_product
    benchmark.pedantic(lambda: p @ factors, rounds=5)


def test_synthesis_of_65536_spectra(benchmark, faraday_product):
    squared, depth, p, _ = faraday_product
    p, sigma = jax.numpy.asarray(p), np.full(CHANNELS, 0.1, np.float32)

    def synthesis():
        return jax.block_until_ready(faraday.rm_synthesis(squared, p, depth, sigma=sigma).value)

    synthesis()
    assert benchmark.pedantic(synthesis, rounds=5).dtype == np.complex64


def test_peaks_of_65536_spectra_without_the_cube(benchmark, faraday_product):
    squared, depth, p, _ = faraday_product
    p, sigma = jax.numpy.asarray(p), np.full(CHANNELS, 0.1, np.float32)

    def peaks():
        return jax.block_until_ready(faraday.synthesis_peaks(squared, p, depth, sigma=sigma).depth)

    peaks()
    benchmark.pedantic(peaks, rounds=3)


@pytest.mark.parametrize("own", [False, True], ids=["one RMSF", "an RMSF each"])
def test_clean_of_4096_spectra(benchmark, faraday_product, own):
    """The time over `iterations` of the extra information is that of one iteration of one spectrum."""
    squared, depth, *_ = faraday_product
    rng = np.random.default_rng(2)
    rm, height = rng.uniform(-400.0, 400.0, (4096, 3)), 10.0 ** rng.uniform(-1.0, 0.5, (4096, 1))
    p = np.sum(height[..., None] * np.array([1.0, 0.5, 0.3])[:, None] * np.exp(2j * rm[..., None] * squared), axis=1)
    noise = rng.normal(size=(2, 4096, CHANNELS))
    p = (p + 0.05 * (noise[0] + 1j * noise[1])).astype(np.complex64)
    sigma = np.full(p.shape if own else CHANNELS, 0.05, np.float32)
    fdf = faraday.rm_synthesis(squared, p, depth, sigma=sigma)

    def clean():
        return jax.block_until_ready(faraday.rm_clean(fdf, threshold_sigma=4.0))

    iterations = int(clean().iterations.sum())
    benchmark.pedantic(clean, rounds=3)
    benchmark.extra_info["iterations"] = iterations
    benchmark.extra_info["microseconds"] = 1e6 * benchmark.stats.stats.min / iterations if benchmark.stats else None


@pytest.fixture(scope="module")
def source():
    return faraday.simulate.small_source(key=jax.random.key(0), size=128).cube


def test_whole_map_of_128_by_128_pixels(benchmark, source):
    """Selection, fits of the polarized pixels, fractions, spectral index, as `fit_map` gives them by default."""
    faraday.fit_map(source)
    maps = benchmark.pedantic(lambda: jax.block_until_ready(faraday.fit_map(source)), rounds=3)
    assert maps.rm.shape == (128, 128)


def test_offsets_from_a_map_of_128_by_128_pixels(benchmark, source):
    maps = faraday.fit_map(source)
    faraday.fit_offsets(source, maps)
    benchmark.pedantic(lambda: jax.block_until_ready(faraday.fit_offsets(source, maps)), rounds=3)
