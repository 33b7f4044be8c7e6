"""Quadrature against closed forms."""

import numpy as np
import pytest

from physics.numerics import quadrature


def test_gauss_legendre_is_exact_for_polynomials():
    nodes, weights = quadrature.gauss_legendre(4, 1.0, 3.0)
    for degree in range(8):
        expected = (3.0 ** (degree + 1) - 1.0) / (degree + 1)
        np.testing.assert_allclose(np.sum(weights * nodes**degree), expected, rtol=1e-13)
    assert abs(np.sum(weights * nodes**8) - (3.0**9 - 1) / 9) > 1e-3


def test_sky_average_of_plane_waves_is_spherical_bessel():
    directions, weights = quadrature.sky_quadrature(24, 48)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1.0, rtol=1e-15)
    np.testing.assert_allclose(weights.sum(), 1.0, rtol=1e-14)
    for vector in ([0.0, 0.0, 7.0], [3.0, -4.0, 5.0]):
        length = np.linalg.norm(vector)
        average = np.sum(weights * np.exp(1j * directions @ np.asarray(vector)))
        np.testing.assert_allclose(average, np.sin(length) / length, rtol=0, atol=2e-15)


def test_second_moment_is_isotropic():
    directions, weights = quadrature.sky_quadrature(3, 5)
    np.testing.assert_allclose((directions.T * weights) @ directions, np.eye(3) / 3, atol=1e-15)


@pytest.mark.parametrize("counts", [(0, 4), (4, -1), (2.5, 4)])
def test_counts_must_be_positive(counts):
    with pytest.raises((ValueError, TypeError)):
        quadrature.sky_quadrature(*counts)
