"""Rotation measures that change within a beam, against integrals over the beam."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy import units as u
from scipy.integrate import quad

from physics import faraday
from physics.faraday import BeamGradient, ExternalDispersion, ThinScreen, TopHatSpread, Tribble
from physics.faraday.screens.beam_depolarization import mean_square

X = np.array([0.0, 1e-5, 1e-3, 0.01, 0.04])


def mean(f, low, high):
    """The mean of exp(2i RM x) over f(s), with RM = 40 + 25 s."""

    def part(x, trigonometric):
        return quad(lambda s: f(s) * trigonometric(2 * (40.0 + 25.0 * s) * x), low, high, limit=300, epsabs=1e-13)[0]

    return np.array([part(x, np.cos) + 1j * part(x, np.sin) for x in X])


def test_top_hat_spread_is_a_mean_over_the_total_change():
    expected = 0.2 * np.exp(0.6j) * mean(np.ones_like, -0.5, 0.5)
    np.testing.assert_allclose(TopHatSpread(0.2, 0.3, 40.0, 25.0)(X), expected, rtol=1e-10)


def test_gradient_is_a_mean_over_a_gaussian_beam():
    # 50 rad/m2/mas over a beam whose standard deviation is half a milliarcsecond: 25 rad/m2 per standard deviation.
    expected = 0.2 * np.exp(0.6j) * mean(lambda s: np.exp(-0.5 * s * s) / np.sqrt(2 * np.pi), -12.0, 12.0)
    beam = 0.5 * np.sqrt(8 * np.log(2))
    np.testing.assert_allclose(BeamGradient(0.2, 0.3, 40.0, 50.0, beam)(X), expected, rtol=1e-10, atol=1e-13)
    screen = BeamGradient(0.2, 17.188733853924695 * u.deg, 40.0, 50.0e3 * u.rad / u.m**2 / u.arcsec, beam * u.mas)
    np.testing.assert_allclose(screen(X), expected, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(BeamGradient(0.2, 0.3, 40.0, -50.0, beam)(X), screen(X), rtol=1e-12)


@pytest.mark.parametrize(("scale", "beam"), [(0.3, 1.0), (1.0, 1.0), (4.0, 0.5)])
def test_tribble_is_the_mean_square_over_pairs_of_points_in_the_beam(scale, beam):
    # Two points drawn from the beam are s apart with the density of the beam convolved with itself.
    variance = 2.0 * (beam / np.sqrt(8 * np.log(2))) ** 2
    sigma = 30.0

    def power(x):
        def integrand(s):
            structure = 2.0 * sigma**2 * min(s / scale, 1.0) ** 2
            return s / variance * np.exp(-0.5 * s * s / variance - 2.0 * x**2 * structure)

        inner = quad(integrand, 0.0, scale, epsabs=1e-14, limit=300)[0]
        return inner + quad(integrand, scale, max(scale, 12.0 * beam), epsabs=1e-14, limit=300)[0]

    p = Tribble(0.2, 0.3, 40.0, sigma, scale, beam)(X)
    np.testing.assert_allclose(np.abs(p) ** 2, 0.04 * np.array([power(x) for x in X]), rtol=1e-9, atol=1e-14)
    turned = np.asarray(p) * np.exp(-2j * (0.3 + 40.0 * X))
    np.testing.assert_allclose(turned.imag, 0.0, atol=1e-15)


def test_limits_of_tribble():
    b = 4.0 * (30.0 * X) ** 2
    np.testing.assert_allclose(mean_square(jnp.zeros(5), jnp.asarray(b)), np.exp(-b), rtol=1e-14)
    # Cells far smaller than the beam: external dispersion. Cells far larger: no depolarization.
    fine = Tribble(0.2, 0.3, 40.0, 30.0, 0.0, 1.0)(X)
    np.testing.assert_allclose(fine, ExternalDispersion(0.2, 0.3, 40.0, 30.0)(X), rtol=1e-10, atol=1e-16)
    coarse = Tribble(0.2, 0.3, 40.0, 30.0, 1e6, 1.0)(X)
    np.testing.assert_allclose(coarse, ThinScreen(0.2, 0.3, 40.0)(X), rtol=1e-10)
    a = 3.0
    written = (1 - np.exp(-a - b)) / (1 + b / a) + np.exp(-a - b)
    np.testing.assert_allclose(mean_square(jnp.full(5, a), jnp.asarray(b)), written, rtol=1e-13)


def test_screens_without_spread_are_thin():
    thin = ThinScreen(0.2, 0.3, 40.0)(X)
    for screen in (
        TopHatSpread(0.2, 0.3, 40.0, 0.0),
        BeamGradient(0.2, 0.3, 40.0, 0.0, 1.0),
        Tribble(0.2, 0.3, 40.0, 0.0, 1.0, 1.0),
    ):
        np.testing.assert_allclose(screen(X), thin, rtol=1e-13)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_derivatives_are_finite_at_the_corners(dtype):
    for kind, count, known in ((TopHatSpread, 4, ()), (BeamGradient, 4, (1.0,)), (Tribble, 5, (1.0,))):

        def power(values, x, kind=kind, known=known):
            return jnp.square(jnp.abs(kind(*values, *(jnp.asarray(k, dtype) for k in known))(x) - 0.1))

        slopes = jax.jit(jax.grad(power, argnums=(0, 1)))
        for last in (0.0, 1e4):
            for x in (0.0, 1e-4, 0.3):
                values = tuple(jnp.asarray(v, dtype) for v in (*(0.0,) * (count - 1), last))
                found = jax.tree.leaves(slopes(values, jnp.asarray(x, dtype)))
                assert all(np.isfinite(s).all() and s.dtype == dtype for s in found), (kind, last, x)


def test_what_is_known_is_no_parameter():
    assert [p.name for p in faraday.parameters(Tribble(0.2, 0.3, 40.0, 30.0, 1.0, 1.0))][-2:] == ["sigma_rm", "scale"]
    with pytest.raises(TypeError, match="BeamGradient needs beam besides"):
        faraday.parameters(BeamGradient)
    with pytest.raises(ValueError, match="beam: expected finite, positive"):
        BeamGradient(0.2, 0.3, 40.0, 50.0, 0.0)
    with pytest.raises(ValueError, match="spread: expected"):
        TopHatSpread(0.2, 0.3, 40.0, -1.0)
    with pytest.raises(ValueError, match="scale: expected"):
        Tribble(0.2, 0.3, 40.0, 1.0, -1.0, 1.0)
