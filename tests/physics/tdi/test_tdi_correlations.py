"""The five link correlations and the two response functions, against three independent references."""

from fractions import Fraction
from math import factorial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physics import tdi
from physics.tdi import taylor
from physics.tdi.correlations import of_links, phase, response_functions

ANCHORS = {
    1.0: (0.12131538007951, 0.12106791031704, -0.016510311020648, -0.016406498041773, -0.00043625302184041),
    np.pi: (0.56534548302433, 0.43465451697567, -0.12201893244263, -0.08548757795084, -0.040331944747192),
    10.0: (0.65712313929203, 0.28753720387203, -0.073253448509077, -0.018763873089502, -0.022723143594674),
    50.0: (0.6662646412041, -0.32204342824093, -0.056072142533797, 0.0069825798090092, -0.0031173567612293),
}
RESPONSES = {
    1.0: (1.1716818391366, 0.0027305743212737),
    np.pi: (0.75327689245494, 1.2225220501934),
    10.0: (3.6994997542859, 2.8713905175549),
    50.0: (0.16438182860533, 6.6865050847839),
}
REPRESENTATIVES = {"same": ("12", "12"), "reversed": ("12", "21"), "adjacent": ("12", "13"), "chain": ("12", "23")}


@pytest.fixture(scope="module")
def correlate():
    return jax.jit(jax.vmap(of_links))


@pytest.fixture(scope="module")
def respond():
    return jax.jit(jax.vmap(lambda x: response_functions(phase(x))))


def test_anchors(correlate, respond):
    x = jnp.asarray(list(ANCHORS))
    np.testing.assert_allclose(np.array(correlate(x)).T, list(ANCHORS.values()), rtol=1e-12, atol=0)
    functions = respond(x)
    orthogonal = 8.0 * np.sin(0.5 * x) ** 2 * x**2 * functions.orthogonal
    symmetric = x**6 * functions.symmetric
    np.testing.assert_allclose(np.array([orthogonal, symmetric]).T, list(RESPONSES.values()), rtol=1e-13, atol=0)


def test_sky_quadrature(triangles, correlate):
    computed = correlate(jnp.asarray(list(triangles)))
    for n, triangle in enumerate(triangles.values()):
        for name, pair in REPRESENTATIVES.items():
            brute = triangle.correlation(*pair)
            if name == "chain":
                closed = complex(computed.chain_real[n], computed.chain_imag[n])
            else:
                closed = complex(getattr(computed, name)[n])
            assert abs(closed - brute) < 1e-14, (triangle.x, name)


def test_every_pair_of_links_has_one_of_five_values(triangles):
    triangle = triangles[2.3]
    chain = triangle.correlation("12", "23")
    expected = {"same": triangle.correlation("12", "12"), "reversed": triangle.correlation("12", "21")}
    adjacent = triangle.correlation("12", "13")
    for a in ("12", "23", "31", "13", "32", "21"):
        for b in ("12", "23", "31", "13", "32", "21"):
            kind = "same" if a == b else "reversed" if a == b[::-1] else ""
            if not kind:
                value = adjacent if a[0] == b[0] or a[1] == b[1] else chain if a[1] == b[0] else chain.conjugate()
            else:
                value = expected[kind]
            assert abs(triangle.correlation(a, b) - value) < 1e-14, (a, b)


def test_high_precision(exact_functions, correlate, respond):
    points = np.concatenate([np.geomspace(1e-3, 1e3, 25), [0.99, 1.01, 1.49, 1.51, 2.99, 3.01]])
    exact = [exact_functions(x) for x in points]
    computed = correlate(jnp.asarray(points))._asdict() | respond(jnp.asarray(points))._asdict()
    for name, values in computed.items():
        reference = np.array([float(row[name]) for row in exact])
        if name in ("orthogonal", "symmetric"):
            np.testing.assert_allclose(values, reference, rtol=2e-14, atol=0, err_msg=name)
        else:
            np.testing.assert_allclose(values, reference, rtol=1e-11, atol=2e-15, err_msg=name)


def test_taylor_coefficients_from_exact_series():
    same, backward, adjacent, real, imag, orthogonal, symmetric = _exact_series(40)
    for name, series, first in (
        ("SAME", same, 2),
        ("REVERSED", backward, 2),
        ("ADJACENT", adjacent, 2),
        ("CHAIN_REAL", real, 2),
        ("CHAIN_IMAG", imag, 5),
        ("ORTHOGONAL", orthogonal, 2),
        ("SYMMETRIC", symmetric, 6),
    ):
        assert not any(series[:first]), name
        table = getattr(taylor, name)
        assert table == tuple(float(series[first + 2 * n]) for n in range(len(table))), name
        assert not any(series[first + 1 : first + 2 * len(table) : 2]), name


