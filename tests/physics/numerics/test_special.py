"""Special functions against mpmath and their limits."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from physics.numerics import special

POINTS = np.concatenate([np.array([0.0]), np.logspace(-8, 3, 45)])


def test_sinc_against_mpmath():
    expected = np.array([float(mpmath.sin(x) / mpmath.mpf(x)) if x else 1.0 for x in POINTS])
    np.testing.assert_allclose(special.sinc(jnp.asarray(POINTS)), expected, rtol=0, atol=2e-16)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_sinc_derivatives_are_those_of_the_function(order):
    derivative = special.sinc
    for _ in range(order):
        derivative = jax.grad(derivative)
    mpmath.mp.dps = 40
    for x in (0.0, 1e-9, 0.02, 0.0499, 0.0501, 1.3):
        expected = mpmath.diff(lambda t: mpmath.sinc(t), mpmath.mpf(x), order)
        np.testing.assert_allclose(derivative(x), float(expected), rtol=0, atol=3e-9 if x > 0.05 else 1e-13)


def test_log_i0_against_mpmath_without_overflow():
    expected = [float(mpmath.log(mpmath.besseli(0, x))) for x in POINTS]
    np.testing.assert_allclose(special.log_i0(jnp.asarray(POINTS)), expected, rtol=1e-13, atol=1e-15)
    assert np.isfinite(special.log_i0(jnp.float32(1e30)))


def test_log_i0_gradient_is_the_bessel_ratio():
    x = jnp.asarray(POINTS)
    expected = [float(mpmath.besseli(1, t) / mpmath.besseli(0, t)) for t in POINTS]
    np.testing.assert_allclose(jax.vmap(jax.grad(special.log_i0))(x), expected, rtol=1e-13, atol=0)
    np.testing.assert_allclose(special.bessel_ratio(x), expected, rtol=1e-13, atol=0)
    np.testing.assert_allclose(jax.grad(jax.grad(special.log_i0))(jnp.asarray(1e-4)), 0.5, rtol=1e-7)


def test_safe_sqrt_has_zero_gradient_at_and_below_zero():
    x = jnp.array([-1.0, 0.0, 4.0])
    np.testing.assert_array_equal(special.safe_sqrt(x), [0.0, 0.0, 2.0])
    np.testing.assert_array_equal(jax.vmap(jax.grad(special.safe_sqrt))(x), [0.0, 0.0, 0.25])


def test_integral_differences_against_mpmath():
    mpmath.mp.dps = 30
    points = np.logspace(-6, 3, 60)
    computed = special.integral_differences(jnp.asarray(points))
    ci = [[mpmath.ci(n * mpmath.mpf(x)) for n in (1, 2, 3)] for x in points]
    si = [[mpmath.si(n * mpmath.mpf(x)) for n in (1, 2, 3)] for x in points]
    np.testing.assert_allclose(computed.ci_two, [float(b - a) for a, b, _ in ci], rtol=0, atol=8e-15)
    np.testing.assert_allclose(computed.ci_three, [float(a - 2 * b + c) for a, b, c in ci], rtol=0, atol=8e-15)
    np.testing.assert_allclose(computed.si_three, [float(a - 2 * b + c) for a, b, c in si], rtol=0, atol=8e-15)


def test_integral_differences_gradient_is_elementary():
    points = jnp.asarray(np.logspace(-3, 2, 20))
    slope = jax.vmap(jax.grad(lambda x: special.integral_differences(x).ci_two))(points)
    np.testing.assert_allclose(slope, (jnp.cos(2 * points) - jnp.cos(points)) / points, rtol=0, atol=1e-11)
    slope = jax.vmap(jax.grad(lambda x: special.integral_differences(x).si_three))(points)
    expected = (jnp.sin(points) - 2 * jnp.sin(2 * points) + jnp.sin(3 * points)) / points
    np.testing.assert_allclose(slope, expected, rtol=0, atol=1e-11)


def test_exprel_agrees_with_mpmath_on_both_sides_of_the_switch():
    rng = np.random.default_rng(2)
    size = np.concatenate([[0.0], 10.0 ** rng.uniform(-12, 2, 60), [0.4999, 0.5001]])
    for x in (size, -size, -size + 3j * size, 1j * size):
        exact = [complex(mpmath.expm1(v) / v) if v else 1.0 for v in (mpmath.mpmathify(z) for z in x)]
        ours = special.exprel(jnp.asarray(x))
        np.testing.assert_allclose(ours, exact, rtol=1e-13 if np.isrealobj(x) else 5e-13)
    assert special.exprel(jnp.float32(-0.0)) == 1.0


def test_derivatives_of_exprel_agree_with_mpmath():
    for x in (0.0, 1e-6, 0.3, 0.49, 0.51, -2.0, -40.0):
        exact = mpmath.diff(lambda v: mpmath.expm1(v) / v if v else mpmath.mpf(1), x) if x else 0.5
        assert float(jax.grad(special.exprel)(jnp.array(x))) == pytest.approx(float(exact), rel=1e-13)
    assert float(jax.grad(jax.grad(special.exprel))(jnp.array(0.0))) == pytest.approx(1.0 / 3.0, rel=1e-14)
