"""The auxiliary functions of Si and Ci against SciPy and mpmath, over the whole range of each table."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import scipy.special

from physics.numerics import special
from physics.numerics.sine_integrals import FROM_1_5, FROM_3, FROM_4_5, auxiliary


@pytest.mark.parametrize("table", [FROM_1_5, FROM_3, FROM_4_5])
def test_auxiliary_functions_against_mpmath(table):
    z = table.lower * np.concatenate([np.linspace(1.0, 3.0, 25), np.geomspace(3.0, 1e6, 10)])
    with mpmath.workdps(40):
        rest = [mpmath.pi / 2 - mpmath.si(mpmath.mpf(v)) for v in z]
        ci, sine, cosine = ([fn(mpmath.mpf(v)) for v in z] for fn in (mpmath.ci, mpmath.sin, mpmath.cos))
        f = [float(a * s + b * c) for a, b, s, c in zip(ci, rest, sine, cosine, strict=True)]
        g = [float(b * s - a * c) for a, b, s, c in zip(ci, rest, sine, cosine, strict=True)]
    computed = auxiliary(jnp.asarray(z), table)
    np.testing.assert_allclose(computed[0], f, rtol=1e-12, atol=3e-16)
    np.testing.assert_allclose(computed[1], g, rtol=1e-12, atol=3e-16)


def test_differences_against_scipy():
    x = np.concatenate([np.linspace(1.4, 1.6, 41), np.geomspace(0.01, 2e3, 200)])
    (si_1, ci_1), (si_2, ci_2), (si_3, ci_3) = (scipy.special.sici(n * x) for n in (1, 2, 3))
    computed = special.integral_differences(jnp.asarray(x))
    np.testing.assert_allclose(computed.ci_two, ci_2 - ci_1, rtol=0, atol=4e-15)
    np.testing.assert_allclose(computed.ci_three, ci_1 - 2 * ci_2 + ci_3, rtol=0, atol=6e-15)
    np.testing.assert_allclose(computed.si_three, si_1 - 2 * si_2 + si_3, rtol=0, atol=4e-15)


def test_differences_in_float32():
    x = np.geomspace(1e-6, 1e3, 100).astype(np.float32)
    single = special.integral_differences(jnp.asarray(x))
    double = special.integral_differences(jnp.asarray(x.astype(float)))
    for a, b in zip(single, double, strict=True):
        assert a.dtype == jnp.float32
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-6)


def test_slopes_keep_their_relative_precision_at_small_x():
    x = jnp.asarray(np.geomspace(1e-6, 1e-2, 9))
    slopes = jax.vmap(jax.jacfwd(special.integral_differences))(x)
    np.testing.assert_allclose(slopes.ci_two, -1.5 * x + 0.625 * x**3, rtol=1e-8)
    np.testing.assert_allclose(slopes.ci_three, -x, rtol=1e-3)
    np.testing.assert_allclose(slopes.si_three, -2.0 * x**2, rtol=1e-3)
    second = jax.vmap(jax.grad(jax.grad(lambda x: special.integral_differences(x).ci_two)))(x)
    np.testing.assert_allclose(second, -1.5, rtol=1e-3)
