"""Spectral indices and the core-shift law against known truths, NumPy and SciPy."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from astropy import units as u
from scipy.optimize import least_squares

from physics import faraday
from physics.constants import MILLIARCSECOND
from physics.errors import UnitsError
from physics.faraday import simulate
from physics.faraday.images.spectral_index import fit_power_law

NU = np.array([12e9, 12.1e9, 15e9, 15.1e9, 24e9, 24.1e9, 43e9, 43.1e9])
BAND = np.repeat(range(4), 2)
SHAPE = (6, 9)


def cube_of(images, sigma=1e-3):
    images = jnp.asarray(images)
    beam = (MILLIARCSECOND, MILLIARCSECOND, 0.0)
    return faraday.StokesCube(
        frequency=jnp.asarray(NU),
        I=images,
        Q=0.1 * images,
        U=0.1 * images,
        sigma=jnp.full((len(NU), 3), sigma),
        beam=jnp.broadcast_to(jnp.asarray(beam), (len(NU), 3)),
        mask=jnp.ones(images.shape, bool),
        frame=simulate.frame(SHAPE, MILLIARCSECOND),
    )


def power_laws(curvature=0.0):
    alpha = np.linspace(-1.5, 2.5, SHAPE[1]) + np.zeros(SHAPE)
    x = np.log(NU / np.exp(np.mean(np.log(NU))))[:, None, None]
    return alpha, np.exp(alpha * x + 0.5 * curvature * x**2)


@pytest.mark.parametrize("curvature", [0.0, -0.4])
def test_power_laws_come_back(curvature):
    alpha, images = power_laws(curvature)
    found = faraday.spectral_index(cube_of(images), curvature=curvature != 0.0)
    np.testing.assert_allclose(found.alpha, alpha, rtol=0, atol=1e-10)
    np.testing.assert_allclose(found.intensity, 1.0, rtol=1e-10)
    if curvature:
        np.testing.assert_allclose(found.curvature, curvature, rtol=1e-10)
    else:
        assert found.curvature is None
    assert float(found.dof) == 8 - 2 - bool(curvature)
    assert float(found.reference_frequency) == pytest.approx(np.exp(np.mean(np.log(NU))))
    assert found.to_quantity("reference_frequency").unit == u.Hz


def test_errors_are_the_spread_of_noise_and_of_flux_scales():
    rng = np.random.default_rng(0)
    draws, sigma = 4000, 0.02
    noise = sigma * rng.normal(size=(draws, 8))
    scales = 0.05 * rng.normal(size=(draws, 4))[:, BAND] + 0.01 * rng.normal(size=(draws, 8))
    same_band = jnp.asarray((BAND[:, None] == BAND[None, :]).astype(float))
    options = (jnp.full(8, sigma), same_band, (0.05, 0.01))
    shape = (NU / 2e10) ** -0.5
    quiet = fit_power_law(jnp.asarray(NU), jnp.asarray(shape + noise), *options)
    scaled = fit_power_law(jnp.asarray(NU), jnp.asarray(shape * np.exp(scales) + noise), *options)
    assert np.std(quiet.coefficients[:, 1]) == pytest.approx(float(jnp.mean(quiet.error_noise[:, 1])), rel=0.04)
    assert np.std(scaled.coefficients[:, 1]) == pytest.approx(float(jnp.mean(scaled.error[:, 1])), rel=0.04)
    assert np.mean(scaled.chi2) == pytest.approx(6.0, rel=0.05)


def test_what_lies_outside_of_the_limits_or_is_faint_is_masked():
    alpha, images = power_laws()
    images[:, 0, 0] = 4e-3
    images[:, 1, 1] = (NU / 2e10) ** 3.5
    cube = cube_of(images)
    cube = eqx.tree_at(lambda c: c.mask, cube, cube.mask.at[2, 2, 2].set(False))
    found = faraday.spectral_index(cube)
    expected = np.ones(SHAPE, bool)
    expected[[0, 1, 2], [0, 1, 2]] = False
    np.testing.assert_array_equal(found.valid, expected)
    np.testing.assert_array_equal(np.isfinite(found.alpha), expected)
    np.testing.assert_allclose(np.asarray(found.alpha)[expected], alpha[expected], rtol=0, atol=1e-10)
    assert faraday.spectral_index(cube, limits=(-2.0, 4.0)).valid[1, 1]


def test_single_precision():
    alpha, images = power_laws()
    found = faraday.spectral_index(cube_of(images).astype("float32"))
    assert found.alpha.dtype == jnp.float32
    np.testing.assert_allclose(found.alpha, alpha, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"threshold": 1e6}, ValueError, "no pixel has I above 1e\\+06 sigma"),
        ({"threshold": -1.0}, ValueError, "threshold"),
        ({"flux_scale": np.nan}, ValueError, "flux_scale"),
        ({"channel_scale": 1.0 * u.m}, UnitsError, "channel_scale"),
        ({"limits": (1.0, -1.0)}, ValueError, "limits"),
        ({"band": np.zeros(8)}, ValueError, "at least 2 bands, got 1"),
        ({"band": BAND // 2, "curvature": True}, ValueError, "at least 3 bands, got 2"),
    ],
)
def test_bad_input_of_spectral_index(options, error, match):
    with pytest.raises(error, match=match):
        faraday.spectral_index(cube_of(power_laws()[1]), **options)


def an_alignment(noise=0.0, seed=0, exponent=1.2):
    """Bands whose cores lie on a line at a position angle of 30 degrees, moved by shifts that are known."""
    rng = np.random.default_rng(seed)
    nu = np.array([12e9, 15e9, 24e9, 43e9])
    omega = 3.0 * MILLIARCSECOND * np.array([np.sin(np.pi / 6), np.cos(np.pi / 6)])
    core = omega * ((nu / 1e9) ** (-1 / exponent))[:, None]
    shift = rng.normal(size=(4, 2)) * MILLIARCSECOND
    shift[3] = 0.0
    error = np.array([0.02, 0.01, 0.01, 0.0]) * MILLIARCSECOND
    # The bands share the noise of the reference.
    covariance = np.einsum("b,c,ij->bicj", error, error, np.eye(2)) * (0.5 + 0.5 * np.eye(4)[:, None, :, None])
    root = np.linalg.cholesky(covariance.reshape(8, 8)[:6, :6])
    wrong = np.zeros(8)
    wrong[:6] = noise * (root @ rng.normal(size=6))
    return faraday.Alignment(
        shift=jnp.asarray(shift + wrong.reshape(4, 2)),
        covariance=jnp.asarray(covariance),
        core=jnp.asarray(core - shift),
        correlation=jnp.ones(4),
        used=jnp.ones((4, 2, 2), bool),
        frequency=jnp.asarray(nu),
        band=jnp.arange(4),
        reference=3,
    )


def test_core_shift_is_recovered_exactly():
    law = faraday.fit_core_shift(an_alignment())
    assert float(law.exponent) == pytest.approx(1.2, rel=1e-6)
    assert float(law.position_angle) == pytest.approx(np.pi / 6, rel=1e-6)
    assert np.hypot(*np.asarray(law.omega)) == pytest.approx(3 * MILLIARCSECOND, rel=1e-6)
    assert float(law.dof) == 3.0
    assert float(law.chi2) < 1e-9
    np.testing.assert_allclose(law.at(8 * u.GHz), np.asarray(law.omega) * 8 ** (-1 / 1.2), rtol=1e-6)
    fixed = faraday.fit_core_shift(an_alignment(exponent=1.0), exponent=1.0)
    assert float(fixed.dof) == 4.0
    assert np.hypot(*np.asarray(fixed.omega)) == pytest.approx(3 * MILLIARCSECOND, rel=1e-9)
    np.testing.assert_array_equal(fixed.covariance[2], 0.0)


def test_core_shift_against_scipy():
    data = an_alignment(noise=1.0, seed=4)
    law = faraday.fit_core_shift(data)
    place = np.asarray(data.core + data.shift) / MILLIARCSECOND
    nu = np.asarray(data.frequency) / 1e9
    root = np.linalg.cholesky(np.asarray(data.covariance).reshape(8, 8)[:6, :6] / MILLIARCSECOND**2)

    def residual(x):
        lever = nu[:3] ** (-1 / x[2]) - nu[3] ** (-1 / x[2])
        return np.linalg.solve(root, (place[:3] - place[3] - lever[:, None] * x[:2]).ravel())

    solution = least_squares(residual, [1.0, 2.0, 1.0], xtol=1e-14, ftol=1e-14)
    np.testing.assert_allclose(np.asarray(law.omega) / MILLIARCSECOND, solution.x[:2], rtol=1e-5)
    assert float(law.exponent) == pytest.approx(solution.x[2], rel=1e-5)
    assert float(law.chi2) == pytest.approx(2 * solution.cost, rel=1e-6)
    covariance = np.linalg.inv(solution.jac.T @ solution.jac)
    scale = np.array([MILLIARCSECOND, MILLIARCSECOND, 1.0])
    np.testing.assert_allclose(law.covariance / np.outer(scale, scale), covariance, rtol=1e-3)
    # The error of a core position widens it.
    wider = faraday.fit_core_shift(data, core_error=0.05 * u.mas)
    assert wider.covariance[2, 2] > law.covariance[2, 2]


def test_core_shift_says_what_it_needs():
    data = an_alignment()
    two = eqx.tree_at(
        lambda a: (a.shift, a.covariance, a.core, a.frequency),
        data,
        (data.shift[2:], data.covariance[2:, :, 2:], data.core[2:], data.frequency[2:]),
    )
    two = faraday.Alignment(
        **{f: getattr(two, f) for f in ("shift", "covariance", "core", "frequency")},
        correlation=data.correlation[2:],
        used=data.used[2:],
        band=data.band,
        reference=1,
    )
    with pytest.raises(ValueError, match="three bands, or two and an exponent, got 2"):
        faraday.fit_core_shift(two)
    assert float(faraday.fit_core_shift(two, exponent=1.2).dof) == 0.0
    flat = eqx.tree_at(lambda a: a.covariance, data, jnp.zeros_like(data.covariance))
    with pytest.raises(ValueError, match="positive definite covariance"):
        faraday.fit_core_shift(flat)
    with pytest.raises(ValueError, match="exponent"):
        faraday.fit_core_shift(data, exponent=0.0)
    # One core a hundred times as far as the others.
    steep = eqx.tree_at(lambda a: a.core, data, data.core.at[0].add(jnp.asarray([10.0, 17.3]) * MILLIARCSECOND))
    with pytest.raises(ValueError, match="the cores follow no law"):
        faraday.fit_core_shift(steep)
    with pytest.raises(UnitsError, match="core_error"):
        faraday.fit_core_shift(data, core_error=1.0 * u.m)
    with pytest.raises(ValueError, match="frequency"):
        faraday.fit_core_shift(data).at(0.0)


def test_core_shift_is_shown_along_its_direction():
    data = an_alignment()
    figure = faraday.plot_core_shift(data, faraday.fit_core_shift(data))
    shown = figure.axes[0].containers[0].lines[0].get_ydata()
    nu = np.asarray(data.frequency) / 1e9
    np.testing.assert_allclose(shown, 3.0 * (nu ** (-1 / 1.2) - 43 ** (-1 / 1.2)), rtol=0, atol=1e-6)
