"""Slices without any gradient: uniform p-values of the calibrated test, false alarms of the naive one, and power."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from physics import faraday
from physics.constants import DEGREE
from physics.faraday.gradients.nulls import CalibrationSpread, null_statistics
from physics.faraday.gradients.slices import SliceFit, SliceSpectra, point_rotation, slopes
from physics.numerics.lstsq import weighted_line_fit

BANDS = jnp.array([12.176e9, 15.176e9, 23.576e9, 42.9765e9])
POINTS, REACH = 31, 2.5
OFFSET = 3.0 * DEGREE
SIMULATIONS = 99


def spectra(key, *, ratio, width, slope=0.0):
    """A slice of unit beam through a source of Gaussian profile, all of it unknown to the analysis."""
    keys = jax.random.split(key, 6)
    x = jnp.linspace(-REACH, REACH, POINTS)
    correlation = jnp.exp(-2.0 * jnp.log(2.0) * (x[:, None] - x[None]) ** 2)
    factor = jnp.linalg.cholesky(correlation + 1e-6 * jnp.eye(POINTS))
    seen = jnp.sqrt(1.0 + width**2) * jax.random.uniform(keys[0], minval=0.9, maxval=1.1)
    amplitude = ratio * jnp.exp(-4.0 * jnp.log(2.0) * (x / seen) ** 2)
    evpa0 = jax.random.uniform(keys[1], maxval=jnp.pi) + x * jax.random.uniform(keys[2], minval=-0.5, maxval=0.5)
    rm = jax.random.uniform(keys[3], minval=-1000.0, maxval=1000.0) + slope * x
    offset = OFFSET * jax.random.normal(keys[4], (4,))
    L = faraday.lambda_squared(BANDS)
    angle = 2.0 * (evpa0[:, None] + rm[:, None] * L[None] + offset[None])
    noise = jnp.matmul(factor, jax.random.normal(keys[5], (POINTS, 8)))
    q, u = (amplitude[:, None] * f(angle) + noise[:, i : i + 4] for f, i in ((jnp.cos, 0), (jnp.sin, 4)))
    return SliceSpectra(
        intensity=jnp.ones((1, POINTS, 4)),
        polarization=jax.lax.complex(q, u)[None],
        change=jnp.zeros((2, 1, POINTS, 4), complex),
        usable=jnp.ones((1, POINTS), bool),
        offset=x[None],
        correlation=correlation,
    )


def settings():
    zero = jnp.zeros(())
    return SliceFit(
        lambda_squared=faraday.lambda_squared(BANDS),
        sigma=jnp.ones((4, 3)),
        membership=jnp.eye(4),
        band_error=jnp.asarray(OFFSET),
        channel_error=zero,
        reference_rm=zero,
        intensity_threshold=zero,
        polarization_threshold=jnp.asarray(3.0),
    )


@eqx.filter_jit
def trials(keys, ratio, width, slope):
    """Of each trial: statistic, null statistics, slope, its error, and |slope|/error of independent pixels."""
    fit, zero = settings(), jnp.zeros(())
    spread = CalibrationSpread(jnp.asarray(OFFSET), zero, zero, zero)

    def one(key):
        data = spectra(key, ratio=ratio, width=width, slope=slope)
        statistic, null = null_statistics(fit, data, spread, jax.random.split(jax.random.fold_in(key, 1), SIMULATIONS))
        points = point_rotation(fit, data)
        weight = jnp.where(points.valid, points.rm_error**-2, 0.0)[0]
        naive = weighted_line_fit(data.offset[0], jnp.where(points.valid, points.rm, 0.0)[0], weight)
        line = slopes(data, points)
        return statistic, null, line.rm[0], line.rm_error[0], jnp.abs(naive.slope) / jnp.sqrt(naive.slope_variance)

    return jax.lax.map(one, keys)


@pytest.mark.slow
@pytest.mark.parametrize(("ratio", "width"), [(10.0, 0.5), (10.0, 2.0), (30.0, 1.0)])
def test_null_p_values_are_uniform_and_independent_pixels_cry_wolf(ratio, width):
    found = trials(jax.random.split(jax.random.key(11), 500), ratio, width, 0.0)
    statistic, null, slope, error, naive = (np.asarray(x) for x in found)
    assert np.isfinite(error).all()
    above = np.sum(null > statistic[:, None], axis=1)
    ties = np.sum(null == statistic[:, None], axis=1)
    randomised = (above + np.random.default_rng(0).uniform(size=500) * (ties + 1)) / (SIMULATIONS + 1)
    assert stats.kstest(randomised, "uniform").pvalue > 0.01
    assert np.mean(statistic > 3.0) < 0.03
    assert np.std(slope / error) == pytest.approx(1.0, abs=0.1)
    if width >= 1.0:
        assert np.mean(naive > 3.0) > 0.05


@pytest.mark.slow
def test_a_change_of_3000_over_two_beams_is_found():
    found = trials(jax.random.split(jax.random.key(12), 200), 10.0, 2.0, 1500.0)
    statistic, null = (np.asarray(x) for x in found[:2])
    p = (1 + np.sum(null >= statistic[:, None], axis=1)) / (SIMULATIONS + 1)
    assert np.mean(p <= 0.01) >= 0.9
