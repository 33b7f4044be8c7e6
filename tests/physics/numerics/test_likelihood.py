"""Likelihoods against SciPy."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from physics.numerics.likelihood import (
    gaussian_log_likelihood,
    negative_binomial_log_likelihood,
    poisson_log_likelihood,
)


def test_poisson_against_scipy():
    counts, rate = np.array([0, 1, 5, 40]), np.array([0.3, 2.0, 5.5, 31.0])
    result = poisson_log_likelihood(jnp.asarray(counts), jnp.log(jnp.asarray(rate)))
    np.testing.assert_allclose(result, stats.poisson.logpmf(counts, rate), rtol=1e-13)


def test_negative_binomial_against_scipy():
    counts, rate = np.array([0, 1, 5, 40, 7]), np.array([0.3, 2.0, 5.5, 31.0, 1e-3])
    dispersion = np.array([0.5, 1e-2, 3.0, 0.2, 1.0])
    arguments = (jnp.asarray(x) for x in (counts, np.log(rate), np.log(dispersion)))
    expected = stats.nbinom.logpmf(counts, 1.0 / dispersion, 1.0 / (1.0 + dispersion * rate))
    np.testing.assert_allclose(negative_binomial_log_likelihood(*arguments), expected, rtol=1e-11)
    # Without dispersion it is Poisson.
    nearly = negative_binomial_log_likelihood(jnp.asarray(counts), jnp.log(jnp.asarray(rate)), jnp.full(5, -18.0))
    np.testing.assert_allclose(nearly, stats.poisson.logpmf(counts, rate), rtol=1e-4)


def test_gaussian_against_scipy():
    residual, sigma = np.array([-3.0, 0.0, 1.5]), np.array([0.5, 2.0, 1e-20])
    result = gaussian_log_likelihood(jnp.asarray(residual), jnp.asarray(sigma))
    np.testing.assert_allclose(result, stats.norm.logpdf(residual, scale=sigma), rtol=1e-13)


def test_masked_nan_reaches_neither_value_nor_gradient():
    counts, mask = jnp.array([2.0, jnp.nan]), jnp.array([True, False])

    def total(log_rate):
        return jnp.sum(poisson_log_likelihood(counts, log_rate, mask))

    value, gradient = jax.value_and_grad(total)(jnp.array([0.5, 1.0]))
    np.testing.assert_allclose(value, stats.poisson.logpmf(2, np.exp(0.5)), rtol=1e-13)
    np.testing.assert_allclose(gradient, [2.0 - np.exp(0.5), 0.0], rtol=1e-13)

    def gaussian(sigma):
        return jnp.sum(gaussian_log_likelihood(jnp.array([1.0, jnp.nan]), sigma, mask))

    value, gradient = jax.value_and_grad(gaussian)(jnp.array([2.0, 0.0]))
    np.testing.assert_allclose(value, stats.norm.logpdf(1.0, scale=2.0), rtol=1e-13)
    np.testing.assert_allclose(gradient, [1 / 8 - 1 / 2, 0.0], rtol=1e-13)


def test_float32_stays_float32():
    assert poisson_log_likelihood(jnp.array([1]), jnp.array([0.1], jnp.float32)).dtype == jnp.float32
