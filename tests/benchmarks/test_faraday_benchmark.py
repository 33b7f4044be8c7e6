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
