"""Direct Fourier sums against the FFT and a loop."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physics.numerics.fourier import fourier_sum, phase_factors


@pytest.mark.parametrize("sign", [-1, 1])
def test_on_a_regular_grid_equals_the_fft(sign):
    values = np.random.default_rng(0).normal(size=(2, 16)) + 1j
    frequencies = 2 * np.pi * np.arange(16) / 16
    result = fourier_sum(jnp.asarray(values), jnp.arange(16.0), jnp.asarray(frequencies), sign)
    expected = np.fft.fft(values, axis=1) if sign == -1 else 16 * np.fft.ifft(values, axis=1)
    np.testing.assert_allclose(result, expected, atol=1e-12)


def test_irregular_points_against_a_loop():
    rng = np.random.default_rng(1)
    values, points, frequencies = rng.normal(size=7), rng.uniform(0, 6e-4, 7), np.linspace(-4e4, 4e4, 11)
    expected = [sum(v * np.exp(-1j * k * x) for v, x in zip(values, points, strict=True)) for k in frequencies]
    result = fourier_sum(jnp.asarray(values), jnp.asarray(points), jnp.asarray(frequencies))
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-14)


def test_phase_factors_have_unit_modulus_and_are_differentiable():
    factors = phase_factors(jnp.array([0.0, 2.0]), jnp.array([0.0, 1.5]))
    np.testing.assert_allclose(jnp.abs(factors), 1.0, rtol=1e-15)
    slope = jax.grad(lambda k: phase_factors(jnp.array([2.0]), k[None]).imag.sum())(1.5)
    np.testing.assert_allclose(slope, -2.0 * np.cos(3.0), rtol=1e-14)


def test_float32_in_float32_out():
    result = fourier_sum(jnp.ones(3, jnp.float32), jnp.arange(3, dtype=jnp.float32), jnp.ones(2, jnp.float32))
    assert result.dtype == jnp.complex64