def _exact_series(count: int) -> list[list[Fraction]]:
    """Power series in x, to x^(count - 1), of the closed forms: the logarithms cancel in exact arithmetic."""
    work = count + 3

    def series(term) -> list[Fraction]:
        return [term(n) for n in range(work)]

    def sine(k: int) -> list[Fraction]:
        return series(lambda n: Fraction((-1) ** (n // 2) * k**n, factorial(n)) if n % 2 else Fraction(0))

    def cosine(k: int) -> list[Fraction]:
        return series(lambda n: Fraction(0) if n % 2 else Fraction((-1) ** (n // 2) * k**n, factorial(n)))

    def integral(weight, odd: int) -> list[Fraction]:
        return series(
            lambda n: Fraction((-1) ** (n // 2) * weight(n), n * factorial(n)) if n and n % 2 == odd else Fraction(0)
        )

    def times(a, b) -> list[Fraction]:
        return [sum((a[m] * b[n - m] for m in range(n + 1) if a[m]), Fraction(0)) for n in range(work)]

    def power(p: int, a) -> list[Fraction]:
        return [Fraction(0)] * p + list(a[: work - p])

    def add(*terms) -> list[Fraction]:
        return [sum((Fraction(k) * a[n] for k, a in terms), Fraction(0)) for n in range(work)]

    one = [Fraction(1)] + [Fraction(0)] * (work - 1)
    s1, s2, s3, c1, c2, c3 = sine(1), sine(2), sine(3), cosine(1), cosine(2), cosine(3)
    ci_two = integral(lambda n: 2**n - 1, 0)
    ci_three = integral(lambda n: 1 - 2 * 2**n + 3**n, 0)
    si_three = integral(lambda n: 1 - 2 * 2**n + 3**n, 1)
    # Each is x^3 times the correlation.
    same = add((Fraction(2, 3), power(3, one)), (-1, power(1, one)), (Fraction(1, 2), s2))
    backward = add((1, s1), (-1, power(1, c1)), (Fraction(-1, 3), power(3, c1)))
    adjacent = add(
        (Fraction(14, 48), power(3, one)),
        (Fraction(24, 48), power(3, ci_two)),
        (Fraction(3, 48), power(2, times(add((11, one), (-8, c1)), s1))),
        (Fraction(3, 48), power(1, add((2, c2), (-5, c1), (-10, one)))),
        (Fraction(15, 48), s1),
        (Fraction(12, 48), s2),
    )
    p = add(
        (Fraction(-10, 48), power(3, one)),
        (Fraction(36, 48), power(3, ci_three)),
        (Fraction(9, 48), power(2, times(add((6, times(s1, s1)), (8, c1), (-7, one)), s1))),
        (Fraction(-3, 96), power(1, add((9, c1), (12, c2), (1, c3), (4, one)))),
        (Fraction(3, 48), times(add((8, c1), (5, c2)), s1)),
    )
    q = add(
        (Fraction(48, 64), power(3, si_three)),
        (Fraction(1, 64), power(2, add((30, c1), (-48, c2), (18, c3)))),
        (Fraction(-2, 64), power(1, add((9, s1), (12, s2), (1, s3)))),
        (Fraction(1, 64), add((10, c1), (-16, c2), (-10, c3), (16, one))),
    )
    real = add((1, times(p, c1)), (1, times(q, s1)))
    imag = add((1, times(q, c1)), (-1, times(p, s1)))
    orthogonal = add(
        (1, times(add((2, one), (1, c1)), add((1, same), (-1, real)))),
        (1, times(add((1, one), (2, c1)), add((1, backward), (-1, adjacent)))),
        (-3, times(s1, imag)),
    )
    symmetric = add((6, same), (-6, backward), (-12, adjacent), (12, real))
    result = [same, backward, adjacent, real, imag, orthogonal, symmetric]
    assert not any(any(series[:3]) for series in result)
    return [series[3:] for series in result]


def test_both_sides_of_every_switch_agree_in_value_and_slope(correlate, respond):
    step = 1e-9
    for x in (1.0, 1.5, 3.0):
        pair = jnp.asarray([x - step, x + step])
        slope = jax.jit(jax.vmap(jax.jacfwd(lambda x: jnp.stack([*of_links(x), *response_functions(phase(x))]))))(pair)
        values = np.array([*correlate(pair), *respond(pair)])
        np.testing.assert_allclose(values[:, 1] - values[:, 0], slope[0] * 2.0 * step, rtol=0, atol=4e-15)
        np.testing.assert_allclose(slope[0], slope[1], rtol=2e-8, atol=1e-9)


def test_the_matrix_of_links_is_that_of_the_quadrature():
    frequency = jnp.asarray([[1e-4, 3e-3], [2e-2, 0.4]])
    matrix = np.asarray(tdi.link_correlations(frequency, tdi.LISA).matrix())
    links = [tdi.link(name) for name in ("12", "23", "31", "13", "32", "21")]
    numerical = np.asarray(tdi.response_covariance(frequency, tdi.LISA, links))
    size = np.abs(numerical).max(axis=(-1, -2), keepdims=True)
    np.testing.assert_allclose(matrix / size, numerical / size, rtol=0, atol=1e-11)


def test_link_correlations_refuse_three_arms_and_work_in_32_bits():
    single = tdi.link_correlations(jnp.float32(0.1), tdi.LISA)
    double = tdi.link_correlations(0.1, tdi.LISA)
    assert single.same.dtype == jnp.float32
    np.testing.assert_allclose(np.array(single), np.array(double), rtol=0, atol=1e-6)
    with pytest.raises(ValueError, match="det: the five correlations are those of one arm length"):
        tdi.link_correlations(0.1, tdi.Detector((2.5e9, 2.6e9, 2.4e9), tdi.LISA.noise))
    with pytest.raises(TypeError, match="det"):
        tdi.link_correlations(0.1, 2.5e9)
    with pytest.raises(ValueError, match="frequency: expected finite, positive"):
        tdi.link_correlations(0.0, tdi.LISA)
