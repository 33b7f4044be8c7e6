"""The closed-form line fit against NumPy's least squares."""

import jax
import jax.numpy as jnp
import numpy as np

from physics.numerics.lstsq import generalised_fit, weighted_line_fit


def test_against_numpy_lstsq():
    rng = np.random.default_rng(3)
    x, y, sigma = rng.normal(5, 1, 9), rng.normal(size=9), rng.uniform(0.5, 2, 9)
    design = np.stack([np.ones(9), x], 1) / sigma[:, None]
    expected, misfit, *_ = np.linalg.lstsq(design, y / sigma, rcond=None)
    covariance = np.linalg.inv(design.T @ design)
    fit = jax.jit(weighted_line_fit)(jnp.asarray(x), jnp.asarray(y), jnp.asarray(sigma**-2))
    np.testing.assert_allclose([fit.intercept, fit.slope], expected, rtol=1e-12)
    np.testing.assert_allclose(fit.intercept_variance, covariance[0, 0], rtol=1e-12)
    np.testing.assert_allclose(fit.slope_variance, covariance[1, 1], rtol=1e-12)
    np.testing.assert_allclose(fit.covariance, covariance[0, 1], rtol=1e-12)
    np.testing.assert_allclose(fit.chi2, misfit[0], rtol=1e-12)


def test_no_cancellation_far_from_the_origin():
    x = 1e8 + jnp.arange(4.0)
    fit = weighted_line_fit(x, 2.0 * (x - 1e8) + 1.0, jnp.ones(4))
    np.testing.assert_allclose(fit.slope, 2.0, rtol=1e-14)


def test_zero_weight_removes_a_point():
    x, y = jnp.array([0.0, 1.0, 2.0, 9.0]), jnp.array([1.0, 3.0, 5.0, -7.0])
    fit = weighted_line_fit(x, y, jnp.array([1.0, 1.0, 1.0, 0.0]))
    np.testing.assert_allclose([fit.slope, fit.intercept, fit.chi2], [2.0, 1.0, 0.0], atol=1e-14)


def test_one_point_leaves_the_slope_undetermined_without_nan():
    fit = weighted_line_fit(jnp.array([3.0, 4.0]), jnp.array([1.0, 2.0]), jnp.array([1.0, 0.0]))
    assert fit.slope == 0.0
    assert np.isinf(fit.slope_variance)
    assert not any(np.isnan(v) for v in fit)


def test_gradient_with_respect_to_the_data_is_the_influence():
    x, w = jnp.arange(5.0), jnp.ones(5)
    influence = jax.grad(lambda y: weighted_line_fit(x, y, w).slope)(jnp.zeros(5))
    np.testing.assert_allclose(influence, (np.arange(5) - 2) / 10, atol=1e-15)


def test_generalised_fit_against_its_normal_equations():
    rng = np.random.default_rng(4)
    design, y, root = rng.normal(size=(7, 3)), rng.normal(size=7), rng.normal(size=(7, 7))
    covariance = root @ root.T + np.eye(7)
    fit = jax.jit(generalised_fit)(jnp.asarray(design), jnp.asarray(y), jnp.asarray(covariance))
    precision = np.linalg.inv(covariance)
    expected = np.linalg.inv(design.T @ precision @ design)
    gain = expected @ design.T @ precision
    residual = y - design @ gain @ y
    np.testing.assert_allclose(fit.covariance, expected, rtol=1e-10)
    np.testing.assert_allclose(fit.gain, gain, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(fit.coefficients, gain @ y, rtol=1e-10)
    np.testing.assert_allclose(fit.chi2, residual @ precision @ residual, rtol=1e-10)
    slope = jax.grad(lambda data: generalised_fit(jnp.asarray(design), data, jnp.asarray(covariance)).coefficients[0])
    np.testing.assert_allclose(slope(jnp.asarray(y)), gain[0], rtol=1e-10, atol=1e-12)


def test_generalised_fit_of_a_line_is_the_weighted_one():
    x, y, weight = jnp.asarray([0.0, 1.0, 3.0]), jnp.asarray([1.0, -1.0, 2.0]), jnp.asarray([1.0, 4.0, 2.0])
    line = weighted_line_fit(x, y, weight)
    fit = generalised_fit(jnp.stack([jnp.ones_like(x), x], axis=1), y, jnp.diag(1.0 / weight))
    np.testing.assert_allclose(fit.coefficients, [line.intercept, line.slope], rtol=1e-12)
    np.testing.assert_allclose(fit.chi2, line.chi2, rtol=1e-12)
