"""Posteriors of many spectra at the size the specification names; compiled before the clock starts."""

import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physics import faraday

SPECTRA, CHANNELS, SIGMA = 256, 64, 0.005


@pytest.fixture(scope="module")
def spectra():
    rng = np.random.default_rng(0)
    L = np.asarray(faraday.lambda_squared(np.linspace(0.8e9, 12e9, CHANNELS)))
    rm, angle = rng.normal(0.0, 100.0, (SPECTRA, 1)), rng.uniform(-1.5, 1.5, (SPECTRA, 1))
    p = 0.1 * np.exp(2j * (angle + rm * L))
    noise = SIGMA * rng.normal(size=(2, *p.shape))
    return L, p.real + noise[0], p.imag + noise[1]


@pytest.mark.usefixtures("relaxed_promotion")
def test_posteriors_of_256_thin_screens(benchmark, spectra):
    L, q, u = spectra

    def run():
        return jax.block_until_ready(faraday.sample(faraday.ThinScreen, L, q, u, SIGMA, key=jax.random.key(0)))

    run()
    start = time.process_time()
    post = benchmark.pedantic(run, rounds=3)
    benchmark.extra_info["CPU seconds per spectrum"] = (time.process_time() - start) / 3 / SPECTRA
    assert float(jnp.mean(jnp.all(post.r_hat < 1.01, axis=-1))) >= 0.99
    assert float(jnp.min(post.ess)) >= 400.0
