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
