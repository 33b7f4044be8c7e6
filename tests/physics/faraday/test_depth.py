"""The search grid, the bands, and the Cramer-Rao bound against the numbers of the standard sampling."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy import units as u

from physics import faraday
from physics.errors import UnitsError
from physics.faraday import depth
from physics.faraday.fits.bounds import noise_part
from physics.faraday.simulate import FOUR_BANDS

BANDS = np.array(FOUR_BANDS)
ONE_DEGREE = 1.0 / (2.0 * np.radians(1.0))


@pytest.mark.parametrize(("per_band", "expected"), [(4, 21.0), (1, 42.1)])
def test_bound_per_degree_of_angle_error(per_band, expected):
    L = faraday.lambda_squared(BANDS.reshape(4 * per_band, -1).mean(axis=1))
    bound = faraday.cramer_rao(L, jnp.full(L.shape, ONE_DEGREE))
    assert float(bound.rm) == pytest.approx(expected, abs=0.06)


def test_bound_is_the_inverse_of_the_fisher_matrix():
    L, s = np.asarray(faraday.lambda_squared(BANDS)), np.linspace(1.0, 9.0, 16)
    design = np.stack([L, np.ones(16)])
    inverse = np.linalg.inv(4.0 * (design * s**2) @ design.T)
    bound = faraday.cramer_rao(jnp.asarray(L), jnp.asarray(s))
    np.testing.assert_allclose([bound.rm, bound.evpa0], np.sqrt(np.diag(inverse)), rtol=1e-9)


def test_noise_part_is_that_of_generalised_least_squares():
    L, s = np.asarray(faraday.lambda_squared(BANDS)), np.linspace(1.0, 60.0, 16)
    member = (np.arange(4)[:, None] == np.repeat(np.arange(4), 4)).astype(float)
    noise = np.diag(0.25 / s**2)
    inverse = np.linalg.inv(noise + 0.09**2 * np.eye(16) + 0.05**2 * member.T @ member)
    design = np.stack([L, np.ones(16)], axis=1)
    gain = np.linalg.inv(design.T @ inverse @ design) @ design.T @ inverse
    expected = np.sqrt(np.diag(gain @ noise @ gain.T))
    part = noise_part(jnp.asarray(L), jnp.asarray(s), jnp.asarray(member), 0.05, 0.09)
    np.testing.assert_allclose(part, expected, rtol=1e-9)
    bound = faraday.cramer_rao(jnp.asarray(L), jnp.asarray(s))
    np.testing.assert_allclose(
        noise_part(jnp.asarray(L), jnp.asarray(s), jnp.asarray(member), 0.0, 0.0), bound, rtol=1e-9
    )
    assert float(part.rm) > 1.05 * float(bound.rm)
    alone = noise_part(jnp.asarray(L), jnp.zeros(16).at[3].set(5.0), jnp.asarray(member), 0.05, 0.09)
    assert alone.rm == alone.evpa0 == jnp.inf


def test_bound_is_infinite_when_one_wavelength_is_left():
    bound = faraday.cramer_rao(faraday.lambda_squared(BANDS), jnp.zeros(16).at[3].set(5.0))
    assert bound.rm == jnp.inf


def test_bound_takes_quantities_lists_and_traces():
    L = np.asarray(faraday.lambda_squared(BANDS))
    bound = faraday.cramer_rao(jnp.asarray(L), jnp.full(16, 5.0))
    np.testing.assert_allclose(faraday.cramer_rao(L * 1e4 * u.cm**2, [5] * 16), bound, rtol=1e-12)
    np.testing.assert_allclose(jax.jit(faraday.cramer_rao)(L, jnp.full(16, 5.0)), bound, rtol=1e-12)


@pytest.mark.parametrize(
    ("wavelengths", "ratio", "error", "match"),
    [
        (BANDS * u.Hz, np.ones(16), UnitsError, "lambda_squared"),
        (-BANDS, np.ones(16), ValueError, "lambda_squared"),
        (BANDS, -np.ones(16), ValueError, "signal_to_noise"),
        (BANDS, np.full(16, np.nan), ValueError, "signal_to_noise"),
        (BANDS, np.full(16, np.inf), ValueError, "signal_to_noise"),
        (BANDS, np.ones(16) * u.Jy, UnitsError, "signal_to_noise"),
        (BANDS, np.ones(3), ValueError, "signal_to_noise: expected 16 channels"),
    ],
)
def test_bad_bounds_are_named(wavelengths, ratio, error, match):
    with pytest.raises(error, match=match):
        faraday.cramer_rao(wavelengths, ratio)


def test_step_is_a_tenth_of_the_narrowest_lobe():
    L = np.array([1e-4, 6e-4])
    step = depth.depth_step(L)
    phi = np.linspace(-5000, 5000, 200_001)
    power = np.abs(np.exp(-2j * np.outer(phi, L)).mean(axis=1))
    inside = phi[power >= 0.5]
    # The lobe at zero alone: the next begins a lobe's width further on.
    inside = inside[np.abs(inside) < np.pi / (L[1] - L[0]) / 2]
    assert step == pytest.approx(np.ptp(inside) / 10, rel=1e-3)
    many = np.abs(np.exp(-2j * np.outer(phi, np.asarray(faraday.lambda_squared(BANDS)))).mean(axis=1))
    assert np.count_nonzero(many >= 0.5) * (phi[1] - phi[0]) > 10 * step


def test_grid_is_symmetric_and_reaches_the_limit():
    grid = depth.depth_grid(np.array([1e-4, 6e-4]), 40_000.0)
    np.testing.assert_allclose(grid, -grid[::-1], atol=1e-9)
    assert 0.0 in grid
    assert grid[-2] == pytest.approx(40_000.0)
    assert np.diff(grid).max() <= depth.depth_step(np.array([1e-4, 6e-4]))
    assert np.diff(depth.depth_grid(np.array([1e-4, 6e-4]), 4e4, step=20.0)).max() <= 20.0


def test_bands_begin_at_gaps_in_any_order():
    assert depth.frequency_bands(BANDS).tolist() == [0] * 4 + [1] * 4 + [2] * 4 + [3] * 4
    shuffled = np.random.default_rng(0).permutation(16)
    np.testing.assert_array_equal(depth.frequency_bands(BANDS[shuffled]), shuffled // 4)
    assert not depth.frequency_bands(np.linspace(0.8e9, 1.088e9, 288)).any()


def test_default_range_follows_the_channels():
    assert depth.default_max_rm(BANDS) == 40_000.0
    assert depth.default_max_rm(BANDS[::4]) == 40_000.0
    wide = np.linspace(0.8e9, 1.088e9, 288)
    widest = np.ptp((299792458.0 / wide[:2]) ** 2)
    assert depth.default_max_rm(wide) == pytest.approx(np.sqrt(3) / widest)
